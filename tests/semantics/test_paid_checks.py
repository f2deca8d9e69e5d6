"""A check that asks a model, end to end: its calls are paid, recorded and held to the server's
slots, and are no steps of the run.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send

from graphroute import Budget, Model, RouteHints, Store, optimize, verify
from graphroute.batching import immediate
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.admission import Admission
from graphroute.runtime.course import Course
from graphroute.runtime.gates import Gates
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.lineage import KEY
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.spot_checks import FIRST, SHARE
from tests.unit.runtime.situations import assignment_for, policy_for, routed, spec_for

OWN, JUDGE = "scripted:own", "scripted:judge"


class State(TypedDict, total=False):
    notes: Annotated[list[str], operator.add]


def honest(messages: list[BaseMessage]) -> str:
    """Finds every answer good, whichever letter that is."""
    return "A" if "A = good" in messages[-1].text else "B"


def judge_chat(**facts: Any) -> ScriptedChat:
    return ScriptedChat(name="judge", **{"replies": honest, "in_tokens": 100, **facts})


def graph_of(node: Any, *, tasks: int = 1, **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("answer", node)
    builder.add_conditional_edges(
        START, lambda _: [Send("answer", {"text": str(n)}) for n in range(tasks)], ["answer"]
    )
    return builder.compile(**options)


def asking(own: ScriptedChat) -> Any:
    def answer(state: Any) -> State:
        return {"notes": [own.invoke(f"What is {state['text']}?", max_tokens=8).text]}

    return answer


class Judged:
    """One node on one model, judged by another; both cost 1 USD per million tokens."""

    def __init__(
        self,
        *,
        check: Any = None,
        node: Any = None,
        tasks: int = 1,
        judge_price: float | None = 1.0,
        judge: ScriptedChat | None = None,
        graph: dict[str, Any] | None = None,
        hints: dict[str, Any] | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> None:
        self.own = ScriptedChat(name="own", replies=["42"], in_tokens=10, temperature=temperature)
        self.judge = judge or judge_chat()
        models = [Model(OWN, self.own, price_in_usd=1, price_out_usd=1)]
        if judge_price is not None:
            priced = Model(
                JUDGE,
                self.judge,
                price_in_usd=judge_price,
                price_out_usd=judge_price,
                quality=0.1,
            )
            models.append(priced)
        told = {"verify": check or verify.judge(self.judge), "pin": OWN, **(hints or {})}
        plain = graph_of((node or asking)(self.own), tasks=tasks, **(graph or {}))
        self.fast = optimize(
            plain, models=models, nodes={"answer": RouteHints(**told)}, store=False, **options
        )

    @property
    def checks(self) -> list[CallRecord]:
        return [record for record in self.fast.records if record.is_check]

    @property
    def answers(self) -> list[CallRecord]:
        return [record for record in self.fast.records if not record.is_check]

    @property
    def spent_nano(self) -> int:
        return sum(record.cost_nano for record in self.fast.records)


def asks_itself(judge: ScriptedChat) -> Any:
    """A check of somebody's own that asks a chat model."""

    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return judge.invoke("A = good, is it?", max_tokens=4).text == "A"

    return check


def test_a_judge_is_paid_recorded_and_keeps_its_model() -> None:
    found = Judged(budget=0.01)
    assert found.fast.invoke({})["notes"] == ["42"]
    (answer,) = found.answers
    assert (answer.why, answer.quality, answer.cost_nano) == ("plan", 1.0, 11_000)
    assert len(found.judge.calls) == len(found.checks) == 2
    for check in found.checks:
        assert (check.node, check.step, check.run_id) == ("answer", answer.step, answer.run_id)
        assert (check.model, check.planned, check.why) == (JUDGE, None, "check")
        assert (check.cost_nano, check.baseline_nano) == (101_000, 0)
        assert (check.quality, check.predicted_quality, check.fault) == (None, None, None)
        assert (check.graph, check.graph_name) == (answer.graph, answer.graph_name)


@pytest.mark.parametrize("own", [True, False], ids=["own-check", "judge"])
async def test_async_calls_of_a_check_are_paid_as_well(own: bool) -> None:
    judge = judge_chat()

    async def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return (await judge.ainvoke("A = good, is it?")).text == "A"

    def node(own_chat: ScriptedChat) -> Any:
        async def answer(state: Any) -> State:
            return {"notes": [(await own_chat.ainvoke("What?", max_tokens=8)).text]}

        return answer

    found = Judged(judge=judge, check=check if own else None, node=node, budget=0.01)
    assert (await found.fast.ainvoke({}))["notes"] == ["42"]
    assert [each.cost_nano for each in found.checks] == [101_000] * (1 if own else 2)
    assert found.answers[0].quality == 1.0


