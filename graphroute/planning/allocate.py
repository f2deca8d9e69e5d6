"""A model per node within the budget, by the Lagrangian of the budget alone.

One price λ for which the nodes, each choosing for itself, fit the budget, and what remains goes to
the swaps that buy most: well under a millisecond.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.problem import SLACK, Bools, Floats

Choice = NDArray[np.intp]

STEPS = 30
"""Halvings of the price: 1e-9 of it, far below what a call's cost is known to."""


def allocate(
    value: Floats, cost: Floats, feasible: Bools, budget: float | None
) -> tuple[Choice, float, bool]:
    """A model per node within the budget, the price λ, and whether it fits at all.

    Where nothing fits, the cheapest. Nodes without any feasible model get index 0.
    """
    worth = np.where(feasible, value, -np.inf)
    rows = np.arange(len(worth))
    open_rows = np.asarray(feasible.any(axis=1))
    paid = np.where(feasible, cost, np.inf)

    def at(price: float) -> Choice:
        score = worth - price * cost if price else worth
        found: Choice = score.argmax(axis=1)
        return found

    if not open_rows.all():
        cost = np.where(open_rows[:, None], cost, 0.0)

    def spend(choice: Choice) -> float:
        return float(cost[rows, choice].sum())

    choice = at(0.0)
    if budget is None:
        return choice, 0.0, True
    cap = budget * (1 + SLACK) + 1e-15
    if spend(choice) <= cap:
        return choice, 0.0, True
    cheapest: Choice = paid.argmin(axis=1)
    if spend(cheapest) > cap:
        return cheapest, 0.0, False
    low, high = 0.0, 1.0
    for _ in range(80):
        if spend(at(high)) <= cap:
            break
        low, high = high, high * 16
    for _ in range(STEPS):
        middle = (low + high) / 2
        if spend(at(middle)) <= cap:
            high = middle
        else:
            low = middle
        if high - low <= 1e-7 * high:
            break
    choice = at(high)
    if spend(choice) > cap:
        choice = cheapest
    return _fill(worth, cost, choice, cap - spend(choice)), high, True


def _fill(worth: Floats, cost: Floats, choice: Choice, slack: float) -> Choice:
    """Swaps with the best gain per USD while they fit the slack."""
    choice = choice.copy()
    rows = np.arange(len(choice))
    for _ in range(len(choice)):
        now = worth[rows, choice]
        gain = worth - np.where(np.isfinite(now), now, np.inf)[:, None]
        more = cost - cost[rows, choice][:, None]
        fits = (gain > 1e-12) & (more <= slack)
        if not fits.any():
            return choice
        ratio = np.where(fits, gain / np.maximum(more, 1e-15), -np.inf)
        i, m = divmod(int(ratio.argmax()), ratio.shape[1])
        slack -= float(more[i, m])
        choice[i] = m
    return choice


def ranked(
    value: Floats,
    cost: Floats,
    feasible: Bools,
    choice: Choice,
    price: float,
    visits: Floats,
    unit: Floats,
) -> list[list[int]]:
    """The options of every node, the chosen one first, the others by what they are worth."""
    score = np.where(feasible, value - price * cost, -np.inf)
    # A node that is not expected any more has no value to order by; the cheapest goes first.
    idle = visits <= 0
    score[idle] = np.where(feasible[idle], -unit[idle], -np.inf)
    live = ~idle
    score[live, choice[live]] = np.where(
        feasible[live, choice[live]], np.inf, score[live, choice[live]]
    )
    order = np.argsort(-score, axis=1, kind="stable")
    allowed = feasible.sum(axis=1)
    return [row[:k].tolist() for row, k in zip(order, allowed, strict=True)]
