"""`verify.confidence`, end to end: probabilities are asked for, read, and taken out again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from graphroute import Model, RouteHints, optimize, verify
from graphroute.ir.sureness import USUAL
from graphroute.providers.scripted import ScriptedChat
from graphroute.store import background


class State(TypedDict, total=False):
    answer: Any


class Label(BaseModel):
    topic: str


class Refusing(ScriptedChat):
    """A model whose server answers 400 to arguments it does not know."""

    def _answer(self, messages: Any, stop: Any, kwargs: Any, **more: Any) -> AIMessage:
        found = super()._answer(messages, stop, kwargs, **more)
        if kwargs.get("logprobs"):
            error = ValueError("unknown argument: logprobs")
            error.status_code = 400  # type: ignore[attr-defined]  # as the SDKs' errors have it
            raise error
        return found


class Pool:
    """A cheap model that is as sure as the test says, and a dear one."""

    def __init__(self, sure: Any, *, cheap: Any = "cheap", kind: type[ScriptedChat]) -> None:
        self.cheap = kind(name="cheap", replies=[cheap], token_probability=sure)
        self.dear = ScriptedChat(name="dear", replies=["dear"])
        self.seen: list[AIMessage] = []

    def graph(self, node: Any = None) -> Any:
        def ask(state: State) -> State:
            self.seen.append(self.dear.invoke("Which?"))
            return {"answer": self.seen[-1].text}

        builder = StateGraph(State)
        builder.add_node("ask", node or ask)
        builder.add_edge(START, "ask")
        builder.add_edge("ask", END)
        return builder.compile()

    def optimized(
        self,
        *,
        check: Any = None,
        node: Any = None,
        graph: Any = None,
        floor: float = 0.66,
        **more: Any,
    ) -> Any:
        hints = RouteHints(
            verify=check or verify.confidence(),
            complexity=0.5,
            min_quality=floor,
            max_output_tokens=8,
        )
        models = [
            Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
            Model("scripted:dear", self.dear, price_in_usd=20, price_out_usd=20, quality=0.95),
        ]
        made = graph or self.graph(node)
        return optimize(made, models=models, objective="cost", nodes={"ask": hints}, **more)


@pytest.fixture
def pool() -> Callable[..., Pool]:
    def made(sure: Any, *, cheap: Any = "cheap", kind: type[ScriptedChat] = ScriptedChat) -> Pool:
        return Pool(sure, cheap=cheap, kind=kind)

    return made


def test_an_answer_the_model_is_sure_of_stands(pool: Callable[..., Pool]) -> None:
    here = pool(0.99)
    fast = here.optimized()
    assert fast.plan.assignment("ask").kind == "cascade"
    assert fast.invoke({})["answer"] == "cheap"
    (record,) = fast.records
    (verdict,) = record.verdicts
    assert (verdict.source, verdict.passed) == ("confidence", True)
    assert verdict.score == pytest.approx(0.99)
    assert record.quality is None, "being sure is not being right"
    assert here.cheap.calls[0].kwargs["logprobs"] is True


def test_one_it_is_unsure_of_goes_to_the_next_model(pool: Callable[..., Pool]) -> None:
    here = pool(0.4)
    fast = here.optimized()
    assert fast.invoke({})["answer"] == "dear"
    first, last = fast.records[0], fast.records[-1]
    assert first.verdicts[0].score == pytest.approx(0.4)
    assert first.verdicts[0].passed is False
    assert (last.model, last.verdicts[0].passed) == ("scripted:dear", None)
    assert [m.text for m in here.dear.calls[-1].messages] == ["Which?"], "nobody is told of it"


def test_the_answer_looks_as_if_nobody_had_asked(pool: Callable[..., Pool]) -> None:
    here = pool(0.99)
    here.optimized().invoke({})
    plain = ScriptedChat(name="cheap", replies=["cheap"]).invoke("Which?")
    assert here.seen[0].response_metadata == plain.response_metadata
    assert here.seen[0].content == plain.content


def test_an_author_who_asks_for_them_gets_them(pool: Callable[..., Pool]) -> None:
    here = pool(0.99)

    def node(state: State) -> State:
        here.seen.append(here.dear.invoke("Which?", logprobs=True))
        return {"answer": here.seen[-1].text}

    fast = here.optimized(node=node)
    assert fast.invoke({})["answer"] == "cheap"
    assert here.seen[0].response_metadata["logprobs"]["content"][0]["token"] == "cheap"
    assert fast.records[0].verdicts[0].score == pytest.approx(0.99)


def test_a_model_that_tells_none_is_never_refused(pool: Callable[..., Pool]) -> None:
    here = pool(None)
    fast = here.optimized()
    assert fast.invoke({})["answer"] == "cheap"
    assert not fast.records[0].verdicts[0].is_known
    assert not here.dear.calls


def test_a_server_that_refuses_the_argument_is_asked_without_and_not_again(
    pool: Callable[..., Pool],
) -> None:
    here = pool(0.4, kind=Refusing)
    fast = here.optimized(cache=False)
    assert [fast.invoke({})["answer"] for _ in range(2)] == ["cheap", "cheap"]
    asked = [call.kwargs.get("logprobs") for call in here.cheap.calls]
    assert asked == [True, None, None]
    assert [r.model for r in fast.records] == ["scripted:cheap"] * 2
    assert not any(r.retries or r.fault or r.error for r in fast.records)


def test_an_error_that_comes_without_it_too_is_told_as_ever(pool: Callable[..., Pool]) -> None:
    bad = ValueError("no such thing")
    bad.status_code = 400  # type: ignore[attr-defined]  # as the SDKs' errors have it
    here = pool(0.4, cheap=bad)
    fast = here.optimized()
    assert fast.invoke({})["answer"] == "dear"
    assert [call.kwargs.get("logprobs") for call in here.cheap.calls] == [True, None]
    assert fast.records[0].attempts[0].model == "scripted:cheap"


def test_an_answer_given_again_gets_the_same_verdict(pool: Callable[..., Pool]) -> None:
    here = pool(0.4)
    fast = here.optimized(cache=True)
    assert [fast.invoke({})["answer"] for _ in range(2)] == ["dear", "dear"]
    again = next(r for r in fast.records if r.cache and r.model == "scripted:cheap")
    assert again.verdicts[0].score == pytest.approx(0.4)
    assert all("logprobs" not in m.response_metadata for m in here.seen)


@pytest.mark.parametrize("sure", [0.99, 0.4])
def test_a_stream_and_awaiting_come_to_the_same(pool: Callable[..., Pool], sure: float) -> None:
    here = pool(sure, cheap="a cheap one")

    async def node(state: State) -> State:
        pieces = [piece async for piece in here.dear.astream("Which?")]
        assert all("logprobs" not in piece.response_metadata for piece in pieces)
        return {"answer": "".join(piece.text for piece in pieces)}

    fast = here.optimized(node=node)
    end = asyncio.run(fast.ainvoke({}))
    assert end["answer"] == ("a cheap one" if sure > 0.5 else "dear")


def test_tokens_that_are_shown_carry_none(pool: Callable[..., Pool]) -> None:
    own = ScriptedChat(name="own", replies=["an answer"], token_probability=0.4)

    def node(state: State) -> State:
        return {"answer": own.invoke("Which?").text}

    builder = StateGraph(State)
    builder.add_node("ask", node)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    fast = optimize(
        builder.compile(),
        objective="cost",
        nodes={"ask": RouteHints(verify=verify.confidence())},
    )
    shown = [message for message, _ in fast.stream({}, stream_mode="messages")]
    assert "".join(message.text for message in shown) == "an answer"
    assert all("logprobs" not in message.response_metadata for message in shown)
    assert own.calls[0].kwargs.get("logprobs") is None


def test_structured_answers_and_tool_calls_stay_whole(pool: Callable[..., Pool]) -> None:
    here = pool(0.4, cheap={"topic": "x"})
    here.dear = ScriptedChat(name="dear", replies=[{"topic": "y"}])

    def node(state: State) -> State:
        return {"answer": here.dear.with_structured_output(Label).invoke("Which?")}

    assert here.optimized(node=node).invoke({})["answer"] == Label(topic="y")


def test_it_goes_together_with_other_checks(pool: Callable[..., Pool]) -> None:
    check = verify.all_of(verify.regex("cheap|dear"), verify.confidence())
    sure, unsure = pool(0.99), pool(0.4)
    assert sure.optimized(check=check, floor=0.8).invoke({})["answer"] == "cheap"
    assert unsure.optimized(check=check, floor=0.8).invoke({})["answer"] == "dear"


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "high", True])
def test_what_is_no_probability_is_refused_where_it_is_written(wrong: Any) -> None:
    from graphroute.errors import InvalidValue

    with pytest.raises(InvalidValue, match="at_least"):
        verify.confidence(at_least=wrong)


def test_feedback_moves_what_counts_as_sure_enough(pool: Callable[..., Pool]) -> None:
    here = pool(0.9)
    check = verify.confidence(at_least=USUAL(0.9) - 0.01)
    dear = here.dear
    graph = here.graph(lambda state: {"answer": dear.invoke("Which?").text})
    fast = here.optimized(graph=graph, check=check, cache=False)
    assert fast.invoke({})["answer"] == "cheap", "as a rule, that is sure enough"
    for number in range(30):
        fast.invoke({})
        fast.feedback(fast.last_run_id, number % 5 < 2, node="ask")
    assert not here.dear.calls
    fast.replan()
    assert fast.invoke({})["answer"] == "dear"
    assert "by earlier runs" in fast.records[-2].verdicts[0].reason
    background.flush_all()
    again = here.optimized(graph=graph, check=check, cache=False)
    assert again.invoke({})["answer"] == "dear", "the store remembers it"
