"""Lagrangian relaxation: prices for money and time, a proven bound, and a repaired assignment.

With a price λ per USD and μ per second the groups come apart, and for all λ, μ ≥ 0

    L(λ, μ) = Σ_g max_o (value − λ·cost − μ·time) + λ·B + μ·D  ≥  the best feasible value

so the smallest L is the bound (M. L. Fisher, The Lagrangian Relaxation Method, Management Science
27(1), 1981). L is convex: bisection on its slope finds λ, and coordinate steps find μ. What the
prices pick on the feasible side is then improved by the swaps that give most value per slack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.problem import SLACK, Floats
from graphroute.solvers._choices import Choices

Options = NDArray[np.intp]
BISECTIONS = 40
ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Priced:
    """The bound with its prices, and the best assignment met (None if none was feasible)."""

    bound: float
    cost_price: float
    time_price: float
    options: Options | None
    value: float


def limit(value: float | None) -> float:
    """A limit with its tolerance; infinite where there is none."""
    return np.inf if value is None else value * (1 + SLACK) + 1e-15


def solve(choices: Choices, budget: float | None, deadline: float | None) -> Priced:
    """Bound and repaired assignment under up to two limits."""
    best: list[tuple[float, Options]] = []
    cap_c, cap_t = limit(budget), limit(deadline)
    lam = mu = 0.0
    bound = np.inf
    prices = (0.0, 0.0)

    def visit(a: float, b: float) -> tuple[float, float]:
        """Note the bound at these prices; return the spend and time they lead to."""
        nonlocal bound, prices
        score = _score(choices, a, b)
        picked = score.argmax(axis=1)
        rows = np.arange(len(picked))
        spent = float(choices.cost[rows, picked].sum())
        took = float(choices.time[rows, picked].sum())
        total = float(score[rows, picked].sum())
        total += a * budget if budget is not None and a else 0.0
        total += b * deadline if deadline is not None and b else 0.0
        if total < bound - 1e-15:
            bound, prices = total, (a, b)
        if spent <= cap_c and took <= cap_t:
            best.append((float(choices.value[rows, picked].sum()), picked))
        return spent, took

    spent, took = visit(0.0, 0.0)
    if spent > cap_c or took > cap_t:
        exact = 1e-10 if deadline is None or budget is None else 1e-5
        for _ in range(ROUNDS if deadline is not None and budget is not None else 1):
            before = (lam, mu)
            if budget is not None:
                lam = _price(lambda a: visit(a, mu)[0] <= cap_c, lam, exact)  # noqa: B023
            if deadline is not None:
                mu = _price(lambda b: visit(lam, b)[1] <= cap_t, mu, exact)  # noqa: B023
            if max(abs(lam - before[0]), abs(mu - before[1])) <= 1e-4 * max(lam, mu, 1e-9):
                break
    for start in _starts(choices):
        rows = np.arange(len(start))
        if choices.cost[rows, start].sum() <= cap_c and choices.time[rows, start].sum() <= cap_t:
            best.append((float(choices.value[rows, start].sum()), start))
    if not best:
        return Priced(
            bound=bound,
            cost_price=prices[0],
            time_price=prices[1],
            options=None,
            value=-np.inf,
        )
    options = improve(choices, max(best, key=lambda b: b[0])[1], cap_c, cap_t)
    value = float(choices.value[np.arange(len(options)), options].sum())
    return Priced(
        bound=max(bound, value),
        cost_price=prices[0],
        time_price=prices[1],
        options=options,
        value=value,
    )


def _score(choices: Choices, lam: float, mu: float) -> Floats:
    score = choices.value
    if lam:
        score = score - lam * choices.cost
    if mu:
        score = score - mu * choices.time
    return score


def _price(is_kept: Callable[[float], bool], near: float, exact: float) -> float:
    """Smallest price at which `is_kept(price)`, to a relative `exact`; 0 if the limit is slack.

    `near` is where to look first: prices move little from round to round.
    """
    if is_kept(0.0):
        return 0.0
    low, high, grow = 0.0, near * 1.05 or 1.0, 1.1 if near else 8.0
    for _ in range(80):
        if is_kept(high):
            break
        low, high, grow = high, high * grow, min(grow**2, 8.0)
    else:
        return 0.0  # no price helps: this limit cannot be kept at all
    if near and low == 0.0 and not is_kept(near / 1.05):
        low = near / 1.05
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if is_kept(middle):
            high = middle
        else:
            low = middle
        if high - low <= exact * high:
            break
    return high


def _starts(choices: Choices) -> tuple[Options, ...]:
    exists = np.isfinite(choices.value)
    cheapest = np.where(exists, choices.cost, np.inf).argmin(axis=1)
    quickest = np.where(exists, choices.time, np.inf).argmin(axis=1)
    return cheapest, quickest


def improve(choices: Choices, options: Options, cap_c: float, cap_t: float) -> Options:
    """Take the swap with the most value per unit of slack used until none fits."""
    options = options.copy()
    rows = np.arange(len(options))
    for _ in range(4 * len(options) + 16):
        gain = choices.value - choices.value[rows, options][:, None]
        more_c = choices.cost - choices.cost[rows, options][:, None]
        more_t = choices.time - choices.time[rows, options][:, None]
        left_c = cap_c - choices.cost[rows, options].sum()
        left_t = cap_t - choices.time[rows, options].sum()
        fits = (gain > 1e-12) & (more_c <= left_c) & (more_t <= left_t)
        if not fits.any():
            break
        used = np.full_like(gain, 1e-12)
        if np.isfinite(left_c):
            used += np.maximum(more_c, 0) / max(left_c, 1e-15)
        if np.isfinite(left_t):
            used += np.maximum(more_t, 0) / max(left_t, 1e-15)
        with np.errstate(invalid="ignore"):
            ratio = np.where(fits, gain / used, -np.inf)
        g, o = np.unravel_index(int(ratio.argmax()), ratio.shape)
        options[g] = o
    return options


def cheapen(choices: Choices, options: Options) -> Options:
    """Of options equal in value and no slower, the cheapest, then the first in order."""
    rows = np.arange(len(options))
    value = choices.value[rows, options][:, None]
    same = choices.value >= value - 1e-12 * np.maximum(1.0, np.abs(value))
    same &= choices.time <= choices.time[rows, options][:, None] + 1e-12
    cost = np.where(same, choices.cost, np.inf)
    cheapest: Options = (cost <= cost.min(axis=1)[:, None] + 1e-15).argmax(axis=1)
    return cheapest
