"""Whose answer is one of several, and whose answer is checked: only what the shape makes sure.

```
        ┌─ ask1 ─┐                              ┌──────── once more ────────┐
 start ─┼─ ask2 ─┼─► join     a vote of 3       ▼                           │
        └─ ask3 ─┘            (one prompt)    draft ─► … ─► check ─┴─► on    draft is checked
```

A vote: nodes with the very same prompts, tools and schema, which read and write the same keys, run
after the same nodes and before one and the same node. A check: a loop that is a plain ring, entered
at one node only, in which only the last node decides whether that first node runs again or the
loop is left. A supervisor that hands out work is entered first itself, so it is none; neither is an
agent, which decides itself whether to go on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from graphroute.ir.facts import Facts, Loop, Role
from graphroute.ir.graph import END, Edge, Node


def roles(facts: Facts) -> Facts:
    """Fill `roles`, at most one per node, in graph order."""
    out: dict[str, list[Edge]] = defaultdict(list)
    into: dict[str, list[Edge]] = defaultdict(list)
    for edge, p in zip(facts.graph.edges, facts.probabilities, strict=True):
        if p > 0:
            out[edge.source].append(edge)
            into[edge.target].append(edge)
    found = {r.node: r for r in _votes(facts, out, into)}
    for loop in facts.loops:
        found |= {r.node: r for r in _checked(facts, loop, out, into)}
    order = {name: i for i, name in enumerate(facts.graph.names)}
    return replace(facts, roles=tuple(sorted(found.values(), key=lambda r: order[r.node])))


def _votes(facts: Facts, out: dict[str, list[Edge]], into: dict[str, list[Edge]]) -> list[Role]:
    alike: dict[tuple[object, ...], list[Node]] = defaultdict(list)
    for node in facts.graph.nodes:
        targets = {e.target for e in out[node.name]}
        plain = all(e.kind in ("static", "join") for e in out[node.name])
        if node.may_call_model and node.prompts and node.writes and plain and len(targets) == 1:
            sources = frozenset((e.source, e.kind) for e in into[node.name])
            same = (node.prompts, node.tools, node.output_schema, node.reads, node.writes)
            alike[(node.scope, sources, frozenset(targets), *same)].append(node)
    found = []
    for nodes in alike.values():
        join = out[nodes[0].name][0].target
        if len(nodes) > 1 and join.rpartition("/")[2] != END:
            found += [Role(node=n.name, kind="vote", by=join, among=len(nodes)) for n in nodes]
    return found


def _checked(
    facts: Facts, loop: Loop, out: dict[str, list[Edge]], into: dict[str, list[Edge]]
) -> list[Role]:
    inside = set(loop.nodes)
    checks = [n for n in loop.nodes if any(e.kind in ("conditional", "command") for e in out[n])]
    if len(checks) != 1 or not loop.has_exit or len(inside) < 2:
        return []
    check = checks[0]
    back = {e.target for e in out[check]} & inside
    entries = {e.target for n in inside for e in into[n] if e.source not in inside}
    others = [n for n in loop.nodes if n != check]
    is_ring = all(
        len(out[n]) == 1 and out[n][0].kind == "static" and out[n][0].target in inside
        for n in others
    )
    leaves = any(e.target not in inside for e in out[check])
    decides = all(e.kind in ("conditional", "command") for e in out[check])
    if not (is_ring and leaves and decides) or len(back) != 1 or back != entries or check in back:
        return []
    nodes = [facts.graph.node(n) for n in others]
    asked = [n.name for n in nodes if n.may_call_model]
    deep = any(n.kind == "subgraph" for n in nodes)
    is_alone = len(asked) == 1 and not deep and not facts.graph.node(check).may_call_model
    recorded = sum(facts.observed.edges.get((check, e.target), 0.0) for e in out[check])
    return [
        Role(node=n, kind="checked", by=check, is_alone=is_alone, recorded=recorded) for n in asked
    ]
