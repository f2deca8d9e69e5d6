"""Answers after a refusal count as far as they say something of the usual questions."""

from __future__ import annotations

import numpy as np
import pytest

from graphroute.ir.learning import Learn
from graphroute.ir.record import AFTER_REFUSAL, ONCE_MORE, CallRecord
from graphroute.learners._loop import Learning
from graphroute.learners._refused import ACCEPTED, RATIO, Refused
from graphroute.learners._sums import parts_of
from graphroute.planning.retries import SPREAD, CheckRates, after_refusals, by_hardness
from tests.unit.learners.test_learning_parts import call

AGAIN = f"{AFTER_REFUSAL}m"


def refusals(count: int, quality: float, *, first: float = 0.0) -> list[CallRecord]:
    """Questions on which `m` has this score, and `k`, asked after it, that quality."""
    return [
        each
        for i in range(count)
        for each in (call(i, quality=first), call(i, model="k", why=AGAIN, quality=quality))
    ]


@pytest.mark.parametrize(("accepted", "ratio"), list(zip(ACCEPTED, RATIO, strict=True)))
def test_the_factors_are_those_of_the_model_that_plans_cascades(
    accepted: float, ratio: float
) -> None:
    success = by_hardness(np.array([accepted, 0.75]))
    after = float(after_refusals((0,), success, CheckRates(), 0.0)[1])
    assert after / (1 - after) / 3 == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize(
    "rates",
    [CheckRates(), CheckRates(passes_good=1, passes_bad=0)],
    ids=["usual", "never wrong"],
)
@pytest.mark.parametrize("first", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("second", [0.5, 0.7, 0.9])
def test_harder_questions_tell_the_usual_score_and_never_too_high_a_one(
    first: float, second: float, rates: CheckRates
) -> None:
    draw = np.random.default_rng(7)
    z = draw.standard_normal(8000)
    verdicts = []
    for q in (first, second):
        at = np.linspace(-12, 12, 301)
        means = [float((1 / (1 + np.exp(SPREAD * z - a))).mean()) for a in at]
        right = draw.random(z.size) < 1 / (1 + np.exp(SPREAD * z - np.interp(q, means, at)))
        passes = np.where(right, rates.passes_good, rates.passes_bad)
        verdicts.append(draw.random(z.size) < passes)
    records = []
    for i, (one, two) in enumerate(zip(*verdicts, strict=True)):
        records.append(call(i, quality=float(one)))
        if not one:
            records.append(call(i, model="k", why=AGAIN, quality=float(two)))
    [part] = parts_of(records)
    sums = {s.model: s for s in part.sums}
    usual, plain = float(verdicts[1].mean()), float(verdicts[1][~verdicts[0]].mean())
    found = sums["k"].good / sums["k"].answers
    # The factors are those of a usual check; one that is never wrong selects more sharply.
    assert plain < found < usual + 0.06
    assert usual - found < 0.6 * (usual - plain) + 0.02
    assert sums["k"].answers <= (~verdicts[0]).sum()


def test_right_answers_count_whole_and_wrong_ones_the_less_the_seldomer_the_first_is_refused() -> (
    None
):
    [part] = parts_of(refusals(48, 1.0))
    by_model = {s.model: (s.good, s.bad) for s in part.sums}
    assert by_model == {"m": (0.0, 48.0), "k": (48.0, 0.0)}
    wrong = []
    for accepted in (0.0, 0.3, 0.9):
        [part] = parts_of(refusals(40, 0.0, first=accepted))
        wrong.append(next(s.bad for s in part.sums if s.model == "k"))
    assert 40 > wrong[0] > wrong[1] > wrong[2] > 10


@pytest.mark.parametrize("why", [AGAIN, f"{ONCE_MORE}3 answers, to see whether they agree"])
def test_a_model_that_is_asked_again_is_no_second_opinion(why: str) -> None:
    records = [call(1, quality=0.0), call(1, why=why, quality=1.0)]
    [part] = parts_of(records)
    assert [(s.model, s.good, s.bad, s.cost_nano.count) for s in part.sums] == [("m", 0, 1, 2)]


def test_what_is_learnt_while_running_is_what_the_records_say_later() -> None:
    records = refusals(200, 1.0) + refusals(100, 0.0)
    learning = Learning(Learn(half_life=1e9), start={}, refused=Refused(records))
    for record in records:
        learning.note(record)
    [part] = parts_of(records)
    for sums in part.sums:
        found = learning.evidence()["draft", sums.model]
        assert found.good == pytest.approx(sums.good, rel=0.02)
        assert found.bad == pytest.approx(sums.bad, rel=0.02)
