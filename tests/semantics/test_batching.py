"""Batch policies, end to end: the same answers as without, in fewer or better ordered calls."""

from __future__ import annotations

import json
import operator
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import BaseMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from graphroute import Model, RouteHints, optimize, plan
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import tokens
from graphroute.runtime.entrance import IN_PACK
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.pack_loss import PackFigures
from graphroute.runtime.periods import PeriodLedger

ROOT = Path(__file__).parents[2]
TASK = "Say the text in capitals and nothing else." + (" Mind every letter of it." * 30)
TEXTS = [f"{chr(97 + n)} before {chr(122 - n)}" for n in range(24)]


class State(TypedDict, total=False):
    text: str
    notes: Annotated[list[str], operator.add]


def _reply(messages: list[BaseMessage]) -> str:
    """In capitals, one by one or by number as a packed prompt asks for."""
    prompt = messages[-1].text
    numbered = re.findall(r'^(\d+): (".*")$', prompt, flags=re.MULTILINE)
    if len(numbered) > 1:
        return json.dumps({number: json.loads(text).upper() for number, text in numbered})
    return prompt.rpartition("Text: ")[2].upper()


def _graph(chat: ScriptedChat, *, is_async: bool = False) -> Any:
    def prompt(state: State) -> str:
        return f"{TASK}\nText: {state['text']}"

    def node(state: State) -> State:
        return {"notes": [chat.invoke(prompt(state)).text]}

    async def anode(state: State) -> State:
        return {"notes": [(await chat.ainvoke(prompt(state))).text]}

    builder = StateGraph(State)
    builder.add_node("one", anode if is_async else node)
    builder.add_conditional_edges(
        START, lambda s: [Send("one", {"text": text}) for text in TEXTS], ["one"]
    )
    builder.add_edge("one", END)
    return builder.compile()


def _optimized(policy: str, *, is_async: bool = False, **hints: Any) -> tuple[Any, ScriptedChat]:
    chat = ScriptedChat(name="loud", replies=_reply)
    model = Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0)
    graph = _graph(chat, is_async=is_async)
    fast = optimize(graph, models=[model], batch=policy, nodes={"one": RouteHints(**hints)})
    return fast, chat


EXPECTED = [text.upper() for text in TEXTS]


@pytest.mark.parametrize("limit", [None, 1, 4, 64])
@pytest.mark.parametrize("batch", ["immediate", "window", "prefix", "pack", "deferred"])
def test_every_policy_gives_the_same_answers_in_threads(batch: str, limit: int | None) -> None:
    fast, chat = _optimized(batch)
    config: Any = {} if limit is None else {"max_concurrency": limit}
    assert fast.invoke({}, config)["notes"] == EXPECTED
    assert len(chat.calls) == len(TEXTS)


@pytest.mark.parametrize("batch", ["immediate", "window", "prefix", "pack", "deferred"])
async def test_every_policy_gives_the_same_answers_in_a_loop(batch: str) -> None:
    fast, chat = _optimized(batch, is_async=True)
    assert (await fast.ainvoke({}))["notes"] == EXPECTED
    assert len(chat.calls) == len(TEXTS)


async def test_once_it_is_known_to_lose_nothing_a_pack_asks_and_costs_less() -> None:
    alone, _ = _optimized("immediate", is_async=True, max_output_tokens=40)
    await alone.ainvoke({})
    fast, chat = _optimized("pack", is_async=True, batch="pack", max_output_tokens=40)
    for _ in range(8):
        before, seen = len(chat.calls), len(fast.records)
        assert (await fast.ainvoke({}))["notes"] == EXPECTED
        spent = sum(r.cost_nano for r in fast.records[seen:])
    assert len(chat.calls) - before < len(TEXTS) / 2
    assert spent < 0.5 * sum(r.cost_nano for r in alone.records)


async def test_what_is_asked_twice_to_compare_is_paid_twice() -> None:
    fast, chat = _optimized("pack", is_async=True, batch="pack", max_output_tokens=40)
    await fast.ainvoke({})
    asked = sum(tokens.estimate(call.messages[-1].text) for call in chat.calls)
    in_packs = [r for r in fast.records if r.why == IN_PACK]
    assert in_packs, "the first packs are all compared"
    assert sum(r.in_tokens for r in fast.records) == pytest.approx(asked, rel=0.05)


