"""Say why there is no plan: which limits conflict, and by how much each would have to move."""

from __future__ import annotations

from graphroute.ir.plan import Conflict, Infeasible
from graphroute.ir.problem import Limit, Problem, Solution

MOST_NODES = 5
"""Nodes without a model that a message tells of."""

_WORDS = {
    "budget": ("a budget of ${:.6g} per run", "raise the budget to ${:.6g}"),
    "deadline": ("a deadline of {:.6g} s", "give it {:.6g} s"),
    "memory": ("{:.0f} bytes for local models", "free {:.0f} bytes"),
}


def report(problem: Problem, solution: Solution) -> Infeasible | None:
    """The report of a solution without an assignment, None for any other."""
    if solution.choice or not problem.nodes:
        return None
    if solution.status != "infeasible":
        return Infeasible(
            limit="time",
            value=None,
            needed=None,
            message="no plan was found in time, and none was ruled out; "
            "loosen the deadline, the budget or the memory limit",
        )
    if solution.limit == "models":
        return Infeasible(
            limit="models", value=None, needed=None, message=_no_model(problem), conflict=()
        )
    conflict, together = solution.conflict, solution.together
    limits = " and ".join(_WORDS[c.name][0].format(c.value) for c in conflict)
    ways = [_words(c) for c in conflict if c.needed is not None]
    verb = "is too little" if len(conflict) == 1 else "cannot be kept together"
    advice = " or ".join(ways) or " and ".join(map(_words, together)) or "add a model to the pool"
    return Infeasible(
        limit=solution.limit,
        value=next((c.value for c in (*conflict, *together) if c.name == solution.limit), None),
        needed=solution.needed,
        message=f"{limits} {verb} for any plan; {advice}",
        conflict=tuple(map(_told, conflict)),
        together=tuple(map(_told, together)),
    )


def _told(limit: Limit) -> Conflict:
    return Conflict(limit=limit.name, value=limit.value, needed=limit.needed)


def _words(limit: Limit) -> str:
    return _WORDS[limit.name][1].format(_up(limit))


def _up(limit: Limit) -> float:
    # Six digits are shown; shown numbers are rounded up so that typing them in works.
    needed = limit.needed or 0.0
    shown = float(f"{needed:.6g}")
    return shown if shown >= needed else shown * (1 + 2e-6)


def _no_model(problem: Problem) -> str:
    parts = []
    for i, node in enumerate(problem.nodes):
        if problem.feasible[i].any():
            continue
        why = [f"{m.model} ({m.reason})" for m in problem.masks if m.node == node]
        parts.append(f"node {node!r} has no model left: {'; '.join(why)}")
    if len(parts) > MOST_NODES:
        parts = [*parts[:MOST_NODES], f"and {len(parts) - MOST_NODES} more nodes"]
    return " | ".join(parts) + "; add a model that may serve it, or relax the hint"
