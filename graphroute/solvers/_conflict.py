"""Why there is no assignment: the smallest set of limits that conflict, and what would end it.

Limits are left out one by one while the rest still conflicts. What a limit would have to be is
solved for, not guessed: the cheapest assignment under all other limits, or the quickest. Where no
limit is enough by itself, several are moved, each as little as those before it allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    names = _smallest(problem, tuple(given), solve)
    conflict = tuple(
        Limit(
            name=name,
            value=given[name],
            needed=_needed(_with(problem, tuple(n for n in given if n != name)), name, solve),
        )
        for name in names
    )
    together: tuple[Limit, ...] = ()
    if all(limit.needed is None for limit in conflict):
        together = _together(problem, given, solve)
    first = next((x for x in (*conflict, *together) if x.needed is not None), conflict[0])
    return Solution(
        status="infeasible",
        solver=solver,
        limit=first.name,
        needed=first.needed,
        conflict=conflict,
        together=together,
    )


def _smallest(problem: Problem, names: tuple[str, ...], solve: Solve) -> tuple[str, ...]:
    """A set of limits that cannot be kept together although any of them less can be."""
    for name in names:
        others = tuple(n for n in names if n != name)
        if others and solve(_with(problem, others)).status == "infeasible":
            return _smallest(problem, others, solve)
    return names


def _together(problem: Problem, given: Mapping[str, float], solve: Solve) -> tuple[Limit, ...]:
    """Limits moved one after another, each as little as those before it allow; what is left as it
    was is not named.
    """
    found = []
    kept: tuple[str, ...] = ()
    for name, value in given.items():
        if solve(_with(problem, (*kept, name))).status == "infeasible":
            needed = _needed(_with(problem, kept), name, solve)
            if needed is None:
                return ()
            found.append(Limit(name=name, value=value, needed=needed))
            problem = _moved(problem, name, needed)
        kept = (*kept, name)
    return tuple(found)


def _moved(problem: Problem, name: str, value: float) -> Problem:
    if name == "memory":
        return replace(problem, memory_limit_bytes=int(value))
    if name == "budget":
        return replace(problem, budget_usd=value)
    return replace(problem, deadline_s=value)


def _with(problem: Problem, keep: tuple[str, ...]) -> Problem:
    return replace(
        problem,
        budget_usd=problem.budget_usd if "budget" in keep else None,
        deadline_s=problem.deadline_s if "deadline" in keep else None,
        memory_limit_bytes=problem.memory_limit_bytes if "memory" in keep else None,
    )


def _needed(problem: Problem, name: str, solve: Solve) -> float | None:
    """The smallest value of a limit that the problem, which is without it, can be solved with."""
    if name == "memory":
        # Memory comes in whole models: try the sizes that sets of local models can have.
        sizes = {0}
        for size in problem.memory_bytes:
            sizes |= {s + size for s in sizes}
        for size in sorted(sizes):
            if solve(replace(problem, memory_limit_bytes=size)).choice:
                return float(size)
        return None
    found = solve(replace(problem, objective="cost" if name == "budget" else "latency"))
    if not found.choice:
        return None
    return problem.spend_usd(found.choice) if name == "budget" else problem.latency_s(found.choice)
