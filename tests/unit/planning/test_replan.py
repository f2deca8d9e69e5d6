"""Planning the rest of a run: path, money, failures, prices, time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import END, START, Graph, Node
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.rest import Happened
from graphroute.passes.remaining import remaining
from graphroute.planner import study
from graphroute.planning.allocate import allocate
from graphroute.planning.estimate import estimate
from graphroute.planning.formulate import Known, Limits, formulate
from graphroute.planning.replan import Replanner
from tests.unit.passes.graphs import Arrow, graph, node, triage
from tests.unit.planning.pool import BIG, MINI, SMALL, FixedScorer, plan

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


GB = 1_000_000_000
LEFT, RIGHT = (replace(SMALL, name=f"l:{n}", memory_bytes=3 * GB, loaded=False) for n in ("x", "y"))


def test_the_rest_keeps_the_memory_limit_and_prefers_what_is_loaded() -> None:
    apart = {("a", "l:x"): 0.9, ("a", "l:y"): 0.5, ("b", "l:x"): 0.9, ("b", "l:y"): 0.5}
    apart |= {("c", "l:x"): 0.6, ("c", "l:y"): 0.7}
    made = plan(
        graph("abc", CHAIN),
        usd=0.0,
        pool=Catalog(models=(LEFT, RIGHT)),
        memory_limit_bytes=4 * GB,
        qualities=apart,
    )
    first = made.rest(Happened())
    assert {m[0] for m in first.models.values()} == {"l:x"}
    assert first.is_feasible
    # What has run needs no memory any more: the last step may have the other model.
    last = made.rest(Happened(last=("b",), resident=frozenset({"l:x"})))
    assert last.models["c"][0] == "l:y"
    equal = plan(
        graph("abc", CHAIN),
        usd=0.0,
        pool=Catalog(models=(LEFT, RIGHT)),
        memory_limit_bytes=4 * GB,
        qualities=dict.fromkeys(apart, 0.8),
    )
    for name in ("l:x", "l:y"):
        loaded = equal.rest(Happened(last=("a",), resident=frozenset({name})))
        assert loaded.models["b"][0] == loaded.models["c"][0] == name


def test_nodes_pinned_to_models_that_do_not_fit_are_told() -> None:
    nodes = [node("a", hints=RouteHints(pin="l:x")), node("b", hints=RouteHints(pin="l:y"))]
    arrows: list[Arrow] = [(START, "a"), ("a", "b")]
    pool = Catalog(models=(LEFT, RIGHT))
    made = plan(graph(nodes, arrows), pool=pool)
    assert made.rest(Happened()).is_feasible
    within = Replanner(**_parts(graph(nodes, arrows), pool, memory=4 * GB))
    assert not within.rest(Happened()).is_feasible
    assert within.rest(Happened(last=("a",))).is_feasible


def _parts(g: Graph, pool: Catalog, memory: int) -> dict[str, Any]:
    facts = study(g)
    profile = estimate(facts, FixedScorer())
    limits = Limits(memory_bytes=memory)
    problem = formulate(
        facts, profile, pool, budget=Budget(), objective="quality", limits=limits, known=Known()
    )
    return {"problem": problem, "profile": profile, "catalog": pool, "after": remaining(facts)}


def test_loading_counts_against_the_time_left() -> None:
    slow_to_load = replace(LEFT, ability=0.95, memory_bytes=20 * GB, tokens_per_s=100.0)
    pool = Catalog(models=(slow_to_load, MINI))
    made = plan(graph("abc", CHAIN), pool=pool, deadline_s=60.0)
    assert made.rest(Happened(last=("a",), elapsed_s=5.0)).models["b"][0] == "l:x"
    late = Happened(last=("b",), elapsed_s=40.0)
    assert made.rest(late).models["c"][0] == "openai:mini"
    there = replace(late, resident=frozenset({"l:x"}))
    assert made.rest(there).models["c"][0] == "l:x"


def test_a_loop_is_planned_again_round_by_round() -> None:
    arrows: list[Arrow] = [
        (START, "draft"),
        ("draft", "check"),
        ("check", "draft", "conditional"),
        ("check", END, "conditional"),
    ]
    g = graph(["draft", node("check", "code")], arrows)
    made = plan(g, usd=0.005, difficulties={"draft": 0.7})
    a = made.assignment("draft")
    assert a is not None
    assert a.kind == "iterations"
    start = made.rest(Happened())
    assert (start.models["draft"][0], start.then["draft"]) == (a.model, a.then)
    assert start.expected_usd == pytest.approx(made.totals.cost_expected_usd)
    rich = plan(g, usd=0.03, difficulties={"draft": 0.7})
    refused = Happened(now={"draft": 1.0}, asked={"draft": ("openai:mini",)}, spent_usd=0.0005)
    again = rich.rest(refused)
    assert again.models["draft"][0] == "openai:big"
    assert again.then == {}
    dear = rich.rest(replace(refused, prices={"openai:big": (900.0, 900.0)}))
    assert dear.models["draft"][0] != "openai:big"


def test_prices_of_sequences_follow_their_models() -> None:
    arrows: list[Arrow] = [(START, "answer"), ("answer", END)]
    hints = RouteHints(verify=lambda messages, reply: True, max_output_tokens=300)
    made = plan(graph([node("answer", hints=hints)], arrows), usd=0.015)
    a = made.assignment("answer")
    assert a is not None
    assert (a.model, a.then) == ("openai:mini", ("openai:big",))
    assert made.rest(Happened()).then == {"answer": ("openai:big",)}
    asked = (a.expected_calls - 1) / a.expected_visits
    double = made.rest(Happened(prices={"openai:big": (24.0, 24.0)}))
    assert double.then == {"answer": ("openai:big",)}
    tokens = a.in_tokens + a.out_tokens
    assert double.expected_usd - a.cost_usd == pytest.approx(asked * tokens * 4e-6)
    gone = made.rest(Happened(prices={"openai:big": (2000.0, 2000.0)}))
    assert "openai:big" not in gone.then.get("answer", ())


def test_beside_a_slower_lane_nobody_hurries() -> None:
    arrows: list[Arrow] = [(START, "slow"), (START, "side"), ("slow", "end"), ("side", "end")]
    nodes: list[Node | str] = [
        node("slow", hints=RouteHints(models=("x:good",), max_output_tokens=1000)),
        node("side", hints=RouteHints(max_output_tokens=100)),
        "end",
    ]
    good = replace(BIG, name="x:good", tokens_per_s=30.0)
    quick = replace(MINI, name="x:quick", latency_s=0.1, tokens_per_s=1000.0)
    made = plan(graph(nodes, arrows), pool=Catalog(models=(good, quick)), deadline_s=100.0)
    late = made.rest(Happened(elapsed_s=84.0))
    assert late.models["end"][0] == "x:quick"
    assert late.models["side"][0] == "x:good"
    assert late.expected_s <= 100.0 - 84.0
