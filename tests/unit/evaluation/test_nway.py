from __future__ import annotations

import numpy as np
import pytest

from graphroute.evaluation.nway import cost_at, fixed, gain, hull, routed


def case(seed: int = 0) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...]:
    random = np.random.default_rng(seed)
    chance = random.random((500, 3)) * (0.5, 0.8, 1.0)
    cost = np.broadcast_to((0.001, 0.01, 0.1), chance.shape).copy()
    return chance, (random.random(chance.shape) < chance).astype(float), cost


def test_the_hull_is_concave_and_above_all_points() -> None:
    random = np.random.default_rng(1)
    x, y = random.random(50), random.random(50)
    found = hull(x, y)
    slopes = np.diff(found.quality) / np.diff(found.cost_usd)
    assert (np.diff(slopes) <= 1e-12).all()
    assert (np.diff(found.quality) > 0).all()
    assert (found.at(x[x >= found.cost_usd[0]]) >= y[x >= found.cost_usd[0]] - 1e-12).all()


def test_knowing_nothing_gains_nothing_and_knowing_all_gains_all() -> None:
    chance, correct, cost = case()
    flat = np.broadcast_to(correct.mean(0), correct.shape)
    assert gain(flat, cost, correct, cost).gain == pytest.approx(0.0, abs=1e-6)
    assert gain(correct, cost, correct, cost).gain == pytest.approx(1.0, abs=1e-6)
    assert 0.05 < gain(chance, cost, correct, cost).gain < 0.9


def test_knowing_the_wrong_thing_never_counts_as_a_gain() -> None:
    chance, correct, cost = case()
    assert gain(1 - chance, cost, correct, cost).gain < 0


def test_cost_for_a_quality() -> None:
    _, correct, cost = case()
    base = fixed(correct, cost)
    assert cost_at(base, float(base.quality[0])) == pytest.approx(base.cost_usd[0])
    assert cost_at(base, 2.0) == float("inf")
    best = routed(correct, cost, correct, cost)
    assert cost_at(best, float(base.quality[-1])) < base.cost_usd[-1]