def test_an_answer_that_was_streamed_is_judged_on_the_runs_account() -> None:
    def node(own: ScriptedChat) -> Any:
        def answer(state: Any) -> State:
            return {"notes": ["".join(c.text for c in own.stream("What?", max_tokens=8))]}

        return answer

    found = Judged(node=node, budget=0.01)
    assert found.fast.invoke({})["notes"] == ["42"]
    assert len(found.checks) == 2
    assert found.answers[0].quality == 1.0


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_answer_that_came_as_events_is_judged_on_the_runs_account(is_async: bool) -> None:
    def node(own: ScriptedChat) -> Any:
        def answer(state: Any) -> State:
            return {"notes": [own.stream_events("What?", version="v3", max_tokens=8).output.text]}

        async def aanswer(state: Any) -> State:
            stream = await own.astream_events("What?", version="v3", max_tokens=8)
            return {"notes": [(await stream.output).text]}

        return aanswer if is_async else answer

    found = Judged(node=node, budget=0.01)
    ended = await found.fast.ainvoke({}) if is_async else found.fast.invoke({})
    assert ended["notes"] == ["42"]
    assert [check.cost_nano for check in found.checks] == [101_000] * 2
    assert (found.answers[0].quality, found.answers[0].cost_nano) == (1.0, 11_000)


def test_neither_tokens_nor_callbacks_of_the_node_see_a_check() -> None:
    seen: list[str] = []

    class Listener(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **facts: Any) -> None:
            seen.append(messages[0][-1].text)

    judge = judge_chat()

    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return "".join(chunk.text for chunk in judge.stream("A = good, is it?")) == "A"

    found = Judged(judge=judge, check=check, budget=0.01)
    stream = found.fast.stream({}, {"callbacks": [Listener()]}, stream_mode="messages")
    shown = [message.text for message, _ in stream if isinstance(message, AIMessageChunk)]
    assert "".join(shown) == "42"
    assert seen == ["What is 0?"]
    assert (len(found.checks), found.answers[0].quality) == (1, 1.0)


@pytest.mark.parametrize("on_exceed", ["degrade", "raise", "interrupt"])
def test_a_check_without_money_is_undecided_and_the_run_goes_on(on_exceed: Any) -> None:
    budget = Budget(per_run_usd=0.002, on_exceed=on_exceed)
    found = Judged(budget=budget, judge_price=100.0, graph={"checkpointer": InMemorySaver()})
    ended = found.fast.invoke({}, {"configurable": {"thread_id": "1"}})
    assert ended["notes"] == ["42"]
    assert "__interrupt__" not in ended
    assert not found.judge.calls
    (record,) = found.fast.records
    assert (record.quality, record.error, record.fault) == (None, None, None)
    assert "BudgetExceeded" in record.verdicts[0].reason
    assert JUDGE in record.verdicts[0].reason


@pytest.mark.parametrize(("limit_usd", "is_asked"), [(0.002, False), (0.004, True)])
def test_what_later_steps_need_is_not_a_checks_to_spend(limit_usd: float, is_asked: bool) -> None:
    own = ScriptedChat(name="own", replies=["42"], in_tokens=10, out_tokens=1)
    judge = judge_chat(in_tokens=1, out_tokens=1)
    builder = StateGraph(State)
    for name in ("answer", "last"):
        builder.add_node(name, lambda _: {"notes": [own.invoke("What?", max_tokens=8).text]})
    builder.add_edge(START, "answer")
    builder.add_edge("answer", "last")
    policy = policy_for(
        assignment_for("answer", OWN),
        # Expected to cost $0.001, which the run has to have when it comes there.
        assignment_for("last", OWN, in_tokens=990.0),
        chats={OWN: own},
        own=(spec_for(JUDGE, price=50.0),),
        budget=Budget(per_run_usd=limit_usd),
        hints={"answer": RouteHints(verify=asks_itself(judge))},
    )
    assert routed(builder.compile(), policy).invoke({})["notes"] == ["42", "42"]
    assert len(judge.calls) == is_asked
    assert (policy.records[-2].quality is not None) == is_asked


