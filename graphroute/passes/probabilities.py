"""How likely each edge is taken once its source has run.

Static and join edges are always taken. Conditional, `Command` and `Send` edges of one node share a
probability of 1: stated values first, then counts of earlier runs (posterior mean of a Dirichlet
prior), else the same for each distinct target, except that the way back into a loop gets at most
`LOOP_CONTINUE` when there is also a way out:

```
 draft ─► check ─┬─ 1/2 ─► draft       (back)
                 ├─ 1/4 ─► publish     (out)
                 └─ 1/4 ─► __end__     (out)
```
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import networkx as nx

from graphroute.ir.facts import Facts
from graphroute.ir.graph import Edge

LOOP_CONTINUE = 0.5
"""Prior probability that a loop with an exit goes round again: two iterations expected."""

PRIOR_STRENGTH = 2.0
"""Weight of the prior, in transitions: after 20 recorded transitions it counts for a tenth."""

CHOICES = ("conditional", "command", "send")


def probabilities(facts: Facts) -> Facts:
    """Fill `probabilities`, one per edge; two edges to one target share that target's part."""
    edges = facts.graph.edges
    loop_of = _loop_of(edges)
    by_source: dict[str, list[int]] = defaultdict(list)
    for i, edge in enumerate(edges):
        if edge.kind in CHOICES:
            by_source[edge.source].append(i)
    found = [1.0] * len(edges)
    for source, indices in by_source.items():
        share = _targets(source, [edges[i] for i in indices], loop_of, facts)
        twins: dict[str, int] = defaultdict(int)
        for i in indices:
            twins[edges[i].target] += 1
        for i in indices:
            found[i] = share[edges[i].target] / twins[edges[i].target]
    return replace(facts, probabilities=tuple(found))


def _loop_of(edges: tuple[Edge, ...]) -> dict[str, int]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((e.source, e.target) for e in edges)
    return {
        node: number
        for number, part in enumerate(nx.strongly_connected_components(graph))
        if len(part) > 1 or any(graph.has_edge(n, n) for n in part)
        for node in part
    }


def _targets(
    source: str, edges: list[Edge], loop_of: dict[str, int], facts: Facts
) -> dict[str, float]:
    stated: dict[str, float] = defaultdict(float)
    for edge in edges:
        if edge.probability is not None:
            stated[edge.target] += max(edge.probability, 0.0)
    free = sorted({e.target for e in edges} - set(stated))
    total = sum(stated.values())
    if not free or total > 1:
        # Stated values that do not add up are taken as proportions.
        scale = total or 1.0
        prior = {t: p / scale for t, p in stated.items()} | dict.fromkeys(free, 0.0)
        if not total:
            prior = dict.fromkeys(prior, 1 / len(prior))
    else:
        prior = dict(stated) | {
            t: p * (1 - total) for t, p in _uniform(source, free, loop_of).items()
        }
    counts = {t: facts.observed.edges.get((source, t), 0.0) for t in prior}
    seen = sum(counts.values())
    return {t: (PRIOR_STRENGTH * p + counts[t]) / (PRIOR_STRENGTH + seen) for t, p in prior.items()}


def _uniform(source: str, targets: list[str], loop_of: dict[str, int]) -> dict[str, float]:
    loop = loop_of.get(source)
    back = [t for t in targets if loop is not None and loop_of.get(t) == loop]
    out = [t for t in targets if t not in back]
    again = len(back) / len(targets)
    if back and out:
        again = min(again, LOOP_CONTINUE)
    return {t: again / len(back) for t in back} | {t: (1 - again) / len(out) for t in out}
