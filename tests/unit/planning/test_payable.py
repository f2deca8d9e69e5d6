"""A plan counts a cascade as far as a run can pay it, and is the one of which runs get the most."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from graphroute import registry
from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import END, START, Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Assignment, Plan
from graphroute.ir.problem import Option, Problem, Solution
from graphroute.ir.verdict import Verdict
from graphroute.planning import payable
from graphroute.planning.retries import CheckRates
from graphroute.protocols import Solver
from tests.unit.passes.graphs import graph, node
from tests.unit.planning.pool import plan, spec

FREE = spec("ollama:small", 0.0, 0.5, local=True)
DEAR = spec("openai:big", 10.0, 0.95)
POOL = Catalog(models=(FREE, DEAR))
CHECKED = RouteHints(
    verify=lambda messages, reply: Verdict(score=1.0, passed=True), max_output_tokens=100
)
PERFECT = CheckRates(passes_good=1.0, passes_bad=0.0)
SOLVER = registry.build("solvers", "auto")


def problem(
    budget_usd: float | None, *, weights: tuple[float, float] = (1.0, 1.0), dear: float = 0.8
) -> Problem:
    """Two nodes, each with a free model, one of 1 USD, and the second behind the first in half of
    all visits: 0.4, `dear` and 0.6 of the answers are good.
    """
    cascade = Option(kind="cascade", models=(0, 1), shares=(1.0, 0.5), so_far=(0.4, 0.6))
    return Problem(
        nodes=("first", "second"),
        models=("free", "dear"),
        log_quality=np.log(np.array([[0.4, dear, 0.6]] * 2)),
        cost_usd=np.array([[0.0, 1.0, 0.5]] * 2),
        time_s=np.array([[1.0, 2.0, 2.0]] * 2),
        feasible=np.ones((2, 3), dtype=bool),
        weight=np.array(weights),
        extras=((cascade,), (cascade,)),
        budget_usd=budget_usd,
        objective="quality",
    )


def solved(given: Problem) -> tuple[Solution, Problem]:
    assert isinstance(SOLVER, Solver)
    search: Solver = SOLVER
    found = payable.solve(given, lambda each: search.solve(each, time_limit_s=5.0), (1.0, 1.0))
    return found, payable.as_paid(given, found.choice, (1.0, 1.0))


BOTH = (2, 2)


def test_with_money_for_all_nothing_is_put_down() -> None:
    for budget in (None, 2.0, 5.0):
        given = problem(budget)
        assert payable.as_paid(given, BOTH, (1.0, 1.0)) is given


def test_of_two_that_exclude_each_other_the_weightier_is_counted_whole() -> None:
    given = problem(1.0, weights=(1.0, 3.0))
    assert payable.paid(given, BOTH, (1.0, 1.0)) == {0: (0.0,), 1: (1.0,)}
    told = payable.as_paid(given, BOTH, (1.0, 1.0))
    assert told.log_quality[:, 2] == pytest.approx(np.log([0.4, 0.6]))
    assert told.cost_usd[:, 2] == pytest.approx([0.0, 0.5])
    assert told.time_s[:, 2] == pytest.approx([1.0, 2.0])
    assert [told.option(i, 2).shares for i in (0, 1)] == [(1.0, 0.0), (1.0, 0.5)]
    # What is not chosen stays as it was, and so does the problem itself.
    assert np.array_equal(told.log_quality[:, :2], given.log_quality[:, :2])
    assert given.cost_usd[0, 2] == 0.5


def test_of_two_alike_the_first_has_it_and_the_other_what_that_leaves() -> None:
    given = problem(1.0)
    shares = payable.paid(given, BOTH, (1.0, 1.0))
    assert shares == {0: (1.0,), 1: (pytest.approx(0.5),)}
    told = payable.as_paid(given, BOTH, (1.0, 1.0))
    half = math.log(0.4) + 0.5 * math.log(0.6 / 0.4)
    assert told.log_quality[:, 2] == pytest.approx([math.log(0.6), half])
    assert told.spend_usd(BOTH) == pytest.approx(0.75)


def test_a_second_model_beside_a_certain_one_is_worth_nothing() -> None:
    given = problem(1.5, dear=0.7)
    mixed = (2, 1)
    assert payable.paid(given, mixed, (1.0, 1.0)) == {0: (0.0,)}
    # Promised is log 0.6 + log 0.7, of which runs get log 0.4 + log 0.7: two cascades are better.
    assert given.value_of(mixed) > given.value_of(BOTH)
    found, told = solved(given)
    assert found.choice == BOTH
    assert told.value_of(BOTH) > payable.as_paid(given, mixed, (1.0, 1.0)).value_of(mixed)


def test_what_is_put_aside_before_a_call_has_to_fit_too() -> None:
    held = np.array([[0.0, 1.3]] * 2)
    given = replace(problem(1.2), held_usd=held)
    assert payable.paid(given, BOTH, (1.0, 1.0)) == {0: (0.0,), 1: (0.0,)}
    given = replace(problem(2.2), held_usd=held)
    assert payable.paid(given, BOTH, (1.0, 1.0)) == {0: (1.0,), 1: (pytest.approx(0.5),)}
    # Beside a certain call what that puts aside has to be left as well.
    assert payable.paid(replace(given, budget_usd=2.5), (2, 1), (1.0, 1.0)) == {0: (0.0,)}
    assert payable.paid(replace(given, budget_usd=2.6), (2, 1), (1.0, 1.0)) == {0: (1.0,)}


def test_what_a_run_can_pay_is_planned_as_it_was() -> None:
    given = problem(2.0)
    found, told = solved(given)
    assert found.choice == (1, 1)
    assert told is given
    without_limit, told = solved(problem(None))
    assert without_limit.choice == (1, 1)
    assert told.budget_usd is None


@pytest.mark.parametrize("objective", ["cost", "latency"])
def test_other_objectives_are_solved_once(objective: str) -> None:
    calls = []

    def search(each: Problem) -> Solution:
        calls.append(each)
        assert isinstance(SOLVER, Solver)
        return SOLVER.solve(each, time_limit_s=5.0)

    given = replace(problem(1.5), objective=objective)  # type: ignore[arg-type]  # one of them
    payable.solve(given, search, (1.0, 1.0))
    assert calls == [given]


def test_what_is_told_is_what_runs_get() -> None:
    """Runs are drawn, each of them asking on by the rule that runs follow."""
    from graphroute.ir.knapsack import is_worth, ladder

    given = problem(1.6, weights=(1.0, 0.4))
    draw = np.random.default_rng(0)
    asked = np.zeros((4000, 2))
    ahead = [
        ladder(usd=[1.0], reach=[0.5], so_far=[0.4, 0.6], weight=float(w)) for w in given.weight
    ]
    for run in asked:
        left = 1.6
        for i in range(2):
            if draw.random() < 0.5 and is_worth(ahead[i], ahead[i + 1 :], left):
                left -= 1.0
                run[i] = 1.0
    told = payable.as_paid(given, BOTH, (1.0, 1.0))
    for i in range(2):
        assert told.option(i, 2).shares[1] == pytest.approx(asked[:, i].mean(), abs=0.025)


def two(**weights: float) -> Graph:
    """Two steps, both with a check."""
    hints = {name: replace(CHECKED, weight=weights.get(name)) for name in ("first", "second")}
    return graph(
        [node("first", hints=hints["first"]), node("second", hints=hints["second"])],
        [(START, "first"), ("first", "second"), ("second", END)],
    )


def made(calls: float | None, **weights: float) -> Plan:
    """Under a budget of so many calls of the dear model."""
    one = plan(two(), pool=Catalog(models=(DEAR,))).totals.cost_expected_usd / 2
    qualities = {(n, m.name): 0.95 if m is DEAR else 0.4 for n in ("first", "second") for m in POOL}
    return plan(
        two(**weights),
        pool=POOL,
        usd=None if calls is None else calls * one,
        qualities=qualities,
        checks={"first": PERFECT, "second": PERFECT},
    )


def at(found: Plan, name: str) -> Assignment:
    assignment = found.assignment(name)
    assert assignment is not None
    return assignment


def test_a_plan_tells_what_can_be_asked_and_what_would_be() -> None:
    found = made(1.8, second=3.0)
    first, second = at(found, "first"), at(found, "second")
    assert second.model == DEAR.name
    # The dear model behind the free one is wanted in four of ten runs, and never paid.
    assert first.then[-1] == DEAR.name
    assert first.reach[-1] > 0.4
    assert first.so_far[0] == pytest.approx(0.4)
    assert first.so_far[-1] > 0.9
    assert first.quality == pytest.approx(first.so_far[-2])
    assert first.cost_usd == 0
    assert first.expected_calls == pytest.approx(1 + sum(first.reach[:-1]))


def test_a_plan_without_a_limit_tells_the_whole() -> None:
    for name in ("first", "second"):
        a = at(made(None), name)
        assert a.quality == pytest.approx(max(0.95, *(a.so_far or (0.0,))), abs=0.01)
        if a.so_far:
            assert a.expected_calls == pytest.approx(1 + sum(a.reach))


def test_of_plans_with_cascades_one_is_taken_whose_first_answers_fit() -> None:
    two, more = problem(2.6), problem(2.6)
    given = replace(
        two,
        nodes=("first", "second", "third"),
        log_quality=np.vstack([two.log_quality, more.log_quality[:1]]),
        cost_usd=np.vstack([two.cost_usd, more.cost_usd[:1]]),
        time_s=np.vstack([two.time_s, more.time_s[:1]]),
        feasible=np.ones((3, 3), dtype=bool),
        weight=np.ones(3),
        extras=two.extras + more.extras[:1],
        held_usd=np.array([[0.0, 1.8]] * 3),
    )
    assert isinstance(SOLVER, Solver)
    # Two dear first answers and a cascade keep 2.6 as expected, but before the second dear answer
    # 1.8 of the 1.6 that are left would have to be there.
    promised = SOLVER.solve(given, time_limit_s=5.0).choice
    assert sorted(promised) == [1, 1, 2]

    def search(each: Problem) -> Solution:
        assert isinstance(SOLVER, Solver)
        return SOLVER.solve(each, time_limit_s=5.0)

    taken = payable.solve(given, search, (1.0, 1.0, 1.0)).choice
    assert taken.count(1) < 2


def test_replayed_runs_put_nothing_aside() -> None:
    checked = graph([node("first", hints=CHECKED)], [(START, "first"), ("first", END)])
    one = plan(checked, pool=Catalog(models=(DEAR,))).totals.cost_expected_usd
    given = {
        "pool": POOL,
        "usd": 1.2 * one,
        "qualities": {("first", FREE.name): 0.4, ("first", DEAR.name): 0.41},
        "checks": {"first": PERFECT},
    }
    real, replayed = plan(checked, **given), plan(checked, puts_aside=False, **given)  # type: ignore[arg-type]  # by name
    # A call of the dear model costs less than the limit, and its worst case more.
    assert at(real, "first").quality < at(real, "first").so_far[-1]
    assert at(replayed, "first").quality == pytest.approx(at(replayed, "first").so_far[-1])
    assert at(replayed, "first").quality > at(real, "first").quality
