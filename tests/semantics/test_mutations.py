"""The comparison has teeth: each way to wrap a graph wrongly is noticed by a feature of the matrix.

Each mutation breaks one thing in the wrapper as a plausible rewrite would, and names the graph and
the observation that must then differ.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from graphroute.runtime import drive, hook, lineage, routed_graph
from tests.semantics import features
from tests.semantics.graphs_agents import AGENTS
from tests.semantics.graphs_control import CONTROL
from tests.semantics.graphs_flow import FLOW, State
from tests.semantics.observe import Observed, first_difference
from tests.semantics.twins import Case, optimized, plain

CASES = {case.name: case for case in (*FLOW, *CONTROL, *AGENTS)}
CONFIG = {"configurable": {"thread_id": "t"}, "max_concurrency": 1}


def differs(case: Case, feature: Callable[..., Any]) -> bool:
    """Whether the feature tells the optimized graph from the plain one."""
    with_saver = {"checkpointer": InMemorySaver()}
    one = feature(plain(case, **with_saver).graph, case, CONFIG)
    pair = optimized(case, checkpointer=InMemorySaver())
    other = feature(pair.graph, case, CONFIG)
    strayed = bool(pair.own.calls)
    return strayed or first_difference(Observed()(one), Observed()(other)) is not None


@pytest.fixture(autouse=True)
def _fresh_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Routed classes are made once per kind; a mutation must not outlive its test.
    monkeypatch.setattr(routed_graph, "_routed_class", routed_graph._routed_class.__wrapped__)


def test_an_own_class_name_shows_in_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    make = routed_graph._routed_class

    def named(kind: Any) -> Any:
        made = make(kind)
        made.__name__ = "RoutedGraph"
        return made

    assert not differs(CASES["nested"], features.shown)
    monkeypatch.setattr(routed_graph, "_routed_class", named)
    assert differs(CASES["nested"], features.shown)


def test_a_visible_key_shows_in_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not differs(CASES["chain"], features.stream_all)
    monkeypatch.setattr(lineage, "KEY", "graphroute")
    assert differs(CASES["chain"], features.stream_all)


def test_a_handle_not_handed_on_leaves_calls_unrouted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not differs(CASES["called"], features.invoke)
    monkeypatch.setattr(lineage, "handed_on", lambda graph, config: config)
    assert differs(CASES["called"], features.invoke)


def test_no_uuid_is_taken_that_a_seeded_test_would_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = uuid.uuid4, []

    def counted() -> uuid.UUID:
        taken.append(1)
        return real()

    monkeypatch.setattr(uuid, "uuid4", counted)
    counts = []
    for way in (plain, optimized):
        taken.clear()
        way(CASES["chain"]).graph.invoke(CASES["chain"].input, CONFIG)
        counts.append(len(taken))
    assert counts[0] == counts[1]


def test_dropped_tags_show_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not differs(CASES["tagged"], features.stream_all)
    monkeypatch.setattr(hook, "_as_asked", lambda config, own, chat: config)
    assert differs(CASES["tagged"], features.stream_all)


def test_pieces_joined_show_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(dispatched: Any, call: Any, in_one: Any) -> Any:
        yield drive.drive(dispatched, in_one)

    assert not differs(CASES["streaming"], features.invoke)
    monkeypatch.setattr(drive, "drive_stream", whole)
    assert differs(CASES["streaming"], features.invoke)


def test_lost_mappers_show_after_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(graph: Any, case: Case, config: Any) -> Any:
        clone = graph.copy(update={"name": "again"})
        kept = [name for name in routed_graph._LOST_ON_COPY if clone.__dict__.get(name)]
        return kept if type(graph) is not type(clone) or hasattr(graph, "plan") else None

    pair = optimized(CASES["pydantic_state"])
    assert "_state_mapper" in routed_graph._LOST_ON_COPY
    before = copied(pair.graph, CASES["pydantic_state"], CONFIG)
    monkeypatch.setattr(routed_graph, "_LOST_ON_COPY", ())
    names = ("_output_mapper", "_state_mapper", "_serde_allowlist")
    clone = pair.graph.copy()
    after = [name for name in names if clone.__dict__.get(name)]
    assert set(after) < set(before)


async def closes_at_once(graph: Any) -> bool:
    """Whether closing the graph's stream early has ended its node when `aclose` returns."""
    stream = graph.astream({"question": "q"}, stream_mode="custom")
    async with aclosing(stream):
        await anext(stream)
    return bool(graph.ended)


def slow(ended: list[bool]) -> Any:
    async def node(state: State) -> State:
        from langgraph.config import get_stream_writer

        get_stream_writer()("started")
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        ended.append(True)
        return {}

    builder = StateGraph(State)
    builder.add_node("slow", node)
    builder.add_edge(START, "slow")
    return builder.compile()


async def test_a_generator_of_our_own_would_not_close_langgraphs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for is_naive in (False, True):
        ended: list[bool] = []
        case = Case(name="slow", build=lambda model, e=ended: slow(e), input={})
        graph = optimized(case).graph
        if is_naive:
            inner = type(graph).astream

            async def naive(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                async for piece in inner(self, *args, **kwargs):  # noqa: B023
                    yield piece

            monkeypatch.setattr(type(graph), "astream", naive)
        graph.__dict__["ended"] = ended
        assert await closes_at_once(graph) is not is_naive
        await asyncio.sleep(0)


def test_a_context_variable_held_across_a_yield_leaks_to_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two pieces of a stream, other calls of the node must still be routed."""
    case = Case(name="between", build=between, input={"question": "q", "notes": []})
    assert not differs(case, features.invoke)
    drives = drive.drive_stream

    def held(*args: Any) -> Any:
        with drive.inside():
            yield from drives(*args)

    monkeypatch.setattr(drive, "drive_stream", held)
    assert differs(case, features.invoke)


def between(model: BaseChatModel, **compiled: Any) -> Any:
    def node(state: State) -> State:
        said = [f"{piece.text}{model.invoke('between').text}" for piece in model.stream("go")]
        return {"notes": said}

    builder = StateGraph(State)
    builder.add_node("between", node)
    builder.add_edge(START, "between")
    return builder.compile(**compiled)


def test_the_marker_is_one_context_variable() -> None:
    assert isinstance(drive.routing, ContextVar)
    assert drive.routing.get() is False
