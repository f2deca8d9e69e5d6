"""Every graph with every feature, plain and optimized: all that can be seen is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from tests.semantics import features
from tests.semantics.graphs_agents import AGENTS
from tests.semantics.graphs_control import CONTROL
from tests.semantics.graphs_flow import FLOW
from tests.semantics.observe import Observed, first_difference
from tests.semantics.twins import Case, Pair, optimized, plain

CASES = (*FLOW, *CONTROL, *AGENTS)
WITHOUT_CALLS = (features.shown,)


pytestmark = [
    # What LangGraph itself calls deprecated or experimental must stay the same too.
    pytest.mark.filterwarnings("ignore:astream_events version='v1'"),
    pytest.mark.filterwarnings("ignore:.*v3.*experimental"),
    pytest.mark.filterwarnings("ignore:.*beta"),
]


def config(case: Case) -> dict[str, Any]:
    # One worker makes the order of parallel nodes LangGraph's own; the rest is compared as it is.
    return {"configurable": {"thread_id": "t"}, "max_concurrency": 1, **case.config}


def compare(case: Case, one: Any, other: Any, pair: Pair, *, calls: bool) -> None:
    ordered = not case.is_parallel
    seen = [Observed(is_ordered=ordered)(value) for value in (one, other)]
    if difference := first_difference(*seen):
        pytest.fail(difference)
    assert pair.own.calls == (), "a call reached the graph's own model"
    assert bool(pair.twin.calls) == calls


@pytest.mark.parametrize("feature", features.SYNC, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", [c for c in CASES if c.sync], ids=lambda c: c.name)
def test_sync(case: Case, feature: Callable[..., Any]) -> None:
    one = feature(plain(case, checkpointer=InMemorySaver()).graph, case, config(case))
    pair = optimized(case, checkpointer=InMemorySaver())
    other = feature(pair.graph, case, config(case))
    compare(case, one, other, pair, calls=case.calls_models and feature not in WITHOUT_CALLS)


@pytest.mark.parametrize("feature", features.ASYNC, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
async def test_async(case: Case, feature: Callable[..., Any]) -> None:
    one = await feature(plain(case, checkpointer=InMemorySaver()).graph, case, config(case))
    pair = optimized(case, checkpointer=InMemorySaver())
    other = await feature(pair.graph, case, config(case))
    compare(case, one, other, pair, calls=case.calls_models)
