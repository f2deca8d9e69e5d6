"""What earlier runs say of how sure a model was."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from graphroute.ir.feedback import Credit
from graphroute.ir.record import AFTER_REFUSAL, CallRecord
from graphroute.ir.sureness import USUAL, Curve
from graphroute.ir.verdict import Verdict
from graphroute.learners._sureness import ENOUGH, Pair, curves, fit, pairs_of


def call(run: str = "r", *, score: float | None = 0.9, **more: object) -> CallRecord:
    sure = Verdict(score=score, passed=True, source="confidence")
    plain = CallRecord(
        run_id=run,
        node="n",
        step=1,
        planned="m",
        model="m",
        why="plan",
        own_model="m",
        in_tokens=10,
        out_tokens=5,
        is_estimated=False,
        cost_nano=1,
        baseline_nano=None,
        started_s=0.0,
        took_s=0.1,
        verdicts=(sure,),
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name


def said(score: float, run: str = "r", weight: float = 1.0) -> tuple[Credit, str]:
    return Credit(run_id=run, node="n", score=score, weight=weight), "m"


def drawn(curve: Curve, count: int, *, node: str = "n", seed: int = 3) -> list[Pair]:
    draw = random.Random(seed)
    scores = [draw.uniform(0.05, 0.99) for _ in range(count)]
    return [
        Pair(node=node, model="m", score=s, good=float(draw.random() < curve(s))) for s in scores
    ]


def test_feedback_is_of_the_answer_that_was_seen_and_not_of_a_refused_one() -> None:
    refused = call(model="cheap", score=0.2)
    after = call(why=f"{AFTER_REFUSAL}cheap", score=0.8)
    (pair,) = pairs_of([refused, after], [said(1.0)])
    assert (pair.model, pair.score, pair.good) == ("m", 0.8, 1.0)
    unknown = [(credit, "") for credit, _ in [said(1.0)]]
    assert [p.model for p in pairs_of([refused, after], unknown)] == ["m"]


def test_a_verdict_on_several_answers_is_shared_out() -> None:
    visits = [call(iteration=1, score=0.3), call(iteration=2, score=0.6)]
    pairs = pairs_of(visits, [said(0.0, weight=0.5)])
    assert [(p.score, p.weight) for p in pairs] == [(0.3, 0.25), (0.6, 0.25)]


def test_a_reference_is_as_good_as_feedback() -> None:
    right = Verdict(score=1.0, passed=True, source="reference")
    known = call(verdicts=(right, Verdict(score=0.7, passed=True, source="confidence")))
    assert [(p.score, p.good) for p in pairs_of([known], [])] == [(0.7, 1.0)]


@pytest.mark.parametrize(
    "more",
    [{"error": "TimeoutError"}, {"cache": "memory"}, {"score": None}, {"verdicts": ()}],
    ids=["failed", "from a cache", "open", "unchecked"],
)
def test_what_shows_nothing_is_left_out(more: dict[str, object]) -> None:
    assert not pairs_of([call(**more)], [said(1.0)])  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "true", [Curve(shift=-2.0, slope=1.5), Curve(shift=1.0, slope=0.3)], ids=["steep", "flat"]
)
def test_many_answers_give_the_curve_they_were_drawn_from(true: Curve) -> None:
    found = fit(drawn(true, 4000))
    for score in (0.2, 0.5, 0.8, 0.95):
        assert found(score) == pytest.approx(true(score), abs=0.05)


def test_few_answers_move_the_usual_curve_and_do_not_overturn_it() -> None:
    good = [Pair(node="n", model="m", score=0.9, good=1.0)] * 2
    assert USUAL(0.9) < fit(good)(0.9) < 0.97


def test_where_being_sure_speaks_against_an_answer_it_says_nothing() -> None:
    backwards = [replace(p, good=1 - p.good) for p in drawn(Curve(shift=0.0, slope=2.0), 2000)]
    found = fit(backwards)
    assert found.slope == 0.0
    share = sum(p.good for p in backwards) / len(backwards)
    assert found(0.1) == found(0.9) == pytest.approx(share, abs=0.01)


def test_a_node_without_answers_of_its_own_takes_those_of_its_class() -> None:
    many = drawn(Curve(shift=-2.0, slope=1.0), 400, node="a")
    other = drawn(Curve(shift=2.0, slope=1.0), 400, node="d", seed=4)
    found = curves([*many, *other], {"a": "text", "b": "text", "c": "tools", "d": "text"})
    assert set(found) == {("a", "m"), ("b", "m"), ("d", "m")}
    assert found["a", "m"](0.5) < found["b", "m"](0.5) < found["d", "m"](0.5)


def test_below_enough_answers_there_is_no_curve() -> None:
    few = drawn(USUAL, int(ENOUGH) - 1)
    assert not curves(few, {"n": "text"})
    assert curves([*few, few[0]], {"n": "text"})
