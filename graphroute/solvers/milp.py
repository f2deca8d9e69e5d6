"""The assignment as a mixed-integer program for HiGHS: slowest, but proves hard instances.

```
x[i,k] ∈ {0,1}  node i has option k             Σ_k x[i,k] = 1
z[s] ≥ 0        seconds of a shared superstep   z[s] ≥ every lane, ≥ all calls on the device
y[m] ∈ [0,1]    local model m is loaded         y[m] ≥ x[i,k] where k uses m
```

with one row each for money, time (Σ weight·z + load·y) and memory. (Q. Huangfu and J. A. J. Hall,
Parallelizing the dual revised simplex method, Mathematical Programming Computation 10, 2018.)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from highspy import HighsLp

from graphroute.ir.problem import Problem, Solution
from graphroute.solvers import _conflict
from graphroute.solvers._portfolio import GAP_PROVED, gap

REQUIRES: tuple[str, ...] = ("numpy", "highspy")
EXAMPLES: tuple[dict[str, object], ...] = ({},)
RANK = 30

SCALE = 1000.0
"""Limits are scaled to this, so that HiGHS's absolute tolerance of 1e-9 is 1e-12 of them."""


@dataclass(slots=True)
class _Rows:
    """A sparse matrix under construction: `low ≤ row ≤ high`."""

    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, low: float, high: float, entries: dict[int, float]) -> None:
        self.columns += entries
        self.values += entries.values()
        self.starts.append(len(self.columns))
        self.low.append(low)
        self.high.append(high)


class Milp:
    """HiGHS through highspy, one thread, with a time limit and the dual bound it reached."""

    name = "milp"
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset({"budget", "deadline", "memory"})

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:
        """The best assignment within the time limit; an infeasible one names the conflict."""
        started = time.perf_counter()
        found = self.once(problem, time_limit_s=time_limit_s)
        if found.status == "infeasible":
            found = _conflict.explain(
                problem, self.name, lambda p: self.once(p, time_limit_s=time_limit_s)
            )
        return replace(found, ms=(time.perf_counter() - started) * 1e3)

    def once(
        self,
        problem: Problem,
        *,
        time_limit_s: float,
        start: Sequence[int] = (),
        good_gap: float = 1e-9,
    ) -> Solution:
        """One run of HiGHS, until the gap is `good_gap` (relative); an infeasible problem is not
        looked into.

        start: an assignment that keeps the limits, from which the search sets out
        """
        if not problem.nodes:
            return Solution(status="optimal", solver=self.name, value=0.0, bound=0.0, gap=0.0)
        if not problem.feasible.any(axis=1).all():
            return Solution(status="infeasible", solver=self.name)
        import highspy

        program, pairs = _program(problem)
        # The untyped wrapper prints a banner when it is made; the core class does not.
        solver = highspy._core._Highs()
        for option, value in (
            ("output_flag", False),
            ("threads", 1),
            ("time_limit", max(time_limit_s, 0.01)),
            ("mip_rel_gap", good_gap),
            ("mip_abs_gap", 1e-12),
            ("primal_feasibility_tolerance", 1e-9),
            ("mip_feasibility_tolerance", 1e-9),
            ("random_seed", 0),
        ):
            solver.setOptionValue(option, value)
        solver.passModel(program)
        if start:
            known = highspy.HighsSolution()
            known.col_value = _values(problem, pairs, start, program.num_col_)
            solver.setSolution(known)
        solver.run()
        status = solver.getModelStatus()
        if status in (
            highspy.HighsModelStatus.kInfeasible,
            highspy.HighsModelStatus.kUnboundedOrInfeasible,
        ):
            return Solution(status="infeasible", solver=self.name)
        info = solver.getInfo()
        values = np.array(solver.getSolution().col_value)
        if len(values) < len(pairs) or info.primal_solution_status != 2:
            return Solution(status="time_limit", solver=self.name)
        choice = [0] * len(problem.nodes)
        strongest = [0.0] * len(problem.nodes)
        for column, (i, k) in enumerate(pairs):
            if values[column] > strongest[i]:
                choice[i], strongest[i] = k, float(values[column])
        value = problem.value_of(choice)
        bound = max(-float(info.mip_dual_bound), value)
        is_done = status == highspy.HighsModelStatus.kOptimal
        is_proved = gap(bound, value) <= GAP_PROVED
        return Solution(
            status="optimal" if is_proved else "feasible" if is_done else "time_limit",
            solver=self.name,
            choice=tuple(choice),
            value=value,
            bound=bound,
            gap=gap(bound, value),
        )


