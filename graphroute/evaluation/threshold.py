"""The threshold on a router's score that sends a wanted share of prompts to the strong model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.intervals import wilson
from graphroute.ir.problem import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Prompts with a score ≥ threshold go to the strong model.

    share: of the prompts it was found on; low, high: 95 % for further prompts of their kind
    """

    threshold: float
    share: float
    low: float
    high: float


def threshold_for(scores: Sequence[float] | Floats, share: float) -> Threshold:
    """The threshold whose share of prompts at or above it is closest to `share`, in [0, 1].

    >>> threshold_for([0.1, 0.2, 0.3, 0.4], 0.5).threshold
    0.3
    """
    if not 0 <= share <= 1:
        raise InvalidValue(f"share {share!r}", value=share, next_step="use a number in [0, 1]")
    values = np.sort(np.asarray(scores, dtype=np.float64))[::-1]
    n = len(values)
    if not n or not np.isfinite(values).all():
        raise InvalidValue(f"{n} scores to calibrate on", next_step="give at least one prompt")
    # Only at a change of value can the share change: ties go together.
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) + 1
    counts = np.concatenate(([0], ends))
    best = int(counts[np.argmin(np.abs(counts - share * n))])
    threshold = float(values[best - 1]) if best else float(np.nextafter(values[0], math.inf))
    reached = best / n
    low, high = wilson(reached, n)
    return Threshold(threshold=threshold, share=reached, low=low, high=high)


def share_for_budget(budget_usd: float, *, strong_usd: float, weak_usd: float = 0.0) -> float:
    """The largest share of strong calls that a mean price per prompt allows, in [0, 1].

    >>> share_for_budget(0.004, strong_usd=0.01, weak_usd=0.0)
    0.4
    """
    if strong_usd <= weak_usd:
        raise InvalidValue(
            f"a strong call for {strong_usd!r} and a weak one for {weak_usd!r}",
            next_step="the strong call must be the dearer one",
        )
    if budget_usd < weak_usd:
        raise InvalidValue(
            f"budget {budget_usd!r} is below the price of a weak call, {weak_usd!r}",
            value=budget_usd,
            limit=weak_usd,
            next_step=f"give at least {weak_usd!r}",
        )
    return min((budget_usd - weak_usd) / (strong_usd - weak_usd), 1.0)
