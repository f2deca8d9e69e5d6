"""A deadline is met with a chance: how large it is, and how much margin is worth its quality.

A run takes longer or shorter than expected, because answers do and because loops do. Planned to end
just in time on average, about every second run would be late. A late run counts as a failed one, so
with the objective `quality` the plan is made that has most of

    Σ weight · log quality  +  log P(run ends by the deadline)

found by planning for several shares of the deadline as the expected time. P is simulated: visits
and fan-outs as `simulated` draws them, and for each node and run a lognormal factor on its time, as
for its cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats, Problem, Solution
from graphroute.planning.simulated import Runs
from graphroute.planning.spend import TOKEN_SPREAD

SHARES: Final = (0.92, 0.84, 0.76, 0.68, 0.6)
"""Shares of the deadline that are tried as the expected time, after the whole of it."""

SURE: Final = 0.99
"""From this chance on no margin is looked for."""

LEAST: Final = 1e-3


def durations_s(problem: Problem, choice: tuple[int, ...], runs: Runs, seed: int) -> Floats:
    """Seconds of each simulated run under an assignment."""
    noise = np.random.default_rng(seed).standard_normal(runs.visits.shape)
    length = np.exp(TOKEN_SPREAD * noise - TOKEN_SPREAD**2 / 2)
    expected = runs.visits.mean(axis=0)
    share = runs.visits / np.where(expected > 0, expected, 1.0)
    total = np.zeros(len(share))
    for step in problem.timeline:
        here = list(step.nodes)
        lanes = [
            problem.lane_s(i, choice[i], t * runs.growth[:, i])
            for i, t in zip(here, step.tasks, strict=True)
        ]
        lane = np.column_stack([each for each, _ in lanes])
        queue = np.column_stack([each for _, each in lanes])
        often = share[:, here]
        taking = length[:, here] * (often > 0)
        slowest = np.maximum((lane * taking).max(axis=1), (queue * taking).sum(axis=1))
        total += step.weight * often.max(axis=1) * slowest
    if problem.load_s:
        total += sum(problem.load_s[m] for m in problem.held(choice))
    return total


def on_time(
    problem: Problem, choice: tuple[int, ...], deadline_s: float, runs: Runs, seed: int
) -> float:
    """The chance in [0, 1] that a run under this assignment ends by the deadline."""
    return float((durations_s(problem, choice, runs, seed) <= deadline_s).mean())


def solve(
    problem: Problem, search: Callable[[Problem], Solution], runs: Runs, seed: int
) -> tuple[Problem, Solution]:
    """The solution with the margin that is worth most, and the problem it solves: its `deadline_s`
    is the expected time that leaves this margin, `promised_s` the deadline itself.
    """
    found = search(problem)
    deadline = problem.deadline_s
    if deadline is None or not found.choice:
        return problem, found
    promised = replace(problem, promised_s=deadline)

    def worth(solution: Solution) -> tuple[float, float]:
        chance = on_time(problem, solution.choice, deadline, runs, seed)
        value = solution.value if problem.objective == "quality" else 0.0
        return value + math.log(max(chance, LEAST)), chance

    best, chance = worth(found)
    kept = (promised, found)
    if problem.objective != "quality":
        return kept
    misses = 0
    for part in SHARES:
        if chance >= SURE or misses > 1:
            break
        if problem.latency_s(kept[1].choice) <= part * deadline:
            continue  # the plan at hand is as quick as that already
        tighter = replace(promised, deadline_s=part * deadline)
        tried = search(tighter)
        if not tried.choice:
            break
        value, its_chance = worth(tried)
        if value > best + 1e-9:
            best, chance, kept, misses = value, its_chance, (tighter, tried), 0
        else:
            misses += 1
    return kept
