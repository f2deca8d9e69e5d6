"""Solvers against exhaustive search, and laws that every plan must keep."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute import registry
from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import END, START
from graphroute.ir.hints import Objective, RouteHints
from graphroute.ir.plan import Plan
from graphroute.ir.problem import SLACK, Option, Problem, TimeStep
from graphroute.protocols import Solver
from tests.unit.passes.graphs import Arrow, graph, node
from tests.unit.planning.pool import plan, spec

SOLVERS = {
    name: cast(Solver, registry.build("solvers", name)) for name in registry.names("solvers")
}
EXACT = [name for name in SOLVERS if name != "lagrangian"]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    coarse = draw(st.booleans())  # whole numbers make ties
    cost = random.integers(0, 4, (n, m)) * 1.0 if coarse else random.lognormal(0, 1, (n, m))
    quality = random.integers(1, 5, (n, m)) / 5 if coarse else random.uniform(0.01, 0.99, (n, m))
    time = random.integers(1, 4, (n, m)) * 1.0 if coarse else random.uniform(0.1, 5, (n, m))
    local = tuple(bool(x) for x in random.random(m) < 0.4)
    steps = []
    left = list(range(n))
    while left:
        size = int(random.integers(1, min(3, len(left)) + 1))
        nodes, left = tuple(left[:size]), left[size:]
        steps.append(
            TimeStep(
                weight=float(random.uniform(0.2, 2)),
                nodes=nodes,
                tasks=tuple(float(x) for x in random.integers(1, 9, size)),
            )
        )
    if draw(st.booleans()) and n > 1:  # a node in two supersteps
        steps.append(TimeStep(weight=0.5, nodes=(0, n - 1), tasks=(1.0, 2.0)))
    memory = tuple(
        int(x) if here else 0 for x, here in zip(random.integers(1, 5, m), local, strict=True)
    )
    plain = Problem(
        nodes=tuple(f"n{i}" for i in range(n)),
        models=tuple(f"m{i}" for i in range(m)),
        log_quality=np.log(quality),
        cost_usd=np.asarray(cost * 1e-3, dtype=np.float64),
        time_s=np.asarray(time, dtype=np.float64),
        feasible=random.random((n, m)) < 0.85,
        weight=random.uniform(0, 2, n),
        objective=cast(Objective, draw(st.sampled_from(["quality", "cost", "latency"]))),
        budget_usd=draw(
            st.sampled_from([None, float(cost.mean() * n * 1e-3 * random.uniform(0, 1.2))])
        ),
        deadline_s=draw(st.sampled_from([None, float(time.mean() * n * random.uniform(0.5, 3))])),
        local=local,
        steps=tuple(steps),
        memory_bytes=memory,
        load_s=tuple(0.5 * x for x in memory),
        memory_limit_bytes=draw(st.sampled_from([None, 3, 5])),
    )
    return with_sequences(plain, random) if draw(st.booleans()) and m > 1 else plain


def with_sequences(problem: Problem, random: np.random.Generator) -> Problem:
    """The problem with up to two sequences of two models at some nodes, behind the models."""
    n, m = problem.log_quality.shape
    extras: list[tuple[Option, ...]] = []
    more = np.full((4, n, 2), np.nan)
    for i in range(n):
        options = []
        for e in range(int(random.integers(0, 3))):
            first, then = (int(x) for x in random.permutation(m)[:2])
            often = float(random.uniform(0.1, 1))
            option = Option(kind="cascade", models=(first, then), shares=(1.0, often))
            device = [problem.is_local(x) * problem.time_s[i, x] for x in option.models]
            more[:, i, e] = (
                np.log(random.uniform(0.2, 1)),
                problem.cost_usd[i, first] + often * problem.cost_usd[i, then],
                problem.time_s[i, first] + often * problem.time_s[i, then],
                device[0] + often * device[1],
            )
            options.append(option)
        extras.append(tuple(options))
    exists = np.isfinite(more[0])
    log_quality, cost, time, device_s = np.nan_to_num(more, nan=0.0)
    return replace(
        problem,
        log_quality=np.column_stack([problem.log_quality, log_quality]),
        cost_usd=np.column_stack([problem.cost_usd, cost]),
        time_s=np.column_stack([problem.time_s, time]),
        device_s=np.column_stack([problem.on_device_s, device_s]),
        feasible=np.column_stack([problem.feasible, exists]),
        extras=tuple(extras),
    )


def keeps_limits(problem: Problem, choice: tuple[int, ...]) -> bool:
    masks = all(problem.feasible[i, m] for i, m in enumerate(choice))
    money = problem.budget_usd is None or (
        problem.spend_usd(choice) <= problem.budget_usd * (1 + 2 * SLACK) + 1e-12
    )
    time = problem.deadline_s is None or (
        problem.latency_s(choice) <= problem.deadline_s * (1 + 2 * SLACK) + 1e-12
    )
    room = problem.memory_limit_bytes is None or (
        problem.resident_bytes(choice) <= problem.memory_limit_bytes
    )
    return masks and money and time and room


def exhaustive(problem: Problem) -> float | None:
    values = [
        problem.value_of(choice)
        for choice in product(*(np.flatnonzero(row).tolist() for row in problem.feasible))
        if keeps_limits(problem, choice)
    ]
    return max(values, default=None)


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=120, deadline=None)
@given(problem=problems())
def test_exact_solvers_equal_exhaustive_search(name: str, problem: Problem) -> None:
    found, best = SOLVERS[name].solve(problem, time_limit_s=10.0), exhaustive(problem)
    if best is None:
        assert found.status == "infeasible"
        assert found.choice == ()
        return
    assert found.status == "optimal"
    assert keeps_limits(problem, found.choice)
    assert found.value == pytest.approx(best, abs=1e-8)
    assert found.bound >= found.value


@settings(max_examples=120, deadline=None)
@given(problem=problems())
def test_the_lagrangian_bound_holds_and_its_plan_keeps_every_limit(problem: Problem) -> None:
    found, best = SOLVERS["lagrangian"].solve(problem, time_limit_s=1.0), exhaustive(problem)
    if found.choice:
        assert keeps_limits(problem, found.choice)
        assert found.bound >= found.value
        assert best is not None
        assert found.bound >= best - 1e-9
        assert found.value <= best + 1e-9


@settings(max_examples=80, deadline=None)
@given(problem=problems(), factor=st.floats(1.0, 3.0))
def test_a_larger_budget_is_never_worse(problem: Problem, factor: float) -> None:
    budget = 0.001 if problem.budget_usd is None else problem.budget_usd
    values = [
        SOLVERS["auto"].solve(replace(problem, budget_usd=usd), time_limit_s=10.0).value
        for usd in (budget, budget * factor)
    ]
    assert values[1] >= values[0] - 1e-9


@settings(max_examples=200, deadline=None)
@given(problem=problems())
def test_what_an_infeasible_problem_needs_is_enough_and_no_less(problem: Problem) -> None:
    found = SOLVERS["auto"].solve(problem, time_limit_s=10.0)
    if found.status != "infeasible" or found.limit == "models":
        return
    given = {
        name: float(value)
        for name, value in (
            ("budget", problem.budget_usd),
            ("deadline", problem.deadline_s),
            ("memory", problem.memory_limit_bytes),
        )
        if value is not None
    }

    def status(limits: dict[str, float]) -> str:
        return SOLVERS["auto"].solve(limited(problem, limits), time_limit_s=10.0).status

    names = [limit.name for limit in found.conflict]
    assert status({name: given[name] for name in names}) == "infeasible"
    for left_out in names:
        assert status({name: given[name] for name in names if name != left_out}) != "infeasible"
    for limit in found.conflict:
        if limit.needed is None:
            continue
        assert status(given | {limit.name: limit.needed}) != "infeasible"
        if limit.name != "memory" and limit.needed > 1e-6:
            assert status(given | {limit.name: limit.needed * 0.999}) == "infeasible"
    if all(limit.needed is None for limit in found.conflict):
        moved = {limit.name: limit.needed or 0.0 for limit in found.together}
        assert status(given | moved) != "infeasible"
        assert len(moved) > 1
    else:
        assert found.together == ()


def limited(problem: Problem, limits: dict[str, float]) -> Problem:
    """The problem under these limits only."""
    return replace(
        problem,
        budget_usd=limits.get("budget"),
        deadline_s=limits.get("deadline"),
        memory_limit_bytes=int(limits["memory"]) if "memory" in limits else None,
    )


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_the_same_problem_gets_the_same_answer(problem: Problem) -> None:
    first, second = (SOLVERS["auto"].solve(problem, time_limit_s=10.0) for _ in range(2))
    assert replace(first, ms=0.0) == replace(second, ms=0.0)


@st.composite
def planned(draw: st.DrawFn) -> dict[str, object]:
    """A graph with a loop, checks by hint, a vote and a branch, and what a plan of it may take."""
    hints = st.builds(
        RouteHints,
        complexity=st.none() | st.floats(0, 1),
        min_quality=st.none() | st.floats(0, 0.7),
        weight=st.none() | st.floats(0, 3),
        verify=st.none() | st.just(print),
        privacy=st.sampled_from([None, None, "local"]),
    )
    names = ["ask1", "ask2", "draft", "answer", "rare"]
    nodes = [
        node(n, hints=draw(hints), prompts=("Why?",), reads=("q",), writes=(f"k{n[:3]}",))
        for n in names
    ]
    codes = [node(n, "code") for n in ("join", "check")]
    arrows: list[Arrow] = [(START, "ask1"), (START, "ask2"), ("ask1", "join", "join")]
    arrows += [("ask2", "join", "join"), ("join", "draft"), ("draft", "check")]
    arrows += [("check", t, "conditional") for t in ("draft", "answer", "rare")]
    arrows += [("rare", "answer"), ("answer", END)]
    return {
        "of": graph([*nodes, *codes], arrows),
        "usd": draw(st.floats(0, 0.2)),
        "objective": draw(st.sampled_from(["quality", "cost", "latency"])),
        "deadline_s": draw(st.none() | st.floats(5, 200)),
        "memory_limit_bytes": draw(st.none() | st.sampled_from([0, 3 * 10**9, 6 * 10**9])),
        "seed": draw(st.integers(0, 9)),
    }


POOL = Catalog(
    models=(
        spec("l:one", 0.0, 0.45, local=True, memory_bytes=3 * 10**9),
        spec("l:two", 0.0, 0.55, local=True, memory_bytes=3 * 10**9, loaded=True),
        spec("o:big", 20.0, 0.95),
        spec("o:mini", 1.0, 0.7, tokens_per_s=120.0),
    )
)


@settings(max_examples=60, deadline=None)
@given(asked=planned())
def test_a_plan_keeps_its_limits_and_survives_json(asked: dict[str, object]) -> None:
    made = plan(asked.pop("of"), pool=POOL, **asked)  # type: ignore[arg-type]  # by name
    assert Plan.from_json(made.to_json(timing=True)) == made
    if not made.feasible:
        assert made.infeasible is not None
        return
    assert made.totals.cost_expected_usd <= cast(float, asked["usd"]) * (1 + 1e-8) + 1e-12
    if made.deadline_s is not None:
        assert made.totals.latency_s <= made.deadline_s * (1 + 1e-8)
    held = {m for a in made.assignments for m in (a.model, *a.then)}
    room = asked["memory_limit_bytes"]
    if room is not None:
        assert sum(POOL.get(m).memory_bytes or 0 for m in held) <= cast(int, room)
    for a in made.assignments:
        masked = [c.partition(": ")[0] for c in a.constraints if ": " in c and "below" not in c]
        assert not {a.model, *a.then} & set(masked)
        if a.so_far:
            # What is told is what runs can pay: no more than all of it, no less than its first.
            assert min(a.so_far) - 1e-9 <= a.quality <= max(a.so_far) + 1e-9
            assert a.expected_calls <= a.expected_visits * (1 + sum(a.reach)) + 1e-9
        if a.privacy_local:
            assert all(POOL.get(m).local for m in (a.model, *a.then, *a.fallbacks))
        assert made.explain(a.node).startswith(a.node)
    assert made.solver.gap >= 0


@settings(max_examples=30, deadline=None)
@given(asked=planned(), factor=st.floats(1, 4))
def test_a_plan_with_more_money_is_never_worse(asked: dict[str, object], factor: float) -> None:
    asked |= {"deadline_s": None, "objective": "quality"}
    made = plan(asked.pop("of"), pool=POOL, **asked)  # type: ignore[arg-type]  # by name
    richer = made.what_if(budget=cast(float, asked["usd"]) * factor)
    assert richer.feasible or not made.feasible
    assert richer.totals.quality >= made.totals.quality - 1e-9
