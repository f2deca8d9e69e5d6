"""Sequences of models: by round of a loop, by check, packed; and what asking again is worth."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.errors import PlanMismatch, UnknownModel
from graphroute.ir.catalog import Catalog
from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START, Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Assignment, Plan
from graphroute.ir.profile import NodeProfile, StepScore
from graphroute.ir.rest import Happened
from graphroute.planning.options import LONGEST, MOST, Packing, columns
from graphroute.planning.retries import (
    STUBBORN,
    CheckRates,
    after_refusals,
    by_hardness,
    follow,
)
from graphroute.planning.sequences import Singles
from tests.unit.passes.graphs import Arrow, graph, node
from tests.unit.planning.pool import BIG, MINI, SMALL, plan

SCORE = StepScore(difficulty=0.5, low=0.4, high=0.6, reason="")
LOOP: list[Arrow] = [
    (START, "draft"),
    ("draft", "check"),
    ("check", "draft", "conditional"),
    ("check", END, "conditional"),
]


def refine(**hints: RouteHints) -> Graph:
    """A draft that a step of code sends back or lets pass."""
    return graph(
        [node("draft", hints=hints.get("draft", RouteHints())), node("check", "code")], LOOP
    )


def one(made: Plan, name: str = "draft") -> Assignment:
    found = made.assignment(name)
    assert found is not None
    return found


def profile(check: str, again: float = 0.0) -> NodeProfile:
    return NodeProfile(
        node="n",
        score=SCORE,
        visits=1 / (1 - again),
        visits_p95=1.0,
        visits_max=1.0,
        check=check,  # type: ignore[arg-type]  # one of the literals
        again=again,
        weight=1 - again,
    )


def singles(quality: list[float], usd: list[float], **changes: object) -> Singles:
    ok = np.ones(len(quality), dtype=bool)
    fields: dict[str, object] = {
        "quality": np.array(quality),
        "usd": np.array(usd),
        "time_s": np.ones(len(quality)),
        "local": np.zeros(len(quality), dtype=bool),
        "feasible": ok,
        "usable": ok,
    }
    return Singles(**fields | changes)  # type: ignore[arg-type]  # fields by name


def simulated(
    sequence: list[int], quality: list[float], rates: CheckRates, stubborn: float
) -> float:
    """The share of good final answers, drawn question by question."""
    random, good = np.random.default_rng(1), 0
    success = by_hardness(np.array(quality))
    points, weights = np.polynomial.hermite_e.hermegauss(15)
    hardness = random.choice(len(points), size=60_000, p=weights / weights.sum())
    for z in hardness:
        right = False
        for r, m in enumerate(sequence):
            again = r and m == sequence[r - 1] and random.random() < stubborn
            right = right if again else random.random() < success[m, z]
            passes = rates.passes_good if right else rates.passes_bad
            if r == len(sequence) - 1 or random.random() < passes:
                break
        good += right
    return good / len(hardness)


@pytest.mark.parametrize("sequence", [[0, 1], [1, 0], [0, 0, 1]])
def test_following_the_rounds_agrees_with_drawing_them(sequence: list[int]) -> None:
    quality, rates = [0.55, 0.85], CheckRates(passes_good=0.8, passes_bad=0.3)
    found = follow(np.array([sequence]), by_hardness(np.array(quality)), rates, STUBBORN)
    drawn = simulated(sequence, quality, rates, STUBBORN)
    # Four standard errors of 60,000 draws.
    assert found.final[0] == pytest.approx(drawn, abs=4 * math.sqrt(0.25 / 60_000))


@settings(max_examples=100, deadline=None)
@given(
    quality=st.lists(st.floats(0.02, 0.98), min_size=2, max_size=4),
    good=st.floats(0.5, 1.0),
    bad=st.floats(0.0, 0.5),
    stubborn=st.floats(0, 1),
)
def test_rounds_are_probabilities_and_only_a_useless_check_changes_nothing(
    quality: list[float], good: float, bad: float, stubborn: float
) -> None:
    q = np.array(quality)
    success = by_hardness(q)
    assert success.min() >= 0
    assert success.max() <= 1
    sequences = np.array([[0, 1], [0, 0], [1, 0]])
    found = follow(sequences, success, CheckRates(passes_good=good, passes_bad=bad), stubborn)
    assert ((found.final >= 0) & (found.final <= 1)).all()
    assert found.reach[:, 0] == pytest.approx(1)
    assert (np.diff(found.reach, axis=1) <= 1e-12).all()
    never = follow(sequences, success, CheckRates(passes_good=1.0, passes_bad=1.0), stubborn)
    assert never.final == pytest.approx(np.clip(q, 0.005, 0.995)[sequences[:, 0]], abs=2e-3)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_cascade_knows_what_each_model_of_it_would_leave_as_the_last(samples: int) -> None:
    step = replace(profile("hint"), samples=samples, alike=2 if samples > 1 else 1)
    quality = [0.5, 0.7, 0.9]
    found = columns(step, singles(quality, [1.0, 3.0, 9.0]), rates=CheckRates())
    assert any(len(option.models) > 2 for option in found.options)
    for k, option in enumerate(found.options, start=len(quality)):
        assert len(option.so_far) == len(option.models)
        assert option.so_far[0] == pytest.approx(quality[option.models[0]], abs=1e-4)
        assert option.so_far[-1] == pytest.approx(math.exp(found.log_quality[k]))


def test_what_was_refused_is_known_to_be_hard() -> None:
    success = by_hardness(np.array([0.6, 0.9]))
    before = after_refusals((), success, CheckRates(), STUBBORN)
    once = after_refusals((0,), success, CheckRates(), STUBBORN)
    twice = after_refusals((0, 1), success, CheckRates(), STUBBORN)
    assert before == pytest.approx([0.6, 0.9], abs=1e-3)
    assert (once < before).all()
    assert (twice < once).all()
    same = after_refusals((0,), success, CheckRates(passes_good=1, passes_bad=0), stubborn=1.0)
    assert same[0] == pytest.approx(0)


def test_rates_from_counts_are_drawn_to_the_defaults() -> None:
    few = CheckRates.counted(good=1, good_passed=0, bad=1, bad_passed=1)
    many = CheckRates.counted(good=1000, good_passed=500, bad=1000, bad_passed=400)
    assert few.passes_good == pytest.approx(18 / 21)
    assert few.passes_bad == pytest.approx(3 / 21)
    assert many.passes_good == pytest.approx(0.5, abs=0.01)
    assert many.passes_bad == pytest.approx(0.4, abs=0.01)


def test_a_check_that_is_worth_less_than_it_costs_is_never_placed() -> None:
    cheap = columns(profile("hint"), singles([0.6, 0.9], [0.001, 0.02]), rates=CheckRates())
    assert any(o.kind == "cascade" for o in cheap.options)
    dear = columns(
        profile("hint"), singles([0.6, 0.9], [0.001, 0.02]), rates=CheckRates(cost_usd=0.05)
    )
    # Only what beats the best model alone in quality can be worth that much.
    assert all(dear.log_quality[2 + k] > math.log(0.9) for k in range(len(dear.options)))
    assert all(o.models[0] == 1 for o in dear.options)
    blind = columns(
        profile("hint"),
        singles([0.6, 0.9], [0.001, 0.02]),
        rates=CheckRates(passes_good=0.5, passes_bad=0.5, cost_usd=0.001),
    )
    mixture = [blind.log_quality[2 + k] <= math.log(0.9) + 1e-9 for k in range(len(blind.options))]
    assert all(mixture)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), m=st.integers(1, 8), check=st.sampled_from(["hint", "loop", ""])
)
def test_options_are_few_and_none_is_beaten_by_a_model_alone(seed: int, m: int, check: str) -> None:
    random = np.random.default_rng(seed)
    each = singles(random.uniform(0.05, 0.98, m).tolist(), random.lognormal(0, 2, m).tolist())
    found = columns(profile(check, 0.0 if check == "hint" else 0.4), each, rates=CheckRates())
    assert len(found.options) <= MOST
    for k, option in enumerate(found.options):
        assert len(option.models) == len(option.shares) >= 2
        assert all(share >= 0 for share in option.shares)
        if check:
            row = m + k
            beaten = (
                (found.log_quality[:m] > found.log_quality[row] + 1e-6)
                & (found.usd[:m] < found.usd[row] * (1 - 1e-6))
                & (found.time_s[:m] < found.time_s[row] * (1 - 1e-6))
            )
            assert not beaten.any()


def test_a_loop_that_a_check_ends_gets_another_model_for_its_later_rounds() -> None:
    made = plan(refine(), usd=0.005, difficulties={"draft": 0.7})
    a = one(made)
    assert a.kind == "iterations"
    assert a.then
    assert made.totals.cost_expected_usd <= 0.005
    assert [made.model_for("draft", k) for k in (1, 2, 9)] == [a.model, a.then[0], a.then[-1]]
    assert made.model_for("check") is None
    text = made.explain("draft")
    assert f"round 1 goes to {a.model}, round 2 goes to {a.then[0]}" in text
    assert "check sends back what it finds wrong" in text
    alone = [
        plan(refine(draft=RouteHints(pin=name)), difficulties={"draft": 0.7})
        for name in ("ollama:small", "openai:mini", "openai:big")
    ]
    fitting = [p.totals for p in alone if p.totals.cost_expected_usd <= 0.005]
    assert made.totals.quality > max(t.quality for t in fitting)


def test_a_better_model_leads_to_fewer_rounds_and_the_plan_shows_them() -> None:
    rounds = {
        name: one(plan(refine(draft=RouteHints(pin=name)))).expected_visits
        for name in ("ollama:small", "openai:mini", "openai:big")
    }
    assert rounds["ollama:small"] == rounds["openai:big"] == 2  # alone each is the middle one
    made = plan(refine())
    a = one(made)
    assert a.model == "openai:big"
    assert 1 < a.expected_visits < 2
    assert made.graph.loops[0].expected_iterations == pytest.approx(a.expected_visits)
    back, out = (e.probability for e in made.graph.edges if e.source == "check")
    assert back == pytest.approx(1 - 1 / a.expected_visits)
    assert back + out == pytest.approx(1)
    often = Observed(edges={("check", "draft"): 90.0, ("check", END): 10.0})
    assert one(plan(refine(), observed=often)).expected_visits > a.expected_visits


def test_a_verify_hint_gets_a_cascade_within_the_budget() -> None:
    hints = RouteHints(verify=lambda messages, reply: True, max_output_tokens=300)
    g = graph([node("answer", hints=hints)], [(START, "answer"), ("answer", END)])
    made = plan(g, usd=0.016)
    a = one(made, "answer")
    assert (a.kind, a.model, a.then) == ("cascade", "openai:mini", ("openai:big",))
    assert a.expected_visits == 1
    assert 1 < a.expected_calls < 2
    assert a.quality > 0.9
    assert a.fallbacks[0] == "openai:big"
    assert "where the check refuses the answer openai:big is asked" in made.explain("answer")
    poor = plan(g, usd=0.016, checks={"answer": CheckRates(cost_usd=1.0)})
    assert one(poor, "answer").kind == "single"
    seen = plan(g, usd=0.016, observed=Observed(check_usd={"answer": 1.0}))
    assert one(seen, "answer").kind == "single"
    cheap = plan(g, usd=0.016, observed=Observed(check_usd={"answer": 1e-6}))
    assert one(cheap, "answer").kind == "cascade"
    assert one(cheap, "answer").cost_usd == pytest.approx(a.cost_usd + 1e-6)


def test_no_cascade_promises_a_last_resort_that_no_run_can_pay() -> None:
    hints = RouteHints(verify=lambda messages, reply: True)
    arrows: list[Arrow] = [(START, "answer"), ("answer", "last"), ("last", END)]
    g = graph([node("answer", hints=hints), "last"], arrows)
    big, mini = 0.01, 0.0005
    for usd in (0.004, 0.0095, big + mini - 1e-5):
        a = one(plan(g, usd=usd), "answer")
        assert "openai:big" not in (a.model, *a.then), usd
    assert "openai:big" in one(plan(g, usd=0.013), "answer").then


def test_a_check_that_only_draws_lots_gets_no_cascade() -> None:
    hints = RouteHints(verify=lambda messages, reply: True)
    g = graph([node("answer", hints=hints)], [(START, "answer"), ("answer", END)])
    for passes in (0.2, 0.5, 0.8):
        rates = CheckRates(passes_good=passes, passes_bad=passes)
        assert one(plan(g, usd=0.012, checks={"answer": rates}), "answer").kind == "single"


def test_tokens_seen_of_a_model_are_those_its_cost_is_planned_with() -> None:
    g = graph(["answer"], [(START, "answer"), ("answer", END)])
    usual = Observed(in_tokens={"answer": 200.0}, out_tokens={"answer": 300.0})
    wordy = replace(usual, out_by_model={("answer", "openai:mini"): 3000.0})
    before, after = (plan(g, usd=0.002, observed=seen) for seen in (usual, wordy))
    assert one(before, "answer").model == "openai:mini"
    assert one(after, "answer").model == "ollama:small"
    rich = one(plan(g, usd=0.0035, observed=wordy), "answer")
    assert (rich.model, rich.out_tokens) == ("openai:mini", 3000.0)
    assert rich.cost_usd == pytest.approx(3200 * 1e-6)
    made = plan(g, usd=0.0035, observed=wordy)
    assert made.rest(Happened()).expected_usd == pytest.approx(rich.cost_usd)


def test_the_cheapest_way_to_a_floor_may_go_over_a_model_below_it() -> None:
    hints = RouteHints(verify=lambda messages, reply: True, min_quality=0.95)
    g = graph([node("answer", hints=hints)], [(START, "answer"), ("answer", END)])
    made = plan(g, objective="cost")
    a = one(made, "answer")
    assert a.kind == "cascade"
    assert a.quality >= 0.95
    plain = replace(hints, verify=None)
    alone = plan(
        graph([node("answer", hints=plain)], [(START, "answer"), ("answer", END)]), objective="cost"
    )
    assert a.cost_usd < one(alone, "answer").cost_usd


def test_a_packed_option_is_taken_where_it_pays_and_told() -> None:
    g = graph(["a"], [(START, "a"), ("a", END)])
    pack = Packing(
        model="openai:big", batch=8, cost_factor=0.3, time_factor=0.2, quality_factor=0.99
    )
    made = plan(g, usd=0.004, packings={"a": (pack,)})
    a = one(made, "a")
    assert (a.kind, a.model, a.batch, a.then) == ("packed", "openai:big", 8, ())
    assert a.cost_usd == pytest.approx(0.003)
    assert "up to 8 tasks go into one prompt" in made.explain("a")
    assert one(plan(g, usd=0.004), "a").kind == "single"
    with pytest.raises(UnknownModel, match="no:such"):
        plan(g, packings={"a": (replace(pack, model="no:such"),)})


def test_a_sequence_keeps_all_its_local_models_in_memory() -> None:
    gb = 1_000_000_000
    one_, two = (
        replace(SMALL, name=f"l:{n}", ability=x, memory_bytes=3 * gb)
        for n, x in (("one", 0.4), ("two", 0.6))
    )
    pool = Catalog(models=(one_, two, BIG))
    for room, allowed in ((4 * gb, 1), (6 * gb, 2)):
        made = plan(refine(), usd=0.004, pool=pool, memory_limit_bytes=room)
        a = one(made)
        assert len({n for n in (a.model, *a.then) if n.startswith("l:")}) <= allowed


def test_json_of_plans_with_sequences_and_of_plans_without_the_new_fields() -> None:
    made = plan(refine(), usd=0.005, difficulties={"draft": 0.7})
    back = Plan.from_json(made.to_json(timing=True))
    assert back == made
    assert back.model_for("draft", 2) == made.model_for("draft", 2)
    old = json.loads(plan(graph(["a"], [(START, "a")]), usd=0.01).to_json())
    for a in old["assignments"]:
        for key in ("kind", "then", "batch"):
            del a[key]
        del a["runner_up"]["then"]
    del old["planned_s"], old["totals"]["on_time"]
    loaded = Plan.from_json(json.dumps(old))
    assert loaded.assignments[0].kind == "single"
    damaged = json.loads(made.to_json())
    damaged["assignments"][0]["then"] = []
    with pytest.raises(PlanMismatch, match="later models"):
        Plan.from_json(json.dumps(damaged))
    damaged["assignments"][0]["then"] = ["none:such"]
    with pytest.raises(PlanMismatch, match="none:such"):
        Plan.from_json(json.dumps(damaged))


def test_diff_shows_what_changes_in_a_sequence() -> None:
    poor = plan(refine(), usd=0.001, difficulties={"draft": 0.7})
    rich = plan(refine(), usd=0.005, difficulties={"draft": 0.7})
    (change,) = poor.diff(rich).changes
    assert change.after is not None
    assert ", then " in change.after
    assert change.after.endswith("by round")
    assert not rich.diff(rich)


def test_without_a_model_of_a_sequence_the_sequence_is_gone() -> None:
    made = plan(refine(), usd=0.005, difficulties={"draft": 0.7})
    for name in (one(made).model, *one(made).then):
        without = one(made.what_if(without_model=name))
        assert name not in (without.model, *without.then, *without.fallbacks)


def test_a_small_pool_has_no_sequences() -> None:
    made = plan(refine(), pool=Catalog(models=(MINI,)))
    assert one(made).kind == "single"


def test_a_good_check_goes_on_asking_and_a_poor_one_keeps_to_its_share() -> None:
    pool = singles([0.5, 0.6, 0.7, 0.8], [1.0, 1.2, 1.4, 1.6])
    sure = CheckRates(passes_good=1.0, passes_bad=0.0)
    asked = columns(profile("hint"), pool, rates=sure, fair_usd=1.0)
    assert max(len(option.models) for option in asked.options) == LONGEST
    far = singles([0.6, 0.95], [0.1, 10.0])
    poor = CheckRates(passes_good=0.7, passes_bad=0.3)
    assert columns(profile("hint"), far, rates=poor).options
    assert all(
        sum(far.usd[list(option.models)]) <= 1.0
        for option in columns(profile("hint"), far, rates=poor, fair_usd=1.0).options
    )
