"""A user's LangGraph graph, walked into our `ir.graph.Graph`; no line of user code runs.

```
CompiledStateGraph ── builder: nodes, edges, joins, branches ─┐
Pregel (@entrypoint, @task) ── nodes and the channels between ─┴─► Graph, chat models by name
      └─ nodes that are graphs: the same again, as parent/child
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from graphroute.errors import InvalidValue
from graphroute.frontend.attributes import held, is_a, member
from graphroute.frontend.callsites import look
from graphroute.frontend.edges import (
    Scope,
    branch_edges,
    command_edges,
    parent_edges,
    static_edges,
    unique,
)
from graphroute.frontend.findings import Findings
from graphroute.frontend.hints import NO_HINTS, hints_of, laid_over
from graphroute.frontend.matching import with_hints
from graphroute.frontend.pregel import channel_edges, executable_nodes, task_edges, task_parts
from graphroute.ir.graph import START, Edge, Graph, ModelUse, Node, NodeKind
from graphroute.ir.hints import RouteHints, private

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_MAX_NESTING: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """The graph as data, and the graph's own model objects by pool name, first met first."""

    graph: Graph
    chats: Mapping[str, BaseChatModel]


def walk(graph: object, *, hints: Mapping[str, RouteHints] | None = None) -> Walked:
    """Walk a compiled graph (or the `Pregel` an `@entrypoint` makes).

    hints: facts by node name (`"parent/child"` in subgraphs), laid over those of `@route`. Facts
        on a subgraph's node hold for all nodes inside that do not say otherwise.

    Raises `InvalidValue` for anything but a compiled graph and `UnknownNode` for hints that name
    no node, listing the names there are.
    """
    if not is_a(graph, Pregel):
        is_builder = is_a(graph, StateGraph)
        raise InvalidValue(
            f"{type(graph).__name__} is no compiled graph",
            value=type(graph).__name__,
            next_step="call .compile() on it first" if is_builder else "pass a compiled graph",
        )
    walker = _Walker()
    walker.scope(graph, "", NO_HINTS)
    inner = held(graph)
    config = inner.get("config")
    limit = config.get("recursion_limit") if type(config) is dict else None
    found = Graph(
        name=inner["name"] if type(inner.get("name")) is str else "LangGraph",
        nodes=tuple(with_hints(walker.nodes, hints or {})),
        edges=tuple(unique(walker.edges)),
        state_keys=_state_keys(graph),
        private_keys=tuple(walker.private_keys),
        recursion_limit=limit if type(limit) is int else None,
        warnings=tuple(walker.warnings),
    )
    return Walked(graph=found, chats=walker.chats)


