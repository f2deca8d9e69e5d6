"""Which nodes can run again, how often they are expected to, and whether the loop has an exit."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from graphroute.ir.facts import Facts, Loop


def loops(facts: Facts) -> Facts:
    """Fill `loops`, and warn of each loop that only the recursion limit ends."""
    flow: nx.DiGraph[str] = nx.DiGraph()
    flow.add_edges_from(
        (e.source, e.target)
        for e, p in zip(facts.graph.edges, facts.probabilities, strict=True)
        if p > 0
    )
    expected = {v.node: v.expected for v in facts.visits}
    order = {name: i for i, name in enumerate(facts.graph.names)}
    found = []
    for part in nx.strongly_connected_components(flow):
        if len(part) == 1 and not any(flow.has_edge(n, n) for n in part):
            continue
        names = tuple(sorted(part & set(order), key=order.__getitem__))
        scope = max((expected.get(facts.graph.node(n).scope, 1.0) for n in names), default=1.0)
        found.append(
            Loop(
                nodes=names,
                expected_iterations=max(expected.get(n, 0.0) for n in names) / (scope or 1.0),
                has_exit=any(t not in part for n in part for t in flow.successors(n)),
                again=_again(facts, names, expected),
            )
        )
    found.sort(key=lambda loop: order[loop.nodes[0]])
    endless = tuple(
        f"the loop {' → '.join(loop.nodes)} has no way out but the recursion limit of "
        f"{facts.recursion_limit} supersteps"
        for loop in found
        if not loop.has_exit
    )
    return replace(facts, loops=tuple(found), warnings=facts.warnings + endless)


def _again(facts: Facts, names: tuple[str, ...], expected: dict[str, float]) -> tuple[float, ...]:
    """1 − entries / visits of each node; what enters the loop is what flows in from outside."""
    inside = set(names)
    scope = facts.graph.node(names[0]).scope
    entries = 0.0
    joins: dict[str, float] = {}
    for edge, p in zip(facts.graph.edges, facts.probabilities, strict=True):
        if edge.target not in inside:
            continue
        if edge.kind == "send":
            return (0.0,) * len(names)
        if edge.source in inside:
            continue
        flow = p * expected.get(edge.source, expected.get(scope, 1.0) if scope else 1.0)
        if edge.kind == "join":  # a join starts its target once, when all of its sources have run
            joins[edge.target] = min(joins.get(edge.target, flow), flow)
        else:
            entries += flow
    entries += sum(joins.values())
    return tuple(
        max(0.0, 1 - entries / expected[n]) if expected.get(n, 0.0) > 0 else 0.0 for n in names
    )
