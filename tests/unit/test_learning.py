"""An optimized graph learns from earlier runs, by trying, from drift; never where it may not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute import Alarm, Budget, InvalidValue, Learn, Model, RouteHints, optimize, plan, verify
from graphroute.cli import run as command
from graphroute.errors import InfeasibleBudget, ProviderUnavailable
from graphroute.frontend.langgraph import walk
from graphroute.ir.feedback import Credit
from graphroute.ir.verdict import Verdict
from graphroute.learners._loop import Learning
from graphroute.learning import PROFILE, Past, sureness_of
from graphroute.providers.scripted import ScriptedChat


class State(TypedDict):
    """One text."""

    text: str


def answers_well(messages: Any, reply: Any) -> bool:
    return "good" in reply.text


def pool_of(**replies: str) -> list[Model]:
    """Models that are thought equally able; prices fall in the order given."""
    price = 8.0
    pool = []
    for name, reply in replies.items():
        chat = ScriptedChat(name=name, replies=[reply])
        pool.append(
            Model(f"scripted:{name}", chat, price_in_usd=price, price_out_usd=price, quality=0.6)
        )
        price /= 2
    return pool


def graph_of() -> Any:
    own = ScriptedChat(name="own", replies=["good"])
    builder = StateGraph(State)
    builder.add_node(
        "draft", lambda state: {"text": own.invoke(state["text"], max_tokens=64).text or "-"}
    )
    builder.add_edge(START, "draft")
    return builder.compile(name="app")


JUDGED = {"draft": RouteHints(verify=answers_well)}


def fast_of(pool: list[Model], store: Any, **options: Any) -> Any:
    options = {"budget": 0.01, "nodes": JUDGED, "cache": False, **options}
    return optimize(graph_of(), models=pool, store=store, **options)


def served(fast: Any) -> Counter[str]:
    return Counter(r.model.removeprefix("scripted:") for r in fast.records)


def run(fast: Any, times: int, text: str = "a question") -> None:
    for n in range(times):
        fast.invoke({"text": f"{text} {n}"})


def flushed(fast: Any) -> None:
    assert fast.__dict__["_graphroute"].store.flush()


def test_a_bad_choice_is_given_up_by_itself_and_the_better_one_found(tmp_path: Path) -> None:
    pool = pool_of(fine="good answer", poor="bad answer")
    fast = fast_of(pool, tmp_path, learn=Learn(replan_after=10), objective="quality", budget=1.0)
    run(fast, 200)
    last = [r.model for r in fast.records][-20:]
    assert last.count("scripted:fine") >= 18
    assert fast.plan.assignments[0].judged > 50


def test_what_one_process_learnt_the_next_plans_from(tmp_path: Path) -> None:
    pool = pool_of(big="bad answer", small="good answer")
    first = fast_of(pool, tmp_path)
    assert first.plan.assignments[0].judged == 0
    for name in ("scripted:big", "scripted:small"):
        pinned = fast_of(pool, tmp_path, nodes={"draft": RouteHints(verify=answers_well, pin=name)})
        run(pinned, 30)
        flushed(pinned)
    again = fast_of(pool, tmp_path)
    assigned = again.plan.assignments[0]
    assert assigned.model == "scripted:small"
    assert assigned.judged == pytest.approx(60, rel=0.05)
    assert "60 judged answers" in assigned.complexity_reason or "59" in assigned.complexity_reason
    made = plan(graph_of(), models=pool, store=tmp_path, budget=0.01, nodes=JUDGED)
    assert made.assignments[0].model == "scripted:small"
    forgotten = fast_of(pool, tmp_path, learn=False)
    assert forgotten.plan.assignments[0].judged == 0
    elsewhere = fast_of(pool, tmp_path / "other")
    assert elsewhere.plan.assignments[0].judged == 0


def test_an_imported_profile_counts_and_overlapping_runs_count_once(tmp_path: Path) -> None:
    pool = pool_of(big="bad answer", small="good answer")
    fast = fast_of(pool, tmp_path / "a", nodes={"draft": RouteHints(verify=answers_well)})
    run(fast, 20)
    flushed(fast)
    file = str(tmp_path / "a.json")
    assert command(["profile", "export", "--store", str(tmp_path / "a"), "--output", file]) == 0
    for folder in ("a", "b"):
        assert command(["profile", "import", file, "--store", str(tmp_path / folder)]) == 0
    judged = [fast_of(pool, tmp_path / each).plan.assignments[0].judged for each in ("a", "b")]
    assert judged[0] == judged[1] > 10


def test_a_damaged_profile_is_a_warning_and_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PROFILE).write_text("{")
    fast = fast_of(pool_of(m="good"), tmp_path)
    assert fast.invoke({"text": "x"})["text"] == "good"
    assert "without what earlier runs showed" in caplog.text


@pytest.mark.parametrize(
    "hints",
    [
        RouteHints(verify=answers_well, pin="scripted:a"),
        RouteHints(verify=answers_well, privacy="local"),
        RouteHints(verify=answers_well, weight=3.0),
        RouteHints(),
    ],
)
def test_nothing_is_tried_where_it_may_not_be(tmp_path: Path, hints: RouteHints) -> None:
    local = Model("scripted:l", ScriptedChat(name="l", replies=["good"]), local=True, quality=0.6)
    other = Model("scripted:k", ScriptedChat(name="k", replies=["good"]), local=True, quality=0.59)
    pool = [*pool_of(a="good", b="good"), local, other]
    fast = fast_of(
        pool, tmp_path, nodes={"draft": hints}, learn=Learn(explore_share=0.5, replan_after=10**6)
    )
    run(fast, 60)
    assert {r.why for r in fast.records} == {"plan"}


def judge_by_hand(fast: Any) -> None:
    """A thumb for the run that ended: no check, so no cascade, and yet judged answers."""
    fast.feedback(fast.last_run_id, "good" in fast.records[-1].model)


def test_trying_costs_no_more_than_its_share(tmp_path: Path) -> None:
    pool = [
        Model(
            f"scripted:{name}",
            ScriptedChat(name=name, replies=[name]),
            price_in_usd=price,
            price_out_usd=price,
            quality=quality,
        )
        for name, price, quality in (("good", 1.0, 0.6), ("bad", 0.5, 0.62), ("worse", 2.0, 0.6))
    ]
    budget = 0.0004
    fast = fast_of(
        pool,
        tmp_path,
        nodes={"draft": RouteHints(max_output_tokens=64)},
        budget=Budget(per_run_usd=budget),
        learn=Learn(explore_share=0.05),
    )
    assert fast.plan.assignments[0].model == "scripted:bad"
    for n in range(400):
        fast.invoke({"text": f"a question {n}"})
        judge_by_hand(fast)
    tried = [r for r in fast.records if r.why.startswith("tried")]
    assert tried
    assert not [r.fault for r in fast.records if r.fault]
    assert fast.plan.assignments[0].model == "scripted:good"
    usual = {r.model: r.cost_nano for r in fast.records}
    more = sum(max(0, r.cost_nano - usual[r.planned]) for r in tried)
    assert more <= 0.05 * 400 * budget * 1e9


def test_drift_is_told_in_the_report_and_the_plan_leaves_the_model(tmp_path: Path) -> None:
    told: list[Alarm] = []
    turning = ScriptedChat(name="turning", replies=["good"] * 120 + ["bad"] * 10_000)
    steady = ScriptedChat(name="steady", replies=["good"])
    pool = [
        Model("scripted:turning", turning, price_in_usd=1, price_out_usd=1, quality=0.7),
        Model("scripted:steady", steady, price_in_usd=2, price_out_usd=2, quality=0.65),
    ]
    fast = fast_of(pool, tmp_path, budget=1.0, learn=Learn(on_drift=told.append))
    run(fast, 240)
    # How long a call takes may drift as well, with what else the machine does.
    alarm = next(each for each in told if each.figure == "quality")
    assert (alarm.node, alarm.model) == ("draft", "scripted:turning")
    report = fast.report()
    assert report.alarms == tuple(told)
    assert "drift: quality of scripted:turning" in str(report)
    assert type(report).from_dict(report.to_dict()) == report
    last = [r.model for r in fast.records][-20:]
    assert last.count("scripted:steady") >= 15


def test_feedback_moves_the_plan(tmp_path: Path) -> None:
    pool = [
        Model(f"scripted:{n}", ScriptedChat(name=n, replies=["x"]), quality=q, local=True)
        for n, q in (("liked", 0.6), ("disliked", 0.65))
    ]
    fast = fast_of(pool, tmp_path, nodes={})
    assert fast.plan.assignments[0].model == "scripted:disliked"
    for _ in range(30):
        fast.invoke({"text": "q"})
        fast.feedback(fast.last_run_id, False)
    assert fast.replan().assignments[0].model == "scripted:liked"
    flushed(fast)
    assert fast_of(pool, tmp_path, nodes={}).plan.assignments[0].model == "scripted:liked"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"learner": "nope"}, "no learner 'nope'; known learners: thompson, uniform"),
        ({"learner": "adwin"}, "no learner 'adwin'; known learners: thompson, uniform"),
        ({"detector": "nope"}, "no detector 'nope'; known detectors: adwin, page_hinkley"),
        ({"detector": "thompson"}, "no detector 'thompson'; known detectors: adwin, page_hinkley"),
        ({"learner": 3}, "no learner 3; known learners: thompson, uniform"),
    ],
    ids=str,
)
def test_a_learner_is_no_detector_and_a_detector_no_learner(
    options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidValue) as fault:
        fast_of(pool_of(fine="good"), False, learn=Learn(**options))
    assert str(fault.value) == told


@pytest.mark.parametrize("learn", ["yes", 1, Learn(learner="page_hinkley"), Learn(detector="mf")])
def test_bad_learn_is_one_clear_error(tmp_path: Path, learn: Any) -> None:
    with pytest.raises((InvalidValue, ProviderUnavailable)):
        fast_of(pool_of(m="good"), tmp_path, learn=learn)


def test_a_graph_of_its_own_models_keeps_them_while_it_learns(tmp_path: Path) -> None:
    fast = optimize(graph_of(), store=tmp_path, learn=True, nodes=JUDGED)
    run(fast, 30)
    assert {r.why for r in fast.records} == {"plan"}
    assert not [r.fault for r in fast.records if r.fault]


def shadow_of(fast: Any) -> Any:
    return fast.__dict__["_graphroute"].policy.tap


def local_pool() -> list[Model]:
    cloud = ScriptedChat(name="cloud", replies=["good from the cloud"])
    home = ScriptedChat(name="home", replies=["good from home"])
    return [
        Model("scripted:cloud", cloud, price_in_usd=1, price_out_usd=1, quality=0.9),
        Model("scripted:home", home, local=True, quality=0.1),
    ]


def quality_of(fast: Any, model: str) -> float:
    planned = fast.plan.assignments[0]
    names = (planned.model, *planned.fallbacks)
    return float(dict(zip(names, planned.qualities, strict=True))[model])


def test_a_local_model_is_learnt_in_the_shadow_while_the_planned_one_answers(
    tmp_path: Path,
) -> None:
    learn = Learn(explore_share=0.0, shadow=True, replan_after=10**6)
    fast = fast_of(local_pool(), tmp_path, budget=None, learn=learn)
    assert quality_of(fast, "scripted:home") < 0.4
    for n in range(40):
        assert fast.invoke({"text": f"question {n}"})["text"] == "good from the cloud"
        assert shadow_of(fast).wait()
    assert set(served(fast)) == {"cloud"}
    fast.replan()
    assert quality_of(fast, "scripted:home") > 0.6


@pytest.mark.parametrize(
    "hints",
    [
        RouteHints(),
        RouteHints(verify=answers_well, pin="scripted:cloud"),
        RouteHints(verify=answers_well, models=("scripted:cloud",)),
    ],
)
def test_nobody_is_asked_in_the_shadow_where_it_may_not_be(
    tmp_path: Path, hints: RouteHints
) -> None:
    pool = local_pool()
    fast = fast_of(pool, tmp_path, nodes={"draft": hints}, learn=Learn(shadow=True), budget=None)
    run(fast, 5)
    assert shadow_of(fast).wait()
    home = pool[1].chat
    assert isinstance(home, ScriptedChat)
    assert {r.model for r in fast.records} == {"scripted:cloud"}
    assert not home.calls


@pytest.mark.parametrize("price", [None, 1.0], ids=["local", "paid"])
def test_nothing_is_spent_in_the_shadow_on_a_judge_either(
    tmp_path: Path, price: float | None
) -> None:
    def honest(messages: Any) -> str:
        return "A" if "A = good" in messages[-1].text else "B"

    judge = ScriptedChat(name="judge", replies=honest)
    graded = Model(
        "scripted:judge",
        judge,
        local=price is None,
        price_in_usd=price,
        price_out_usd=price,
        quality=0.1,
    )
    allowed = ("scripted:cloud", "scripted:home")
    hints = {"draft": RouteHints(verify=verify.judge(judge), models=allowed)}
    learn = Learn(explore_share=0.0, shadow=True, replan_after=10**6)
    fast = fast_of([*local_pool(), graded], tmp_path, budget=None, learn=learn, nodes=hints)
    for n in range(5):
        fast.invoke({"text": f"question {n}"})
        assert shadow_of(fast).wait()
    records = [(record.model, record.is_check) for record in fast.records]
    assert records.count(("scripted:judge", True)) == 10
    assert len(records) == 15
    asked_in_shadow = len(judge.calls) - 10
    assert asked_in_shadow == (10 if price is None else 0)


def test_a_shadow_that_fails_harms_nobody(tmp_path: Path) -> None:
    pool = local_pool()
    broken = ScriptedChat(name="home", replies=[RuntimeError("no memory")])
    pool[1] = Model("scripted:home", broken, local=True, quality=0.1)
    fast = fast_of(pool, tmp_path, learn=Learn(shadow=True), budget=None)
    for _ in range(3):
        fast.invoke({"text": "x"})
        assert shadow_of(fast).wait()
    assert len(fast.records) == 3
    assert not [r for r in fast.records if r.fault or r.error]


@pytest.mark.parametrize("score", [5.0, -3.0, float("nan"), float("inf"), "0.5"], ids=repr)
def test_a_check_that_gives_no_score_spoils_neither_records_nor_the_next_plan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, score: Any
) -> None:
    def check(messages: Any, reply: Any) -> Verdict:
        return Verdict(score=score, passed=True, reason="fine")

    nodes = {"draft": RouteHints(verify=check)}
    fast = fast_of(pool_of(fine="good"), tmp_path, nodes=nodes, learn=True)
    run(fast, 3)
    assert {r.quality for r in fast.records} == {None}
    assert "instead of a score in [0, 1]" in fast.records[0].verdicts[0].reason
    with pytest.raises(InvalidValue, match="feedback score"):
        fast.feedback(fast.last_run_id, Verdict(score=score, passed=True))
    assert fast.history().totals.calls == 3
    assert fast.history().totals.verdicts == 0
    assert fast_of(pool_of(fine="good"), tmp_path).plan.assignments[0].judged == 0
    assert caplog.messages == []


def test_what_cannot_be_learnt_from_is_kept_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Learning, record: Any) -> None:
        raise RuntimeError("cannot learn")

    monkeypatch.setattr(Learning, "note", fails)
    fast = fast_of(pool_of(fine="good"), tmp_path, learn=True)
    run(fast, 3)
    assert fast.history().totals.calls == 3
    assert [m for m in caplog.messages if "taught nothing: RuntimeError" in m] == caplog.messages
    assert len(caplog.messages) == 1, "told once"


def test_what_earlier_runs_left_never_stops_a_plan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = fast_of(pool_of(fine="good"), tmp_path)
    run(fast, 3)
    flushed(fast)
    monkeypatch.setattr("graphroute.learning.fold", lambda *_, **__: 1 / 0)
    assert fast_of(pool_of(fine="good"), tmp_path).plan.assignments[0].judged == 0
    assert "planned without what earlier runs showed: ZeroDivisionError" in caplog.text


def test_a_profile_that_is_damaged_costs_nothing_but_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fast = fast_of(pool_of(fine="good"), tmp_path)
    run(fast, 3)
    flushed(fast)
    (tmp_path / PROFILE).write_text("{")
    assert fast_of(pool_of(fine="good"), tmp_path).plan.assignments[0].judged == pytest.approx(
        3, abs=0.01
    )
    assert "planned without" in caplog.text


def test_feedback_of_another_process_that_is_given_again_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, float, str]] = []

    def pairs(records: Any, credits_given: Any) -> tuple[()]:
        seen.extend((credit.node, credit.score, model) for credit, model in credits_given)
        return ()

    monkeypatch.setattr("graphroute.learning.pairs_of", pairs)
    up = [Credit(run_id="r1", node=node, score=1.0, weight=0.5) for node in ("draft", "check")]
    past = Past(credits=tuple((credit, "m") for credit in up))
    graph = walk(graph_of(), hints={}).graph
    sureness_of(past, graph, (), [replace(up[0], score=0.0)])
    assert seen == [("check", 1.0, "m"), ("draft", 0.0, "")]


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [(7_000, "a budget of $0.005 per run is too little"), (10**12, "has no model left")],
    ids=["dearer than thought", "no number at all"],
)
def test_what_runs_showed_never_keeps_a_graph_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tokens: int, reason: str
) -> None:
    long = ScriptedChat(name="long", replies=["good"], in_tokens=tokens, out_tokens=10)
    pool = [Model("scripted:long", long, price_in_usd=1, price_out_usd=1, quality=0.7)]
    first = fast_of(pool, tmp_path, budget=None)
    run(first, 3)
    flushed(first)
    again = fast_of(pool, tmp_path, budget=0.005)
    (said,) = [w for w in again.plan.graph.warnings if "earlier runs" in w]
    assert reason in said
    assert said in caplog.messages
    assert again.invoke({"text": "a question"})["text"] == "good"
    with pytest.raises(InfeasibleBudget):
        fast_of(pool, tmp_path, budget=1e-9)  # whatever was seen
