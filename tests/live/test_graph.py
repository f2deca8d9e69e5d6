"""A graph that holds one model runs for real on each kind of server: chat, tools, structured
output, streaming and usage, all routed away from the graph's own model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, Field

from graphroute import Model, optimize
from graphroute.ir.record import CallRecord
from graphroute.providers import llamacpp
from graphroute.providers.scripted import ScriptedChat

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]


class State(TypedDict, total=False):
    text: str
    person: Any
    call: Any
    answer: str


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=200)


@tool
def look_up(name: str) -> str:
    """Look a person up by name."""
    return name


@dataclass(frozen=True, kw_only=True)
class Served:
    """A model of a real server, with the name it has in the pool."""

    name: str
    member: str | Model


OWN = ScriptedChat(name="own", replies=["not routed"], max_tokens=160)


def _graph() -> Any:
    def extract(state: State) -> State:
        return {"person": OWN.with_structured_output(Person).invoke(state["text"])}

    def ask(state: State) -> State:
        return {"call": OWN.bind_tools([look_up], tool_choice="any").invoke(state["text"])}

    def write(state: State) -> State:
        return {"answer": OWN.invoke(f"Greet {state['person'].name}.").text}

    builder = StateGraph(State)
    for name, node in (("extract", extract), ("ask", ask), ("write", write)):
        builder.add_node(name, node)
    builder.add_edge(START, "extract")
    builder.add_edge("extract", "ask")
    builder.add_edge("ask", "write")
    builder.add_edge("write", END)
    return builder.compile()


@pytest.fixture(params=["ollama", "openai", "llamacpp"])
def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Served:
    match request.param:
        case "ollama":
            monkeypatch.setenv("OLLAMA_HOST", request.getfixturevalue("ollama_url"))
            return Served(name="ollama:smollm2:135m", member="ollama:smollm2:135m")
        case "openai":
            name = f"openai:tiny@{request.getfixturevalue('openai_url')}"
            return Served(name=name, member=name)
        case _:
            gguf = request.getfixturevalue("smollm2")
            chat = llamacpp.chat(gguf, temperature=0)
            return Served(
                name="strong", member=Model("strong", chat=chat, price_in_usd=1, price_out_usd=2)
            )


def _check(records: tuple[CallRecord, ...], name: str) -> None:
    assert [record.node for record in records] == ["extract", "ask", "write"]
    for record in records:
        assert (record.model, record.error, record.fault) == (name, None, None)
        assert record.own_model == "scripted:own"
        assert not record.is_estimated
        assert record.in_tokens > 0
        assert record.out_tokens > 0


def test_a_graph_runs_on_a_real_server(served: Served) -> None:
    calls_before = len(OWN.calls)
    fast = optimize(_graph(), models=[served.member], budget=0.05)
    assert {a.model for a in fast.plan.assignments} == {served.name}
    end = fast.invoke({"text": "Bob is 22 years old."})
    assert isinstance(end["person"], Person)
    assert isinstance(end["call"], AIMessage)
    assert [call["name"] for call in end["call"].tool_calls] == ["look_up"]
    assert end["answer"] != "not routed"
    _check(fast.records, served.name)
    spent = sum(record.cost_nano for record in fast.records)
    assert (spent > 0) is (served.name == "strong")
    assert spent <= 50_000_000
    assert len(OWN.calls) == calls_before


async def test_a_graph_streams_the_tokens_of_the_server(served: Served) -> None:
    fast = optimize(_graph(), models=[served.member], budget=0.05)
    texts: dict[str, list[str]] = {}
    async for chunk, meta in fast.astream({"text": "Eve is 31."}, stream_mode="messages"):
        if isinstance(chunk, AIMessageChunk):
            texts.setdefault(meta["langgraph_node"], []).append(chunk.text)
    assert set(texts) >= {"write"}
    assert len([text for text in texts["write"] if text]) > 1
    assert "not routed" not in "".join(texts["write"])
    _check(fast.records, served.name)
