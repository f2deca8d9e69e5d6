"""Planning the rest of a run: path, money, failures, prices, time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import END, START
from graphroute.ir.rest import Happened
from graphroute.passes.remaining import remaining
from graphroute.planner import study
from graphroute.planning.replan import allocate
from tests.unit.passes.graphs import Arrow, graph, node, triage
from tests.unit.planning.pool import BIG, MINI, SMALL, plan

CHAIN: list[Arrow] = [(START, "a"), ("a", "b"), ("b", "c"), ("c", END)]


def test_before_anything_ran_the_rest_is_the_plan() -> None:
    made = plan(graph("abc", CHAIN), usd=0.03)
    rest = made.rest(Happened())
    assert {n: m[0] for n, m in rest.models.items()} == {a.node: a.model for a in made.assignments}
    assert rest.expected_usd == pytest.approx(made.totals.cost_expected_usd)
    assert rest.is_feasible


def test_money_saved_is_spent_on_what_is_left_and_money_lost_is_saved_there() -> None:
    made = plan(graph("abc", CHAIN), usd=0.03)
    rich = made.rest(Happened(last=("a",), spent_usd=0.0))
    poor = made.rest(Happened(last=("a",), spent_usd=0.0299))
    assert [rich.models[n][0] for n in "bc"] == ["openai:big"] * 2
    assert [poor.models[n][0] for n in "bc"] == ["ollama:small"] * 2
    assert poor.expected_usd <= 0.03 - 0.0299
    broke = made.rest(Happened(last=("a",), spent_usd=1.0))
    assert broke.is_feasible
    assert broke.expected_usd == 0


def test_without_a_free_model_an_overspent_run_is_told() -> None:
    made = plan(graph("abc", CHAIN), usd=0.03, pool=Catalog(models=(BIG, MINI)))
    rest = made.rest(Happened(last=("a",), spent_usd=0.03))
    assert not rest.is_feasible
    assert rest.models["b"][0] == "openai:mini"


def test_failed_models_are_left_out_and_changed_prices_count() -> None:
    made = plan(graph("abc", CHAIN), usd=0.003)
    assert made.rest(Happened()).models["a"][0] == "openai:mini"
    down = made.rest(Happened(failed=frozenset({"openai:mini"})))
    assert all("openai:mini" not in models for models in down.models.values())
    cheap = made.rest(Happened(prices={"openai:big": (0.5, 0.5), "not:ours": (1.0, 1.0)}))
    assert {m[0] for m in cheap.models.values()} == {"openai:big"}


def test_the_path_taken_conditions_what_is_to_come() -> None:
    arrows: list[Arrow] = [
        (START, "a"),
        ("a", "rare", "conditional"),
        ("a", "usual", "conditional"),
        ("rare", "end"),
        ("usual", "end"),
    ]
    made = plan(graph(["a", "rare", "usual", "end"], arrows), usd=0.03)
    rest = made.rest(Happened(now={"usual": 1.0}))
    both = made.rest(Happened(last=("a",)))
    # On the usual branch nothing has to be kept back for the rare one.
    assert rest.expected_usd < both.expected_usd + 1e-12
    assert rest.models["usual"][0] == "openai:big"


def test_a_late_run_takes_quicker_models() -> None:
    quick = replace(MINI, name="x:quick", latency_s=0.1, tokens_per_s=1000.0)
    made = plan(graph("abc", CHAIN), pool=Catalog(models=(BIG, quick)), deadline_s=30.0)
    assert made.rest(Happened(last=("a",), elapsed_s=6.0)).models["b"][0] == "openai:big"
    assert made.rest(Happened(last=("a",), elapsed_s=29.0)).models["b"][0] == "x:quick"


def test_remaining_visits_of_loops_branches_and_subgraphs() -> None:
    after = remaining(study(triage()))
    assert after["classify"]["draft"] == pytest.approx(2, abs=1e-4)
    assert after["check"]["draft"] == pytest.approx(1, abs=1e-4)
    assert after["draft"]["check"] == pytest.approx(2, abs=1e-4)
    nested: list[Arrow] = [
        (START, "sub"),
        ("sub", "last"),
        ("sub/__start__", "sub/x"),
        ("sub/x", "sub/y"),
    ]
    found = remaining(study(graph([node("sub", "subgraph"), "sub/x", "sub/y", "last"], nested)))
    assert found["sub/x"] == pytest.approx({"sub/y": 1, "last": 1})
    assert found["sub/y"] == pytest.approx({"last": 1})


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8), m=st.integers(1, 5))
def test_allocation_keeps_the_budget_and_the_masks(seed: int, n: int, m: int) -> None:
    random = np.random.default_rng(seed)
    value, cost = -random.random((n, m)), random.random((n, m))
    feasible = random.random((n, m)) < 0.8
    feasible[:, 0] = True
    budget = float(random.uniform(0, n * 0.7))
    choice, price, fits = allocate(value, cost, feasible, budget)
    rows = np.arange(n)
    assert feasible[rows, choice].all()
    assert price >= 0
    cheapest = np.where(feasible, cost, np.inf).min(axis=1).sum()
    assert fits == (cheapest <= budget * (1 + 1e-9) + 1e-15)
    if fits:
        assert cost[rows, choice].sum() <= budget * (1 + 1e-8) + 1e-12


def test_one_local_model_serves_everything_free() -> None:
    made = plan(graph("abc", CHAIN), usd=0.0, pool=Catalog(models=(SMALL,)))
    rest = made.rest(Happened(last=("b",)))
    assert rest.models == dict.fromkeys("abc", ("ollama:small",))
    assert rest.expected_usd == 0.0
