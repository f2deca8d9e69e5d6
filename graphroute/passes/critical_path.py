"""The chain of model calls that a run waits for longest, by expected answer tokens.

Writing the answer is what takes a model its time, so before models are chosen a node's length is
visits × calls × answer tokens; loops count as one stretch of the path.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import networkx as nx

from graphroute.ir.facts import Facts


def critical_path(facts: Facts) -> Facts:
    """Fill `critical_path` with the nodes of the longest chain that may call a model."""
    order = {name: i for i, name in enumerate(facts.graph.names)}
    length = dict.fromkeys(order, 0.0)
    expected = {v.node: v.expected for v in facts.visits}
    for fact in facts.tokens:
        length[fact.node] = expected[fact.node] * fact.calls * fact.out_tokens
    inner: dict[str, list[str]] = defaultdict(list)
    for node in facts.graph.nodes:
        inner[node.scope].append(node.name)

    def longest(path: str) -> tuple[float, tuple[str, ...]]:
        names = inner[path]
        stretch: dict[str, tuple[float, tuple[str, ...]]] = {}
        for name in names:
            below, way = longest(name) if name in inner else (0.0, ())
            own = (name,) if length[name] > 0 else ()
            stretch[name] = (length[name] + below, own + way)
        flow: nx.DiGraph[str] = nx.DiGraph()
        flow.add_nodes_from(names)
        flow.add_edges_from(
            (e.source, e.target) for e in facts.graph.edges if {e.source, e.target} <= set(names)
        )
        whole = nx.condensation(flow)
        best: dict[int, tuple[float, tuple[str, ...]]] = {}
        for part in nx.topological_sort(whole):
            members = sorted(whole.nodes[part]["members"], key=order.__getitem__)
            before = max(
                (best[p] for p in whole.predecessors(part)), key=lambda b: b[0], default=(0.0, ())
            )
            best[part] = (
                before[0] + sum(stretch[m][0] for m in members),
                before[1] + tuple(n for m in members for n in stretch[m][1]),
            )
        return max(best.values(), key=lambda b: b[0], default=(0.0, ()))

    return replace(facts, critical_path=longest("")[1])
