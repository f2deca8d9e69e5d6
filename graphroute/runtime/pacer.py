"""Make a day's or month's budget last: a price on money that rises when runs spend too fast.

First come, first served spends a month's budget in its first days where demand is above it, and
leaves the rest of the month nothing. Pacing gives every run an allowance instead:

    allowance = full / (1 + μ)          full: what the plan expects a dear run to cost

where μ ≥ 0 is the dual price of the period's budget, adapted after each run by what the runs since
the last step spent, against what they should have:

    log(1 + μ) ← max(0, log(1 + μ) + η · (spent − n·ρ) / ρ₀)      η = 1/√N
    ρ = budget left / runs still expected,  ρ₀ = budget / runs expected

That is the adaptive pacing of S. Balseiro and Y. Gur, Learning in Repeated Auctions with Budgets
(Management Science 65:9, 2019), with bids `v / (1 + μ)`; the step is taken in the logarithm, as in
dual mirror descent (S. Balseiro, H. Lu, V. Mirrokni, The Best of Many Worlds, Operations Research
71:1, 2023), and ρ is solved again from what is left, so that errors do not add up. The target is
per run, not per hour, so that a busy hour is not starved and a quiet one not spoiled. The runs N of
the period are expected from those it has had, and from those of the period before:

    N = n + (1 − τ) · (n + k·N′) / (τ + k)       τ: share of the period gone, k = PRIOR_SHARE

>>> pace = Pace()
>>> for spent in range(0, 4_000, 40):      # each run spends twice its share of 1,000 · 2 in all
...     pace = step(pace, spent_nano=spent, limit_nano=4_000, elapsed=spent / 8_000, runs_before=0)
>>> pace.runs, allowance_nano(pace, full_nano=40) < 30
(100, True)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

PRIOR_SHARE: Final = 0.25
"""The runs of the period before count as much as a quarter of this period's own."""

MIN_ELAPSED: Final = 1e-3
"""Share of a period before which its own runs tell no rate: 43 minutes of a month."""

MAX_LOG_PRICE: Final = math.log(1e4)
"""The price stops here, so that it is back within reach when money is there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Where the pacing of one period stands.

    runs: runs begun in the period; seen_nano: its spending at the last step
    log_price: log(1 + μ), ≥ 0; 0 is no pacing
    """

    runs: int = 0
    seen_nano: int = 0
    log_price: float = 0.0


def expected_runs(runs: int, *, elapsed: float, runs_before: int) -> float:
    """Runs the whole period will have, at least those it had and one more.

    >>> expected_runs(50, elapsed=0.5, runs_before=0)
    100.0
    """
    prior = PRIOR_SHARE if runs_before else 0.0
    rate = (runs + prior * runs_before) / (max(elapsed, MIN_ELAPSED) + prior)
    return runs + max(1.0, (1 - elapsed) * rate)


def step(pace: Pace, *, spent_nano: int, limit_nano: int, elapsed: float, runs_before: int) -> Pace:
    """The pace when one more run begins.

    spent_nano: spent in the period so far; elapsed: share of it gone, in [0, 1]
    runs_before: runs of the period before, 0 if unknown
    """
    total = expected_runs(pace.runs, elapsed=elapsed, runs_before=runs_before)
    left = max(1.0, total - pace.runs)
    even = max(limit_nano / total, 1e-9)
    fair = max(0.0, limit_nano - spent_nano) / left
    # A step is the spending of about one run: the run that began at the last step.
    owed = fair if pace.runs else 0.0
    error = (spent_nano - pace.seen_nano - owed) / even
    price = pace.log_price + error / math.sqrt(total)
    return Pace(
        runs=pace.runs + 1,
        seen_nano=spent_nano,
        log_price=min(max(0.0, price), MAX_LOG_PRICE),
    )


def allowance_nano(pace: Pace, *, full_nano: int) -> int | None:
    """What a run may spend at this pace; None where the price is 0 and nothing is held back."""
    if pace.log_price <= 0:
        return None
    return math.floor(full_nano * math.exp(-pace.log_price))
