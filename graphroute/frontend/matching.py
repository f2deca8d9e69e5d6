"""Lay the hints given by name over the nodes; names that fit no node are told all at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

from graphroute.errors import InvalidValue, UnknownNode
from graphroute.frontend.hints import NO_HINTS, laid_over
from graphroute.ir.graph import Node
from graphroute.ir.hints import RouteHints


def with_hints(nodes: list[Node], hints: Mapping[str, RouteHints]) -> list[Node]:
    """The nodes with their hints; those of a subgraph's node reach the nodes inside.

    A hint nearer to a node wins: its own over its parent's, one given by name over `@route`.

    >>> node = Node(name="draft", kind="llm")
    >>> with_hints([node], {"draft": RouteHints(complexity=0.9)})[0].hints.complexity
    0.9
    """
    _check(tuple(node.name for node in nodes), hints)
    own = {n.name: laid_over(n.hints, hints.get(n.name, NO_HINTS)) for n in nodes}
    return [replace(node, hints=_handed_down(node.name, own)) for node in nodes]


def _handed_down(name: str, own: Mapping[str, RouteHints]) -> RouteHints:
    parts = name.split("/")
    found = NO_HINTS
    for end in range(1, len(parts) + 1):
        found = laid_over(found, own.get("/".join(parts[:end]), NO_HINTS))
    return found


def _check(known: tuple[str, ...], hints: Mapping[str, RouteHints]) -> None:
    for name, value in hints.items():
        if not isinstance(value, RouteHints):
            raise InvalidValue(
                f"hints for node {name!r}: {type(value).__name__} is no RouteHints",
                node=name,
                value=value,
                next_step=f"write nodes={{{name!r}: RouteHints(...)}}",
            )
    unknown = [name for name in hints if name not in known]
    if not unknown:
        return
    tips = []
    for name in unknown:
        # A node of a subgraph is often named without its parents.
        inner = [k for k in known if k.rpartition("/")[2] == name]
        near = inner or difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        tips.append(f"{name!r}" + (f" (do you mean {near[0]!r}?)" if near else ""))
    raise UnknownNode(
        f"hints name no node of the graph: {', '.join(tips)}",
        node=unknown[0],
        unknown=tuple(unknown),
        known=known,
        next_step=f"nodes are {', '.join(map(repr, known)) or 'none'}",
    )
