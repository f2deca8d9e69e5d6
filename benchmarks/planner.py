"""Our portfolio beside plain HiGHS and OR-tools CP-SAT, on the same instances in one run.

    python benchmarks/planner.py                 # all sizes
    python benchmarks/planner.py --repeats 3 --sizes 8x5,20x6
    python benchmarks/planner.py --rest          # how long planning the rest of a run takes

Instances: layered graphs whose supersteps hold one to three nodes; quality follows ability and
difficulty (`ir.quality`), price grows with ability with scatter, the smallest third of the models
is local and free. `budget`: 30 % of what the best models would cost. `all`: a deadline half-way
between the quickest and the best plan as well, and memory for all but the largest local model.
`wide`: as `all`, with one to ten nodes in a superstep.

Times are on the wall and, for machines with other work, of the processor (CP-SAT has two workers).
Gap: (best bound known − value) / |bound|, over all three solvers, so a solver that proves little
is not flattered. A failure is no assignment, or one that breaks a limit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from statistics import median
from typing import cast

import numpy as np
from _machine import describe

from graphroute import registry
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.graph import END, START, Edge, Graph, Node
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.problem import Problem, TimeStep
from graphroute.ir.quality import success
from graphroute.ir.rest import Happened
from graphroute.planner import make_plan
from graphroute.protocols import StepScorer
from graphroute.solvers import auto, lagrangian, milp

SIZES = ("8x5", "20x6", "30x8", "60x8", "100x8", "200x20", "1000x50")
LIMIT_S = 10.0
"""What HiGHS and CP-SAT may take; ours has the half second it has in the product."""

OUR_LIMIT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One solver on one instance; `choice` None where it found nothing."""

    ms: float
    cpu_ms: float
    choice: tuple[int, ...] | None
    bound: float


Solve = Callable[[Problem], Run]