@dataclass(slots=True, eq=False)
class _Walker:
    """Collects nodes and edges over all scopes, parents before children."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    chats: dict[str, BaseChatModel] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)
    open: list[object] = field(default_factory=list)
    private_keys: dict[str, None] = field(default_factory=dict)

    def scope(self, graph: Any, path: str, above: RouteHints) -> list[str]:
        """Walk one graph; returns the targets its nodes send the parent to."""
        self.open.append(graph)
        builder = held(graph).get("builder")
        if is_a(builder, StateGraph):
            parent_targets = self._built(builder, path, above)
        else:
            parent_targets = self._pregel(graph, path, above)
        self.open.pop()
        return parent_targets

    def _built(self, builder: Any, path: str, above: RouteHints) -> list[str]:
        scope = Scope(path=path, names=tuple(builder.nodes))
        self.private_keys |= dict.fromkeys(_private_keys(builder))
        self.edges += static_edges(scope, builder)
        upward: list[str] = []
        for name, spec in builder.nodes.items():
            branches = builder.branches.get(name, {})
            channels = tuple(builder.schemas.get(spec.input_schema, ()))
            paths = tuple(branch.path for branch in branches.values())
            # The node's own code and the branches' are apart where it matters: the edges.
            seen = look(spec.runnable, channels=channels)
            self.edges += command_edges(scope, name, spec, seen)
            routes = [look(route) for route in paths]
            for branch, route in zip(branches.values(), routes, strict=True):
                self.edges += branch_edges(scope, name, branch.ends, route)
            self._node(scope, name, spec.runnable, seen, routes, channels, above, spec.defer)
            upward += seen.parent_gotos
        for branch in builder.branches.get(START, {}).values():
            route = look(branch.path)
            self.edges += branch_edges(scope, START, branch.ends, route)
            if route.models:
                where = scope.full(START)
                self.warnings[
                    f"the conditional edge at {where!r} calls a model: it keeps its own, since"
                    " an entry is no step that could be assigned one"
                ] = None
                self.chats.update({k: v for k, v in route.chats.items() if k not in self.chats})
        return upward

    def _pregel(self, graph: Any, path: str, above: RouteHints) -> list[str]:
        nodes = executable_nodes(graph)
        scope = Scope(path=path, names=tuple(nodes))
        self.edges += channel_edges(scope, graph, nodes)
        upward: list[str] = []
        for name, node in nodes.items():
            seen = look(node.bound)
            upward += seen.parent_gotos
            self._node(scope, name, node.bound, seen, [], (), above, False)
        return upward

    def _tasks(self, scope: Scope, caller: str, tasks: tuple[Any, ...]) -> None:
        """Functional-API tasks run as steps of their own, in the namespace of their caller."""
        inside = Scope(path=scope.full(caller), names=tuple(task_parts(t)[0] for t in tasks))
        self.edges += task_edges(inside)
        for task in tasks:
            name, function = task_parts(task)
            if any(node.name == inside.full(name) for node in self.nodes):
                continue
            self.open.append(task)
            self._node(inside, name, function, look(function), [], (), NO_HINTS, False, extra=task)
            self.open.pop()

    def _node(
        self,
        scope: Scope,
        name: str,
        runnable: object,
        seen: Findings,
        routes: list[Findings],
        channels: tuple[str, ...],
        above: RouteHints,
        deferred: bool,
        extra: object = None,
    ) -> None:
        full = scope.full(name)
        hints = laid_over(above, hints_of(extra)) if extra is not None else above
        hints = laid_over(hints, hints_of(runnable))
        models = _merged(seen.models, *(route.models for route in routes))
        reads = seen.reads
        everything = (seen, *routes)
        # A route that merely looks at a schema asks no model for it.
        asking = (seen, *(route for route in routes if route.models))
        graphs = [g for part in everything for g in part.subgraphs if not self._is_open(g)]
        tasks = tuple(t for part in everything for t in part.tasks if not self._is_open(t))
        self.nodes.append(
            Node(
                name=full,
                kind=_kind(seen, routes, has_inside=bool(graphs or tasks)),
                sight=_worst(everything).sight,
                sight_reason="; ".join(
                    dict.fromkeys(p.sight_reason for p in everything if p.sight_reason)
                ),
                models=models,
                prompts=tuple(dict.fromkeys(t for part in everything for t in part.prompts)),
                tools=seen.tools,
                output_schema=next((p.output_schema for p in asking if p.output_schema), None),
                reads=channels if reads is None else tuple(k for k in channels if k in reads),
                writes=tuple(k for k in seen.writes if k in channels or not channels),
                deferred=deferred,
                takes_images=any(part.takes_images for part in everything),
                hints=hints,
            )
        )
        for part in everything:
            for key, chat in part.chats.items():
                self.chats.setdefault(key, chat)
            for text in (*part.calls_unseen, *part.warnings):
                self.warnings[f"node {full!r}: {text}"] = None
        self._inside(scope, name, runnable, graphs)
        if tasks and len(self.open) < _MAX_NESTING:
            self._tasks(scope, name, tasks)

    def _inside(self, scope: Scope, name: str, runnable: object, graphs: list[Any]) -> None:
        """Graphs that the node is or calls: one scope under the node's name."""
        full = scope.full(name)
        if len(self.open) >= _MAX_NESTING and graphs:
            self.warnings[f"node {full!r}: graphs nested deeper than {_MAX_NESTING}"] = None
            return
        for graph in graphs:
            before = {node.name for node in self.nodes}
            start = len(self.nodes)
            # What was stated on a node's own graph is the node's, and `matching` hands it down.
            own = NO_HINTS if graph is runnable else hints_of(graph)
            targets = self.scope(graph, full, own)
            self.edges += parent_edges(scope, name, targets)
            if twins := [n.name for n in self.nodes[start:] if n.name in before]:
                # Two graphs called from one node share its namespace in a run, too.
                self.nodes[start:] = [n for n in self.nodes[start:] if n.name not in before]
                self.warnings[f"node {full!r} calls graphs with equal names: {twins}"] = None

    def _is_open(self, graph: object) -> bool:
        return any(graph is known for known in self.open)


def _kind(seen: Findings, routes: list[Findings], *, has_inside: bool) -> NodeKind:
    if has_inside:
        return "subgraph"
    if seen.is_tool_node:
        return "tool"
    if seen.models:
        return "llm"
    if seen.calls_unseen or seen.calls_unknown or seen.sight == "opaque":
        return "unknown"
    if any(route.models for route in routes):
        return "router"
    if seen.runs_tools:
        return "tool"
    return "unknown" if any(r.calls_unseen or r.calls_unknown for r in routes) else "code"


def _merged(*parts: tuple[ModelUse, ...]) -> tuple[ModelUse, ...]:
    """Model uses of a node and its branches, one for each name."""
    found: dict[str, ModelUse] = {}
    for use in (use for part in parts for use in part):
        found.setdefault(use.name, use)
    return tuple(found.values())


def _worst(parts: tuple[Findings, ...]) -> Findings:
    order = ("full", "partial", "opaque")
    return max(parts, key=lambda part: order.index(part.sight))


def _private_keys(builder: Any) -> list[str]:
    """Keys that a schema of the graph marks with `private`."""
    found = []
    for channels in builder.schemas.values():
        for key, channel in channels.items():
            marks = getattr(member(channel, "typ"), "__metadata__", ())
            if any(type(mark) is str and mark == private for mark in marks):
                found.append(key)
    return found


def _state_keys(graph: object) -> tuple[str, ...]:
    builder: Any = held(graph).get("builder")
    return tuple(builder.channels) if is_a(builder, StateGraph) else ()
