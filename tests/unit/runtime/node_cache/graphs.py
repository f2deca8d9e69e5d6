"""Graphs whose nodes count their runs, optimized with the node cache on a backend of the test's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from graphroute.caches.memory import MemoryCache
from graphroute.frontend.cacheable import cacheable
from graphroute.frontend.langgraph import walk
from graphroute.ir.node_cache import Caching
from graphroute.protocols import Cache
from graphroute.runtime.canonical import digest
from graphroute.runtime.lease import Leases
from graphroute.runtime.node_cache.cache import NodeCache
from graphroute.runtime.policy import Policy
from tests.unit.runtime.situations import policy_for, routed


def cached(
    graph: Any,
    cache: Cache | None = None,
    *assignments: Any,
    chats: Mapping[str, BaseChatModel] | None = None,
    **facts: Any,
) -> Any:
    """`graph` with the outputs of the nodes that ask for it kept on `cache`."""
    keeps_own = facts.pop("keeps_own", not chats)
    policy = policy_for(*assignments, chats=chats or {}, keeps_own=keeps_own, **facts)
    return routed(graph, with_outputs(policy, graph, cache))


def with_outputs(
    policy: Policy, graph: Any, cache: Cache | None = None, *, leases: Leases | None = None
) -> Policy:
    """`policy` with a node cache for `graph`."""
    nodes, _ = cacheable(graph, walk(graph).graph, digest=digest)
    policy.outputs = NodeCache(nodes, cache=cache or MemoryCache(), graph=graph.name, leases=leases)
    return policy


def decisions(graph: Any) -> dict[str, Caching]:
    """What is decided for each node that asks for it."""
    _, found = cacheable(graph, walk(graph).graph, digest=digest)
    return {one.node: one for one in found}


def outcomes(fast: Any, start: int = 0) -> dict[str, list[str]]:
    """What came of each node's visits."""
    seen: dict[str, list[str]] = {}
    for record in fast.node_records[start:]:
        seen.setdefault(record.node, []).append(record.outcome)
    return seen


def reasons(fast: Any) -> list[str]:
    """Why, for each visit."""
    return [record.why for record in fast.node_records]


class Count:
    """Counts runs by name; the nodes under test change it, which must not matter."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        self.runs[name] += 1

    def take(self) -> dict[str, int]:
        """The counts since last time."""
        found, self.runs = dict(self.runs), Counter()
        return found
