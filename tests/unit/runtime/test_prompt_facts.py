"""What records say of prompts and threads, and that private text stays out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, Store, optimize
from graphroute.ir.record import CallRecord
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.prompt_facts import prompt_facts
from graphroute.runtime.tokens import usage_of


class State(TypedDict):
    """One text."""

    text: str


def sha(*messages: Any) -> str:
    return prompt_facts(list(messages), keeps_text=False).sha


def test_digests_tell_prompts_apart_and_equal_ones_together() -> None:
    assert sha(HumanMessage("a", id="1")) == sha(HumanMessage("a", id="2"))
    different = [
        sha(HumanMessage("a")),
        sha(SystemMessage("a")),
        sha(HumanMessage("a"), HumanMessage("b")),
        sha(HumanMessage("ab")),
        sha(HumanMessage("a"), AIMessage("b")),
        sha(HumanMessage("ahuman:1:b")),
        sha(HumanMessage("\ud800")),
        sha(),
    ]
    assert len(set(different)) == len(different)


def test_provider_cached_tokens_are_counted() -> None:
    answer = AIMessage(
        "x",
        usage_metadata={
            "input_tokens": 100,
            "output_tokens": 1,
            "total_tokens": 101,
            "input_token_details": {"cache_read": 64},
        },
    )
    assert usage_of(answer, prompt_tokens=1, at_most=False).cached_tokens == 64
    assert usage_of(AIMessage("x"), prompt_tokens=1, at_most=False).cached_tokens == 0


def run(store: Store, **hints: Any) -> list[CallRecord]:
    own = ScriptedChat(name="own", replies=["the answer"])
    builder = StateGraph(State)
    builder.add_node("draft", lambda state: {"text": own.invoke(state["text"]).text})
    builder.add_edge(START, "draft")
    fast = optimize(
        builder.compile(checkpointer=InMemorySaver()),
        models=[Model("scripted:own", own, local=True)],
        nodes={"draft": RouteHints(**hints)},
        store=store,
    )
    fast.invoke({"text": "the prompt"}, {"configurable": {"thread_id": "t-1"}})
    kept = fast.__dict__["_graphroute"].store
    return list(kept.records())


def test_a_record_names_its_thread_and_round_but_no_text(tmp_path: Path) -> None:
    (record,) = run(Store(folder=tmp_path))
    assert (record.thread, record.iteration, record.retries) == ("t-1", 1, 0)
    assert (record.prompt, record.answer) == (None, None)
    assert (record.prompt_chars, record.prompt_sha) == (10, sha(HumanMessage("the prompt")))


def test_text_is_kept_only_with_leave_and_never_of_private_nodes(tmp_path: Path) -> None:
    (record,) = run(Store(folder=tmp_path / "a", keep_text=True))
    assert (record.prompt, record.answer) == ("the prompt", "the answer")
    (private,) = run(Store(folder=tmp_path / "b", keep_text=True), privacy="local")
    assert (private.prompt, private.answer) == (None, None)
    written = b"".join(p.read_bytes() for p in (tmp_path / "b").iterdir() if p.is_file())
    assert b"the prompt" not in written
    assert b"the answer" not in written


def test_models_that_failed_before_count_as_retries(tmp_path: Path) -> None:
    own = ScriptedChat(name="own", replies=["ok"])
    bad = ScriptedChat(name="bad", replies=[ConnectionError("down")])
    builder = StateGraph(State)
    builder.add_node("draft", lambda state: {"text": own.invoke(state["text"]).text})
    builder.add_edge(START, "draft")
    fast = optimize(
        builder.compile(),
        models=[
            Model("scripted:bad", bad, local=True, quality=0.99),
            Model("scripted:own", own, local=True, quality=0.5),
        ],
        store=False,
    )
    fast.invoke({"text": "x"})
    assert [(r.model, r.retries) for r in fast.records] == [("scripted:own", 1)]


@pytest.mark.parametrize("rounds", [3])
def test_rounds_of_a_loop_are_counted(rounds: int) -> None:
    own = ScriptedChat(name="own", replies=["x"])
    builder = StateGraph(State)
    builder.add_node("draft", lambda state: {"text": state["text"] + own.invoke("go").text})
    builder.add_edge(START, "draft")
    builder.add_conditional_edges(
        "draft", lambda state: "__end__" if len(state["text"]) >= rounds else "draft"
    )
    fast = optimize(builder.compile(), store=False, cache=False)
    fast.invoke({"text": ""})
    assert [record.iteration for record in fast.records] == [1, 2, 3]
