"""Graphs without a builder: the functional API's `@entrypoint` and `@task`, and bare `Pregel`.

Their edges are the channels: a node that writes a channel leads to the nodes it triggers.
"""

from __future__ import annotations

from typing import Any

from langgraph.pregel._write import ChannelWrite, ChannelWriteEntry

from graphroute.frontend.attributes import held, is_a
from graphroute.frontend.edges import Scope
from graphroute.ir.graph import END, START, Edge


def executable_nodes(graph: object) -> dict[str, Any]:
    """The nodes of a `Pregel` by name, without the hidden entry."""
    nodes = held(graph).get("nodes")
    return {k: v for k, v in nodes.items() if k != START} if type(nodes) is dict else {}


def channel_edges(scope: Scope, graph: object, nodes: dict[str, Any]) -> list[Edge]:
    """Edges from who writes a channel to whom it triggers, entry and finish included."""
    inner = held(graph)
    entries = set(_names(inner.get("input_channels")))
    exits = set(_names(inner.get("output_channels")))
    edges = [
        Edge(source=scope.full(START), target=scope.full(name), probability=1.0)
        for name, node in nodes.items()
        if entries & set(node.triggers)
    ]
    for name, node in nodes.items():
        written = set(_written(node))
        edges += [
            Edge(source=scope.full(name), target=scope.full(other), probability=1.0)
            for other, reader in nodes.items()
            if other != name and written & set(reader.triggers)
        ]
        if written & exits:
            edges.append(Edge(source=scope.full(name), target=scope.full(END), probability=1.0))
    return edges


def task_edges(inside: Scope) -> list[Edge]:
    """Tasks start with their caller, any number of times each, and give their results to it."""
    return [
        *(
            Edge(source=inside.full(START), target=inside.full(t), kind="send")
            for t in inside.names
        ),
        *(
            Edge(source=inside.full(t), target=inside.full(END), probability=1.0)
            for t in inside.names
        ),
    ]


def task_parts(task: object) -> tuple[str, object]:
    """Name and function of a functional-API task."""
    inner = held(task)
    function = inner.get("func")
    name = inner.get("name") or held(function).get("__name__")
    if type(name) is not str:
        name = getattr(function, "__name__", "task") if callable(function) else "task"
    return name, function


def _written(node: Any) -> list[str]:
    found: list[str] = []
    for writer in node.writers:
        if is_a(writer, ChannelWrite):
            writes = held(writer).get("writes")
            found += [
                entry.channel
                for entry in (writes if type(writes) is list else ())
                if is_a(entry, ChannelWriteEntry)
            ]
    return found


def _names(channels: object) -> tuple[str, ...]:
    if type(channels) is str:
        return (channels,)
    return tuple(channels) if isinstance(channels, (list, tuple)) else ()