def test_a_judge_of_unknown_price_is_not_asked_where_money_is_limited() -> None:
    limited, free = Judged(judge_price=None, budget=0.01), Judged(judge_price=None)
    for found in (limited, free):
        assert found.fast.invoke({})["notes"] == ["42"]
    assert not limited.judge.calls
    assert "its price is unknown" in limited.fast.records[0].verdicts[0].reason
    assert (len(free.checks), free.answers[0].quality) == (2, 1.0)


def test_at_a_private_node_only_a_local_judge_is_asked() -> None:
    judge = judge_chat()
    local = spec_for(OWN, local=True, price=0.0)
    for place, asked in ((True, 2), (False, 0)):
        policy = policy_for(
            assignment_for("answer", OWN),
            chats={OWN: (own := ScriptedChat(name="own", replies=["42"]))},
            specs=(local,),
            own=(spec_for(JUDGE, local=place),),
            hints={"answer": RouteHints(verify=verify.judge(judge), privacy="local")},
            keep_text=True,
        )
        before = len(judge.calls)
        assert routed(graph_of(asking(own)), policy).invoke({})["notes"] == ["42"]
        assert len(judge.calls) - before == asked
        *checks, answer = policy.records
        assert [record.prompt for record in checks] == [None] * asked
        assert (answer.quality, answer.error) == (1.0 if place else None, None)
    assert "private" in answer.verdicts[0].reason


def _one_slot(own: Any, check: Any, **facts: Any) -> Any:
    return policy_for(
        assignment_for("answer", OWN),
        chats={OWN: own},
        specs=(spec_for(OWN, slots=1),),
        hints={"answer": RouteHints(verify=check)},
        admission=Admission(immediate.build(), Gates()),
        **facts,
    )


@pytest.mark.timeout(60)
def test_a_judge_on_the_only_slot_of_its_server_does_not_wait_for_itself() -> None:
    own = ScriptedChat(name="own", replies=honest)
    policy = _one_slot(own, verify.judge(own))
    fast = routed(graph_of(asking(own), tasks=6), policy)
    assert len(fast.invoke({})["notes"]) == 6
    assert sum(record.is_check for record in policy.records) == 12


@pytest.mark.timeout(60)
async def test_nor_does_it_where_both_its_questions_are_asked_at_once() -> None:
    inside: list[int] = []
    most: list[int] = []

    class Slow(ScriptedChat):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0)
            try:
                return await super()._agenerate(*args, **kwargs)
            finally:
                inside.pop()

    own = Slow(name="own", replies=honest)

    async def answer(state: Any) -> State:
        return {"notes": [(await own.ainvoke(f"What is {state['text']}?")).text]}

    policy = _one_slot(own, verify.judge(own))
    ended = await routed(graph_of(answer, tasks=4), policy).ainvoke({})
    assert len(ended["notes"]) == 4
    assert sum(record.is_check for record in policy.records) == 8
    assert max(most) == 1


@pytest.mark.parametrize("limit_usd", [0.0006, 0.0012, 0.003, 0.02])
@pytest.mark.parametrize("reports", [True, False], ids=["reported", "estimated"])
def test_parallel_branches_and_their_checks_never_pass_the_budget(
    limit_usd: float, reports: bool
) -> None:
    judge = judge_chat(in_tokens=100 if reports else None)
    own = ScriptedChat(name="own", replies=["42"], in_tokens=10 if reports else None)
    policy = policy_for(
        assignment_for("answer", OWN, expected_visits=8.0, expected_calls=8.0),
        chats={OWN: own},
        own=(spec_for(JUDGE),),
        budget=Budget(per_run_usd=limit_usd),
        hints={"answer": RouteHints(verify=verify.judge(judge))},
    )
    ledger = Ledger(limit_nano=policy.budget.per_run_nano)
    run = RunHandle(policy=policy, ledger=ledger, course=Course(policy.plan, ledger=ledger))
    fast = routed(graph_of(asking(own), tasks=8), policy)
    assert fast.invoke({}, {"configurable": {KEY: run}})["notes"] == ["42"] * 8
    assert len(policy.records) >= 8
    spent = sum(record.cost_nano for record in policy.records)
    assert spent <= limit_usd * NANO
    assert (ledger.spent_nano, ledger.reserved_nano) == (spent, 0)
    assert run.course._spent_nano() == spent, "the run's course knows of it all"
    assert not [record for record in policy.records if record.fault]
    decided = [record for record in policy.records if record.quality is not None]
    assert len(decided) == (8 if limit_usd == 0.02 else len(decided))


