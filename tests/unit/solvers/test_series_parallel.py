"""Parallel blocks: recognised, bounded, listed above a floor, and solved exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.hints import Objective
from graphroute.ir.problem import Floats, Ints, Problem, TimeStep
from graphroute.solvers import _lazy, auto, exact, milp, series_parallel
from graphroute.solvers._blocks import Block, is_series_of_blocks
from graphroute.solvers._choices import Outline, outline
from graphroute.solvers._dual import limit
from tests.unit.solvers.test_portfolio import one_step, problem


def block_of(case: Problem) -> tuple[Block, Outline]:
    shape = outline(case, is_timed=True)
    return Block.of(case, case.steps[0], list(shape.order), shape.value, shape.time), shape


def all_rows(block: Block) -> tuple[Floats, Ints]:
    width = len(block.columns)
    every = np.array(list(product(range(width), repeat=len(block.nodes))), dtype=np.int64)
    return block.table(every)


def test_a_run_of_blocks_is_recognised_and_a_node_in_two_of_them_is_not() -> None:
    def shape(*steps: tuple[int, ...]) -> bool:
        case = problem(
            4,
            2,
            steps=tuple(TimeStep(weight=1.0, nodes=s, tasks=(1.0,) * len(s)) for s in steps),
        )
        return is_series_of_blocks(outline(case, is_timed=True).groups, case)

    assert shape((0,), (1, 2), (3,))
    assert shape((0, 1), (2, 3), (0,))
    assert not shape((0, 1), (1, 2), (3,))
    assert not shape((0, 1, 2), (0, 1), (3,))


@pytest.mark.parametrize("objective", ["quality", "latency"])
def test_the_bound_of_a_block_holds_and_is_met_without_a_queue(objective: Objective) -> None:
    case = problem(4, 3, steps=one_step(4), deadline_s=3.0, objective=objective)
    lam, mu = np.array([0.0, 50.0, 500.0]), np.array([0.0, 0.2, 1.0])
    for here, is_tight in ((case, False), (replace(case, local=(False,) * 3), True)):
        block, _ = block_of(here)
        bound, picks = block.best(lam, mu)
        rows, _ = all_rows(block)
        real = (rows[:, :1] - rows[:, 1:2] * lam - rows[:, 2:] * mu).max(axis=0)
        assert (bound >= real - 1e-9).all()
        if is_tight:
            assert bound == pytest.approx(real)
            met, _ = block.table(picks)
            best = (met[:, :1] - met[:, 1:2] * lam - met[:, 2:] * mu).max(axis=0)
            assert best == pytest.approx(real)


def test_all_that_may_beat_a_floor_is_listed() -> None:
    case = problem(4, 3, steps=one_step(4), deadline_s=3.0)
    block, _ = block_of(case)
    lam, mu = np.array([20.0, 80.0]), np.array([0.1, 0.3])
    rows, _ = all_rows(block)
    scores = rows[:, :1] - rows[:, 1:2] * lam - rows[:, 2:] * mu
    needed = np.quantile(scores, 0.9, axis=0)
    found, _ = block.table(block.above(lam, mu, needed))
    here = {tuple(row) for row in np.round(found, 9)}
    wanted = rows[(scores > needed).all(axis=1)]
    assert {tuple(row) for row in np.round(wanted, 9)} <= here
    assert len(found) < len(rows)


@pytest.mark.parametrize("seed", range(6))
def test_wide_runs_are_solved_as_highs_solves_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = [7, 1, 6]
    nodes = np.split(np.arange(14), np.cumsum(sizes)[:-1])
    case = problem(
        14,
        5,
        steps=tuple(
            TimeStep(weight=float(w), nodes=tuple(s.tolist()), tasks=(1.0,) * len(s))
            for s, w in zip(nodes, random.uniform(0.5, 2, 3), strict=True)
        ),
        log_quality=np.log(random.uniform(0.1, 0.99, (14, 5))),
        local=tuple(bool(x) for x in random.random(5) < 0.3),
        memory_bytes=(1, 2, 3, 4, 5),
        memory_limit_bytes=8,
    )
    case = replace(
        case,
        budget_usd=0.5 * float(case.cost_usd.mean(axis=1).sum()),
        deadline_s=0.9 * float(case.time_s.mean()) * 6,
    )
    proved = milp.build().solve(case, time_limit_s=20.0)
    for solver in (auto.build(), series_parallel.build()):
        found = solver.solve(case, time_limit_s=1.0)
        assert (found.status == "infeasible") == (proved.status == "infeasible")
        if proved.choice:
            assert found.value == pytest.approx(proved.value, rel=0.0081, abs=1e-7)
            assert found.bound >= proved.value - 1e-7
            assert case.spend_usd(found.choice) <= limit(case.budget_usd)
            assert case.latency_s(found.choice) <= limit(case.deadline_s)


def test_the_portfolio_takes_it_for_wide_runs_only() -> None:
    wide = problem(5, 6, steps=one_step(5), deadline_s=2.5)
    narrow = problem(2, 6, steps=one_step(2), deadline_s=2.5)
    assert auto.build().solve(wide, time_limit_s=1.0).solver == "series_parallel"
    assert auto.build().solve(narrow, time_limit_s=1.0).solver == "exact"


def test_what_no_assignment_can_keep_is_proved_without_listing() -> None:
    wide = problem(9, 6, steps=one_step(9), deadline_s=0.05, budget_usd=1.0)
    prepared = _lazy.prepare(wide, most=0)
    assert prepared is not None
    assert prepared[1].is_infeasible
    found = series_parallel.build().solve(wide, time_limit_s=1.0)
    assert (found.status, found.limit) == ("infeasible", "deadline")
    enough = replace(wide, deadline_s=found.needed)
    assert auto.build().solve(enough, time_limit_s=1.0).choice


def test_a_coarser_answer_says_so() -> None:
    case = problem(8, 5, steps=one_step(8), deadline_s=3.5)
    case = replace(case, budget_usd=0.8 * float(case.cost_usd.mean(axis=1).sum()))
    best = exact.build().solve(case, time_limit_s=1.0)
    rough = series_parallel.build(epsilon=0.05).solve(case, time_limit_s=1.0)
    assert best.status == "optimal"
    assert rough.value <= best.value + 1e-12
    assert rough.bound >= best.value - 1e-12
    assert rough.gap <= 0.06
    with pytest.raises(InvalidValue, match="epsilon"):
        series_parallel.build(epsilon=1.0)
