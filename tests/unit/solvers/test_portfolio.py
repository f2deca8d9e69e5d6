"""The parts of the portfolio on their own: groups, prices, labels, residents, conflicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphroute.ir.problem import Floats, Problem, TimeStep
from graphroute.solvers import _choices, _dual, _labels, _portfolio, _residency, auto, exact, milp
from graphroute.solvers._choices import (
    PAIRWISE,
    TooManyCombinations,
    choices,
    undominated,
)


def problem(n: int, m: int, **changes: object) -> Problem:
    random = np.random.default_rng([n, m])
    fields: dict[str, object] = {
        "nodes": tuple(f"n{i}" for i in range(n)),
        "models": tuple(f"m{i}" for i in range(m)),
        "log_quality": np.log(random.uniform(0.1, 0.99, (n, m))),
        "cost_usd": random.lognormal(0, 1, (n, m)) * 1e-3,
        "time_s": random.uniform(0.1, 5, (n, m)),
        "feasible": np.ones((n, m), dtype=bool),
        "weight": random.uniform(0.2, 2, n),
        "local": (True,) + (False,) * (m - 1),
    }
    return Problem(**fields | changes)  # type: ignore[arg-type]  # fields by name


def one_step(n: int) -> tuple[TimeStep, ...]:
    return (TimeStep(weight=1.0, nodes=tuple(range(n)), tasks=(1.0,) * n),)


def test_undominated_is_the_same_in_pairs_and_one_by_one() -> None:
    points = np.random.default_rng(1).integers(0, 6, (PAIRWISE + 200, 3)).astype(float)
    large = undominated(points)
    assert {tuple(points[i]) for i in large} == {tuple(p) for p in points[large]}
    small = undominated(points[:PAIRWISE])
    rest = [i for i in range(PAIRWISE) if i not in small]
    for i in rest:
        assert any((points[k] <= points[i]).all() for k in small)
    for i in large:
        assert not any(
            (points[k] <= points[i]).all() and (points[k] < points[i]).any() for k in large
        )


def test_groups_of_one_superstep_keep_time_exactly() -> None:
    case = problem(3, 3, steps=one_step(3), deadline_s=3.0)
    table = choices(case, is_timed=True)
    assert table.members == ((0, 1, 2),)
    for o, picked in enumerate(table.picks[0]):
        assert table.time[0, o] == pytest.approx(case.latency_s(picked))
        assert table.cost[0, o] == pytest.approx(case.spend_usd(picked))
        assert table.value[0, o] == pytest.approx(case.value_of(picked))


def test_too_many_parallel_nodes_are_left_to_highs_or_solved_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_choices, "MOST_COMBINATIONS", 60)
    wide = problem(5, 4, steps=one_step(5), deadline_s=6.0)
    with pytest.raises(TooManyCombinations):
        choices(wide, is_timed=True)
    alone = exact.build().solve(wide, time_limit_s=1.0)
    assert not alone.choice or wide.latency_s(alone.choice) <= 6.0
    assert alone.status in ("feasible", "time_limit")
    both = auto.build().solve(wide, time_limit_s=20.0)
    proved = milp.build().solve(wide, time_limit_s=20.0)
    assert wide.latency_s(both.choice) <= 6.0 * (1 + 1e-9)
    assert both.value >= proved.value - 0.011 * abs(proved.value)
    assert both.bound >= proved.value - 1e-9


def test_the_bound_is_tight_on_many_nodes() -> None:
    large = problem(300, 8)
    large = replace(large, budget_usd=0.5 * large.cost_usd.mean(axis=1).sum())
    found = auto.build().solve(large, time_limit_s=1.0)
    assert found.gap <= 1e-3
    assert large.spend_usd(found.choice) <= large.budget_usd * (1 + 1e-9)  # type: ignore[operator]
    assert found.solver == "lagrangian"
    assert found.shadow_price > 0


def test_accepting_a_gap_is_told_as_a_gap() -> None:
    case = problem(16, 5)
    case = replace(case, budget_usd=0.4 * float(case.cost_usd.mean(axis=1).sum()))
    best = exact.build().solve(case, time_limit_s=1.0)
    rough = _portfolio.run(case, "exact", stop_gap=0.0, accepts=(0.05,))
    assert rough.value <= best.value + 1e-12
    assert rough.bound >= best.value - 1e-12
    assert rough.gap <= 0.05 / (1 - 0.05)


def test_labels_over_their_limit_go_on_with_the_most_promising(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = problem(14, 5)
    budget = 0.4 * float(case.cost_usd.mean(axis=1).sum())
    case = replace(case, budget_usd=budget)
    best = exact.build().solve(case, time_limit_s=1.0)
    monkeypatch.setattr(_labels, "MOST_LABELS", 8)
    monkeypatch.setattr(_labels, "BEAM", 1)
    found = exact.build().solve(case, time_limit_s=1.0)
    assert found.value <= best.value + 1e-12
    assert found.bound >= best.value - 1e-12
    assert case.spend_usd(found.choice) <= budget * (1 + 1e-9)


def test_bounds_of_several_prices_leave_fewer_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    case = problem(30, 6)
    budget = 0.4 * float(case.cost_usd.mean(axis=1).sum())
    late = 0.6 * float(case.time_s.mean(axis=1).sum())
    case = replace(case, budget_usd=budget, deadline_s=late)
    table = choices(case, is_timed=True)
    priced = _dual.solve(table, budget, late)
    kept: list[int] = []
    front = _labels._front

    def counted(labels: Floats, *, has_time: bool) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        found = front(labels, has_time=has_time)
        kept.append(len(found))
        return found

    monkeypatch.setattr(_labels, "_front", counted)
    _, is_complete = _labels.solve(table, priced, budget, late)
    many, kept = sum(kept), []
    assert is_complete
    monkeypatch.setattr(_labels, "FACTORS", (1.0,))
    _labels.solve(table, priced, budget, late)
    assert many < 0.7 * sum(kept)


def test_prices_are_zero_where_nothing_binds() -> None:
    case = problem(5, 3, budget_usd=100.0, deadline_s=1000.0)
    priced = _dual.solve(choices(case, is_timed=True), 100.0, 1000.0)
    assert (priced.cost_price, priced.time_price) == (0.0, 0.0)
    assert priced.bound == pytest.approx(priced.value)


def test_residents_are_tried_only_where_memory_or_loading_matters() -> None:
    roomy = problem(3, 3, local=(True, True, False), memory_bytes=(4, 4, 0))
    tight = replace(roomy, memory_limit_bytes=5)
    assert not _residency.is_needed(roomy)
    assert _residency.is_needed(tight)
    slow = replace(roomy, load_s=(1.0, 1.0, 0.0))
    assert not _residency.is_needed(slow)
    assert _residency.is_needed(replace(slow, objective="latency"))
    sets = list(_residency.resident_sets(tight))
    assert len(sets) == 3  # none, the first, the second; never both


def test_fewer_residents_win_at_equal_value() -> None:
    same = problem(
        2,
        3,
        log_quality=np.log(np.full((2, 3), 0.5)),
        cost_usd=np.zeros((2, 3)),
        local=(True, True, False),
        memory_bytes=(4, 4, 0),
        memory_limit_bytes=5,
    )
    found = exact.build().solve(same, time_limit_s=1.0)
    assert found.choice == (2, 2)


def test_memory_conflicts_name_the_bytes_that_work() -> None:
    apart = np.array([[True, False], [False, True]])
    case = problem(
        2, 2, feasible=apart, local=(True, True), memory_bytes=(3, 4), memory_limit_bytes=5
    )
    found = exact.build().solve(case, time_limit_s=1.0)
    assert (found.status, found.limit, found.needed) == ("infeasible", "memory", 7.0)