def test_a_check_without_a_limit_of_its_own_does_not_put_all_the_money_aside() -> None:
    aside: list[int] = []

    class Looking(ScriptedChat):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            aside.append(ledger.reserved_nano)
            return super()._generate(*args, **kwargs)

    judge = Looking(name="judge", replies=honest)
    found = Judged(judge=judge, budget=0.006)
    policy = found.fast.__dict__["_graphroute"].policy
    ledger = Ledger(limit_nano=policy.budget.per_run_nano)
    run = RunHandle(policy=policy, ledger=ledger, course=Course(policy.plan))
    found.fast.invoke({}, {"configurable": {KEY: run}})
    assert found.answers[0].quality == 1.0
    # 8,192 tokens would be more than there is; a short answer has to fit.
    assert all(0 < nano < 0.002 * NANO for nano in aside)
    assert [check.cap_tokens is not None for check in found.checks] == [True, True]


@pytest.mark.parametrize("stops", [KeyboardInterrupt, SystemExit])
def test_a_call_is_paid_and_recorded_whatever_stops_its_check(stops: type[BaseException]) -> None:
    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        raise stops

    found = Judged(check=check, budget=0.01)
    with pytest.raises(stops):
        found.fast.invoke({})
    (record,) = found.fast.records
    assert (record.model, record.cost_nano, record.verdicts) == (OWN, 11_000, ())


async def test_a_cancelled_check_loses_neither_the_call_nor_what_it_has_asked() -> None:
    begun = asyncio.Event()

    class Endless(ScriptedChat):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            begun.set()
            await asyncio.Event().wait()

    def node(own: ScriptedChat) -> Any:
        async def answer(state: Any) -> State:
            return {"notes": [(await own.ainvoke("What?", max_tokens=8)).text]}

        return answer

    found = Judged(node=node, judge=Endless(name="judge"), budget=0.1)
    task = asyncio.create_task(found.fast.ainvoke({}))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(r.model, r.cost_nano) for r in found.answers] == [(OWN, 11_000)]
    # The provider had read the questions that were under way, and may bill them.
    assert [bool(r.error) and r.cost_nano > 0 for r in found.checks] == [True, True]


def test_a_judge_that_fails_leaves_the_verdict_open() -> None:
    found = Judged(judge=judge_chat(replies=[ValueError("no")]), budget=0.01)
    assert found.fast.invoke({})["notes"] == ["42"]
    (check,) = found.checks
    assert (check.error, check.cost_nano) == ("ValueError: no", 0)
    assert (found.answers[0].quality, found.answers[0].error) == (None, None)


def test_a_judge_is_asked_even_where_it_failed_lately() -> None:
    answers = iter([ConnectionError("down"), "A", "B"])
    found = Judged(judge=judge_chat(replies=lambda _: next(answers)), budget=0.1, cache=False)
    for quality in (None, 1.0):
        found.fast.invoke({})
        assert found.answers[-1].quality == quality


def test_what_a_judge_said_at_temperature_zero_is_not_paid_for_twice() -> None:
    found = Judged(judge=judge_chat(temperature=0), budget=0.01)
    for _ in range(2):
        found.fast.invoke({})
    assert len(found.judge.calls) == 2
    assert [(c.cache, c.cost_nano) for c in found.checks[2:]] == [("memory", 0)] * 2


@pytest.mark.parametrize("script", [honest, [ValueError("no")]], ids=["honest", "broken"])
def test_a_check_keeps_no_output_from_being_kept(script: Any) -> None:
    found = Judged(judge=judge_chat(replies=script), hints={"cache": True})
    for _ in range(2):
        found.fast.invoke({})
    assert len(found.own.calls) == 1
    assert [record.outcome for record in found.fast.node_records] == ["computed", "hit"]


def test_who_waits_for_an_equal_call_does_not_wait_for_its_check() -> None:
    waiting, ended = threading.Event(), threading.Event()

    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        # The first check ends after the other call has its answer, or never.
        first = not waiting.is_set()
        waiting.set()
        if not first:
            ended.set()
        return ended.wait(30)

    def node(own: ScriptedChat) -> Any:
        return lambda state: {"notes": [own.invoke("the same").text]}

    own_check = Judged(check=check, node=node, tasks=2, cache=True)
    assert own_check.fast.invoke({})["notes"] == ["42", "42"]
    assert [record.quality for record in own_check.answers] == [1.0, 1.0]
    assert len(own_check.own.calls) <= 2


