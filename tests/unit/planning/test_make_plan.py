"""From a graph to a plan: budgets, objectives, masks, reasons, infeasibility."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import pytest

from graphroute.errors import InvalidValue, UnknownModel
from graphroute.ir.catalog import Catalog
from graphroute.ir.evidence import Evidence
from graphroute.ir.graph import END, START, Graph, ModelUse, ToolFact
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Plan
from tests.unit.passes.graphs import Arrow, graph, node, triage
from tests.unit.planning.pool import BIG, MINI, POOL, SMALL, plan, spec


def models(made: Plan) -> Mapping[str, str]:
    return {a.node: a.model for a in made.assignments}


def test_without_a_budget_every_node_gets_the_best() -> None:
    made = plan(triage())
    assert set(models(made).values()) == {"openai:big"}
    assert made.shadow_price == 0
    assert made.feasible


def test_a_budget_goes_where_it_buys_most() -> None:
    made = plan(triage(), usd=0.03, difficulties={"draft": 0.9, "classify": 0.1, "check": 0.1})
    assert models(made)["draft"] == "openai:big"
    assert models(made)["classify"] != "openai:big"
    assert made.totals.cost_expected_usd <= 0.03
    assert made.shadow_price > 0


def test_totals_add_up_and_the_tail_is_above_the_mean() -> None:
    made = plan(triage(), usd=0.03)
    t = made.totals
    assert t.cost_expected_usd == pytest.approx(sum(a.cost_usd for a in made.assignments))
    assert t.cost_expected_usd <= t.cost_p95_usd
    assert t.cost_worst_usd is not None
    assert t.cost_worst_usd > t.cost_p95_usd
    weight = sum(a.weight * a.expected_visits for a in made.assignments)
    logs = sum(a.weight * a.expected_visits * math.log(a.quality) for a in made.assignments)
    assert t.quality == pytest.approx(math.exp(logs / weight))


def test_cost_takes_the_cheapest_that_reaches_min_quality() -> None:
    g = triage(draft=RouteHints(min_quality=0.85), check=RouteHints(min_quality=0.0))
    found = models(plan(g, objective="cost"))
    assert found["draft"] == "openai:mini"
    assert found["check"] == "ollama:small"


def test_cost_without_min_quality_is_not_worse_than_what_the_node_has() -> None:
    own = node("draft", models=(ModelUse(name="openai:mini", via="closure"),))
    made = plan(graph([own], [(START, "draft"), ("draft", END)]), objective="cost")
    assert models(made) == {"draft": "openai:mini"}
    assert any("what the node has now" in c for c in made.assignments[0].constraints)


def test_latency_takes_the_quickest_within_the_budget() -> None:
    quick = spec("fast:one", 50.0, 0.5, latency_s=0.1, tokens_per_s=500.0)
    pool = Catalog(models=(quick, MINI))
    g = graph(["a"], [(START, "a")])
    assert models(plan(g, pool=pool, objective="latency")) == {"a": "fast:one"}
    assert models(plan(g, pool=pool, objective="latency", usd=0.002)) == {"a": "openai:mini"}


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        (RouteHints(pin="openai:mini"), "openai:mini"),
        (RouteHints(models=("ollama:small", "openai:mini")), "openai:mini"),
        (RouteHints(privacy="local"), "ollama:small"),
        (RouteHints(complexity=0.0), "openai:big"),
    ],
)
def test_hints_bind(hints: RouteHints, expected: str) -> None:
    made = plan(triage(draft=hints))
    assert models(made)["draft"] == expected
    if hints.complexity is not None:
        draft = made.assignment("draft")
        assert draft is not None
        assert draft.complexity == 0.0


def test_capabilities_mask_only_what_is_known_to_lack_them() -> None:
    knows = spec("a:knows", 1.0, 0.5, capabilities=frozenset({"tools"}))
    lacks = spec("b:lacks", 1.0, 0.99, capabilities=frozenset({"structured_output"}))
    unknown = spec("c:unknown", 1.0, 0.8)
    g = graph([node("agent", tools=(ToolFact(name="search"),))], [(START, "agent")])
    assert models(plan(g, pool=Catalog(models=(knows, lacks, unknown)))) == {"agent": "c:unknown"}
    made = plan(g, pool=Catalog(models=(knows, lacks)))
    assert models(made) == {"agent": "a:knows"}
    assert "b:lacks: cannot do tools" in made.assignments[0].constraints


def test_a_prompt_too_long_for_a_model_masks_it() -> None:
    g = graph([node("a", prompts=("x" * 40_000,))], [(START, "a")])
    roomy = spec("x:roomy", 0.1, 0.2, context_tokens=100_000)
    made = plan(g, pool=Catalog(models=(BIG, roomy)))
    assert models(made) == {"a": "x:roomy"}
    assert "context of 8192 tokens" in made.assignments[0].constraints[0]


def test_a_budget_too_small_names_the_smallest_that_works_and_that_one_works() -> None:
    pool = Catalog(models=(BIG, MINI))
    refused = plan(triage(), usd=0.0001, pool=pool)
    assert not refused.feasible
    assert refused.assignments == ()
    assert refused.infeasible is not None
    assert refused.infeasible.limit == "budget"
    needed = refused.infeasible.needed
    assert needed is not None
    assert plan(triage(), usd=needed, pool=pool).feasible
    assert not plan(triage(), usd=needed * 0.999, pool=pool).feasible
    assert f"{needed:.4g}"[:5] in refused.infeasible.message


def test_budget_and_deadline_that_only_together_fail_are_both_told() -> None:
    quick = spec("fast:dear", 50.0, 0.5, latency_s=0.1, tokens_per_s=1000.0)
    slow = spec("slow:cheap", 0.1, 0.5, latency_s=10.0, tokens_per_s=10.0)
    g = graph("ab", [(START, "a"), ("a", "b")])
    pool = Catalog(models=(quick, slow))
    refused = plan(g, usd=0.01, deadline_s=20.0, pool=pool)
    assert refused.infeasible is not None
    conflict = {c.limit: c for c in refused.infeasible.conflict}
    assert set(conflict) == {"budget", "deadline"}
    budget, deadline = conflict["budget"].needed, conflict["deadline"].needed
    assert budget is not None
    assert deadline is not None
    assert plan(g, usd=budget, deadline_s=20.0, pool=pool).feasible
    assert plan(g, usd=0.01, deadline_s=deadline, pool=pool).feasible
    assert "cannot be kept together" in refused.infeasible.message


def test_every_node_without_a_model_is_told_at_once() -> None:
    local = RouteHints(privacy="local")
    refused = plan(triage(draft=local, check=local), pool=Catalog(models=(BIG,)))
    assert refused.infeasible is not None
    assert refused.infeasible.limit == "models"
    assert "'draft'" in refused.infeasible.message
    assert "'check'" in refused.infeasible.message
    assert "must stay on this machine" in refused.infeasible.message


def test_unknown_models_in_hints_are_told_together() -> None:
    g = triage(draft=RouteHints(pin="x:one"), check=RouteHints(models=("x:two",)))
    with pytest.raises(UnknownModel, match=r"'draft' names model 'x:one'.*'check'.*'x:two'"):
        plan(g)


@pytest.mark.parametrize("deadline", [0.0, -1.0, math.nan, math.inf, True])
def test_a_bad_deadline_is_refused(deadline: float) -> None:
    with pytest.raises(InvalidValue, match="deadline_s"):
        plan(triage(), deadline_s=deadline)


def test_an_empty_pool_leaves_every_call_its_own_model() -> None:
    made = plan(triage(), pool=Catalog(models=()))
    assert made.feasible
    assert made.assignments == ()


def test_a_graph_without_model_calls_has_an_empty_plan() -> None:
    made = plan(graph([node("a", "code")], [(START, "a")]), usd=0.0)
    assert made.feasible
    assert made.assignments == ()
    assert made.totals.cost_expected_usd == 0


def test_ties_go_to_the_cheaper_then_the_local_then_the_name() -> None:
    g = graph(["a"], [(START, "a")])
    twins = (spec("b:x", 1.0, 0.5), spec("a:x", 1.0, 0.5), spec("c:x", 0.5, 0.5))
    assert models(plan(g, pool=Catalog(models=twins))) == {"a": "c:x"}
    assert models(plan(g, pool=Catalog(models=twins[:2]))) == {"a": "a:x"}
    local = spec("z:x", 1.0, 0.5, local=True)
    assert models(plan(g, pool=Catalog(models=(*twins[:2], local)))) == {"a": "z:x"}


def test_memory_keeps_two_large_local_models_apart() -> None:
    gb = 1_000_000_000
    one = spec("l:one", 0.0, 0.6, local=True, memory_bytes=3 * gb, loaded=True)
    two = spec("l:two", 0.0, 0.6, local=True, memory_bytes=3 * gb, loaded=True)
    g = triage(draft=RouteHints(models=("l:one", "openai:mini")), check=RouteHints(pin="l:two"))
    pool = Catalog(models=(one, two, MINI))
    cramped = plan(g, pool=pool, memory_limit_bytes=4 * gb, difficulties={"draft": 0.0})
    assert models(cramped)["draft"] == "openai:mini"
    pinned = triage(draft=RouteHints(pin="l:one"), check=RouteHints(pin="l:two"))
    refused = plan(pinned, pool=pool, memory_limit_bytes=4 * gb).infeasible
    assert refused is not None
    assert (refused.limit, refused.needed) == ("memory", 6 * gb)


def test_parallel_calls_of_a_local_model_queue_on_its_device() -> None:
    arrows: list[Arrow] = [(START, "a"), (START, "b")]
    g = graph("ab", arrows)
    local = Catalog(models=(SMALL,))
    cloud = Catalog(models=(MINI,))
    assert plan(g, pool=local).totals.latency_s == pytest.approx(2 * (0.5 + 300 / 50))
    assert plan(g, pool=cloud).totals.latency_s == pytest.approx(0.5 + 300 / 50)


def test_a_deadline_buys_speed_where_it_costs_least_quality() -> None:
    quick = spec("fast:one", 5.0, 0.6, latency_s=0.1, tokens_per_s=300.0)
    pool = Catalog(models=(quick, BIG))
    hard = {"draft": 0.9, "classify": 0.1, "check": 0.1}
    made = plan(triage(), pool=pool, deadline_s=17.0, difficulties=hard)
    assert made.totals.latency_s <= 17.0
    assert models(made) == {
        "classify": "fast:one",
        "draft": "openai:big",
        "check": "fast:one",
    }


def test_judged_answers_are_weighed_against_the_prior() -> None:
    before = plan(triage()).assignment("draft")
    made = plan(
        triage(),
        qualities={
            ("draft", "ollama:small"): Evidence(good=990, bad=10),
            ("draft", "openai:big"): Evidence(good=1, bad=0),
        },
    )
    draft = made.assignment("draft")
    assert before is not None
    assert draft is not None
    known = dict(zip((draft.model, *draft.fallbacks), draft.qualities, strict=True))
    assert known["ollama:small"] == pytest.approx(0.98, abs=0.01)
    assert known["openai:mini"] > 0.95  # easy for the small model, so easy for a better one
    assert draft.complexity < before.complexity
    assert "1001 judged answers" in draft.complexity_reason
    assert (before.judged, draft.judged) == (0, 1001)


def test_the_plan_keeps_the_quality_of_every_model_that_may_serve() -> None:
    draft = plan(triage()).assignment("draft")
    assert draft is not None
    assert len(draft.qualities) == 1 + len(draft.fallbacks)
    if draft.kind == "single":
        assert draft.qualities[0] == pytest.approx(draft.quality)


def test_learned_qualities_replace_the_prior() -> None:
    made = plan(triage(), qualities={("draft", "ollama:small"): 0.99})
    assert models(made)["draft"] == "ollama:small"


def test_fallbacks_are_the_other_feasible_models_and_never_masked_ones() -> None:
    made = plan(triage(draft=RouteHints(privacy="local")), usd=0.03)
    for a in made.assignments:
        assert a.model not in a.fallbacks
    draft = made.assignment("draft")
    assert draft is not None
    assert draft.fallbacks == ()
    check = made.assignment("check")
    assert check is not None
    assert sorted([check.model, *check.fallbacks]) == sorted(POOL.names)


def test_the_same_input_gives_the_same_bytes() -> None:
    def text(g: Graph) -> str:
        return plan(g, usd=0.02, seed=7).to_json()

    assert text(triage()) == text(triage())


def test_votes_and_checked_steps_weigh_less_and_the_author_has_the_last_word() -> None:
    def weights(**hints: RouteHints) -> dict[str, float]:
        asks = [
            node(
                n,
                prompts=("Is it so?",),
                writes=("answers",),
                hints=hints.get(n, RouteHints()),
            )
            for n in "ab"
        ]
        arrows: list[Arrow] = []
        for name in "ab":
            arrows += [(START, name), (name, "count", "join")]
        made = plan(graph([*asks, node("count", "code")], arrows))
        assert "one of 2 votes for count" in made.explain("b")
        return {a.node: a.weight for a in made.assignments}

    assert weights() == {"a": 0.5, "b": 0.5}
    assert weights(a=RouteHints(weight=3.0)) == {"a": 3.0, "b": 0.5}
    judged = plan(triage())
    by_node = {a.node: a.weight * a.expected_visits for a in judged.assignments}
    assert by_node == pytest.approx({"classify": 1, "draft": 0.7, "check": 1})
    assert "check can send back what is wrong" in judged.explain("draft")
    own = plan(triage(draft=RouteHints(weight=2.0))).assignment("draft")
    assert own is not None
    assert own.weight * own.expected_visits == pytest.approx(4)
    assert "its author gave it weight 2" in own.reason


def test_a_deadline_is_met_with_the_chance_the_plan_tells() -> None:
    quick = spec("fast:one", 5.0, 0.8, latency_s=0.1, tokens_per_s=300.0)
    chain: list[Arrow] = [(START, "a"), ("a", "b"), ("b", END)]
    pool = Catalog(models=(quick, BIG))
    loose = plan(graph("ab", chain), pool=pool, deadline_s=200.0)
    assert loose.totals.on_time == 1.0
    assert loose.planned_s == loose.deadline_s == 200.0
    tight = plan(graph("ab", chain), pool=pool, deadline_s=13.5)
    assert tight.deadline_s == 13.5
    assert tight.planned_s is not None
    assert tight.planned_s < 13.5
    assert tight.totals.latency_s <= tight.planned_s
    assert tight.totals.on_time is not None
    # Both steps on the better model end in 13 s on average, and so too late too often.
    assert 0.9 < tight.totals.on_time <= 1.0
    assert "of runs end by the deadline of 13.5 s" in tight.explain()
    assert plan(graph("ab", chain), pool=pool).totals.on_time is None


def test_shadow_prices_say_what_happens() -> None:
    hard = {"a": 0.55, "b": 0.6, "c": 0.65, "d": 0.7}
    names = list(hard)
    chain: list[Arrow] = [(START, "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", END)]
    made = plan(graph(names, chain), usd=0.016, difficulties=hard)
    found = re.search(r"\$([\d.]+) more per run would buy about \+([\d.]+) points", made.explain())
    assert found is not None
    step, told = float(found[1]), float(found[2])
    # A price is the slope of the bound: over many such steps the gain is what was told.
    more = made.what_if(budget=0.016 + 10 * step)
    gained = 100 * (more.totals.quality - made.totals.quality)
    assert gained == pytest.approx(10 * told, rel=0.35)
    for a in made.assignments:
        assert a.runner_up is not None
        text = made.explain(a.node)
        sign = "saves" if a.runner_up.cost_change_usd < 0 else "costs"
        assert f"runner-up {a.runner_up.model}: {sign} $" in text
        other = next(p for p in POOL if p.name == a.runner_up.model)
        cost = other.cost_usd(a.in_tokens, a.out_tokens) * a.expected_calls
        assert a.runner_up.cost_change_usd == pytest.approx(cost - a.cost_usd)
