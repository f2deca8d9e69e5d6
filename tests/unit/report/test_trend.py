"""Trends: where the days are parted, and what an interval of the change holds."""

from __future__ import annotations

import random

import pytest

from graphroute.report.trend import trends
from tests.unit.report.test_span import cell


def test_only_what_has_two_days_has_a_trend() -> None:
    found = trends([cell(), cell(node="b"), cell(node="b", day=20_003), cell(model="m")])
    assert [(t.node, t.model, t.since) for t in found] == [("b", "weak", "2024-10-07")]


def test_halves_are_means_and_add_up_to_all_calls() -> None:
    days = [(20_000, 10, 1_000), (20_001, 10, 3_000), (20_005, 25, 50_000)]
    cells = [cell(day=day, calls=calls, cost_nano=nano, took_s=2.0) for day, calls, nano in days]
    random.Random(0).shuffle(cells)
    (trend,) = trends(cells)
    assert (trend.before.calls, trend.after.calls) == (20, 25)
    assert trend.before.cost_usd == pytest.approx(4_000 / 1e9 / 20)
    assert trend.after.cost_usd == pytest.approx(50_000 / 1e9 / 25)
    assert trend.before.time_s == pytest.approx(0.2)


def test_what_was_not_judged_on_either_side_has_no_change() -> None:
    blank = cell(day=20_001, judged=0.0, quality_sum=0.0, verdicts=0)
    (trend,) = trends([cell(), blank])
    assert (trend.before.quality, trend.after.quality) == (0.8, None)
    assert (trend.change, trend.change_low, trend.change_high) == (None, None, None)


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.9), (0.9, 0.6), (0.5, 0.55), (1.0, 0.97)])
def test_the_interval_of_a_change_holds_it_as_often_as_it_says(before: float, after: float) -> None:
    draw = random.Random(f"{before} {after}")

    def drawn(day: int, share: float) -> float:
        return float(sum(draw.random() < share for _ in range(60)))

    held = 0
    for _ in range(400):
        cells = [
            cell(day=day, judged=60.0, quality_sum=drawn(day, share))
            for day, share in ((20_000, before), (20_001, after))
        ]
        (trend,) = trends(cells)
        assert trend.change_low is not None
        assert trend.change_high is not None
        held += trend.change_low <= after - before <= trend.change_high
    # 95 % of 400, less three standard errors of that.
    assert held >= 367
