"""`verify.agreement`, end to end: the same model is asked again, its majority is the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from graphroute import Model, RouteHints, optimize, verify
from graphroute.providers.scripted import ScriptedChat


class State(TypedDict, total=False):
    label: Any


class Label(BaseModel):
    topic: str


def _graph(own: ScriptedChat, node: Any = None) -> Any:
    builder = StateGraph(State)
    builder.add_node("label", node or (lambda s: {"label": own.invoke("Which?").text}))
    builder.add_edge(START, "label")
    builder.add_edge("label", END)
    return builder.compile()


class Pool:
    """A cheap model that is asked three times, and a dear one behind it."""

    def __init__(self, *cheap: Any, dear: Any = "DEAR") -> None:
        self.cheap = ScriptedChat(name="cheap", replies=list(cheap))
        self.dear = ScriptedChat(name="dear", replies=[dear])
        self.models = [
            Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.7),
            Model("scripted:dear", self.dear, price_in_usd=50, price_out_usd=50, quality=0.95),
        ]

    def optimized(
        self, *, node: Any = None, check: Any = None, limit: float | None = None, **more: Any
    ) -> Any:
        hints = RouteHints(
            verify=check or verify.agreement(),
            min_quality=0.74,
            complexity=0.5,
            max_output_tokens=8,
            **more,
        )
        return optimize(
            _graph(self.dear, node),
            models=self.models,
            objective="cost",
            budget=limit,
            nodes={"label": hints},
        )

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.cheap.calls), len(self.dear.calls)


def test_the_plan_asks_the_same_model_again_and_then_the_next_one() -> None:
    planned = Pool("a").optimized().plan.assignment("label")
    assert planned.kind == "cascade"
    assert (planned.model, *planned.then) == (*["scripted:cheap"] * 3, "scripted:dear")
    assert planned.expected_calls == pytest.approx(2.2, abs=0.1)


@pytest.mark.parametrize(
    ("said", "answer", "asked", "scores"),
    [
        (["a"], "a", (2, 0), [None, 1.0]),
        (["a", "b", "a"], "a", (3, 0), [None, None, 2 / 3]),
        (["b", "A", " a."], "A", (3, 0), [None, None, 2 / 3]),
        (["a", "b", "c"], "DEAR", (3, 1), [None, None, 1 / 3, None]),
    ],
    ids=["agree at once", "two of three", "the first of the majority", "no majority"],
)
def test_the_majority_is_the_answer(
    said: list[str], answer: str, asked: tuple[int, int], scores: list[float | None]
) -> None:
    pool = Pool(*said)
    fast = pool.optimized()
    assert fast.invoke({})["label"] == answer
    assert pool.asked == asked
    assert [r.verdicts[0].score for r in fast.records] == scores
    assert all(r.cost_nano > 0 for r in fast.records)
    assert all(r.quality is None for r in fast.records), "agreeing is not being right"


def test_each_answer_says_why_it_was_asked_for() -> None:
    fast = Pool("a", "b", "c").optimized()
    fast.invoke({})
    again = "one of up to 3 answers, to see whether they agree"
    refused = "a check refused the answer of scripted:cheap"
    assert [r.why for r in fast.records] == ["plan", again, again, refused]
    assert [r.is_again for r in fast.records] == [False, True, True, True]


def test_further_answers_are_drawn_anew_and_told_nothing() -> None:
    pool = Pool("a", "b", "c")
    pool.optimized().invoke({})
    calls = [*pool.cheap.calls, *pool.dear.calls]
    assert [call.kwargs.get("temperature") for call in calls] == [None, 0.8, 0.8, None]
    assert {tuple(m.text for m in call.messages) for call in calls} == {("Which?",)}


def test_a_stream_is_given_in_one_piece_and_awaiting_is_the_same() -> None:
    pool = Pool("a b", "c d", "a b")

    async def node(state: State) -> State:
        pieces = [piece.text async for piece in pool.dear.astream("Which?")]
        return {"label": [piece for piece in pieces if piece]}

    fast = pool.optimized(node=node)
    shown = asyncio.run(_tokens(fast))
    assert pool.asked == (3, 0)
    # Of three answers the reader of messages and the node get the one that stands.
    assert shown == (["a b"], {"label": ["a b"]})


async def _tokens(fast: Any) -> tuple[list[str], Any]:
    shown: list[str] = []
    end: Any = None
    async for mode, said in fast.astream({}, stream_mode=["messages", "values"]):
        if mode == "messages":
            shown += [said[0].text] if said[0].text else []
        else:
            end = said
    return shown, end


def test_structured_answers_are_compared_by_what_they_say() -> None:
    pool = Pool({"topic": "x"}, {"topic": "y"}, {"topic": "x"})

    def node(state: State) -> State:
        return {"label": pool.dear.with_structured_output(Label).invoke("Which?")}

    fast = pool.optimized(node=node)
    assert fast.invoke({})["label"] == Label(topic="x")
    assert pool.asked == (3, 0)


def test_tool_calls_are_compared_by_name_and_arguments() -> None:
    def call(city: str, number: str) -> AIMessage:
        named = {"name": "weather", "args": {"city": city}, "id": number, "type": "tool_call"}
        return AIMessage("", tool_calls=[named])

    pool = Pool(call("Rome", "1"), call("Oslo", "2"), call("Rome", "3"))

    def weather(city: str) -> str:
        """The weather of a city."""
        return city

    def node(state: State) -> State:
        bound = pool.dear.bind_tools([weather])
        return {"label": bound.invoke("Which?").tool_calls[0]["args"]["city"]}

    assert pool.optimized(node=node).invoke({})["label"] == "Rome"
    assert pool.asked == (3, 0)


def test_where_money_ends_the_answers_so_far_decide() -> None:
    pool = Pool("a", "b", "b")

    def node(state: State) -> State:
        return {"label": pool.dear.invoke("a " * 4400).text}

    # Prompts are far longer than the plan counts with: two cheap answers fit, a third does not.
    fast = pool.optimized(node=node, limit=0.012)
    assert fast.plan.assignment("label").then[:2] == ("scripted:cheap",) * 2
    assert fast.invoke({})["label"] == "a"
    assert pool.asked == (2, 0)
    assert sum(r.cost_nano for r in fast.records) <= 0.012 * 1e9


def test_an_error_of_a_further_answer_leaves_the_answers_so_far() -> None:
    pool = Pool("a", ConnectionError("gone"))
    fast = pool.optimized()
    assert fast.invoke({})["label"] == "a"
    assert pool.asked == (2, 0)


def test_a_key_of_ones_own_may_refuse_an_answer() -> None:
    def key(reply: AIMessage) -> str | None:
        return reply.text if reply.text in ("x", "y") else None

    pool = Pool("junk", "junk", "x")
    fast = pool.optimized(check=verify.agreement(key=key))
    assert fast.invoke({})["label"] == "DEAR"
    assert pool.asked == (2, 1), "after two that cannot count, the third decides nothing"


def _raises(_reply: AIMessage) -> str:
    raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("key", "reason"),
    [(_raises, "no such thing"), (lambda reply: [reply.text], "unhashable")],
    ids=["raises", "has no hash"],
)
def test_a_key_that_fails_refuses_nothing(key: Any, reason: str) -> None:
    pool = Pool("a", "b")
    fast = pool.optimized(check=verify.agreement(key=key))
    assert fast.invoke({})["label"] == "a"
    assert pool.asked == (1, 0)
    assert reason in fast.records[0].verdicts[0].reason


def test_where_the_plan_places_no_sampling_the_node_is_asked_once() -> None:
    own = ScriptedChat(name="own", replies=["a", "b"])
    hints = RouteHints(verify=verify.agreement())
    fast = optimize(_graph(own), nodes={"label": hints})
    assert fast.invoke({})["label"] == "a"
    (record,) = fast.records
    assert len(own.calls) == 1
    assert not record.verdicts[0].is_known


def test_a_private_node_is_asked_locally_however_often() -> None:
    local = ScriptedChat(name="here", replies=["a", "b", "c"])
    better = ScriptedChat(name="near", replies=["b"])
    dear = ScriptedChat(name="dear", replies=["DEAR"])
    models = [
        Model("scripted:here", local, local=True, price_in_usd=1, price_out_usd=1, quality=0.7),
        Model("scripted:near", better, local=True, price_in_usd=50, price_out_usd=50, quality=0.9),
        Model("scripted:dear", dear, local=False, price_in_usd=2, price_out_usd=2, quality=0.95),
    ]
    hints = RouteHints(verify=verify.agreement(), privacy="local", complexity=0.5, min_quality=0.74)
    fast = optimize(_graph(dear), models=models, objective="cost", nodes={"label": hints})
    assert fast.plan.assignment("label").then == (*["scripted:here"] * 2, "scripted:near")
    assert fast.invoke({})["label"] == "b"
    assert (len(local.calls), len(better.calls), len(dear.calls)) == (3, 1, 0)
