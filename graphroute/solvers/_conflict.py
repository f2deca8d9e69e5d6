"""Why there is no assignment: the smallest set of limits that conflict, and what would end it.

Each limit alone, then pairs. What a limit would have to be is solved for, not guessed: the
cheapest assignment under the other limits, or the quickest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphroute.ir.problem import Limit, Problem, Solution

Solve = Callable[[Problem], Solution]


def explain(problem: Problem, solver: str, solve: Solve) -> Solution:
    """The infeasible solution that names the limit, with `solve` for the questions behind it."""
    for i in range(len(problem.nodes)):
        if not problem.feasible[i].any():
            return Solution(status="infeasible", solver=solver, limit="models")
    limits = {
        "memory": problem.memory_limit_bytes,
        "budget": problem.budget_usd,
        "deadline": problem.deadline_s,
    }
    given = {name: float(value) for name, value in limits.items() if value is not None}
    alone: list[Limit] = []
    for name, value in given.items():
        needed = _needed(problem, name, keep=(), solve=solve)
        if needed is None or needed > value:
            alone.append(Limit(name=name, value=value, needed=needed))
    if alone:
        # Raising one to its own need does not help against the others: tell what all would take.
        conflict = tuple(alone[:1])
    else:
        conflict = tuple(
            Limit(
                name=name,
                value=value,
                needed=_needed(
                    problem, name, keep=tuple(n for n in given if n != name), solve=solve
                ),
            )
            for name, value in given.items()
        )
        conflict = _smallest(problem, conflict, solve)
    first = conflict[0]
    return Solution(
        status="infeasible",
        solver=solver,
        limit=first.name,
        needed=first.needed,
        conflict=conflict,
    )


def _smallest(problem: Problem, conflict: tuple[Limit, ...], solve: Solve) -> tuple[Limit, ...]:
    """Leave out limits that the conflict does not need."""
    names = [limit.name for limit in conflict]
    for name in list(names):
        others = [n for n in names if n != name]
        if len(others) > 1 and solve(_with(problem, tuple(others))).status == "infeasible":
            names = others
    return tuple(limit for limit in conflict if limit.name in names)


def _with(problem: Problem, keep: tuple[str, ...]) -> Problem:
    return replace(
        problem,
        budget_usd=problem.budget_usd if "budget" in keep else None,
        deadline_s=problem.deadline_s if "deadline" in keep else None,
        memory_limit_bytes=problem.memory_limit_bytes if "memory" in keep else None,
    )


def _needed(problem: Problem, name: str, *, keep: tuple[str, ...], solve: Solve) -> float | None:
    relaxed = _with(problem, keep)
    if name == "memory":
        # Memory comes in whole models: try the sizes that sets of local models can have.
        sizes = {0}
        for size in problem.memory_bytes:
            sizes |= {s + size for s in sizes}
        for size in sorted(sizes):
            if solve(replace(relaxed, memory_limit_bytes=size)).choice:
                return float(size)
        return None
    found = solve(replace(relaxed, objective="cost" if name == "budget" else "latency"))
    if not found.choice:
        return None
    return problem.spend_usd(found.choice) if name == "budget" else problem.latency_s(found.choice)
