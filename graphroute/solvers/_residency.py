"""Which local models are loaded together: a small outer choice around the assignment.

For a fixed set of loaded models, memory is kept or not and the loading time is a constant, so the
assignment inside is an ordinary one. Machines hold few models, so the sets are tried one by one,
small sets first: at equal value the plan with fewer residents stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from graphroute.ir.problem import Problem

MOST_SETS = 128


def is_needed(problem: Problem) -> bool:
    """Whether memory or loading time can change the choice at all."""
    local = [m for m in range(len(problem.models)) if problem.is_local(m)]
    tight = (
        problem.memory_limit_bytes is not None
        and bool(problem.memory_bytes)
        and sum(problem.memory_bytes[m] for m in local) > problem.memory_limit_bytes
    )
    slow = bool(problem.load_s) and any(problem.load_s[m] > 0 for m in local)
    return tight or (slow and (problem.deadline_s is not None or problem.objective == "latency"))


def resident_sets(problem: Problem) -> Iterator[tuple[Problem, float]]:
    """Problems restricted to one set of local models each, with the seconds to load them."""
    holds = {m: problem.holds(m) for m in range(len(problem.models)) if problem.is_local(m)}
    local = [m for m, uses in holds.items() if (uses & problem.feasible).any()]
    tried = 0
    for size in range(len(local) + 1):
        for kept in combinations(local, size):
            bytes_ = sum(problem.memory_bytes[m] for m in kept) if problem.memory_bytes else 0
            if problem.memory_limit_bytes is not None and bytes_ > problem.memory_limit_bytes:
                continue
            tried += 1
            if tried > MOST_SETS:
                return
            load = sum(problem.load_s[m] for m in kept) if problem.load_s else 0.0
            deadline = None if problem.deadline_s is None else problem.deadline_s - load
            if deadline is not None and deadline < 0:
                continue
            feasible = problem.feasible.copy()
            for m in local:
                if m not in kept:
                    feasible &= ~holds[m]
            if np.any(~feasible.any(axis=1)):
                continue
            yield (
                replace(
                    problem,
                    feasible=feasible,
                    deadline_s=deadline,
                    memory_limit_bytes=None,
                    load_s=(),
                ),
                load,
            )
