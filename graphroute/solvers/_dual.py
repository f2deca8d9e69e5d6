"""Lagrangian relaxation: prices for money and time, a proven bound, and a repaired assignment.

With a price λ per USD and μ per second the groups come apart, and for all λ, μ ≥ 0

    L(λ, μ) = Σ_g max_o (value − λ·cost − μ·time) + λ·B + μ·D  ≥  the best feasible value

so the smallest L is the bound (M. L. Fisher, The Lagrangian Relaxation Method, Management Science
27(1), 1981). L is convex: with one limit bisection on its slope finds the price, with two a small
linear program does (`_master`). What the prices pick on the feasible side is then improved by the
swaps that give most value per slack, with two limits also by pairs of swaps (`_pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from graphroute.ir.problem import SLACK, Floats
from graphroute.solvers._choices import Choices
from graphroute.solvers._master import Options, mix
from graphroute.solvers._pairs import search

BISECTIONS = 40
EXACT = 1e-10


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Priced:
    """The bound with its prices, and the best assignment met (None if none was feasible);
    is_infeasible: it was proved that there is none.
    """

    bound: float
    cost_price: float
    time_price: float
    options: Options | None
    value: float
    is_infeasible: bool = False

    def improved(self, choices: Choices, options: Options) -> Priced:
        """The same bound and prices with a better assignment."""
        value = float(choices.value[np.arange(len(options)), options].sum())
        return replace(self, options=options, value=value, bound=max(self.bound, value))


def limit(value: float | None) -> float:
    """A limit with its tolerance; infinite where there is none."""
    return np.inf if value is None else value * (1 + SLACK) + 1e-15


def solve(choices: Choices, budget: float | None, deadline: float | None) -> Priced:
    """Bound and repaired assignment under up to two limits."""
    if budget is not None and deadline is not None:
        return _two(choices, limit(budget), limit(deadline))
    return _one(choices, budget, deadline)


def _two(choices: Choices, cap_c: float, cap_t: float) -> Priced:
    found = mix(choices, cap_c, cap_t)
    prices = (found.cost_price, found.time_price)
    if found.is_infeasible:
        return _priced(choices, found.bound, prices, None, is_infeasible=True)
    options = search(choices, found, cap_c, cap_t)
    rows = np.arange(len(choices.value))
    fitting = [
        start
        for start in (*_starts(choices), *(() if options is None else (options,)))
        if choices.cost[rows, start].sum() <= cap_c and choices.time[rows, start].sum() <= cap_t
    ]
    best = max(fitting, key=lambda o: float(choices.value[rows, o].sum()), default=None)
    if best is not None:
        best = improve(choices, best, cap_c, cap_t)
    return _priced(choices, found.bound, prices, best)


def _priced(
    choices: Choices,
    bound: float,
    prices: tuple[float, float],
    options: Options | None,
    *,
    is_infeasible: bool = False,
) -> Priced:
    value = -np.inf
    if options is not None:
        value = float(choices.value[np.arange(len(options)), options].sum())
    return Priced(
        bound=max(bound, value),
        cost_price=prices[0],
        time_price=prices[1],
        options=options,
        value=value,
        is_infeasible=is_infeasible,
    )


def _one(choices: Choices, budget: float | None, deadline: float | None) -> Priced:
    """One limit or none: its price by bisection."""
    best: list[tuple[float, Options]] = []
    cap_c, cap_t = limit(budget), limit(deadline)
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
    if spent > cap_c:
        _price(lambda a: visit(a, 0.0)[0] <= cap_c)
    elif took > cap_t:
        _price(lambda b: visit(0.0, b)[1] <= cap_t)
    for start in _starts(choices):
        rows = np.arange(len(start))
        if choices.cost[rows, start].sum() <= cap_c and choices.time[rows, start].sum() <= cap_t:
            best.append((float(choices.value[rows, start].sum()), start))
    if not best:
        return _priced(choices, bound, prices, None)
    options = improve(choices, max(best, key=lambda b: b[0])[1], cap_c, cap_t)
    return _priced(choices, bound, prices, options)


def _score(choices: Choices, lam: float, mu: float) -> Floats:
    score = choices.value
    if lam:
        score = score - lam * choices.cost
    if mu:
        score = score - mu * choices.time
    return score


def _price(is_kept: Callable[[float], bool]) -> None:
    """Visit prices up to the smallest at which `is_kept(price)`, to a relative `EXACT`."""
    low, high = 0.0, 1.0
    for _ in range(80):
        if is_kept(high):
            break
        low, high = high, high * 8.0
    else:
        return  # no price helps: this limit cannot be kept at all
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if is_kept(middle):
            high = middle
        else:
            low = middle
        if high - low <= EXACT * high:
            break


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