def test_an_answer_that_is_given_again_after_a_pause_is_not_judged_again() -> None:
    def node(own: ScriptedChat) -> Any:
        def answer(state: Any) -> State:
            first = own.invoke("What?", max_tokens=8).text
            second = own.invoke("word " * 2_000, max_tokens=8).text
            return {"notes": [first, second]}

        return answer

    budget = Budget(per_run_usd=0.002, on_exceed="interrupt")
    found = Judged(
        node=node,
        budget=budget,
        cache=False,
        judge=judge_chat(max_tokens=4),
        graph={"checkpointer": InMemorySaver()},
    )
    config: Any = {"configurable": {"thread_id": "1"}}
    assert found.fast.invoke({}, config)["__interrupt__"]
    asked = len(found.checks)
    assert found.fast.invoke(Command(resume=0.1), config)["notes"] == ["42", "42"]
    assert len(found.own.calls) == 2
    assert len(found.checks) == asked + 2, "only the second answer is new"


def test_checks_count_in_the_days_budget(tmp_path: Path) -> None:
    own = ScriptedChat(name="own", replies=["42"], in_tokens=10)
    judge = judge_chat(in_tokens=5, out_tokens=1)
    models = [
        Model(OWN, own, price_in_usd=1, price_out_usd=1),
        Model(JUDGE, judge, price_in_usd=50, price_out_usd=50, quality=0.1),
    ]
    fast = optimize(
        graph_of(asking(own)),
        models=models,
        budget=Budget(per_day_usd=0.0105),
        nodes={"answer": RouteHints(verify=asks_itself(judge), pin=OWN)},
        store=Store(folder=tmp_path, records=False),
        cache=False,
    )
    for _ in range(60):
        fast.invoke({})
    checks = [record for record in fast.records if record.is_check]
    assert 0 < len(checks) < 60
    assert sum(record.cost_nano for record in fast.records) <= 0.0105 * NANO
    undecided = [r for r in fast.records if not r.is_check and r.quality is None]
    assert len(undecided) == 60 - len(checks)


def test_a_model_given_to_the_pool_under_a_name_of_its_own_has_that_price() -> None:
    judge = judge_chat()
    own = ScriptedChat(name="own", replies=["42"])
    fast = optimize(
        graph_of(asking(own)),
        models=[
            Model(OWN, own, price_in_usd=1, price_out_usd=1),
            Model("grader", judge, price_in_usd=7, price_out_usd=7, quality=0.1),
        ],
        nodes={"answer": RouteHints(verify=asks_itself(judge), pin=OWN)},
        store=False,
    )
    fast.invoke({})
    (check,) = [record for record in fast.records if record.is_check]
    assert (check.model, check.cost_nano) == ("grader", 707_000)


def test_a_judge_outside_the_pool_is_looked_up_once() -> None:
    asked: list[Any] = []

    def look_up(chat: Any) -> ModelSpec:
        asked.append(chat)
        return spec_for(JUDGE, price=2.0)

    judge = judge_chat()
    own = ScriptedChat(name="own", replies=["42"])
    policy = policy_for(
        assignment_for("answer", OWN),
        chats={OWN: own},
        look_up=look_up,
        hints={"answer": RouteHints(verify=asks_itself(judge))},
    )
    routed(graph_of(asking(own), tasks=5), policy).invoke({})
    checks = [record for record in policy.records if record.is_check]
    assert [check.cost_nano for check in checks] == [202_000] * 5
    assert asked == [judge]


