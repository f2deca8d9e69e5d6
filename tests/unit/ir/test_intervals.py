"""Intervals of shares."""

from __future__ import annotations

import pytest

from graphroute.ir.intervals import Z90, wilson


@pytest.mark.parametrize(("mean", "weight"), [(0.0, 1.0), (1.0, 1.0), (0.5, 0.01), (0.3, 1e6)])
def test_wilson_stays_within_bounds_and_holds_the_mean(mean: float, weight: float) -> None:
    low, high = wilson(mean, weight)
    assert 0.0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1.0


def test_a_wish_for_less_certainty_gives_a_narrower_interval() -> None:
    wide, narrow = wilson(0.8, 10), wilson(0.8, 10, z=Z90)
    assert wide[0] < narrow[0] < 0.8 < narrow[1] < wide[1]