def instance(n: int, m: int, seed: int, *, is_full: bool, widest: int = 3) -> Problem:
    """One problem of n nodes and m models, up to `widest` nodes in a superstep; see the module
    docstring.
    """
    random = np.random.default_rng(seed)
    ability = np.sort(random.uniform(0.2, 0.98, m))
    difficulty = random.uniform(0, 1, n)
    quality = np.array([[success(d, a) for a in ability] for d in difficulty])
    quality = np.clip(quality * np.exp(random.normal(0, 0.03, (n, m))), 0.01, 0.995)
    price = np.exp(4 * ability + random.normal(0, 0.4, m)) * 1e-4
    local = np.arange(m) < max(1, m // 3)
    tokens = random.lognormal(0, 0.6, n)
    answer = 200 * tokens
    speed = random.uniform(20, 120, m)
    steps: list[TimeStep] = []
    first = 0
    while first < n:
        size = min(int(random.integers(1, widest + 1)), n - first)
        steps.append(
            TimeStep(
                weight=float(random.uniform(0.3, 2.0)),
                nodes=tuple(range(first, first + size)),
                tasks=(1.0,) * size,
            )
        )
        first += size
    memory = np.where(local, random.integers(1, 9, m) * 2**30, 0)
    visits = random.uniform(0.3, 2.0, n)
    cost = np.outer(tokens * visits, np.where(local, 0.0, price))
    problem = Problem(
        nodes=tuple(f"n{i}" for i in range(n)),
        models=tuple(f"m{i:02d}" for i in range(m)),
        log_quality=np.log(quality),
        cost_usd=cost,
        time_s=0.4 + answer[:, None] / speed[None, :],
        feasible=np.ones((n, m), dtype=bool),
        weight=np.minimum(visits, 1.0),
        budget_usd=0.3 * float(cost[np.arange(n), quality.argmax(axis=1)].sum()),
        local=tuple(bool(x) for x in local),
        steps=tuple(steps),
        memory_bytes=tuple(int(x) for x in memory),
        load_s=tuple(float(x) / 4e9 for x in memory),
    )
    if not is_full:
        return problem
    room = max(memory.sum() - memory.max(), memory[local].min())
    limited = replace(problem, memory_limit_bytes=int(room))
    quick = lagrangian.build().solve(
        replace(limited, objective="latency", budget_usd=None), time_limit_s=OUR_LIMIT_S
    )
    best = lagrangian.build().solve(limited, time_limit_s=OUR_LIMIT_S)
    deadline = (problem.latency_s(quick.choice) + problem.latency_s(best.choice)) / 2
    return replace(limited, deadline_s=deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Started when made."""

    wall: float
    cpu: float

    @classmethod
    def start(cls) -> Clock:
        """Now."""
        return cls(wall=time.perf_counter(), cpu=time.process_time())

    def stop(self, choice: tuple[int, ...] | None, bound: float) -> Run:
        """The run that ends now."""
        return Run(
            ms=(time.perf_counter() - self.wall) * 1e3,
            cpu_ms=(time.process_time() - self.cpu) * 1e3,
            choice=choice or None,
            bound=bound,
        )


def ours(problem: Problem) -> Run:
    """The portfolio as the product runs it."""
    clock = Clock.start()
    found = auto.build().solve(problem, time_limit_s=OUR_LIMIT_S)
    return clock.stop(found.choice, found.bound)


def highs(problem: Problem) -> Run:
    """HiGHS alone on the whole program."""
    clock = Clock.start()
    found = milp.build().once(problem, time_limit_s=LIMIT_S)
    return clock.stop(found.choice, found.bound)


def cp_sat(problem: Problem) -> Run:
    """OR-tools CP-SAT, numbers scaled to integers (about nine digits of each limit)."""
    from ortools.sat.python import cp_model

    clock = Clock.start()
    model = cp_model.CpModel()
    n, m = problem.log_quality.shape
    x = [[model.new_bool_var("") for _ in range(m)] for _ in range(n)]
    for row in x:
        model.add_exactly_one(row)
    value = np.round(1e7 * problem.weight[:, None] * problem.log_quality).astype(int)
    if problem.budget_usd is not None:
        # Rounded up, so that what CP-SAT accepts really fits.
        cost = np.ceil(1e9 * problem.cost_usd / problem.budget_usd).astype(int)
        model.add(sum(int(cost[i, k]) * x[i][k] for i in range(n) for k in range(m)) <= 10**9)
    local = [k for k in range(m) if problem.is_local(k)]
    loaded = {k: model.new_bool_var("") for k in local}
    if problem.deadline_s is not None or problem.memory_limit_bytes is not None:
        for k in local:
            for i in range(n):
                model.add_implication(x[i][k], loaded[k])
    if problem.memory_limit_bytes is not None:
        model.add(
            sum(problem.memory_bytes[k] * loaded[k] for k in local) <= problem.memory_limit_bytes
        )
    if problem.deadline_s is not None:
        unit = 1e6 / problem.deadline_s
        total = []
        for step in problem.timeline:
            z = model.new_int_var(0, 10**7, "")
            queue = []
            for i, tasks in zip(step.nodes, step.tasks, strict=True):
                seconds, _ = problem.lanes_s(i, tasks)
                lane = [int(np.ceil(unit * step.weight * s)) for s in seconds]
                model.add(z >= sum(lane[k] * x[i][k] for k in range(m) if k not in loaded))
                queue.append(sum(lane[k] * x[i][k] for k in local))
            model.add(z >= sum(queue))
            total.append(z)
        loads = sum(int(np.ceil(unit * problem.load_s[k])) * loaded[k] for k in local)
        model.add(sum(total) + loads <= 10**6)
    model.maximize(sum(int(value[i, k]) * x[i][k] for i in range(n) for k in range(m)))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = LIMIT_S
    solver.parameters.num_workers = 2
    solver.parameters.random_seed = 0
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return clock.stop(None, np.inf)
    choice = tuple(next(k for k in range(m) if solver.boolean_value(x[i][k])) for i in range(n))
    # Rounding of values may hide this much of the bound.
    return clock.stop(choice, solver.best_objective_bound / 1e7 + n * 1e-7)


def keeps_limits(problem: Problem, choice: tuple[int, ...]) -> bool:
    """Whether an assignment keeps budget, deadline and memory, to one part in 10⁸."""
    room = problem.memory_limit_bytes
    return (
        (problem.budget_usd is None or problem.spend_usd(choice) <= problem.budget_usd * (1 + 1e-8))
        and (
            problem.deadline_s is None
            or problem.latency_s(choice) <= problem.deadline_s * (1 + 1e-8)
        )
        and (room is None or problem.resident_bytes(choice) <= room)
    )


def rest() -> None:
    """Milliseconds to plan the rest of a run again: a chain of 30 nodes, 8 models, 3 of them local.

    The deadline is the time the plan expects less a tenth, so that it binds from the first step on.
    """
    names = [f"n{i:02d}" for i in range(30)]
    stops = [START, *names, END]
    graph = Graph(
        name="chain",
        nodes=tuple(Node(name=n, kind="llm", hints=RouteHints(complexity=0.5)) for n in names),
        edges=tuple(Edge(source=a, target=b) for a, b in pairwise(stops)),
    )
    prices = [0.0] * 3 + [0.3 * 2.5**k for k in range(5)]
    pool = Catalog(
        models=tuple(
            ModelSpec(
                name=f"m{k}",
                provider="bench",
                local=price == 0,
                price=Price(in_usd=price, out_usd=4 * price, source="bench"),
                ability=0.3 + 0.08 * k,
                memory_bytes=(3 + k) * 2**30 if price == 0 else None,
                loaded=True if price == 0 else None,
                tokens_per_s=40.0 + 15 * (k % 4),
            )
            for k, price in enumerate(prices)
        )
    )
    scorer = cast(StepScorer, registry.build("scorers", "structural"))
    room = 8 * 2**30
    for label, memory, is_timed in (
        ("budget", None, False),
        ("budget and memory", room, False),
        ("budget and deadline", None, True),
        ("budget, memory and deadline", room, True),
    ):
        budget = Budget(per_run_usd=0.04)
        made = make_plan(graph, pool, budget=budget, step_scorer=scorer, memory_limit_bytes=memory)
        if is_timed:
            limit = 0.9 * made.totals.latency_s
            made = made.what_if(deadline_s=limit)
        happened = Happened(last=("n05",), spent_usd=0.009, elapsed_s=made.totals.latency_s / 4)
        made.rest(happened)  # its tables are made once
        wall, cpu = [], []
        for _ in range(300):
            clock = Clock.start()
            made.rest(happened)
            run = clock.stop((0,), 0.0)
            wall.append(run.ms)
            cpu.append(run.cpu_ms)
        print(
            f"rest of 30x8, {label:<28} wall {median(wall):6.2f} ms median, "
            f"{min(wall):5.2f} least; cpu {median(cpu):5.2f} median"
        )


def main() -> None:
    """Run every size and print one row per size, kind and solver."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="budget,all,wide")
    parser.add_argument("--only-ours-from", type=int, default=100_000, help="nodes × models")
    parser.add_argument("--rest", action="store_true", help="time re-planning instead")
    options = parser.parse_args()
    if options.rest:
        print(describe(seed=options.seed))
        rest()
        return
    solvers: dict[str, Solve] = {"ours": ours, "highs": highs}
    if find_spec("ortools") is not None:
        solvers["cp-sat"] = cp_sat
        print("ortools", version("ortools"), end="; ")
    print("highspy", version("highspy"))
    print(describe(seed=options.seed))
    ours(instance(8, 5, 1, is_full=True))  # imports and first calls are not what is measured
    print(
        f"{'size':>8} {'limits':>7} {'solver':>7} {'ms median':>10} {'ms max':>9} "
        f"{'cpu median':>10} {'cpu max':>9} "
        f"{'gap median':>11} {'gap max':>9} {'failures':>8}"
    )
    for kind in options.kinds.split(","):
        for size in options.sizes.split(","):
            n, m = map(int, size.split("x"))
            repeats = options.repeats if n * m < 2000 else min(options.repeats, 3)
            found: dict[str, list[Run]] = {name: [] for name in solvers}
            gaps: dict[str, list[float]] = {name: [] for name in solvers}
            failures = dict.fromkeys(solvers, 0)
            impossible = 0
            for k in range(repeats):
                problem = instance(
                    n,
                    m,
                    options.seed + k,
                    is_full=kind != "budget",
                    widest=10 if kind == "wide" else 3,
                )
                runs = {
                    name: solve(problem)
                    for name, solve in solvers.items()
                    if name == "ours" or n * m < options.only_ours_from
                }
                if all(run.choice is None for run in runs.values()):
                    impossible += 1
                    continue
                bound = min(run.bound for run in runs.values())
                for name, run in runs.items():
                    found[name].append(run)
                    if run.choice is None or not keeps_limits(problem, run.choice):
                        failures[name] += 1
                    else:
                        value = problem.value_of(run.choice)
                        gaps[name].append(max(0.0, bound - value) / max(abs(bound), 1e-9))
            for name, all_runs in found.items():
                if not all_runs:
                    continue
                times = [run.ms for run in all_runs]
                gap = gaps[name] or [float("nan")]
                print(
                    f"{size:>8} {kind:>7} {name:>7} {median(times):10.1f} {max(times):9.1f} "
                    f"{median([run.cpu_ms for run in all_runs]):10.1f} "
                    f"{max(run.cpu_ms for run in all_runs):9.1f} "
                    f"{100 * median(gap):10.3f}% {100 * max(gap):8.3f}% "
                    f"{failures[name]:>5}/{len(all_runs)}"
                    + (f"  ({impossible} without any plan left out)" if impossible else ""),
                    flush=True,
                )


if __name__ == "__main__":
    main()
