"""What judged answers say may lower a minimum, and never leaves a graph without a plan."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from graphroute.ir.evidence import Evidence
from graphroute.ir.graph import END, START, Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Assignment, Plan
from tests.unit.passes.graphs import graph, node
from tests.unit.planning.pool import plan

FAILED: Mapping[tuple[str, str], Evidence] = {
    ("tone", name): Evidence(good=2, bad=198)
    for name in ("openai:big", "openai:mini", "ollama:small")
} | {("tone", "openai:big"): Evidence(good=120, bad=80)}


def two(least: float = 0.8) -> Graph:
    steps = [
        node("tone", hints=RouteHints(min_quality=least)),
        node("facts", hints=RouteHints(min_quality=0.5)),
    ]
    return graph(steps, [(START, "tone"), ("tone", "facts"), ("facts", END)])


def at(made: Plan, name: str) -> Assignment:
    found = made.assignment(name)
    assert found is not None
    return found


def test_a_minimum_that_only_learnt_figures_miss_is_planned_with_the_best_and_said() -> None:
    made = plan(two(), objective="cost", qualities=FAILED)
    assert made.feasible
    assert at(made, "tone").model == "openai:big"
    assert at(made, "facts").model == at(plan(two(), objective="cost"), "facts").model
    [said] = [w for w in made.graph.warnings if "min_quality" in w]
    for part in ("'tone'", "min_quality=0.8", "openai:big 0.6", "openai:mini 0.", "verify="):
        assert part in said


def test_what_was_out_of_reach_before_any_answer_stays_without_a_plan() -> None:
    asked = two(0.994)
    assert plan(asked, objective="cost").infeasible is not None
    made = plan(asked, objective="cost", qualities=FAILED)
    assert made.infeasible is not None
    assert made.infeasible.limit == "models"
    stated = {key: seen.good / seen.answers for key, seen in FAILED.items()}
    assert plan(two(), objective="cost", qualities=stated).infeasible is not None


@pytest.mark.parametrize("objective", ["quality", "cost", "latency"])
def test_a_minimum_within_reach_is_kept(objective: str) -> None:
    seen = {("tone", "ollama:small"): Evidence(good=2, bad=198)}
    made = plan(two(0.6), objective=objective, qualities=seen)
    assert at(made, "tone").quality >= 0.6
    assert not [w for w in made.graph.warnings if "min_quality" in w]


def test_hints_that_leave_no_model_stay_without_a_plan_whatever_was_judged() -> None:
    hints = RouteHints(min_quality=0.8, models=("ollama:small",), privacy="local")
    made = plan(
        graph([node("tone", hints=hints)], [(START, "tone"), ("tone", END)]), qualities=FAILED
    )
    # One that can never reach the minimum does not become allowed by failing.
    assert made.infeasible is not None
