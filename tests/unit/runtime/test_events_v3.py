"""Streams of the v3 event protocol: another model takes over, forms are kept, money comes back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_ollama import ChatOllama
from langgraph.graph import END, START, StateGraph

from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import routed_graph
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.policy import Policy
from tests.unit.runtime.situations import assignment_for, policy_for, routed, spec_for

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class State(TypedDict, total=False):
    out: Any


class FakeOllama(ChatOllama):
    """Answers with the arguments of a call, as Ollama does under a schema."""

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        answer = AIMessage('{"city":"Rome"}')
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content='{"city":"Rome"}'))


@pytest.fixture
def ledgers(monkeypatch: pytest.MonkeyPatch) -> list[Ledger]:
    made: list[Ledger] = []

    class Kept(Ledger):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(routed_graph, "Ledger", Kept)
    return made


def graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("n", node)
    builder.add_edge(START, "n")
    builder.add_edge("n", END)
    return builder.compile()


def down_then(other: BaseChatModel) -> Policy:
    down = ScriptedChat(name="down", replies=[ConnectionError("down")])
    return policy_for(
        assignment_for("n", "scripted:down", "other"),
        chats={"scripted:down": down, "other": other},
    )


def own() -> ScriptedChat:
    return ScriptedChat(name="own", replies=["own words"])


def test_another_model_takes_over_before_the_first_event() -> None:
    chat = own()
    policy = down_then(ScriptedChat(name="other", replies=["other words"]))
    run = routed(
        graph(lambda _: {"out": "".join(chat.stream_events("hi", version="v3").text)}), policy
    )
    assert run.invoke({})["out"] == "other words"
    (record,) = policy.records
    assert (record.model, record.error) == ("other", None)
    assert [a.model for a in record.attempts] == ["scripted:down"]


async def test_another_model_takes_over_in_an_async_stream() -> None:
    chat = own()

    async def node(_: State) -> State:
        stream = await chat.astream_events("hi", version="v3")
        return {"out": [piece async for piece in stream.text]}

    policy = down_then(ScriptedChat(name="other", replies=["other words"]))
    answer = await routed(graph(node), policy).ainvoke({})
    assert "".join(answer["out"]) == "other words"
    (record,) = policy.records
    assert [a.model for a in record.attempts] == ["scripted:down"]


def test_a_call_nobody_answers_leaves_a_record() -> None:
    chat = ScriptedChat(name="own", replies=[ConnectionError("own is down too")])
    policy = policy_for(assignment_for("n", "scripted:own"), chats={"scripted:own": chat})
    run = routed(graph(lambda _: {"out": chat.stream_events("hi", version="v3").output}), policy)
    with pytest.raises(ConnectionError, match="own is down too"):
        run.invoke({})
    (record,) = policy.records
    assert "own is down too" in (record.error or "")


def test_a_stream_that_breaks_off_is_not_taken_over_and_is_settled(ledgers: list[Ledger]) -> None:
    chat = own()
    broken = ScriptedChat(name="broken", replies=["a b c d"], fail_after_chunks=2)
    policy = policy_for(assignment_for("n", "broken", "scripted:own"), chats={"broken": broken})
    run = routed(graph(lambda _: {"out": chat.stream_events("hi", version="v3").output}), policy)
    with pytest.raises(ConnectionError, match="broke off"):
        run.invoke({})
    assert policy.records[0].model == "broken"
    assert ledgers[-1].reserved_nano == 0
    assert ledgers[-1].spent_nano > 0


@pytest.mark.parametrize("is_async", [False, True])
def test_a_forced_tool_on_ollama_comes_as_events(is_async: bool) -> None:
    chat = own()
    local = FakeOllama(model="llama3.2", base_url="http://127.0.0.1:9")
    wish: dict[str, Any] = {"tools": [TOOL], "tool_choice": "any"}

    def node(_: State) -> State:
        stream = chat.stream_events("hi", version="v3", **wish)
        return {"out": (stream.tool_calls.get(), stream.output)}

    async def anode(_: State) -> State:
        stream = await chat.astream_events("hi", version="v3", **wish)
        return {"out": (await stream.tool_calls, await stream)}

    policy = policy_for(assignment_for("n", "o"), chats={"o": local}, specs=(spec_for("o"),))
    run = routed(graph(anode if is_async else node), policy)
    state = asyncio.run(run.ainvoke({})) if is_async else run.invoke({})
    calls, message = state["out"]
    assert [(c["name"], c["args"]) for c in calls] == [("weather", {"city": "Rome"})]
    assert message.tool_calls[0]["args"] == {"city": "Rome"}
    assert [record.model for record in policy.records] == ["o"]


def test_a_stream_nobody_reads_costs_nothing(ledgers: list[Ledger]) -> None:
    chat = own()
    policy = policy_for(assignment_for("n", "scripted:own"), chats={"scripted:own": chat})
    kept: list[Any] = []
    node = lambda _: kept.append(chat.stream_events("hi", version="v3"))  # noqa: E731
    routed(graph(node), policy).invoke({})
    assert ledgers[-1].reserved_nano == ledgers[-1].spent_nano == 0
    assert not chat.calls


def test_a_dropped_stream_gives_back_what_was_put_aside(ledgers: list[Ledger]) -> None:
    chat = own()
    policy = policy_for(assignment_for("n", "scripted:own"), chats={"scripted:own": chat})

    def node(_: State) -> State:
        next(iter(chat.stream_events("hi", version="v3")))
        return {"out": ledgers[-1].reserved_nano}

    assert routed(graph(node), policy).invoke({})["out"] == 0
    assert ledgers[-1].spent_nano > 0
    assert "GeneratorExit" in (policy.records[0].error or "")


def test_a_dropped_projection_gives_back_before_the_next_call(ledgers: list[Ledger]) -> None:
    chat = own()
    policy = policy_for(assignment_for("n", "scripted:own"), chats={"scripted:own": chat})

    def node(_: State) -> State:
        next(iter(chat.stream_events("hi", version="v3").text))
        gc.collect()
        chat.invoke("hi")
        return {"out": ledgers[-1].reserved_nano}

    assert routed(graph(node), policy).invoke({})["out"] == 0
    assert len(policy.records) == 2


def test_a_tool_of_a_server_is_recorded_as_an_attempt_and_the_own_model_serves() -> None:
    chat = own()
    local = FakeOllama(model="llama3.2", base_url="http://127.0.0.1:9")
    policy = policy_for(
        assignment_for("n", "o", "scripted:own"), chats={"o": local, "scripted:own": chat}
    )
    bound = chat.bind(tools=[{"type": "web_search_preview"}])
    run = routed(graph(lambda _: {"out": bound.invoke("hi").text}), policy)
    assert run.invoke({})["out"] == "own words"
    (record,) = policy.records
    assert record.model == "scripted:own"
    assert record.attempts[0].model == "o"
    assert "web_search_preview" in record.attempts[0].reason