async def test_each_packed_call_has_callbacks_of_its_own() -> None:
    fast, _ = _optimized("pack", is_async=True, batch="pack", max_output_tokens=40)
    for _ in range(2):
        ended = [
            event["data"]["output"].text
            async for event in fast.astream_events({}, version="v2")
            if event["event"] == "on_chat_model_end"
        ]
        assert sorted(ended) == sorted(EXPECTED)


async def test_what_a_pack_may_cost_counts_from_when_it_goes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Reservation] = []
    seen: list[int] = []
    start = Ledger.start

    def noted(ledger: Ledger, reservation: Reservation) -> None:
        begun.append(reservation)
        start(ledger, reservation)

    def reply(messages: list[BaseMessage]) -> str:
        seen.append(len(begun))
        return _reply(messages)

    monkeypatch.setattr(Ledger, "start", noted)
    chat = ScriptedChat(name="loud", replies=reply)
    model = Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0)
    hints = {"one": RouteHints(batch="pack", max_output_tokens=40)}
    fast = optimize(_graph(chat, is_async=True), models=[model], nodes=hints)
    assert (await fast.ainvoke({}))["notes"] == EXPECTED
    assert any("response_format" in call.kwargs for call in chat.calls), "none was packed"
    assert all(count >= number for number, count in enumerate(seen, start=1)), seen


KILLED = """
import asyncio, json, os, signal, sys
from graphroute import Budget, Model, RouteHints, optimize
from graphroute.providers.scripted import ScriptedChat
from tests.semantics import test_batching as one

def reply(messages):
    answer = one._reply(messages)
    if answer.startswith("{"):
        print(len(json.loads(answer)), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

chat = ScriptedChat(name="loud", replies=reply)
fast = optimize(
    one._graph(chat, is_async=True),
    models=[Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0, slots=1)],
    nodes={"one": RouteHints(batch="pack", max_output_tokens=40)},
    budget=Budget(per_day_usd=1.0),
    store=sys.argv[1],
)
asyncio.run(fast.ainvoke({}))
"""


def test_every_call_of_a_pack_counts_where_the_process_is_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    packed = int(done.stdout)
    assert packed >= 2
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as db:
        aside = [nano for (nano,) in db.execute("SELECT nano FROM reserved")]
    periods = PeriodLedger(tmp_path / "ledger.sqlite3", day_nano=10**9)
    assert periods.spent_nano()[0] >= packed * min(aside) > 0
    assert periods.spent_nano()[0] < sum(aside), "those that only waited are free again"
    periods.close()


async def test_a_hint_alone_is_enough() -> None:
    chat = ScriptedChat(name="loud", replies=_reply)
    model = Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0)
    hints = {"one": RouteHints(batch="pack", max_output_tokens=40)}
    fast = optimize(_graph(chat, is_async=True), models=[model], nodes=hints)
    for _ in range(3):
        assert (await fast.ainvoke({}))["notes"] == EXPECTED
    assert any("response_format" in call.kwargs for call in chat.calls)


async def test_a_pack_that_does_not_answer_is_paid_for_and_each_is_asked_alone() -> None:
    def reply(messages: list[BaseMessage]) -> str:
        return "No." if "for each of" in messages[-1].text else _reply(messages)

    chat = ScriptedChat(name="loud", replies=reply)
    model = Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0)
    hints = {"one": RouteHints(batch="pack", max_output_tokens=40)}
    fast = optimize(_graph(chat, is_async=True), models=[model], nodes=hints, budget=0.05)
    assert (await fast.ainvoke({}))["notes"] == EXPECTED
    wasted = [r for r in fast.records if r.why == IN_PACK]
    assert len(wasted) > 1
    assert sum(r.cost_nano for r in wasted) > 0


def test_the_plan_chooses_model_and_size_together_once_packing_is_known_to_lose_nothing(
    tmp_path: Path,
) -> None:
    figures = PackFigures(tmp_path / "packs.json")
    for _ in range(400):
        figures.checked(("scripted:loud", "one"), 8, is_worse=False)
    chat = ScriptedChat(name="loud", replies=_reply)
    model = Model("scripted:loud", chat, price_in_usd=1.0, price_out_usd=2.0)
    told: dict[str, Any] = {"models": [model], "objective": "cost", "store": tmp_path}
    alone = plan(_graph(chat), **told).assignment("one")
    packed = plan(_graph(chat), batch="pack", **told).assignment("one")
    assert alone is not None
    assert packed is not None
    assert alone.kind == "single"
    assert (packed.kind, packed.batch > 1) == ("packed", True), packed
    assert packed.cost_usd < alone.cost_usd
