"""Every graph with every node cached as far as it may be, in a cold cache and in a warm one.

States, chunks, checkpoints and pauses are those of the plain graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from graphroute.caches.memory import MemoryCache
from graphroute.frontend.cacheable import cacheable
from graphroute.frontend.langgraph import walk
from graphroute.ir.hints import RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.canonical import digest
from graphroute.runtime.node_cache.cache import NodeCache
from tests.semantics import features
from tests.semantics.graphs_agents import AGENTS
from tests.semantics.graphs_control import CONTROL
from tests.semantics.graphs_flow import FLOW
from tests.semantics.observe import Observed, first_difference
from tests.semantics.test_matrix import config
from tests.semantics.twins import Case
from tests.unit.runtime.situations import policy_for, routed

CASES = (*FLOW, *CONTROL, *AGENTS)
UNSTEADY = {("retrying", "history")}
"""Its node fails at every other run, so that what it returns is no matter of its state."""

SYNC = (features.invoke, features.invoke_v2, features.history, features.shown, features.stream_each)


def _own(case: Case) -> ScriptedChat:
    return ScriptedChat(name="model", replies=case.reply)


def _cached(case: Case, cache: MemoryCache) -> Any:
    graph = case.build(_own(case), checkpointer=InMemorySaver())
    names = walk(graph).graph.names
    data = walk(graph, hints={name: RouteHints(cache=True) for name in names}).graph
    nodes, _ = cacheable(graph, data, digest=digest)
    policy = policy_for(chats={}, keeps_own=True)
    policy.outputs = NodeCache(nodes, cache=cache, graph=graph.name)
    return routed(graph, policy)


RUNS = [
    pytest.param(case, feature, id=f"{case.name}-{feature.__name__}")
    for case in CASES
    for feature in SYNC
    if case.sync and (case.name, feature.__name__) not in UNSTEADY
]


@pytest.mark.parametrize(("case", "feature"), RUNS)
def test_cached_nodes_run_alike(case: Case, feature: Callable[..., Any]) -> None:
    cache = MemoryCache()
    plain = feature(case.build(_own(case), checkpointer=InMemorySaver()), case, config(case))
    for words in ("cold", "warm"):
        found = feature(_cached(case, cache), case, config(case))
        seen = [Observed(is_ordered=not case.is_parallel)(value) for value in (plain, found)]
        if difference := first_difference(*seen):
            pytest.fail(f"{words}: {difference}")


ASYNC = (features.ainvoke, features.ahistory, features.astream_each)
ARUNS = [
    pytest.param(case, feature, id=f"{case.name}-{feature.__name__}")
    for case in CASES
    for feature in ASYNC
    if (case.name, feature.__name__.removeprefix("a")) not in UNSTEADY
]


@pytest.mark.parametrize(("case", "feature"), ARUNS)
async def test_cached_nodes_run_alike_async(case: Case, feature: Callable[..., Any]) -> None:
    cache = MemoryCache()
    graph = case.build(_own(case), checkpointer=InMemorySaver())
    plain = await feature(graph, case, config(case))
    for words in ("cold", "warm"):
        found = await feature(_cached(case, cache), case, config(case))
        seen = [Observed(is_ordered=not case.is_parallel)(value) for value in (plain, found)]
        if difference := first_difference(*seen):
            pytest.fail(f"{words}: {difference}")
