"""What routing saved, against the same calls on the graph's own models.

The baseline prices the tokens that were really used at the own model's price. Another model may
answer longer or shorter, so it is an estimate of what the original would have cost, and said to be
one. Where a check refused an answer and another was asked for, the original would have asked once:
the baseline is that of the first call, and the others are cost alone.

Runs differ from one another, so the saving of a run comes with an interval: the percentile
bootstrap over runs (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord

RESAMPLES = 1000
MAX_BOOTSTRAP = 2_000
"""Above this many runs the normal interval is the same to the digits shown, and much faster."""

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
        if (instead := record.instead_nano) is None:
            continue
        compared += 1
        spent += record.cost_nano
        baseline += instead
        gain = instead - record.cost_nano
        by_run[record.run_id] = by_run.get(record.run_id, 0) + gain
    return summed(
        compared=compared,
        left_out=len(records) - compared,
        spent_nano=spent,
        baseline_nano=baseline,
        gains_nano=list(by_run.values()),
        seed=seed,
    )


def summed(
    *,
    compared: int,
    left_out: int,
    spent_nano: int,
    baseline_nano: int,
    gains_nano: Sequence[int],
    every: int = 1,
    seed: int = 0,
) -> Saving | None:
    """The saving from sums over calls and the gains of runs, or of every `every`-th run."""
    if not compared:
        return None
    saved = (baseline_nano - spent_nano) / NANO
    per_run = saved / max(1, len(gains_nano) * every)
    if every == 1 and len(gains_nano) <= MAX_BOOTSTRAP:
        low, high = _interval(gains_nano, random.Random(seed))
    else:
        half = half_width_usd(
            len(gains_nano),
            sum(gains_nano) / NANO,
            sum((gain / NANO) ** 2 for gain in gains_nano),
        )
        # The mean over sampled runs has the wider interval; that over all runs is what is shown.
        low, high = per_run - half / math.sqrt(every), per_run + half / math.sqrt(every)
    return Saving(
        compared_calls=compared,
        left_out_calls=left_out,
        spent_usd=spent_nano / NANO,
        baseline_usd=baseline_nano / NANO,
        saved_usd=saved,
        share=(baseline_nano - spent_nano) / baseline_nano if baseline_nano else None,
        per_run_usd=per_run,
        low_usd=low,
        high_usd=high,
    )


def half_width_usd(runs: int, total: float, squares: float) -> float:
    """Half the 95 % interval of a mean over runs: 1.96 standard errors.

    What the bootstrap comes to for many runs, by the central limit theorem (ibid., ch. 12 and 13).

    >>> round(half_width_usd(100, 50.0, 50.0), 4)
    0.0985
    """
    if runs < 2:
        return math.inf
    variance = max(0.0, squares - total * total / runs) / (runs - 1)
    return 1.96 * math.sqrt(variance / runs)


def _interval(gains: Sequence[int], draw: random.Random) -> tuple[float | None, float | None]:
    if len(gains) < MIN_RUNS:
        return None, None
    pool = sorted(gains)  # so that the order of the runs does not matter
    means = sorted(sum(draw.choices(pool, k=len(pool))) for _ in range(RESAMPLES))
    low, high = means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]
    return low / len(gains) / NANO, high / len(gains) / NANO
