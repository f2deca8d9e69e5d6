"""What every solver owes, found by discovery."""

from __future__ import annotations

import numpy as np
import pytest

from graphroute import registry
from graphroute.ir.problem import Problem, TimeStep
from graphroute.protocols import Solver

CASES = [
    (name, options)
    for name in registry.names("solvers")
    for options in registry.load("solvers", name).EXAMPLES
]


def problem(**changes: object) -> Problem:
    fields: dict[str, object] = {
        "nodes": ("a", "b", "c"),
        "models": ("big", "small"),
        "log_quality": np.log([[0.9, 0.5], [0.9, 0.8], [0.95, 0.2]]),
        "cost_usd": np.array([[0.02, 0.001], [0.02, 0.001], [0.02, 0.001]]),
        "time_s": np.array([[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]),
        "feasible": np.ones((3, 2), dtype=bool),
        "weight": np.ones(3),
    }
    return Problem(**fields | changes)  # type: ignore[arg-type]  # fields by name


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def solver(request: pytest.FixtureRequest) -> Solver:
    name, options = request.param
    built = registry.build("solvers", name, **options)
    assert isinstance(built, Solver)
    return built


def test_it_says_what_it_can_honour_and_has_a_rank(solver: Solver) -> None:
    assert {"budget", "deadline", "memory", "wide"} >= solver.CAPABILITIES
    assert isinstance(registry.load("solvers", solver.name).RANK, int)


def test_without_limits_each_node_gets_its_best(solver: Solver) -> None:
    found = solver.solve(problem(), time_limit_s=5.0)
    assert found.choice == (0, 0, 0)
    assert found.status == "optimal"
    assert found.gap == pytest.approx(0.0, abs=1e-9)
    assert found.ms >= 0


def test_a_budget_is_kept_and_spent_where_it_counts(solver: Solver) -> None:
    found = solver.solve(problem(budget_usd=0.022), time_limit_s=5.0)
    assert found.choice == (1, 1, 0)
    assert found.bound >= found.value


def test_a_deadline_is_kept(solver: Solver) -> None:
    steps = (
        TimeStep(weight=1.0, nodes=(0, 1), tasks=(1.0, 1.0)),
        TimeStep(weight=1.0, nodes=(2,), tasks=(1.0,)),
    )
    limited = problem(deadline_s=4.0, steps=steps)
    found = solver.solve(limited, time_limit_s=5.0)
    assert limited.latency_s(found.choice) <= 4.0
    assert found.choice == (1, 1, 0)


def test_a_masked_node_and_a_small_budget_are_infeasible_and_named(solver: Solver) -> None:
    masked = np.array([[True, True], [False, False], [True, True]])
    found = solver.solve(problem(feasible=masked), time_limit_s=5.0)
    assert (found.status, found.limit, found.choice) == ("infeasible", "models", ())
    found = solver.solve(problem(budget_usd=0.002), time_limit_s=5.0)
    assert (found.status, found.limit) == ("infeasible", "budget")
    assert found.needed == pytest.approx(0.003)


def test_nothing_to_assign_is_optimal(solver: Solver) -> None:
    empty = problem(
        nodes=(),
        log_quality=np.zeros((0, 2)),
        cost_usd=np.zeros((0, 2)),
        time_s=np.zeros((0, 2)),
        feasible=np.ones((0, 2), dtype=bool),
        weight=np.zeros(0),
    )
    found = solver.solve(empty, time_limit_s=5.0)
    assert (found.status, found.choice, found.gap) == ("optimal", (), 0.0)


def test_nothing_is_printed(solver: Solver, capfd: pytest.CaptureFixture[str]) -> None:
    solver.solve(problem(budget_usd=0.022), time_limit_s=5.0)
    assert capfd.readouterr() == ("", "")
