"""What routing saved, against the same calls on the graph's own models.

The baseline prices the tokens that were really used at the own model's price. Another model may
answer longer or shorter, so it is an estimate of what the original would have cost, and said to be
one. Runs differ from one another, so the saving of a run comes with an interval: the percentile
bootstrap over runs (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord

RESAMPLES = 1000
MIN_RUNS = 5
"""Below this the bootstrap's interval is much too narrow, so none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Cost against the graph's own models, over the calls whose own model has a known price.

    compared_calls: these calls; left_out_calls: the ones without a known price
    spent_usd, baseline_usd: of the compared calls; `baseline_usd` is an estimate
    saved_usd: baseline − spent, below 0 where routing cost more; share: of the baseline, None if 0
    low_usd, high_usd: 95 % interval of the saving per run, None below `MIN_RUNS` runs
    """

    compared_calls: int
    left_out_calls: int
    spent_usd: float
    baseline_usd: float
    saved_usd: float
    share: float | None
    per_run_usd: float
    low_usd: float | None
    high_usd: float | None


def saving(records: Sequence[CallRecord], *, seed: int = 0) -> Saving | None:
    """The saving over `records`; None where no call has a known baseline."""
    by_run: dict[str, int] = {}
    spent = baseline = compared = 0
    for record in records:
        if record.baseline_nano is None:
            continue
        compared += 1
        spent += record.cost_nano
        baseline += record.baseline_nano
        gain = record.baseline_nano - record.cost_nano
        by_run[record.run_id] = by_run.get(record.run_id, 0) + gain
    if not compared:
        return None
    low, high = _interval(list(by_run.values()), random.Random(seed))
    return Saving(
        compared_calls=compared,
        left_out_calls=len(records) - compared,
        spent_usd=spent / NANO,
        baseline_usd=baseline / NANO,
        saved_usd=(baseline - spent) / NANO,
        share=(baseline - spent) / baseline if baseline else None,
        per_run_usd=(baseline - spent) / len(by_run) / NANO,
        low_usd=low,
        high_usd=high,
    )


def _interval(gains: Sequence[int], draw: random.Random) -> tuple[float | None, float | None]:
    if len(gains) < MIN_RUNS:
        return None, None
    means = sorted(sum(draw.choices(gains, k=len(gains))) for _ in range(RESAMPLES))
    low, high = means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]
    return low / len(gains) / NANO, high / len(gains) / NANO
