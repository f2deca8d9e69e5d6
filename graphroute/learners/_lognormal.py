"""Cost, latency and tokens: the posterior of a log-normal figure, from its sums.

The logarithm is normal with unknown mean and variance under a normal-gamma prior (K. P. Murphy,
Conjugate Bayesian analysis of the Gaussian distribution, 2007, §3), so its mean has a Student
distribution; its quantiles by Abramowitz and Stegun, 26.7.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from graphroute.ir.learned import Moments

TRUST: Final = 4.0
"""Calls that a prior value is worth."""

SPREAD: Final = 0.7
"""Standard deviation of the logarithm before any call: a factor of two either way."""

_Z90: Final = 1.6449


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure's geometric mean with its 90 % interval, in its own unit; calls behind it."""

    typical: float
    low: float
    high: float
    calls: float


def posterior(seen: Moments, *, prior: float | None = None) -> Figure | None:
    """What is known of a figure; None where there is neither a call nor a prior (> 0).

    >>> found = posterior(Moments.of(3.0).joined(Moments.of(3.0), weight=99.0))
    >>> round(found.typical, 2), found.low < 3.0 < found.high
    (3.0, True)
    """
    trust = TRUST if prior is not None and prior > 0 else 0.0
    count = trust + seen.count
    if count <= 0:
        return None
    start = math.log(prior) if trust and prior is not None else 0.0
    mean = (trust * start + seen.total) / count
    # Normal-gamma: shape and rate of the precision, the prior's worth 2 calls of `SPREAD`.
    shape = 1.0 + seen.count / 2
    inside = max(0.0, seen.squares - seen.total**2 / seen.count) if seen.count > 0 else 0.0
    between = 0.0
    if trust and seen.count > 0:
        between = trust * seen.count / count * (seen.total / seen.count - start) ** 2
    rate = SPREAD**2 + (inside + between) / 2
    half = _student(_Z90, 2 * shape) * math.sqrt(rate / (shape * count))
    return Figure(
        typical=math.exp(mean),
        low=math.exp(mean - half),
        high=math.exp(mean + half),
        calls=seen.count,
    )


def _student(z: float, degrees: float) -> float:
    """The quantile of Student's distribution at the normal quantile z."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
