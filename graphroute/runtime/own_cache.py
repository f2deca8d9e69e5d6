"""LangGraph's own node cache under a plan: its key names the model besides the input.

LangGraph keys a cached node by its input alone. Two plans of a graph, or a plan and the graph
itself, that share one such cache would serve each other's answers; so the key of a routed graph
names the models that are assigned. The policy is the user's in everything else, and the nodes of
the user's graph are not touched: a node that has a policy is copied.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langgraph.pregel import Pregel

from graphroute.runtime.node_cache.asked import model_of

if TYPE_CHECKING:
    from graphroute.runtime.policy import Policy

_MAX_NESTING = 16


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """The user's key function, with what the plan says of the node at `place` put behind.

    place: path of the node; `""` for a policy of the whole graph
    """

    original: Callable[..., Any]
    policy: Policy
    place: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = self.original(*args, **kwargs)
        models = "; ".join(
            f"{one.node} on {model_of(one)}"
            for one in self.policy.plan.assignments
            if not self.place or f"{one.node}/".startswith(f"{self.place}/")
        )
        if not models:
            return key
        if isinstance(key, str):
            return f"{key}\n{models}"
        return key + b"\n" + models.encode() if isinstance(key, bytes) else key


def planned(graph: Any, policy: Policy | None, *, path: str = "", depth: int = 0) -> None:
    """Have the cache policies in `graph`, a copy of a user's, name the models of a plan.

    policy: None puts the user's key functions back
    """
    if policy is not None and policy.keeps_own:
        return
    if graph.cache_policy is not None:
        graph.cache_policy = _told(graph.cache_policy, policy, path)
    changed = {
        name: copied
        for name, node in graph.nodes.items()
        if (copied := _node(node, policy, f"{path}/{name}" if path else name, depth)) is not None
    }
    if changed:
        graph.nodes = {**graph.nodes, **changed}


def _node(node: Any, policy: Policy | None, path: str, depth: int) -> Any:
    """A copy of a node whose policy, or one inside, is to be another; None where none is."""
    made = None
    if node.cache_policy is not None:
        made = copy.copy(node)
        made.cache_policy = _told(node.cache_policy, policy, path)
    inner = node.bound
    if isinstance(inner, Pregel) and depth < _MAX_NESTING and _has_policy(inner, depth):
        inside = copy.copy(inner)
        planned(inside, policy, path=path, depth=depth + 1)
        made = made or copy.copy(node)
        made.bound = inside
        made.subgraphs = [inside if each is inner else each for each in node.subgraphs]
        made.__dict__.pop("node", None)  # LangGraph's own memory of bound and writers together
    return made


def _has_policy(graph: Any, depth: int) -> bool:
    if depth >= _MAX_NESTING:
        return False
    nodes: Mapping[str, Any] = graph.nodes
    return graph.cache_policy is not None or any(
        node.cache_policy is not None
        or (isinstance(node.bound, Pregel) and _has_policy(node.bound, depth + 1))
        for node in nodes.values()
    )


def _told(own: Any, policy: Policy | None, path: str) -> Any:
    original = own.key_func
    if isinstance(original, PlannedKey):
        original = original.original
    key_func = original if policy is None else PlannedKey(original, policy, path)
    return replace(own, key_func=key_func)
