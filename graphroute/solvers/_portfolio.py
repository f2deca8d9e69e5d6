"""The order in which solvers are tried on one problem, and what is told about the result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from graphroute.ir.problem import Problem, Solution, Status
from graphroute.solvers import _conflict, _dual, _labels, _lazy, _residency
from graphroute.solvers._choices import Choices, TooManyCombinations, choices
from graphroute.solvers._master import Options

Fallback = Callable[[Problem, Solution | None], Solution]
GAP_PROVED = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effort:
    """How hard to try: the gaps (relative) that labels are to leave, the least first and the next
    where that takes too many; the gap that needs no labels; the monotonic time after which no
    further set of loaded models is searched, and the value known elsewhere; most combinations up
    to which nodes of one superstep are listed (None: as many as can be) before they are a block.
    """

    accepts: tuple[float, ...] = (0.0,)
    stop_gap: float = GAP_PROVED
    fallback: Fallback | None = None
    ends: float | None = None
    known: float = float("-inf")
    most_listed: int | None = None

    def is_late(self) -> bool:
        """Whether the time is over."""
        return self.ends is not None and time.monotonic() > self.ends


def gap(bound: float, value: float) -> float:
    """(bound − value) / max(|bound|, 1e-9), never below 0."""
    return max(0.0, bound - value) / max(abs(bound), 1e-9)


def run(
    problem: Problem,
    name: str,
    *,
    accepts: tuple[float, ...] = (0.0,),
    stop_gap: float = GAP_PROVED,
    fallback: Fallback | None = None,
    ends: float | None = None,
    most_listed: int | None = None,
) -> Solution:
    """Solve under every limit; an infeasible one names the conflict. Times itself.

    accepts, most_listed: see `_Effort`; no `accepts`: no labels
    """
    started = time.perf_counter()
    effort = _Effort(
        accepts=accepts,
        stop_gap=stop_gap,
        fallback=fallback,
        ends=ends,
        most_listed=most_listed,
    )

    def once(p: Problem) -> Solution:
        return _under_memory(p, name, effort)

    found = once(problem)
    if found.status == "infeasible":
        found = _conflict.explain(problem, name, once)
    return replace(found, ms=(time.perf_counter() - started) * 1e3)


def _under_memory(problem: Problem, name: str, effort: _Effort) -> Solution:
    if not _residency.is_needed(problem):
        return _core(replace(problem, load_s=()), name, effort)
    # A quick look at every set of loaded models first: most cannot beat the best of them.
    quick = replace(effort, accepts=(), fallback=None)
    looks: list[tuple[float, int, Problem, float, Solution, _Prepared | None]] = []
    bound = float("-inf")
    # Large sets first: where time runs out, what can be chosen from most has been looked at.
    for k, (restricted, load) in sorted(
        enumerate(_residency.resident_sets(problem)), key=lambda one: -int(one[1][0].feasible.sum())
    ):
        if effort.is_late() and any(entry[4].choice for entry in looks):
            free = replace(problem, memory_limit_bytes=None, load_s=())
            bound = _core(free, name, quick).bound  # holds for every set
            break
        prepared = _prepare(restricted, effort.most_listed)
        look = _with_load(_core(restricted, name, quick, prepared), problem, load)
        looks.append((look.bound, k, restricted, load, look, prepared))
    looks.sort(key=lambda entry: entry[1])
    # The best of these looks is what every other set has to beat; of equals the smaller set's.
    best = max((e[4] for e in looks if e[4].choice), key=lambda found: found.value, default=None)
    looks.sort(key=lambda entry: (-entry[0], entry[1]))
    unproved = False
    for bound_here, _, restricted, load, look, prepared in looks:
        known = float("-inf") if best is None else best.value
        least = min(effort.accepts, default=0.0)
        worth_proving = least * abs(bound_here) if math.isfinite(bound_here) else 0.0
        if bound_here <= known + worth_proving:
            bound = max(bound, bound_here)
            break
        found = look
        if (not look.choice or look.gap > effort.stop_gap) and not (best and effort.is_late()):
            inside = known + (load if problem.objective == "latency" else 0.0)
            hard = replace(effort, known=inside)
            found = _with_load(_core(restricted, name, hard, prepared), problem, load)
        if not found.choice:
            # Where it was not proved that there is none, the bound still stands.
            if found.status != "infeasible" or found is look:
                unproved = True
                bound = max(bound, min(bound_here, found.bound))
            continue
        bound = max(bound, found.bound)
        if best is None or found.value > best.value + 1e-12:
            best = found
    if best is None:
        return Solution(status="time_limit" if unproved else "infeasible", solver=name)
    bound = max(bound, best.value)
    left = gap(bound, best.value)
    status: Status = best.status
    if left <= GAP_PROVED:
        status = "optimal"
    elif status == "optimal":
        status = "feasible"
    return replace(best, status=status, bound=bound, gap=left)


def _with_load(found: Solution, problem: Problem, load: float) -> Solution:
    """Value and bound of a solution for one set of loaded models, with the loading counted."""
    if problem.objective != "latency":
        return found
    if not found.choice:
        return replace(found, bound=found.bound - load)
    value = problem.value_of(found.choice)
    bound = max(found.bound - load, value)
    return replace(found, value=value, bound=bound, gap=gap(bound, value))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Prepared:
    """The groups, their prices, and, where some are blocks, how more of them is listed."""

    table: Choices
    priced: _dual.Priced
    lazy: _lazy.Lazy | None = None

    def above(self, floor: float) -> Choices | None:
        """Groups with all that can be part of a value above `floor`; None: too much to list."""
        return self.table if self.lazy is None else self.lazy.above(floor)


def _prepare(problem: Problem, most_listed: int | None) -> _Prepared | None:
    """Groups and prices of a problem; None where its groups have too many combinations."""
    is_timed = problem.deadline_s is not None or problem.objective == "latency"
    if is_timed and most_listed is not None:
        found = _lazy.prepare(problem, most=most_listed)
        if found is not None:
            table, priced, lazy = found
            return _Prepared(table=table, priced=priced, lazy=lazy)
    try:
        table = choices(problem, is_timed=is_timed)
    except TooManyCombinations:
        return None
    return _Prepared(table=table, priced=_dual.solve(table, problem.budget_usd, problem.deadline_s))


def _core(
    problem: Problem, name: str, effort: _Effort, prepared: _Prepared | None = None
) -> Solution:
    if not len(problem.nodes):
        return Solution(status="optimal", solver=name, value=0.0, bound=0.0, gap=0.0)
    if not problem.feasible.any(axis=1).all():
        return Solution(status="infeasible", solver=name)
    prepared = prepared or _prepare(problem, effort.most_listed)
    if prepared is None:
        if effort.fallback is None:
            return _serial(problem, name)
        return effort.fallback(problem, _serial(problem, name))
    priced = prepared.priced
    if priced.is_infeasible:
        return Solution(status="infeasible", solver=name, bound=float("-inf"))
    found = _solution(problem, name, prepared.table, priced, priced.options)
    if found is not None and found.gap <= effort.stop_gap:
        is_proved = found.gap <= GAP_PROVED
        return replace(found, status="optimal" if is_proved else "feasible")
    for k, share in enumerate(effort.accepts):
        is_last = k == len(effort.accepts) - 1
        to_beat = max(priced.value, effort.known)
        accept = share * abs(priced.bound) if to_beat > float("-inf") else 0.0
        table = prepared.above(to_beat + accept)
        if table is None:
            continue
        options, is_complete = _labels.solve(
            table,
            priced,
            problem.budget_usd,
            problem.deadline_s,
            accept=accept,
            known=effort.known,
            is_short=not is_last,
        )
        better = _solution(problem, name, table, priced, options)
        if is_complete:
            return _proved(name, better, found, to_beat=to_beat, accept=accept, priced=priced)
        if better is not None and options is not None:
            priced, found = priced.improved(table, options), better
    if found is not None and found.gap <= effort.stop_gap:
        return found
    if effort.fallback is not None:
        return effort.fallback(problem, found)
    if found is not None:
        return found
    # Repair found nothing, or the labels were cut: there may still be an assignment.
    status: Status = "time_limit" if effort.accepts else "infeasible"
    return Solution(status=status, solver=name, bound=priced.bound)


def _proved(
    name: str,
    better: Solution | None,
    found: Solution | None,
    *,
    to_beat: float,
    accept: float,
    priced: _dual.Priced,
) -> Solution:
    """What a complete search says: nothing above `to_beat + accept` is left but what is `better`.

    found: the best assignment before it; `to_beat` may be of another one, found elsewhere
    """
    if better is not None:
        return replace(better, status="optimal", bound=better.value, gap=0.0)
    if found is None:
        if to_beat > float("-inf"):
            return Solution(status="time_limit", solver=name, bound=to_beat + accept)
        return Solution(status="infeasible", solver=name)
    least = to_beat + accept if accept or to_beat > priced.value else found.value
    bound = max(min(found.bound, least), found.value)
    left = gap(bound, found.value)
    status: Status = "optimal" if left <= GAP_PROVED else "feasible"
    return replace(found, status=status, bound=bound, gap=left)


def _solution(
    problem: Problem, name: str, table: Choices, priced: _dual.Priced, options: Options | None
) -> Solution | None:
    if options is None:
        return None
    choice = table.models(_dual.cheapen(table, options), len(problem.nodes))
    value = problem.value_of(choice)
    bound = max(priced.bound, value)
    return Solution(
        status="feasible",
        solver=name,
        choice=choice,
        value=value,
        bound=bound,
        gap=gap(bound, value),
        shadow_price=priced.cost_price,
        time_price=priced.time_price,
    )


def _serial(problem: Problem, name: str) -> Solution:
    """Too many parallel nodes to combine: solve as if they ran one by one, which is never faster.

    A plan that keeps the deadline then keeps it in parallel as well.
    """
    steps = tuple(
        replace(step, nodes=(n,), tasks=(t,))
        for step in problem.timeline
        for n, t in zip(step.nodes, step.tasks, strict=True)
    )
    found = _core(replace(problem, steps=steps), name, _Effort(stop_gap=0.01))
    if not found.choice:
        # Together they are quicker than one by one, so this proves nothing.
        return Solution(status="time_limit", solver=name)
    value = problem.value_of(found.choice)
    # The serial bound does not hold for the parallel run; without any limit one does.
    free = _core(
        replace(problem, deadline_s=None, objective="quality"),
        name,
        _Effort(accepts=(), stop_gap=1.0),
    )
    bound = max(free.bound, value) if problem.objective == "quality" else 0.0
    return replace(found, status="feasible", value=value, bound=bound, gap=gap(bound, value))
