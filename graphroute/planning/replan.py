"""Plan the rest of a run again, in a millisecond or two: after each step, from what happened.

The tables of the plan are kept as arrays. What is left to come follows from the node that ran last
(`passes.remaining`), what is left to spend from the ledger; failed models are masked and changed
prices put in. The rest is then an ordinary assignment problem, solved by its Lagrangian: one price
λ for which the remaining steps, each choosing for itself, fit what is left, and the slack that
remains goes to the swaps that buy most.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.catalog import Catalog
from graphroute.ir.problem import SLACK, Bools, Floats, Problem
from graphroute.ir.profile import Profile
from graphroute.ir.rest import Happened, Rest

Choice = NDArray[np.intp]
STEPS = 30
"""Halvings of the price: 1e-9 of it, far below what a call's cost is known to."""


class Replanner:
    """Made once per plan; `rest()` is pure, takes no lock and may be called from any thread."""

    def __init__(
        self,
        problem: Problem,
        profile: Profile,
        catalog: Catalog,
        after: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._problem = problem
        self._index = {name: i for i, name in enumerate(problem.nodes)}
        self._models = {name: m for m, name in enumerate(problem.models)}
        self._visits = np.array([p.visits for p in profile.nodes])
        calls = np.array([p.calls for p in profile.nodes])
        overhead = np.array([m.overhead_tokens for m in catalog])
        self._in = calls[:, None] * (
            np.array([p.in_tokens for p in profile.nodes])[:, None] + overhead[None, :]
        )
        self._out = calls * np.array([p.out_tokens for p in profile.nodes])
        self._price_in = np.array([m.price.in_usd for m in catalog])
        self._price_out = np.array([m.price.out_usd for m in catalog])
        self._weight = np.array([p.weight for p in profile.nodes])
        self._after = {
            node: np.array([row.get(name, 0.0) for name in problem.nodes])
            for node, row in after.items()
        }

    def rest(self, happened: Happened) -> Rest:
        """Models for every node of the plan, best first, given what happened."""
        problem = self._problem
        visits = self._to_come(happened)
        price_in, price_out = self._price_in, self._price_out
        if happened.prices:
            price_in, price_out = price_in.copy(), price_out.copy()
            for name, (usd_in, usd_out) in happened.prices.items():
                if name in self._models:
                    price_in[self._models[name]], price_out[self._models[name]] = usd_in, usd_out
        per_visit = (self._in * price_in + self._out[:, None] * price_out) / 1e6
        feasible = problem.feasible
        if happened.failed:
            down = np.array([name in happened.failed for name in problem.models])
            feasible = feasible & ~down
        left = happened.left_usd
        if left is None and problem.budget_usd is not None:
            left = max(0.0, problem.budget_usd - happened.spent_usd)
        value = problem.log_quality * (self._weight * visits)[:, None]
        if problem.objective == "cost":
            value = -per_visit * visits[:, None]
        elif problem.objective == "latency":
            value = -problem.time_s * visits[:, None]
        limit_s = problem.deadline_s
        cost = per_visit * visits[:, None]
        if limit_s is not None and limit_s < np.inf:
            value = _hurry(
                value,
                problem.time_s * visits[:, None],
                cost,
                feasible,
                left,
                max(0.0, limit_s - happened.elapsed_s),
            )
        choice, price, fits = allocate(value, cost, feasible, left)
        order = _order(value, cost, feasible, choice, price, visits, per_visit)
        rows_ = np.flatnonzero(feasible.any(axis=1))
        return Rest(
            models={
                name: tuple(problem.models[m] for m in order[i]) for name, i in self._index.items()
            },
            expected_usd=float(cost[rows_, choice[rows_]].sum()),
            shadow_price=price if problem.objective == "quality" else 0.0,
            is_feasible=fits and len(rows_) == len(problem.nodes),
        )

    def _to_come(self, happened: Happened) -> Floats:
        """Expected visits from here to the end, this turn included."""
        rows = [self._after[n] for n in (happened.now or happened.last) if n in self._after]
        if not rows:
            return self._visits
        # Branches that run side by side lead to the same rest, so the longest of them counts.
        visits: Floats = np.maximum.reduce(rows)
        if happened.now:
            visits = visits.copy()
            for name, tasks in happened.now.items():
                if name in self._index:
                    visits[self._index[name]] += tasks
        return visits


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


def _hurry(
    value: Floats,
    time: Floats,
    cost: Floats,
    feasible: Bools,
    budget: float | None,
    left_s: float,
) -> Floats:
    """The value less the price of time at which the rest, one node after another, ends in time.

    Nodes that run side by side are counted one after the other, so this is never late.
    """
    rows = np.arange(len(value))
    choice, price, _ = allocate(value, cost, feasible, budget)
    if float(time[rows, choice].sum()) <= left_s:
        return value
    worth = np.where(feasible, value - price * cost, -np.inf)

    def is_in_time(time_price: float) -> bool:
        found = (worth - time_price * time).argmax(axis=1)
        return float(time[rows, found].sum()) <= left_s

    low, high = 0.0, 1e-3
    for _ in range(12):
        if is_in_time(high):
            break
        low, high = high, high * 8
    for _ in range(12):
        middle = (low + high) / 2
        if is_in_time(middle):
            high = middle
        else:
            low = middle
    return value - high * time


def _order(
    value: Floats,
    cost: Floats,
    feasible: Bools,
    choice: Choice,
    price: float,
    visits: Floats,
    per_visit: Floats,
) -> list[list[int]]:
    score = np.where(feasible, value - price * cost, -np.inf)
    # A node that is not expected any more has no value to order by; the cheapest goes first.
    idle = visits <= 0
    score[idle] = np.where(feasible[idle], -per_visit[idle], -np.inf)
    live = ~idle
    score[live, choice[live]] = np.where(
        feasible[live, choice[live]], np.inf, score[live, choice[live]]
    )
    ranked = np.argsort(-score, axis=1, kind="stable")
    allowed = feasible.sum(axis=1)
    return [row[:k].tolist() for row, k in zip(ranked, allowed, strict=True)]
