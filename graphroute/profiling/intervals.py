"""95 % intervals for the figures of a profile, which are of a few calls each.

| figure | interval |
|---|---|
| share of good answers | Wilson's score interval (E. B. Wilson, JASA 22, 1927), good with few |
| mean cost, tokens, seconds | of a log-normal's mean (Cox's method: X.-H. Zhou, S. Gao, 1997) |
| mean difference of pairs | with half a pair won and lost added (A. Agresti, Y. Min, 2005) |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphroute.ir.intervals import Z95, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over `count` values with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int


def share(scores: Sequence[float]) -> Estimate | None:
    """Mean of scores in [0, 1]; None of none.

    >>> found = share([1, 1, 1, 1, 0])
    >>> found.mean, round(found.low, 2), round(found.high, 2)
    (0.8, 0.38, 0.96)
    """
    n = len(scores)
    if not n:
        return None
    p = sum(scores) / n
    low, high = wilson(p, n)
    return Estimate(mean=p, low=low, high=high, count=n)


def amount(values: Sequence[float]) -> Estimate | None:
    """Mean of amounts ≥ 0; None of none. One value says nothing of how they vary: up to infinity.

    >>> found = amount([1.0, 2.0, 4.0])
    >>> round(found.mean, 2), found.low < found.mean < found.high, amount([0.0, 0.0]).high
    (2.33, True, 0.0)
    """
    n = len(values)
    if not n:
        return None
    mean = sum(values) / n
    if mean <= 0 or min(values) == max(values):
        high = math.inf if n == 1 and mean > 0 else mean
        return Estimate(mean=mean, low=0.0 if n == 1 else mean, high=high, count=n)
    # A zero among them (an answer without tokens) has no logarithm; it counts as very little.
    logs = [math.log(max(value, mean * 1e-3)) for value in values]
    center = sum(logs) / n
    spread = sum((x - center) ** 2 for x in logs) / (n - 1)
    half = _student(n - 1) * math.sqrt(spread / n + spread**2 / (2 * (n - 1)))
    middle = center + spread / 2
    low, high = math.exp(middle - half), math.exp(min(700.0, middle + half))
    return Estimate(mean=mean, low=min(low, mean), high=max(high, mean), count=n)


def difference(changes: Sequence[float]) -> Estimate | None:
    """Mean of paired differences in [−1, 1]; None of none.

    >>> found = difference([0.0] * 8)
    >>> found.mean, round(found.low, 2), round(found.high, 2)
    (0.0, -0.2, 0.2)
    """
    n = len(changes)
    if not n:
        return None
    # One pair of no change, half a pair each of the most there can be: no sample is sure of itself.
    center = sum(changes) / (n + 2)
    squares = sum((x - center) ** 2 for x in changes) + center**2
    squares += 0.5 * ((1 - center) ** 2 + (1 + center) ** 2)
    half = Z95 * math.sqrt(squares / (n + 2) / (n + 2))
    mean = sum(changes) / n
    low, high = min(mean, center - half), max(mean, center + half)
    return Estimate(mean=mean, low=max(-1.0, low), high=min(1.0, high), count=n)


def _student(degrees: int) -> float:
    """The 97.5 % quantile of Student's distribution (Abramowitz and Stegun, 26.7.5).

    >>> round(_student(4), 2), round(_student(30), 2)
    (2.77, 2.04)
    """
    if degrees == 1:
        return 12.706
    if degrees == 2:
        return 4.303
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum((term / degrees ** (k + 1) for k, term in enumerate(terms)), 0.0)
