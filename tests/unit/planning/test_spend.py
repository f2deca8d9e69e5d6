"""The tail of a run's cost: how far cascades go belongs to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.planning import spend
from graphroute.planning.simulated import Runs

SCORE = StepScore(difficulty=0.5, low=0.4, high=0.6, reason="")
DRAWN = 4000
ONE = Profile(
    nodes=(NodeProfile(node="n", score=SCORE, visits=1, visits_p95=1, visits_max=1),), scorer="none"
)


def runs() -> Runs:
    return Runs(visits=np.ones((DRAWN, 1)), growth=np.ones((DRAWN, 1)))


def test_a_rare_dear_model_of_a_cascade_is_in_the_tail() -> None:
    steps = spend.Steps(reach=(1.0, 0.1), usd=(0.01, 1.0))
    mean = 0.01 + 0.1 * 1.0
    flat = spend.p95_usd(runs(), ONE, [mean], 0)
    drawn = spend.p95_usd(runs(), ONE, [mean], 0, {0: steps})
    # One run in ten asks the dear model, so one in twenty costs at least its median price, which
    # is exp(−σ²/2) of its mean.
    assert flat < 0.3
    assert drawn > 0.75


def test_drawing_a_cascade_keeps_its_mean() -> None:
    steps = spend.Steps(reach=(1.0, 0.4, 0.1), usd=(1.0, 2.0, 4.0))
    off = spend._off_mean(np.full(DRAWN, 3.0), steps, np.random.default_rng(0))
    # The variance of a visit is at most (2 + 4)², so four standard errors are this.
    assert off.mean() == pytest.approx(0.0, abs=4 * 6 * math.sqrt(3 / DRAWN))
    assert off.min() >= -3 * (0.4 * 2.0 + 0.1 * 4.0) - 1e-12
