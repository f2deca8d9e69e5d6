"""Checked answers, end to end: a stronger model is asked where a check refuses, and only there."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from graphroute import Budget, Model, RouteHints, optimize
from graphroute.ir.catalog import ModelSpec, Price
from graphroute.ir.verdict import Verdict
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.trial import Trial


class State(TypedDict, total=False):
    notes: Annotated[list[str], operator.add]


def _graph(own: ScriptedChat, node: Any = None) -> Any:
    builder = StateGraph(State)
    builder.add_node(
        "answer", node or (lambda s: {"notes": [own.invoke("What is 6 × 7?", max_tokens=8).text]})
    )
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile()


def _is_42(messages: list[BaseMessage], reply: AIMessage) -> bool:
    return "42" in reply.text


class Pool:
    """A cheap and a dear model; the dear one is the graph's own."""

    def __init__(self, cheap: Any, dear: Any = "42") -> None:
        self.cheap = ScriptedChat(name="cheap", replies=[cheap])
        self.dear = ScriptedChat(name="dear", replies=[dear])
        self.models = [
            Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
            Model("scripted:dear", self.dear, price_in_usd=20, price_out_usd=20, quality=0.95),
        ]

    def optimized(
        self, *, verify: Any = _is_42, node: Any = None, limit: float | None = None
    ) -> Any:
        hints = RouteHints(verify=verify, min_quality=0.85, max_output_tokens=8)
        return optimize(
            _graph(self.dear, node),
            models=self.models,
            objective="cost",
            budget=limit,
            nodes={"answer": hints},
        )


def test_the_plan_places_a_cascade_where_there_is_a_check() -> None:
    fast = Pool("42").optimized()
    planned = fast.plan.assignment("answer")
    assert (planned.kind, planned.model) == ("cascade", "scripted:cheap")
    assert planned.then[-1] == "scripted:dear"


def test_an_answer_that_passes_is_not_asked_for_again() -> None:
    pool = Pool("42")
    fast = pool.optimized()
    assert fast.invoke({})["notes"] == ["42"]
    assert (len(pool.cheap.calls), len(pool.dear.calls)) == (1, 0)
    (record,) = fast.records
    assert (record.quality, record.verdicts[0].passed) == (1.0, True)


def test_an_answer_that_is_refused_goes_to_the_next_model_and_both_are_paid() -> None:
    pool = Pool("41")
    fast = pool.optimized()
    assert fast.invoke({})["notes"] == ["42"]
    planned = fast.plan.assignment("answer")
    assert [r.model for r in fast.records] == [planned.model, *planned.then]
    assert [r.quality for r in fast.records] == [0.0] * len(planned.then) + [1.0]
    assert all(r.cost_nano > 0 for r in fast.records)


def test_each_answer_of_a_cascade_has_its_own_time() -> None:
    pool = Pool("41")
    fast = pool.optimized()
    fast.invoke({})
    records = fast.records
    assert len(records) > 2
    ends = [record.started_s + record.took_s for record in records]
    assert all(later.started_s >= end for later, end in zip(records[1:], ends, strict=False))


def test_a_model_that_is_asked_again_draws_anew() -> None:
    pool = Pool("41")
    fast = pool.optimized()
    planned = fast.plan.assignment("answer")
    assert planned.then[0] == planned.model, "the plan asks the cheap model twice"
    fast.invoke({})
    assert [call.kwargs.get("temperature") for call in pool.cheap.calls] == [None, 0.8]


def test_the_next_model_is_told_what_was_wrong() -> None:
    def check(messages: list[BaseMessage], reply: AIMessage) -> Verdict:
        good = "42" in reply.text
        reason = "" if good else "41 is odd"
        return Verdict(score=float(good), passed=good, reason=reason)

    pool = Pool("41")
    pool.optimized(verify=check).invoke({})
    said = [message.text for message in pool.dear.calls[0].messages]
    assert said[1] == "41"
    assert "41 is odd" in said[2]


