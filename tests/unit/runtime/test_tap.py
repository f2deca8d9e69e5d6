"""A listener hears each answered call as it was made."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, optimize
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.tap import Heard


class State(TypedDict, total=False):
    text: str


def _fast(own: ScriptedChat, other: ScriptedChat, **more: Any) -> tuple[Any, list[Heard]]:
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"text": own.invoke(state["text"], stop=["#"]).text})
    builder.add_edge(START, "ask")
    fast = optimize(
        builder.compile(), models=[Model("scripted:other", other, local=True)], store=False, **more
    )
    heard: list[Heard] = []
    fast.__dict__["_graphroute"].policy.tap = heard.append
    return fast, heard


def test_a_call_is_heard_with_what_was_sent_and_said() -> None:
    own, other = ScriptedChat(name="own"), ScriptedChat(name="other", replies=["fine"])
    fast, heard = _fast(own, other)
    fast.invoke({"text": "how?"})
    [call] = heard
    assert call.own is own
    assert [message.text for message in call.messages] == ["how?"]
    assert (call.stop, call.answer.text, call.is_private) == (["#"], "fine", False)
    assert call.record is fast.records[0]


def test_a_private_call_says_so() -> None:
    own, other = ScriptedChat(name="own"), ScriptedChat(name="other", replies=["fine"])
    fast, heard = _fast(own, other, nodes={"ask": RouteHints(privacy="local")})
    fast.invoke({"text": "secret"})
    assert [call.is_private for call in heard] == [True]


def test_a_failed_call_is_not_heard() -> None:
    broken = ScriptedChat(name="own", replies=[ValueError("no")])
    fast, heard = _fast(broken, ScriptedChat(name="other", replies=[ValueError("no")]))
    with pytest.raises(ValueError, match="no"):
        fast.invoke({"text": "x"})
    assert heard == []


def test_a_list_of_prompts_is_not_one_call() -> None:
    own = ScriptedChat(name="own")
    builder = StateGraph(State)

    def ask(state: State) -> State:
        found = own.generate([[HumanMessage("a")], [HumanMessage("b")]])
        return {"text": str(len(found.generations))}

    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    fast = optimize(builder.compile(), store=False)
    heard: list[Heard] = []
    fast.__dict__["_graphroute"].policy.tap = heard.append
    fast.invoke({"text": "x"})
    assert len(fast.records) == 1
    assert heard == []
