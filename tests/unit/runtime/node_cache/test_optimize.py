"""The node cache by the front door: `optimize(cache=…)` and `@route(cache=…)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from graphroute import RouteHints, optimize, plan, route
from graphroute.providers.scripted import ScriptedChat
from tests.unit.runtime.node_cache.graphs import Count, outcomes


class State(TypedDict, total=False):
    text: str
    draft: str
    final: str


def _graph(count: Count, *, ending: str = "!") -> Any:
    model = ScriptedChat(name="model", replies=lambda messages: messages[-1].text.title())

    @route(cache=True)
    def draft(state: State) -> State:
        count("draft")
        return {"draft": model.invoke(state["text"]).text}

    def final(state: State) -> State:
        count("final")
        return {"final": state["draft"] + ending}

    builder = StateGraph(State)
    builder.add_node("draft", draft)
    builder.add_node("final", final)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "final")
    builder.add_edge("final", END)
    return builder.compile(name="letters")


@pytest.mark.parametrize("cache", [None, True, "memory", "disk"])
def test_a_node_that_asks_for_it_is_cached(cache: Any, tmp_path: Path) -> None:
    count = Count()
    fast = optimize(_graph(count), cache=cache, store=tmp_path)
    found = [fast.invoke({"text": "hello"})["final"] for _ in range(3)]
    assert found == ["Hello!"] * 3
    assert count.take() == {"draft": 1, "final": 3}
    assert outcomes(fast) == {"draft": ["computed", "hit", "hit"]}


def test_nothing_is_cached_where_it_is_off(tmp_path: Path) -> None:
    count = Count()
    fast = optimize(_graph(count), cache=False, store=tmp_path)
    for _ in range(2):
        fast.invoke({"text": "hello"})
    assert count.take() == {"draft": 2, "final": 2}
    assert fast.node_records == ()


def test_another_run_starts_from_what_an_earlier_one_knew(tmp_path: Path) -> None:
    count = Count()
    optimize(_graph(count), cache=True, store=tmp_path).invoke({"text": "hello"})
    count.take()
    later = optimize(_graph(count, ending="?"), cache=True, store=tmp_path)
    assert later.invoke({"text": "hello"})["final"] == "Hello?"
    assert count.take() == {"final": 1}


def test_hints_from_outside_do_the_same() -> None:
    count = Count()
    fast = optimize(_graph(count), nodes={"final": RouteHints(cache=True)})
    for _ in range(2):
        fast.invoke({"text": "hello"})
    assert count.take() == {"draft": 1, "final": 1}


def test_the_plan_says_what_is_kept_and_why() -> None:
    def safe(state: State) -> State:
        return {"final": state["text"].strip()}

    def unsafe(state: State) -> State:
        print(state["text"])
        return {}

    builder = StateGraph(State)
    for name, node in (("safe", safe), ("unsafe", unsafe)):
        builder.add_node(name, node)
        builder.add_edge(START, name)
    hints = {name: RouteHints(cache="auto") for name in ("safe", "unsafe")}
    made = plan(builder.compile(), nodes=hints)
    told = made.to_json()
    assert "proven safe: it calls no function" in told
    assert "not proven safe, since it calls print" in told