def test_the_next_model_is_told_nothing_where_the_author_says_so() -> None:
    told = Verdict(score=0.0, passed=False, reason="41 is odd")

    pool = Pool("41")
    hints = RouteHints(
        verify=lambda messages, reply: told, min_quality=0.85, max_output_tokens=8, hint=False
    )
    fast = optimize(
        _graph(pool.dear), models=pool.models, objective="cost", nodes={"answer": hints}
    )
    fast.invoke({})
    assert [len(call.messages) for call in (*pool.cheap.calls, *pool.dear.calls)] == [1, 1, 1]


def test_the_best_answer_stands_where_all_are_refused() -> None:
    def closeness(messages: list[BaseMessage], reply: AIMessage) -> float:
        return 0.4 if reply.text == "41" else 0.1

    pool = Pool("41", "13")
    assert pool.optimized(verify=closeness).invoke({})["notes"] == ["41"]
    assert len(pool.dear.calls) == 1


def test_the_first_answer_stands_where_no_money_is_left() -> None:
    pool = Pool("41")
    # Enough for the cheap model's answer and not for the worst case of the dear one's.
    fast = pool.optimized(limit=0.0002)
    assert fast.plan.assignment("answer").kind == "cascade"
    assert fast.invoke({})["notes"] == ["41"]
    assert not pool.dear.calls


@pytest.mark.parametrize("broken", [ValueError("no"), None, "text"])
def test_a_check_that_says_nothing_refuses_nothing(broken: Any) -> None:
    def check(messages: list[BaseMessage], reply: AIMessage) -> Any:
        if isinstance(broken, Exception):
            raise broken
        return broken

    pool = Pool("41")
    fast = pool.optimized(verify=check)
    assert fast.invoke({})["notes"] == ["41"]
    assert fast.records[0].quality is None
    assert not pool.dear.calls


async def test_an_async_check_of_an_async_call() -> None:
    async def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return "42" in reply.text

    pool = Pool("41")

    async def node(state: State) -> State:
        return {"notes": [(await pool.dear.ainvoke("What is 6 × 7?", max_tokens=8)).text]}

    fast = pool.optimized(verify=check, node=node)
    assert (await fast.ainvoke({}))["notes"] == ["42"]


def test_no_token_of_a_refused_answer_is_shown() -> None:
    pool = Pool("41 it is")
    fast = pool.optimized()
    shown = [message.text for message, _ in fast.stream({}, stream_mode="messages")]
    assert not any("41" in text for text in shown)


def test_a_stream_gives_the_answer_that_stands() -> None:
    pool = Pool("41")

    def node(state: State) -> State:
        chunks = pool.dear.stream("What is 6 × 7?", max_tokens=8)
        return {"notes": ["".join(chunk.text for chunk in chunks)]}

    assert pool.optimized(node=node).invoke({})["notes"] == ["42"]


def test_a_check_without_a_cascade_is_recorded_and_changes_nothing() -> None:
    own = ScriptedChat(name="own", replies=["41"])
    fast = optimize(_graph(own), nodes={"answer": RouteHints(verify=_is_42)})
    assert fast.invoke({})["notes"] == ["41"]
    assert [r.quality for r in fast.records] == [0.0]


def test_a_model_without_another_behind_it_is_asked_up_to_four_times_where_a_check_tells() -> None:
    cheap = ScriptedChat(name="cheap", replies=["40", "41", "42", "43"])
    own = ScriptedChat(name="own", replies=["no"])
    models = [Model("scripted:cheap", cheap, local=True, price_in_usd=0, price_out_usd=0)]
    hints = RouteHints(verify=_is_42, models=("scripted:cheap",))
    fast = optimize(_graph(own), models=models, nodes={"answer": hints})
    planned = fast.plan.assignment("answer")
    assert (planned.kind, planned.then) == ("cascade", ("scripted:cheap",) * 3)
    assert fast.invoke({})["notes"] == ["42"]
    assert len(cheap.calls) == 3
    assert not own.calls


