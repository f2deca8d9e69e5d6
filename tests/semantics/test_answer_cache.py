"""The cache of answers, end to end: what is asked once, and that nothing else changes."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send

from graphroute import RouteHints, optimize
from graphroute.providers.scripted import ScriptedChat

ROOT = Path(__file__).parents[2]


class State(TypedDict, total=False):
    text: str
    notes: Annotated[list[str], operator.add]
    messages: Annotated[list[BaseMessage], add_messages]


def _one_node(node: Callable[..., Any]) -> Any:
    builder = StateGraph(State)
    builder.add_node("answer", node)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile()


def _echo(messages: list[BaseMessage]) -> str:
    return f"re: {messages[-1].text}"


def _exact(**settings: Any) -> ScriptedChat:
    return ScriptedChat(name="exact", replies=_echo, temperature=0, **settings)


def test_the_same_question_is_asked_once() -> None:
    chat = _exact()
    fast = optimize(_one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]}))
    for _ in range(3):
        assert fast.invoke({"text": "why"})["notes"] == ["re: why"]
    assert fast.invoke({"text": "who"})["notes"] == ["re: who"]
    assert len(chat.calls) == 2
    assert [r.cache for r in fast.records] == [None, "memory", "memory", None]
    assert [r.cost_nano for r in fast.records if r.cache] == [0, 0]


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_what_a_node_does_to_an_answer_does_not_reach_the_next_one(
    cache: str, tmp_path: Any
) -> None:
    def reply(_: list[BaseMessage]) -> AIMessage:
        call = {"name": "f", "args": {"x": [1]}, "id": "call_1"}
        return AIMessage("", tool_calls=[call])

    chat, seen = ScriptedChat(name="exact", replies=reply, temperature=0), []

    def answer(_: State) -> State:
        said = chat.invoke("why")
        seen.append(list(said.tool_calls[0]["args"]["x"]))
        said.tool_calls[0]["args"]["x"].append("spoilt")
        said.content = "spoilt"
        return {}

    fast = optimize(_one_node(answer), cache=cache, store=tmp_path)
    for _ in range(4):
        fast.invoke({"text": "why"})
    assert seen == [[1]] * 4
    assert [record.cache for record in fast.records] == [None, cache, cache, cache]


@pytest.mark.parametrize(("cache", "asked"), [(None, 2), (True, 1), (False, 2)])
def test_what_is_drawn_at_random_is_kept_only_where_it_is_asked_for(
    cache: bool | None, asked: int, tmp_path: Any
) -> None:
    chat = ScriptedChat(name="free", replies=_echo, temperature=0.7)
    graph = _one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]})
    fast = optimize(graph, cache=cache, store=tmp_path)
    for _ in range(2):
        fast.invoke({"text": "why"})
    assert len(chat.calls) == asked


@pytest.mark.parametrize(("hint", "asked"), [(True, 1), (False, 2)])
def test_a_node_may_have_it_its_own_way(hint: bool, asked: int) -> None:
    chat = ScriptedChat(name="free", replies=_echo, temperature=0.0 if not hint else 0.7)
    graph = _one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]})
    fast = optimize(graph, nodes={"answer": RouteHints(cache=hint)})
    for _ in range(2):
        fast.invoke({"text": "why"})
    assert len(chat.calls) == asked


def test_a_hit_has_an_id_of_its_own_so_that_messages_are_added_not_replaced() -> None:
    chat = _exact()

    def node(state: State) -> State:
        return {"messages": [chat.invoke("same"), chat.invoke("same")]}

    fast = optimize(_one_node(node))
    said = fast.invoke({"messages": [HumanMessage("go")]})["messages"]
    assert [m.text for m in said] == ["go", "re: same", "re: same"]
    assert len({m.id for m in said}) == 3
    assert len(chat.calls) == 1


def test_a_hit_is_marked_as_langchain_marks_one() -> None:
    chat = _exact()
    fast = optimize(_one_node(lambda s: {"messages": [chat.invoke("same")]}))
    fast.invoke({})
    hit = fast.invoke({})["messages"][-1]
    assert type(hit) is AIMessage
    assert dict(hit.usage_metadata or {})["total_cost"] == 0


def test_a_hit_gives_the_tokens_in_the_chunks_they_came_in() -> None:
    chat = _exact()

    def node(state: State) -> State:
        return {"notes": ["".join(chunk.text for chunk in chat.stream("a b c d"))]}

    fast = optimize(_one_node(node))

    def shown() -> list[str]:
        return [
            message.content
            for message, _ in fast.stream({}, stream_mode="messages")
            if message.content
        ]

    first, second = shown(), shown()
    assert len(chat.calls) == 1
    assert len(first) > 1
    assert second == first


def test_an_invoke_can_be_answered_from_a_stream_and_the_other_way_round() -> None:
    chat = _exact()
    kinds: list[type] = []

    def node(state: State) -> State:
        if state["text"] == "stream":
            kinds.extend({type(chunk) for chunk in chat.stream("same")})
        else:
            kinds.append(type(chat.invoke("same")))
        return {}

    fast = optimize(_one_node(node))
    for text in ("stream", "invoke", "stream"):
        fast.invoke({"text": text})
    assert [kind.__name__ for kind in kinds] == ["AIMessageChunk", "AIMessage", "AIMessageChunk"]
    assert len(chat.calls) == 1


def _fan_out(node: Callable[..., Any], width: int) -> Any:
    builder = StateGraph(State)
    builder.add_node("one", node)
    builder.add_conditional_edges(
        START, lambda s: [Send("one", {"text": s["text"]}) for _ in range(width)], ["one"]
    )
    builder.add_edge("one", END)
    return builder.compile()


def test_twenty_equal_sends_make_one_call_and_a_warm_run_none() -> None:
    chat = _exact(delay_s=0.01)
    fast = optimize(_fan_out(lambda s: {"notes": [chat.invoke(s["text"]).text]}, 20))
    for _ in range(2):
        assert fast.invoke({"text": "why"})["notes"] == ["re: why"] * 20
        assert len(chat.calls) == 1
    assert sum(r.cache in ("flight", "memory") for r in fast.records) == 39


async def test_twenty_equal_sends_make_one_call_in_an_event_loop() -> None:
    chat = _exact(delay_s=0.01)

    async def node(state: State) -> State:
        return {"notes": [(await chat.ainvoke(state["text"])).text]}

    fast = optimize(_fan_out(node, 20))
    assert (await fast.ainvoke({"text": "why"}))["notes"] == ["re: why"] * 20
    assert len(chat.calls) == 1


def test_an_error_is_shared_by_those_who_waited_and_kept_for_nobody() -> None:
    entered, go_on = threading.Event(), threading.Event()
    tries: list[int] = []

    def reply(messages: list[BaseMessage]) -> Any:
        tries.append(1)
        if len(tries) == 1:
            entered.set()
            assert go_on.wait(30)
            return ValueError("overworked")
        return "fine"

    chat = ScriptedChat(name="exact", replies=reply, temperature=0)
    fast = optimize(_one_node(lambda s: {"notes": [chat.invoke("same").text]}))
    faults: list[str] = []

    def run() -> None:
        try:
            fast.invoke({})
        except ValueError as fault:
            faults.append(str(fault))

    first = threading.Thread(target=run)
    first.start()
    assert entered.wait(30)
    others = [threading.Thread(target=run) for _ in range(7)]
    for thread in others:
        thread.start()
    while _waiting(fast) < 7:
        threading.Event().wait(0.001)
    go_on.set()
    for thread in (first, *others):
        thread.join(30)
    assert faults == ["overworked"] * 8
    assert len(tries) == 1
    assert fast.invoke({})["notes"] == ["fine"]


def _waiting(fast: Any) -> int:
    answers = fast.__dict__["_graphroute"].policy.answers
    return sum(len(shared._waiting) for shared in answers.flights._open.values())


async def test_a_cancelled_leader_leaves_the_question_to_a_follower() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: float) -> None:
        entered.set()
        await go_on.wait()

    chat = _exact(delay_s=1.0, async_sleep=wait)

    async def node(state: State) -> State:
        return {"notes": [(await chat.ainvoke("same")).text]}

    fast = optimize(_one_node(node))
    leader = asyncio.create_task(fast.ainvoke({}))
    await entered.wait()
    follower = asyncio.create_task(fast.ainvoke({}))
    while _waiting(fast) < 1:
        await asyncio.sleep(0)
    leader.cancel()
    go_on.set()
    assert (await follower)["notes"] == ["re: same"]
    with pytest.raises(asyncio.CancelledError):
        await leader


def test_a_sync_call_on_a_running_loop_waits_for_nobody() -> None:
    chat = _exact()

    async def node(state: State) -> State:
        stream = chat.stream("same")  # begun, not read: it leads and never ends
        next(stream)
        return {"notes": [chat.invoke("same").text]}

    fast = optimize(_one_node(node))
    assert asyncio.run(fast.ainvoke({}))["notes"] == ["re: same"]
    assert len(chat.calls) == 2


def test_other_models_settings_tools_and_words_are_other_questions() -> None:
    chat = _exact()
    other = ScriptedChat(name="other", replies=_echo, temperature=0)

    def look(x: int) -> int:
        """Look."""
        return x

    asks: list[Callable[[], Any]] = [
        lambda: chat.invoke("same"),
        lambda: chat.invoke("same", stop=["."]),
        lambda: chat.invoke("same", max_tokens=5),
        lambda: chat.invoke([HumanMessage("same"), AIMessage("so"), HumanMessage("same")]),
        lambda: chat.bind_tools([look]).invoke("same"),
        lambda: other.invoke("same"),
    ]

    def node(state: State) -> State:
        for ask in asks:
            ask()
        return {}

    fast = optimize(_one_node(node))
    for _ in range(2):
        fast.invoke({})
    assert len(chat.calls) == 5
    assert len(other.calls) == 1


def test_an_answer_costs_nothing_even_where_no_money_is_left() -> None:
    from graphroute import Budget, Model

    chat = _exact(in_tokens=1000, out_tokens=10)
    graph = _one_node(lambda s: {"notes": [chat.invoke("same", max_tokens=10).text]})
    model = Model("scripted:exact", chat, price_in_usd=1.0, price_out_usd=1.0)
    budget = Budget(per_day_usd=0.0015, on_exceed="raise")
    fast = optimize(graph, models=[model], budget=budget)
    for _ in range(5):
        assert fast.invoke({})["notes"] == ["re: same"]
    assert len(chat.calls) == 1


def test_nearly_the_same_question_is_answered_where_the_node_says_so() -> None:
    chat = _exact()
    graph = _one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]})
    fast = optimize(graph, nodes={"answer": RouteHints(cache="semantic")})
    first = fast.invoke({"text": "What is the capital of France?"})["notes"]
    assert fast.invoke({"text": "what is the capital of France"})["notes"] == first
    assert fast.invoke({"text": "What is the capital of Spain?"})["notes"] != first
    assert fast.invoke({"text": "What is not the capital of France?"})["notes"] != first
    assert [r.cache for r in fast.records] == [None, "semantic", None, None]


def test_nearly_the_same_question_is_another_one_elsewhere() -> None:
    chat = _exact()
    fast = optimize(_one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]}))
    fast.invoke({"text": "What is the capital of France?"})
    fast.invoke({"text": "what is the capital of France"})
    assert len(chat.calls) == 2


def test_equal_calls_of_tools_have_ids_of_their_own() -> None:
    def look(x: int) -> int:
        """Look."""
        return x

    chat = ScriptedChat(name="exact", replies=[{"x": 1}], temperature=0)
    bound = chat.bind_tools([look])
    fast = optimize(_one_node(lambda s: {"messages": [bound.invoke("same"), bound.invoke("same")]}))
    one, other = fast.invoke({"messages": []})["messages"]
    assert len(chat.calls) == 1
    assert one.tool_calls[0]["args"] == other.tool_calls[0]["args"] == {"x": 1}
    assert one.tool_calls[0]["id"] != other.tool_calls[0]["id"]


def test_two_processes_on_one_folder_ask_once(tmp_path: Any) -> None:
    script = """
import sys
from tests.semantics.test_answer_cache import _exact, _one_node
from graphroute import optimize
chat = _exact(delay_s=0.3)
graph = _one_node(lambda s: {"notes": [chat.invoke(s["text"]).text]})
fast = optimize(graph, cache=True, store=sys.argv[1])
sys.stdin.read(1)
print(fast.invoke({"text": "why"})["notes"], len(chat.calls))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipe = subprocess.PIPE
    pair = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) for _ in range(2)
    ]
    for each in pair:
        assert each.stdin
        each.stdin.write("g")
        each.stdin.flush()
    said = [each.communicate(timeout=100)[0].split("] ") for each in pair]
    assert [answer for answer, _ in said] == ["['re: why'"] * 2
    assert sum(int(calls) for _, calls in said) == 1
