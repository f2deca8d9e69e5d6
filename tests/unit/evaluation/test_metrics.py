from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import InvalidValue
from graphroute.evaluation.metrics import best_curve, decile_curve, exact_curve, interval
from graphroute.ir.problem import Floats


def outcomes(n: int = 400, seed: int = 0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    return (random.random(n) < 0.6).astype(float), (random.random(n) < 0.85).astype(float)


def reference(score: Floats, weak: Floats, strong: Floats) -> float:
    """APGR straight from its definition in RouteLLM's evaluation, with areas of its own."""
    edges = np.quantile(score, np.linspace(0, 1, 11))
    points = []
    for i, edge in enumerate(edges):
        chosen = score >= edge if i < 10 else score > edge
        points.append((100 * chosen.mean(), np.where(chosen, strong, weak).mean()))
    points.sort(key=lambda point: point[0])
    area = flat = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        area += (x1 - x0) / 100 * (y0 + y1) / 2
        flat += (x1 - x0) / 100
    low, high = weak.mean() * flat, strong.mean() * flat
    return float((area - low) / (high - low))


@given(st.integers(0, 10_000))
def test_deciles_agree_with_the_definition(seed: int) -> None:
    weak, strong = outcomes(300, seed)
    score = np.random.default_rng(seed + 1).random(300)
    if weak.mean() != strong.mean():
        assert decile_curve(score, weak, strong).apgr == pytest.approx(
            reference(score, weak, strong), abs=1e-9
        )


def test_a_constant_score_is_random_routing() -> None:
    weak, strong = outcomes()
    curve = exact_curve(np.zeros(400), weak, strong)
    assert curve.apgr == pytest.approx(0.5)
    assert curve.cpt(0.5) == pytest.approx(0.5)


def test_knowing_the_outcomes_is_best_and_the_reverse_is_worst() -> None:
    weak, strong = outcomes()
    score = np.random.default_rng(5).random(400)
    best, some = best_curve(weak, strong), exact_curve(score, weak, strong)
    worst = exact_curve(weak - strong, weak, strong)
    assert best.apgr > some.apgr > worst.apgr
    assert best.apgr > 1  # mixing beats the strong model, which is wrong where the weak is right


def test_ties_are_broken_evenly_whatever_the_order() -> None:
    weak, strong = outcomes()
    score = np.round(np.random.default_rng(2).random(400), 1)
    order = np.argsort(strong - weak)
    one = exact_curve(score, weak, strong).apgr
    other = exact_curve(score[order], weak[order], strong[order]).apgr
    assert one == pytest.approx(other)


def test_shares_for_parts_of_the_gap() -> None:
    weak, strong = np.zeros(4), np.array([1.0, 1.0, 0.0, 0.0])
    curve = exact_curve(np.array([4.0, 3.0, 2.0, 1.0]), weak, strong)
    assert curve.share_for(0.5) == pytest.approx(0.25)
    assert curve.share_for(1.0) == pytest.approx(0.5)
    assert curve.apgr == pytest.approx(0.75)


def test_models_that_do_equally_well_have_no_gap() -> None:
    assert np.isnan(exact_curve(np.arange(3.0), np.ones(3), np.ones(3)).apgr)


def test_the_interval_holds_the_value_and_is_reproducible() -> None:
    weak, strong = outcomes()
    score = np.random.default_rng(3).random(400)
    low, high = interval(lambda *a: decile_curve(*a).apgr, score, weak, strong, resamples=100)
    assert low < decile_curve(score, weak, strong).apgr < high
    again = interval(lambda *a: decile_curve(*a).apgr, score, weak, strong, resamples=100)
    assert (low, high) == again


@pytest.mark.parametrize("bad", [np.array([]), np.array([np.nan, 1.0]), np.array([1.0])])
def test_scores_that_do_not_fit_are_refused(bad: Floats) -> None:
    with pytest.raises(InvalidValue):
        decile_curve(bad, np.zeros(2), np.ones(2))