def test_a_pinned_node_is_asked_once_whatever_its_check_says() -> None:
    pool = Pool("41")
    hints = RouteHints(verify=_is_42, pin="scripted:cheap")
    fast = optimize(_graph(pool.dear), models=pool.models, nodes={"answer": hints})
    assert fast.invoke({})["notes"] == ["41"]
    assert [r.quality for r in fast.records] == [0.0]


@pytest.mark.parametrize(("weights", "said"), [((1, 4), ["41", "42"]), ((4, 1), ["42", "41"])])
def test_the_step_that_matters_more_gets_the_second_answer_that_money_is_left_for(
    weights: tuple[float, float], said: list[str]
) -> None:
    pool = Pool("41")
    builder = StateGraph(State)
    for name in ("answer", "last"):
        builder.add_node(
            name, lambda s: {"notes": [pool.dear.invoke("What is 6 × 7?", max_tokens=8).text]}
        )
    builder.add_edge(START, "answer")
    builder.add_edge("answer", "last")
    hints = {
        name: RouteHints(verify=_is_42, weight=weight, min_quality=0.85, max_output_tokens=8)
        for name, weight in zip(("answer", "last"), weights, strict=True)
    }
    told: dict[str, Any] = {"models": pool.models, "objective": "cost", "nodes": hints}
    free = optimize(builder.compile(), **told)
    assert free.invoke({})["notes"] == ["42", "42"]
    # Enough for the worst case of the dear model, and not for another after what that costs.
    tight = optimize(builder.compile(), budget=0.0008, **told)
    assert {a.kind for a in tight.plan.assignments} == {"cascade"}
    assert tight.invoke({})["notes"] == said


def test_a_second_answer_does_not_cost_a_later_step_its_model() -> None:
    pool = Pool("41")
    builder = StateGraph(State)
    for name in ("answer", "last"):
        builder.add_node(
            name, lambda s: {"notes": [pool.dear.invoke("What is 6 × 7?", max_tokens=8).text]}
        )
    builder.add_edge(START, "answer")
    builder.add_edge("answer", "last")
    hints = {
        "answer": RouteHints(verify=_is_42, min_quality=0.85, max_output_tokens=8),
        "last": RouteHints(pin="scripted:dear", max_output_tokens=8),
    }
    told: dict[str, Any] = {"models": pool.models, "objective": "cost", "nodes": hints}
    free = optimize(builder.compile(), **told)
    assert free.invoke({})["notes"] == ["42", "42"]
    # Enough for the dear model's worst case once, and not for its answer twice.
    tight = optimize(builder.compile(), budget=0.0008, **told)
    assert tight.plan.assignment("answer").kind == "cascade"
    assert tight.invoke({})["notes"] == ["41", "42"]


