"""A graph whose calls go through a Batch API: same answers, half the price, also after a kill."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from pydantic import SecretStr

from graphroute import Model, RouteHints, optimize
from graphroute.batching import deferred
from graphroute.runtime.deferral import Deferral
from tests.unit.runtime.batch_server import BatchServer, serving

TEXTS = [f"text {number}" for number in range(12)]


class State(TypedDict, total=False):
    text: str
    notes: Annotated[list[str], operator.add]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    # The first look at a batch comes at once; everything else is as for a user.
    defaults: dict[str, Any] = Deferral.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "first_look_s", 0.01)
    with serving() as state:
        yield state


def _optimized(server: BatchServer, store: Path, **hints: Any) -> Any:
    chat = ChatOpenAI(
        model="gpt-test", api_key=SecretStr("k"), base_url=server.url, max_retries=0, temperature=0
    )

    async def node(state: State) -> State:
        return {"notes": [str((await chat.ainvoke(state["text"])).text)]}

    builder = StateGraph(State)
    builder.add_node("one", node)
    builder.add_conditional_edges(
        START, lambda _: [Send("one", {"text": text}) for text in TEXTS], ["one"]
    )
    model = Model("openai:gpt-test", chat, price_in_usd=10.0, price_out_usd=30.0, local=False)
    return optimize(
        builder.compile(),
        models=[model],
        batch=deferred.build(quiet_s=20.0, max_wait_s=60.0, size=len(TEXTS)),
        nodes={"one": RouteHints(**hints)},
        store=store,
        cache=False,
        budget=10.0,
    )


async def test_deferred_calls_cost_half(server: BatchServer, tmp_path: Path) -> None:
    fast = _optimized(server, tmp_path, deferrable=True)
    assert (await fast.ainvoke({}))["notes"] == [text.upper() for text in TEXTS]
    assert (len(server.batches), server.alone) == (1, 0)
    # Ten tokens in at 10 USD a million and two out at 30, at half the price.
    assert {record.cost_nano for record in fast.records} == {80_000}
    assert all(record.error is None and record.fault is None for record in fast.records)


async def test_only_what_its_author_marks_is_deferred(server: BatchServer, tmp_path: Path) -> None:
    fast = _optimized(server, tmp_path)
    assert (await fast.ainvoke({}))["notes"] == [f"alone: {text.upper()}" for text in TEXTS]
    assert server.batches == {}
    assert {record.cost_nano for record in fast.records} == {160_000}


async def test_what_fails_in_the_batch_is_asked_alone_at_full_price(
    server: BatchServer, tmp_path: Path
) -> None:
    server.answer = lambda body: 500 if body["messages"][-1]["content"] == "text 3" else "ok"
    fast = _optimized(server, tmp_path, deferrable=True)
    notes = (await fast.ainvoke({}))["notes"]
    assert notes == ["alone: TEXT 3" if text == "text 3" else "ok" for text in TEXTS]
    assert sorted(record.cost_nano for record in fast.records) == [80_000] * 11 + [160_000]


async def test_without_a_batch_api_the_graph_works_all_the_same(
    server: BatchServer, tmp_path: Path
) -> None:
    server.fails = [404]
    fast = _optimized(server, tmp_path, deferrable=True)
    notes = (await fast.ainvoke({}))["notes"]
    assert notes == [f"alone: {text.upper()}" for text in TEXTS]
