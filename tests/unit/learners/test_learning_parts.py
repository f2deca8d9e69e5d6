"""Sums, forgetting, levels, figures, evidence while running, the account, and who is asked."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.evidence import Evidence
from graphroute.ir.feedback import Credit, Revision
from graphroute.ir.learned import DAY_S, Moments, Part, Sums
from graphroute.ir.learning import Alarm, Learn
from graphroute.ir.record import AFTER_REFUSAL, CHECK, CallRecord
from graphroute.learners import adwin, page_hinkley
from graphroute.learners._allowance import FREE_SHARE, Allowance
from graphroute.learners._answers import DOUBT, Answers
from graphroute.learners._fold import fold, mean_weight
from graphroute.learners._levels import LIMIT, with_classes
from graphroute.learners._lognormal import posterior
from graphroute.learners._loop import Learning
from graphroute.learners._sums import parts_of
from graphroute.learners._watch import Watch
from tests.unit.calls import call as made


def call(number: int = 0, **changes: Any) -> CallRecord:
    own = {"planned": "m", "model": "m", "own_model": "m", "out_tokens": 20, "graph": "g"}
    facts = {"started_s": 5 * DAY_S, "quality": 1.0}
    return made(**({"run_id": f"r{number}"} | own | facts | changes))


# -- sums


def test_calls_are_summed_by_day_and_what_no_model_answered_is_left_out() -> None:
    records = [
        call(1),
        call(1, quality=0.25, model="k"),
        call(2, cache="disk"),
        call(3, error="TimeoutError"),
        call(4, started_s=6 * DAY_S, quality=None),
        call(5, cap_tokens=10),
    ]
    first, second = parts_of(records)
    assert (first.day, second.day) == (5, 6)
    assert len(first.runs) == 4
    by_model = {s.model: s for s in first.sums}
    assert by_model["m"].good == 2.0
    assert by_model["m"].out_tokens.count == 1
    assert (by_model["k"].good, by_model["k"].bad) == (0.25, 0.75)
    assert second.sums[0].answers == 0


def test_what_a_check_led_to_counts_as_an_answer_to_a_harder_question() -> None:
    again = call(1, model="k", why=f"{AFTER_REFUSAL}m", quality=0.0)
    [part] = parts_of([call(1), again])
    by_model = {s.model: s for s in part.sums}
    assert by_model["m"].answers == 1
    assert by_model["k"].bad == pytest.approx(0.79, abs=0.01)
    assert by_model["k"].cost_nano.count == 1


def test_what_a_check_asks_is_no_answer_of_the_node() -> None:
    asked = [call(1, model=name, why=CHECK, quality=None) for name in ("m", "judge")]
    said = Credit(run_id="r1", node="draft", score=1.0, weight=1.0)
    [part] = parts_of([call(1), *asked], [(said, "m"), (said, "judge")])
    assert [(s.model, s.good, s.cost_nano.count) for s in part.sums] == [("m", 2.0, 1)]
    learning = watched()
    for record in asked * 200:
        learning.note(record)
    learning.credit(Revision(now=(said,)), [call(1, quality=None), *asked])
    assert {k: v.good for k, v in learning.evidence().items()} == {("draft", "m"): 1.0}


def test_a_run_over_midnight_belongs_to_the_day_it_began() -> None:
    records = [call(1, started_s=5.99 * DAY_S), call(1, started_s=6.01 * DAY_S)]
    [part] = parts_of(records)
    assert (part.day, part.sums[0].good) == (5, 2.0)


def test_feedback_counts_for_the_node_and_run_it_is_about() -> None:
    credits_given = [
        (Credit(run_id="r1", node="draft", score=0.0, weight=0.5), "m"),
        (Credit(run_id="unknown", node="draft", score=0.0, weight=1.0), "m"),
        (Credit(run_id="r1", node="elsewhere", score=0.0, weight=1.0), "m"),
    ]
    [part] = parts_of([call(1)], credits_given)
    assert [(s.node, s.good, s.bad) for s in part.sums] == [("draft", 1.0, 0.5)]


# -- forgetting


def test_the_mean_weight_is_the_mean_of_the_weights() -> None:
    one_by_one = [2 ** (-(7 + k) / 30) for k in range(50)]
    assert mean_weight(50, 7, 30) == pytest.approx(sum(one_by_one) / 50)


def test_newer_answers_and_newer_days_count_more() -> None:
    def part(day: int, good: float, bad: float) -> Part:
        sums = (Sums(node="n", model="m", good=good, bad=bad),)
        return Part(graph="g", day=day, runs=(str(day),), sums=sums)

    parts = [part(0, 100, 0), part(10, 0, 100)]
    found = fold(parts, today=10, half_life=50, half_life_days=1e9)["n", "m"]
    assert found.bad > 3 * found.good
    aged = fold(parts, today=10, half_life=1e9, half_life_days=5)["n", "m"]
    assert aged.good == pytest.approx(25, rel=1e-3)


# -- levels


def test_the_class_lifts_a_model_where_it_has_not_been_asked_and_says_so() -> None:
    seen = {("a", "new"): Evidence(good=95, bad=5), ("a", "old"): Evidence(good=50, bad=50)}
    classes = {"a": "text", "b": "text", "c": "tools"}
    expected = {(n, m): 0.5 for n in classes for m in ("new", "old")}
    found = with_classes(seen, classes=classes, models=("new", "old"), expected=expected)
    there = found["b", "new"]
    assert there.good > there.bad
    assert there.answers <= LIMIT
    assert there.judged == pytest.approx(0.0)
    assert not any(node == "c" for node, _ in found)
    assert found["a", "new"] == seen["a", "new"]


def test_a_hard_node_is_no_bad_model() -> None:
    """All models fail at a: that says nothing of one of them at b."""
    seen = {("a", m): Evidence(good=10, bad=90) for m in "xyz"}
    expected = {(n, m): 0.6 for n in "ab" for m in "xyz"}
    found = with_classes(seen, classes={"a": "t", "b": "t"}, models="xyz", expected=expected)
    for m in "xyz":
        share = found["b", m].good / found["b", m].answers
        assert share == pytest.approx(0.6, abs=0.08)


# -- figures


def test_intervals_of_a_lognormal_figure_cover_it() -> None:
    covered = 0
    for seed in range(400):
        random, seen = Random(f"figure {seed}"), Moments()
        for _ in range(15):
            seen = seen.joined(Moments.of(math.exp(random.gauss(1.0, 0.8))))
        figure = posterior(seen)
        assert figure is not None
        covered += figure.low <= math.e <= figure.high
    assert 0.86 <= covered / 400 <= 0.95


def test_a_prior_gives_way_to_calls() -> None:
    assert posterior(Moments()) is None
    prior = posterior(Moments(), prior=2.0)
    assert prior is not None
    assert prior.typical == pytest.approx(2.0)
    many = posterior(Moments.of(8.0).joined(Moments.of(8.0), weight=999), prior=2.0)
    assert many is not None
    assert many.typical == pytest.approx(8.0, rel=0.01)
    assert many.high - many.low < prior.high - prior.low


# -- while it runs


def test_evidence_forgets_by_half_lives() -> None:
    answers = Answers({("n", "m"): Evidence(good=100, bad=0)}, half_life=10)
    for _ in range(10):
        answers.add("n", "m", 0.0)
    assert answers.evidence()["n", "m"].good == pytest.approx(50)


def test_widening_keeps_what_came_since() -> None:
    answers = Answers({("n", "m"): Evidence(good=500, bad=100)}, half_life=1e9)
    for _ in range(20):
        answers.add("n", "m", 0.0)
    answers.widen("n", "m", since=20)
    found = answers.evidence()["n", "m"]
    assert found.answers == pytest.approx(20 + DOUBT)
    assert found.good / found.answers < 0.2
    answers.widen("n", "unknown", since=3)


def test_the_account_never_spends_more_than_its_share() -> None:
    random, account = Random(3), Allowance(share=0.02)
    for _ in range(2000):
        account.earn(1_000_000)
        for _ in range(4):
            account.seen()
            account.take(random.randint(-10, 100_000))
        assert account.spent_nano <= account.earned_nano
    assert account.spent_nano > 0.9 * 0.02 * 2000 * 1_000_000


def test_what_costs_no_more_is_bounded_by_calls() -> None:
    account = Allowance(share=0.02)
    taken = 0
    for _ in range(1000):
        account.seen()
        taken += account.take(-5)
    assert taken == pytest.approx(FREE_SHARE * 1000, abs=1)
    nothing = Allowance(share=0.0)
    nothing.earn(10**9)
    nothing.seen()
    assert not nothing.take(0)


def watched(**options: Any) -> Learning:
    return Learning(
        Learn(**options),
        start={},
        watch=Watch(share=page_hinkley.build, amount=page_hinkley.build),
    )


def test_a_drop_is_told_once_widens_and_asks_for_a_plan() -> None:
    told: list[Alarm] = []
    learning = watched(on_drift=told.append, replan_after=10_000)
    for n in range(300):
        learning.note(call(n, quality=float(n % 10 != 0)))
    assert not learning.is_due()
    n = 300
    while not told:
        learning.note(call(n, quality=float(n % 10 == 0)))
        n += 1
    assert n < 340
    [alarm] = told
    assert (alarm.figure, alarm.model, alarm.run_id) == ("quality", "m", f"r{n - 1}")
    assert alarm.before > 0.85
    assert alarm.after < 0.3
    assert learning.evidence()["draft", "m"].answers < 60
    assert learning.is_due()
    assert not learning.is_due()
    assert "quality of m at 'draft'" in str(alarm)


def test_a_listener_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def bad(alarm: Alarm) -> None:
        raise RuntimeError("boom")

    learning = watched(on_drift=bad)
    for n in range(400):
        learning.note(call(n, out_tokens=20 if n < 200 else 400))
    assert {a.figure for a in learning.alarms} == {"out_tokens"}
    assert "boom" in caplog.text


def test_prompts_that_change_are_about_the_node_and_no_model() -> None:
    learning = watched()
    for n in range(400):
        learning.note(call(n, prompt_chars=200 + n % 7 if n < 200 else 4000, quality=None))
    [alarm] = learning.alarms
    assert (alarm.figure, alarm.model) == ("prompt_length", "")
    assert 190 < alarm.before < 210
    assert alarm.after > 2000


def test_feedback_teaches_too() -> None:
    learning = watched()
    records = [call(1, quality=None), call(1, quality=None, model="k")]
    said = Credit(run_id="r1", node="draft", score=1.0, weight=1.0)
    learning.credit(Revision(now=(said,)), records)
    assert {k: v.good for k, v in learning.evidence().items()} == {
        ("draft", "m"): 0.5,
        ("draft", "k"): 0.5,
    }


def test_who_says_it_again_is_counted_once_and_may_change_his_mind() -> None:
    learning, records = watched(half_life=1e9), [call(1, quality=None)]
    up = Credit(run_id="r1", node="draft", score=1.0, weight=1.0)
    down = replace(up, score=0.0)
    learning.credit(Revision(now=(up,)), records)
    for _ in range(50):
        learning.credit(Revision(now=(up,), before=(up,)), records)
    assert learning.evidence()["draft", "m"] == Evidence(good=1.0, bad=0.0)
    learning.credit(Revision(now=(down,), before=(up,)), records)
    found = learning.evidence()["draft", "m"]
    assert (found.good, found.bad) == pytest.approx((0.0, 1.0))


def test_a_change_of_mind_is_no_drift() -> None:
    learning = watched(half_life=1e9)
    up = [Credit(run_id=f"r{n}", node="draft", score=1.0, weight=1.0) for n in range(200)]
    for n, said in enumerate(up):
        learning.credit(Revision(now=(said,)), [call(n, quality=None)])
    for n, said in enumerate(up):
        revised = Revision(now=(replace(said, score=0.0),), before=(said,))
        learning.credit(revised, [call(n, quality=None)])
    assert learning.alarms == ()
    found = learning.evidence()["draft", "m"]
    assert (found.good, found.bad) == pytest.approx((0.0, 200.0), abs=1e-3)


def test_what_is_taken_back_never_leaves_less_than_nothing() -> None:
    answers = Answers({}, half_life=10)
    answers.add("draft", "m", 1.0)
    for _ in range(20):
        answers.add("draft", "m", 0.0)
    answers.take_back("draft", "m", 1.0)
    answers.take_back("draft", "m", 1.0)
    answers.take_back("draft", "new", 0.5, 0.5)
    assert answers.evidence()["draft", "m"].good == 0.0
    assert answers.count("draft", "new") == 0.0


def test_planning_again_gets_rarer_as_answers_add_up() -> None:
    learning = watched(half_life=1e9)
    plans = []
    for n in range(4000):
        learning.note(call(n, quality=float(n % 3 != 0)))
        if learning.is_due():
            plans.append(n)
    assert plans[0] == 19
    assert len(plans) < 60
    assert plans[-1] - plans[-2] > 300


@pytest.mark.parametrize(
    "options",
    [
        {"explore_share": 0.6},
        {"explore_share": -0.1},
        {"explore_share": True},
        {"half_life": 0},
        {"replan_after": 0},
        {"half_life_days": math.nan},
        {"on_drift": 3},
        {"shadow": "yes"},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=f"Learn {next(iter(options))}="):
        Learn(**options)


def test_bad_detector_options_are_refused() -> None:
    with pytest.raises(InvalidValue, match="threshold"):
        page_hinkley.build(threshold=0)
    with pytest.raises(InvalidValue, match="delta"):
        adwin.build(delta=1.0)


def test_the_moment_of_a_change_is_told() -> None:
    """Where river's test only says that there was one, ours says when."""
    off = []
    for seed in range(40):
        random, detector = Random(f"when {seed}"), page_hinkley.build()
        for n in range(2000):
            shift = detector.update(random.gauss(0.0 if n < 1000 else 1.0, 0.5))
            if shift is not None:
                off.append(abs((n + 1 - shift.since) - 1000))
                break
    assert len(off) == 40
    assert sorted(off)[20] <= 5


def test_it_agrees_with_rivers_test_on_the_same_standardized_values() -> None:
    """river's `PageHinkley` on values that are standardized beforehand finds the same changes."""
    drift = pytest.importorskip("river.drift")
    ours, theirs = [], []
    for seed in range(30):
        random = Random(f"river {seed}")
        values = [random.gauss(0.0 if n < 500 else 1.2, 1.0) for n in range(700)]
        detector = page_hinkley.build()
        reference = drift.PageHinkley(min_instances=40, delta=0.35, threshold=20.0, alpha=1.0)
        ours.append(next((n for n, x in enumerate(values) if detector.update(x)), None))
        found = None
        for n, x in enumerate(values):
            reference.update(x)
            if reference.drift_detected:
                found = n
                break
        theirs.append(found)
    assert all(
        a is not None and b is not None and abs(a - b) <= 12
        for a, b in zip(ours, theirs, strict=True)
    )