@pytest.mark.parametrize("batch", ["window", "prefix", "pack", "deferred"])
@pytest.mark.parametrize("limit", [1, 3, None])
def test_checked_calls_that_are_gathered_escalate_all_the_same(
    batch: str, limit: int | None
) -> None:
    cheap = ScriptedChat(name="cheap", replies=lambda m: m[-1].text if "1" in m[-1].text else "no")
    dear = ScriptedChat(name="dear", replies=lambda m: m[-1].text)
    builder = StateGraph(State)
    builder.add_node("answer", lambda s: {"notes": [dear.invoke(s["text"], max_tokens=8).text]})
    builder.add_conditional_edges(
        START, lambda _: [Send("answer", {"text": str(n)}) for n in range(20)], ["answer"]
    )
    hints = RouteHints(
        verify=lambda _, reply: reply.text != "no",
        min_quality=0.85,
        max_output_tokens=8,
        batch="pack" if batch == "pack" else None,
        deferrable=True,
    )
    models = [
        Model("scripted:cheap", cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
        Model("scripted:dear", dear, price_in_usd=20, price_out_usd=20, quality=0.95),
    ]
    fast = optimize(
        builder.compile(), models=models, objective="cost", batch=batch, nodes={"answer": hints}
    )
    config: Any = {} if limit is None else {"max_concurrency": limit}
    assert fast.invoke({}, config)["notes"] == [str(n) for n in range(20)]
    refused = sum("1" not in str(n) for n in range(20))
    again = fast.plan.assignment("answer").then.count("scripted:cheap")
    assert len(cheap.calls) == 20 + refused * again
    assert len(dear.calls) == refused


def test_what_the_next_model_is_told_is_paid_for() -> None:
    def check(messages: list[BaseMessage], reply: AIMessage) -> Verdict:
        good = "42" in reply.text
        return Verdict(score=float(good), passed=good, reason="" if good else "no " * 400)

    pool = Pool("41")
    # Enough for the dear model's answer, and not with all that the check has to say.
    fast = pool.optimized(verify=check, limit=0.004)
    assert fast.plan.assignment("answer").then[-1] == "scripted:dear"
    assert fast.invoke({})["notes"] == ["41"]
    assert not pool.dear.calls
    assert not [record for record in fast.records if record.fault]


def test_a_model_that_answers_single_questions_is_asked_as_the_first_was() -> None:
    told = Verdict(score=0.0, passed=False, reason="41 is odd")
    trial = Trial(lambda messages, reply: told, [], stages=("a", "b"))
    trial.refuses("a", "41", AIMessage("41"), told)
    free = Price(in_usd=0.0, out_usd=0.0, source="none")
    spec = ModelSpec(name="b", provider="p", local=True, price=free)
    assert len(trial.hint_for(spec)) == 2
    assert trial.hint_for(replace(spec, single_turn=True)) == ()


def test_what_there_was_no_money_to_check_stands_only_if_its_model_is_good_enough() -> None:
    pool = Pool("41")
    judge = ScriptedChat(name="judge", replies=["yes"], in_tokens=1_000)
    dear = Model("scripted:judge", judge, price_in_usd=1e6, price_out_usd=1e6, quality=0.5)

    def check(_sent: Any, _reply: Any) -> bool:
        return judge.invoke("Is it right?").text == "yes"

    hints = RouteHints(verify=check, min_quality=0.85, max_output_tokens=8)
    models = (pool.models[0].name, pool.models[1].name)
    fast = optimize(
        _graph(pool.dear),
        models=[*pool.models, dear],
        objective="cost",
        budget=0.05,
        nodes={"answer": hints.merged(RouteHints(models=models))},
    )
    assert fast.invoke({})["notes"] == ["42"]
    first, last = fast.records
    assert (first.model, last.model) == ("scripted:cheap", "scripted:dear")
    assert (first.verdicts[0].source, first.quality) == ("unpaid", None)
    assert last.why == "there was no money to check the answer of scripted:cheap"
    assert not last.is_again  # its questions are the node's usual ones
    assert len(pool.dear.calls[0].messages) == 1  # nobody refused: nothing to be told of


@pytest.mark.parametrize(("dear", "said"), [("42", "42"), ("13", "41")])
def test_a_run_that_can_pause_escalates_and_gives_what_stood_again(dear: str, said: str) -> None:
    def closeness(messages: list[BaseMessage], reply: AIMessage) -> float:
        return {"42": 1.0, "41": 0.4}.get(reply.text, 0.1)

    pool = Pool("41", dear)

    def node(state: State) -> State:
        text = pool.dear.invoke("What is 6 × 7?", max_tokens=8).text
        return {"notes": [text, interrupt("as it is?")]}

    hints = RouteHints(verify=closeness, min_quality=0.85, max_output_tokens=8)
    fast = optimize(
        _graph(pool.dear, node).builder.compile(checkpointer=InMemorySaver()),
        models=pool.models,
        objective="cost",
        budget=Budget(per_run_usd=1.0, on_exceed="interrupt"),
        nodes={"answer": hints},
    )
    thread: Any = {"configurable": {"thread_id": "1"}}
    fast.invoke({}, thread)
    asked = (len(pool.cheap.calls), len(pool.dear.calls))
    assert asked == (1 + fast.plan.assignment("answer").then.count("scripted:cheap"), 1)
    assert fast.invoke(Command(resume="yes"), thread)["notes"] == [said, "yes"]
    assert (len(pool.cheap.calls), len(pool.dear.calls)) == asked
