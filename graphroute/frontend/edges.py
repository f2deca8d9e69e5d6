"""The transitions of one scope, from LangGraph's builder and from what the nodes' code shows.

Where a branch's ends are not known, every node of the scope and the end are possible: the walk
may say too much about where a run can go, never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph._node import StateNodeSpec

from graphroute.frontend.findings import Findings
from graphroute.ir.graph import END, START, Edge, EdgeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A graph with its place: `path` is "" at the top, else the subgraph node's name."""

    path: str
    names: tuple[str, ...]

    def full(self, name: str) -> str:
        """A node's name as seen from the top."""
        return f"{self.path}/{name}" if self.path else name

    @property
    def targets(self) -> tuple[str, ...]:
        """Every place a run can go to from an unknown branch."""
        return (*self.names, END)


def static_edges(scope: Scope, builder: StateGraph[Any, Any, Any, Any]) -> list[Edge]:
    """Plain edges and joins; the builder keeps sets, so they are put in the nodes' order."""
    place = {name: index for index, name in enumerate((START, *scope.names, END))}

    def order(pair: tuple[str, str]) -> tuple[int, int]:
        return place.get(pair[0], 0), place.get(pair[1], 0)

    edges = [
        Edge(source=scope.full(a), target=scope.full(b), probability=1.0)
        for a, b in sorted(builder.edges, key=order)
    ]
    joins = [(a, end) for starts, end in builder.waiting_edges for a in starts]
    edges += [
        Edge(source=scope.full(a), target=scope.full(b), kind="join", probability=1.0)
        for a, b in sorted(joins, key=order)
    ]
    for name in scope.names:
        handler = builder.nodes[name].error_handler_node
        if handler is not None:
            # Not a way a good run goes: drawn, but counted with probability 0.
            edges.append(
                Edge(
                    source=scope.full(name),
                    target=scope.full(handler),
                    kind="conditional",
                    label="error",
                    probability=0.0,
                )
            )
    return edges


def branch_edges(
    scope: Scope, source: str, ends: Mapping[Any, str] | None, seen: Findings
) -> list[Edge]:
    """The ends of a conditional edge; `seen` is what its function's code shows."""
    sends = set(seen.sends)
    if ends:
        # A Send to a place only a run will tell may be to any of the stated ends.
        could_send = sends or (set(ends.values()) if seen.has_open_send else set())
        labelled = [(str(label), target) for label, target in ends.items()]
        extra = [(target, target) for target in seen.sends if target not in ends.values()]
        return [
            _edge(scope, source, target, "send" if target in could_send else "conditional", label)
            for label, target in (*labelled, *extra)
        ]
    if seen.returned is not None and seen.returned and not seen.has_open_send:
        known = [t for t in dict.fromkeys(seen.returned) if t in scope.targets]
        if len(known) == len(set(seen.returned)):
            return [
                _edge(scope, source, t, "send" if t in sends else "conditional", t) for t in known
            ]
    return [
        _edge(scope, source, target, "send" if target in sends else "conditional", "")
        for target in scope.targets
    ]


def command_edges(
    scope: Scope, name: str, spec: StateNodeSpec[Any, Any], seen: Findings
) -> list[Edge]:
    """Where the node's own `Command` may go: declared ends, else what the code shows."""
    labels: dict[str, str] = {}
    if spec.ends:
        pairs = spec.ends.items() if isinstance(spec.ends, dict) else ((e, "") for e in spec.ends)
        labels = dict(pairs)
    for target in (*seen.gotos, *(seen.sends if not labels else ())):
        if target in scope.targets:
            labels.setdefault(target, "")
    if not spec.ends and (seen.has_open_goto or (seen.has_open_send and not seen.sends)):
        # Node names among the function's constants are the likely ones; else it can be any.
        likely = [t for t in scope.targets if t in seen.strings]
        for target in likely or scope.targets:
            labels.setdefault(target, "")
    sends = set(seen.sends)
    return [
        _edge(scope, name, target, "send" if target in sends else "command", label)
        for target, label in labels.items()
    ]


def parent_edges(parent: Scope, subgraph: str, targets: Iterable[str]) -> list[Edge]:
    """`Command(graph=Command.PARENT)` out of a subgraph: an edge of the subgraph's node."""
    return [
        _edge(parent, subgraph, target, "command", "")
        for target in dict.fromkeys(targets)
        if target in parent.targets
    ]


def unique(edges: Iterable[Edge]) -> list[Edge]:
    """The edges without repetitions of the same way, in the order of discovery.

    >>> edge = Edge(source="a", target="b", probability=1.0)
    >>> unique([edge, Edge(source="a", target="b", kind="command"), edge])
    [Edge(source='a', target='b', kind='static', label='', probability=1.0)]
    """
    kept: dict[tuple[str, str, str], Edge] = {}
    certain = {(e.source, e.target) for e in edges if e.kind == "static"}
    for edge in edges:
        if edge.kind == "command" and (edge.source, edge.target) in certain:
            continue
        kept.setdefault((edge.source, edge.target, edge.label), edge)
    return list(kept.values())


def _edge(scope: Scope, source: str, target: str, kind: EdgeKind, label: str) -> Edge:
    label = "" if label == target else label
    return Edge(source=scope.full(source), target=scope.full(target), kind=kind, label=label)