@pytest.mark.parametrize(("price", "kind"), [(0.01, "cascade"), (500.0, "single")])
def test_a_judge_that_costs_more_than_it_gains_leads_to_no_second_model(
    price: float, kind: str, tmp_path: Path
) -> None:
    judge = judge_chat(in_tokens=None)
    weak, strong = (ScriptedChat(name=name, replies=["42"]) for name in ("weak", "strong"))
    models = [
        Model("scripted:weak", weak, price_in_usd=1, price_out_usd=1, quality=0.6),
        Model("scripted:strong", strong, price_in_usd=20, price_out_usd=20, quality=0.95),
    ]
    graded = Model(JUDGE, judge, price_in_usd=price, price_out_usd=price, quality=0.1)
    hints = RouteHints(
        verify=verify.judge(judge),
        models=("scripted:weak", "scripted:strong"),
        min_quality=0.85,
        max_output_tokens=8,
    )

    def optimized(pool: list[Model], **options: Any) -> Any:
        return optimize(
            graph_of(asking(strong)),
            models=pool,
            objective="cost",
            nodes={"answer": hints},
            **options,
        )

    # Its price is known before anything ran where the pool has it, …
    known = optimized([*models, graded], store=False)
    assert known.plan.assignment("answer").kind == kind
    # … and else learnt from what it has cost.
    fast = optimized(models, store=tmp_path)
    assert fast.plan.assignment("answer").kind == "cascade"
    policy = fast.__dict__["_graphroute"].policy
    policy.look_up = lambda _: spec_for(JUDGE, price=price)
    fast.invoke({})
    assert fast.replan().assignment("answer").kind == kind


def judged_runs(found: Judged, runs: int) -> list[bool]:
    for _ in range(runs):
        found.fast.invoke({})
    return [record.quality is not None for record in found.answers]


def test_a_paid_check_that_can_change_nothing_is_asked_about_the_first_answers_and_some_later() -> (
    None
):
    dear = Judged(cache=False)
    assert judged_runs(dear, FIRST + 20) == [True] * FIRST + [False] * 20
    assert "for some answers only" in dear.answers[-1].verdicts[0].reason
    # Four tokens of a judge against eleven of the node: one answer of eight or so.
    cheap = Judged(judge=judge_chat(in_tokens=1, out_tokens=1), judge_price=0.5, cache=False)
    later = judged_runs(cheap, FIRST + 200)[FIRST:]
    assert 1 <= sum(later) < 200
    paid = sum(check.cost_nano for check in cheap.checks[2 * FIRST :])
    assert paid <= SHARE * sum(answer.cost_nano for answer in cheap.answers) + 2_000


def test_a_check_that_costs_nothing_is_asked_about_every_answer() -> None:
    free = Judged(judge_price=0.0, cache=False)
    assert all(judged_runs(free, FIRST + 10))
    plain = Judged(check=lambda messages, reply: True, cache=False)
    assert all(judged_runs(plain, FIRST + 10))


def test_what_is_to_be_learnt_from_while_the_graph_runs_is_judged_throughout(
    tmp_path: Path,
) -> None:
    own, judge = ScriptedChat(name="own", replies=["42"], in_tokens=10), judge_chat()
    models = [
        Model(OWN, own, price_in_usd=1, price_out_usd=1),
        Model(JUDGE, judge, price_in_usd=1, price_out_usd=1, quality=0.1),
    ]
    fast = optimize(
        graph_of(asking(own)),
        models=models,
        nodes={"answer": RouteHints(verify=verify.judge(judge), pin=OWN)},
        store=tmp_path,
        cache=False,
        learn=True,
    )
    for _ in range(FIRST + 10):
        fast.invoke({})
    assert len(judge.calls) == 2 * (FIRST + 10)


def test_a_check_that_decides_is_asked_about_every_answer() -> None:
    judge = judge_chat()
    cheap, dear = (ScriptedChat(name=name, replies=["42"]) for name in ("cheap", "dear"))
    policy = policy_for(
        assignment_for("answer", "scripted:cheap", kind="cascade", then=("scripted:dear",)),
        chats={"scripted:cheap": cheap, "scripted:dear": dear},
        own=(spec_for(JUDGE),),
        hints={"answer": RouteHints(verify=verify.judge(judge))},
    )
    fast = routed(graph_of(asking(dear)), policy)
    for _ in range(FIRST + 10):
        fast.invoke({})
    assert len(judge.calls) == 2 * (FIRST + 10)
    assert not dear.calls


def test_an_answer_from_the_cache_is_not_judged_for_money_once_more() -> None:
    found = Judged(temperature=0.0)
    assert judged_runs(found, 3) == [True, False, False]
    assert [record.cache for record in found.answers] == [None, "memory", "memory"]
    assert len(found.judge.calls) == 2


def test_a_graph_that_a_check_runs_is_paid_by_the_run() -> None:
    judge = judge_chat()
    inner = graph_of(asking(judge))

    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return bool(inner.invoke({})["notes"])

    found = Judged(judge=judge, check=check, budget=0.01)
    found.fast.invoke({})
    assert [(c.node, c.model) for c in found.checks] == [("answer", JUDGE)]
    assert found.answers[0].quality == 1.0