def _values(
    problem: Problem, pairs: list[tuple[int, int]], choice: Sequence[int], size: int
) -> list[float]:
    """The columns of the program under an assignment."""
    values = [float(choice[i] == k) for i, k in pairs]
    is_timed = problem.deadline_s is not None or problem.objective == "latency"
    if is_timed:
        values += [problem.step_s(s, choice) for s in problem.timeline if len(s.nodes) > 1]
    held = problem.held(choice)
    local = [m for m in range(len(problem.models)) if problem.is_local(m)]
    loads = local if size > len(values) else []
    return values + [float(m in held) for m in loads]


def _program(problem: Problem) -> tuple[HighsLp, list[tuple[int, int]]]:
    """The program, always a minimisation, and the (node, option) of its first columns."""
    import highspy

    pairs = [(int(i), int(k)) for i, k in np.argwhere(problem.feasible)]
    if problem.budget_usd == 0:
        pairs = [(i, k) for i, k in pairs if problem.cost_usd[i, k] <= 0]
    column = {pair: c for c, pair in enumerate(pairs)}
    mine: dict[int, list[tuple[int, int]]] = {i: [] for i in range(len(problem.nodes))}
    for (i, k), c in column.items():
        mine[i].append((k, c))
    is_timed = problem.deadline_s is not None or problem.objective == "latency"
    shared = [s for s in problem.timeline if len(s.nodes) > 1] if is_timed else []
    locals_ = [m for m in range(len(problem.models)) if problem.is_local(m)]
    loads = locals_ if (problem.memory_limit_bytes is not None or is_timed) else []
    z = {k: len(pairs) + k for k in range(len(shared))}
    y = {m: len(pairs) + len(shared) + k for k, m in enumerate(loads)}
    rows = _Rows()
    inf = highspy.kHighsInf
    for columns in mine.values():
        rows.add(1.0, 1.0, {c: 1.0 for _, c in columns})
    duration: dict[int, float] = {}
    if is_timed:
        for step in problem.timeline:
            if len(step.nodes) == 1:
                lane, _ = problem.lanes_s(step.nodes[0], step.tasks[0])
                for k, c in mine[step.nodes[0]]:
                    duration[c] = duration.get(c, 0.0) + step.weight * float(lane[k])
        for s, step in enumerate(shared):
            duration[z[s]] = step.weight
            on_device: dict[int, float] = {z[s]: -1.0}
            for i, tasks in zip(step.nodes, step.tasks, strict=True):
                lane, queue = problem.lanes_s(i, tasks)
                lanes: dict[int, float] = {z[s]: -1.0}
                for k, c in mine[i]:
                    if queue[k]:
                        on_device[c] = float(queue[k])
                    if lane[k] > queue[k]:
                        lanes[c] = float(lane[k])
                rows.add(-inf, 0.0, lanes)
            rows.add(-inf, 0.0, on_device)
        for m in loads:
            if problem.load_s:
                duration[y[m]] = problem.load_s[m]
    for (i, k), c in column.items():
        for m in set(problem.option(i, k).models):
            if m in y:
                rows.add(-inf, 0.0, {c: 1.0, y[m]: -1.0})
    if problem.budget_usd is not None and problem.budget_usd > 0:
        scale = SCALE / problem.budget_usd
        rows.add(-inf, SCALE, {c: scale * float(problem.cost_usd[p]) for p, c in column.items()})
    if problem.deadline_s is not None:
        scale = SCALE / problem.deadline_s
        rows.add(-inf, SCALE, {c: scale * t for c, t in duration.items()})
    if problem.memory_limit_bytes is not None and problem.memory_bytes:
        scale = SCALE / max(problem.memory_limit_bytes, 1)
        held = {y[m]: scale * problem.memory_bytes[m] for m in loads}
        rows.add(-inf, SCALE if problem.memory_limit_bytes else 0.0, held)
    size = len(pairs) + len(shared) + len(loads)
    cost = np.zeros(size)
    for (i, k), c in column.items():
        if problem.objective == "quality":
            cost[c] = -problem.weight[i] * problem.log_quality[i, k]
        elif problem.objective == "cost":
            cost[c] = problem.cost_usd[i, k]
    if problem.objective == "latency":
        for c, t in duration.items():
            cost[c] = t
    lp = highspy.HighsLp()
    lp.num_col_ = size
    lp.num_row_ = len(rows.low)
    lp.col_cost_ = cost
    lp.col_lower_ = np.zeros(size)
    lp.col_upper_ = np.array([1.0] * len(pairs) + [inf] * len(shared) + [1.0] * len(loads))
    lp.row_lower_ = np.array(rows.low)
    lp.row_upper_ = np.array(rows.high)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.array(rows.starts, dtype=np.int32)
    lp.a_matrix_.index_ = np.array(rows.columns, dtype=np.int32)
    lp.a_matrix_.value_ = np.array(rows.values)
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(pairs) + [
        highspy.HighsVarType.kContinuous
    ] * (len(shared) + len(loads))
    return lp, pairs


def build() -> Milp:
    """The solver; it has no options."""
    return Milp()
