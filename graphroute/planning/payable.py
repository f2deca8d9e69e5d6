"""A cascade is worth what a run can pay of it.

A plan keeps a limit per run as expected, a run keeps it always. A second model that is asked in one
run of four then counts a quarter, though in the run that needs it there may not be the money:

```
classify: small, then big       expected 0.12, but 0.43 in the run that needs it
extract:  big                   certain  0.47         of 0.68: the second model is never asked
```

So plans are compared by what runs ask within their limit, where each step asks on only if that
gains more than later steps could with the money (`ir.knapsack`, the rule that runs follow). Tried
are plans without the cascades that runs hardly ever pay to their end and, as with a deadline
(`punctual`), plans for several shares of the limit as the expected spend: of what a cheaper one
promises, runs can pay more. And what is told of the plan is what they pay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from graphroute.ir.knapsack import Ladder, asked, ladder, of_visits
from graphroute.ir.problem import Option, Problem, Solution

SHARES: Final = (0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the limit that are tried as the expected spend, after the whole of it."""

CLOSINGS: Final = 4
"""How often a plan is looked for without cascades that runs hardly ever pay to their end."""

HOLLOW: Final = 0.05
"""Share of the times it is wanted below which the last model of a cascade is hardly ever paid."""

UNFIT: Final = 100.0
"""Worth, in weight × log quality, that first answers fit the limit with what they put aside."""

MISSES: Final = 2
"""Shares in a row that are no better, after which no smaller one is tried."""

Paid = dict[int, tuple[float, ...]]
"""By node with a cascade: how often each model behind the first is asked, as a share of how often
it would be with money enough (`knapsack.asked`)."""


def solve(
    problem: Problem, search: Callable[[Problem], Solution], visits: Sequence[float]
) -> Solution:
    """The solution of which runs get the most.

    visits: expected visits of each node, by which the problem's costs are multiplied
    """
    found = search(problem)
    limit = problem.budget_usd
    if limit is None or problem.objective != "quality" or not found.choice:
        return found

    def worth(choice: Sequence[int]) -> float:
        value = as_paid(problem, choice, visits).value_of(choice)
        return value if _room_usd(problem, choice, visits) >= 0 else value - UNFIT

    if as_paid(problem, found.choice, visits) is problem:
        return found  # runs get all of the most that any plan promises
    best = worth(found.choice)
    whole, closed = found, problem
    for _ in range(CLOSINGS):
        hollow = [
            (i, whole.choice[i])
            for i, shares in paid(problem, whole.choice, visits).items()
            if shares[-1] < HOLLOW
        ]
        if not hollow:
            break
        feasible = closed.feasible.copy()
        for i, k in hollow:
            feasible[i, k] = False
        closed = replace(closed, feasible=feasible)
        whole = search(closed)
        if not whole.choice:
            break
        if (value := worth(whole.choice)) > best + 1e-9:
            best, found = value, whole
    misses = 0
    for part in SHARES:
        if problem.spend_usd(found.choice) <= part * limit:
            continue  # the plan at hand is as cheap as that already
        tried = search(replace(problem, budget_usd=part * limit))
        if not tried.choice:
            break
        value = worth(tried.choice)
        if value > best + 1e-9:
            best, found, misses = value, tried, 0
        elif _room_usd(problem, tried.choice, visits) >= 0:
            misses += 1
            if misses == MISSES:
                break
    return found


def as_paid(problem: Problem, choice: Sequence[int], visits: Sequence[float]) -> Problem:
    """The problem with what runs ask of the chosen cascades, within its limit, in their columns."""
    shares = paid(problem, choice, visits)
    if all(share == 1.0 for each in shares.values() for share in each):
        return problem
    log_quality, cost = problem.log_quality.copy(), problem.cost_usd.copy()
    time, device = problem.time_s.copy(), problem.on_device_s.copy()
    extras = list(problem.extras)
    for i, of_node in shares.items():
        k, option = choice[i], problem.option(i, choice[i])
        log_quality[i, k] = _log_quality(option, of_node)
        asked_of = [option.shares[0]]
        for m, often, share in zip(option.models[1:], option.shares[1:], of_node, strict=True):
            asked_of.append(often * share)
            less = often * (1 - share)
            for table in (cost, time, device):
                # What is left of equal sums is no cost.
                rest = table[i, k] - less * table[i, m]
                table[i, k] = rest if rest > 1e-12 * table[i, m] else 0.0
        column = k - len(problem.models)
        told = replace(option, shares=tuple(asked_of))
        extras[i] = (*extras[i][:column], told, *extras[i][column + 1 :])
    return replace(
        problem,
        log_quality=log_quality,
        cost_usd=cost,
        time_s=time,
        device_s=device,
        extras=tuple(extras),
    )


def paid(problem: Problem, choice: Sequence[int], visits: Sequence[float]) -> Paid:
    """What runs can pay of the cascades of an assignment within the problem's limit."""
    options = {i: problem.option(i, k) for i, k in enumerate(choice)}
    cascades = {i: option for i, option in options.items() if option.so_far and visits[i] > 0}
    if problem.budget_usd is None:
        return {i: (1.0,) * (len(option.models) - 1) for i, option in cascades.items()}
    ladders = [
        (i, each)
        for i, option in cascades.items()
        for each in of_visits(_ladder(problem, i, option, visits[i]), visits[i])
    ]
    shares = asked([each for _, each in ladders], _room_usd(problem, choice, visits))
    by_visit: dict[int, list[tuple[float, ...]]] = {i: [] for i in cascades}
    for (i, _), share in zip(ladders, shares, strict=True):
        by_visit[i].append(share)
    return {
        i: tuple(float(np.mean(each)) for each in zip(*of_node, strict=True))
        for i, of_node in by_visit.items()
    }


def _room_usd(problem: Problem, choice: Sequence[int], visits: Sequence[float]) -> float:
    """USD that all first answers leave of the limit; below 0 some of them cannot be paid."""
    firsts = [
        option.models[0] if option.so_far else k
        for k, option in ((k, problem.option(i, k)) for i, k in enumerate(choice))
    ]
    limit = math.inf if problem.budget_usd is None else problem.budget_usd
    return limit - problem.spend_usd(firsts) - _aside(problem, choice, visits)


def _aside(problem: Problem, choice: Sequence[int], visits: Sequence[float]) -> float:
    """USD that have to be there for a first answer beyond what it costs: given back after it."""
    if problem.held_usd is None:
        return 0.0
    firsts = [(i, problem.option(i, k).models[0]) for i, k in enumerate(choice) if visits[i] > 0]
    more = (problem.held_usd[i, m] - problem.cost_usd[i, m] / visits[i] for i, m in firsts)
    return max([0.0, *(float(usd) for usd in more)])


def _ladder(problem: Problem, i: int, option: Option, visits: float) -> Ladder:
    held = problem.held_usd
    return ladder(
        hold_usd=None if held is None else [float(held[i, m]) for m in option.models[1:]],
        usd=[float(problem.cost_usd[i, m]) / visits for m in option.models[1:]],
        reach=option.shares[1:],
        so_far=option.so_far,
        weight=float(problem.weight[i]) / visits,
    )


def _log_quality(option: Option, shares: Sequence[float]) -> float:
    """Of a cascade whose models are asked that often, or a little more, as the logarithm bends."""
    logs = np.log(option.so_far)
    return float(logs[0] + np.diff(logs) @ np.array(shares))
