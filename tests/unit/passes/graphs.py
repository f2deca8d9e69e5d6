"""Small graphs for the tests of passes and planning."""

from __future__ import annotations

from collections.abc import Sequence

from graphroute.ir.facts import Facts, Observed
from graphroute.ir.graph import END, START, Edge, EdgeKind, Graph, Node, NodeKind
from graphroute.ir.hints import RouteHints
from graphroute.planner import study

Arrow = tuple[str, str] | tuple[str, str, EdgeKind]


def node(name: str, kind: NodeKind = "llm", **facts: object) -> Node:
    """A node with the given fields."""
    return Node(name=name, kind=kind, **facts)  # type: ignore[arg-type]  # fields by name


def graph(nodes: Sequence[Node | str], arrows: Sequence[Arrow]) -> Graph:
    """A graph from names or nodes and (source, target[, kind]) triples."""
    return Graph(
        name="test",
        nodes=tuple(node(n) if isinstance(n, str) else n for n in nodes),
        edges=tuple(
            Edge(source=a[0], target=a[1], kind=a[2] if len(a) == 3 else "static") for a in arrows
        ),
    )


def visits(
    nodes: Sequence[Node | str],
    arrows: Sequence[Arrow],
    *,
    recursion_limit: int = 1000,
    observed: Observed | None = None,
) -> dict[str, float]:
    """Expected visits by node name, rounded."""
    found = study(graph(nodes, arrows), recursion_limit=recursion_limit, observed=observed)
    return {v.node: round(v.expected, 6) for v in found.visits}


def triage(**hints: RouteHints) -> Graph:
    """Classify, then draft and check in a loop; hints by node name."""
    names = ("classify", "draft", "check")
    return graph(
        [node(n, hints=hints.get(n, RouteHints())) for n in names],
        [
            (START, "classify"),
            ("classify", "draft"),
            ("draft", "check"),
            ("check", "draft", "conditional"),
            ("check", END, "conditional"),
        ],
    )


def facts(of: Graph) -> Facts:
    """All passes over a graph."""
    return study(of)
