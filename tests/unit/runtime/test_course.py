from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute import Budget, Model, Plan, optimize
from graphroute.ir.catalog import Catalog, Price
from graphroute.ir.hints import NANO
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.policy import Policy


class State(TypedDict, total=False):
    n: str


def prompt(number: int) -> str:
    """As long as the plan expects a prompt to be that it cannot see."""
    return f"Write text {number} about " + "this and that and " * 43


def chain(own: ScriptedChat, length: int) -> Any:
    builder = StateGraph(State)
    previous = START
    for number in range(length):
        name = f"n{number}"
        builder.add_node(name, lambda state, n=number: {"n": own.invoke(prompt(n)).text})
        builder.add_edge(previous, name)
        previous = name
    return builder.compile()


def pool(strong: ScriptedChat, weak: ScriptedChat) -> list[Model]:
    return [
        Model("strong", strong, quality=0.95, price_in_usd=10, price_out_usd=10),
        Model("weak", weak, quality=0.3, local=True),
    ]


def test_a_step_dearer_than_planned_moves_later_steps_to_cheaper_models() -> None:
    strong = ScriptedChat(name="strong", replies=["s"], in_tokens=350, out_tokens=900)
    weak = ScriptedChat(name="weak", replies=["w"])
    full = optimize(chain(strong, 4), models=pool(strong, weak)).plan.totals.cost_expected_usd
    fast = optimize(chain(strong, 4), models=pool(strong, weak), budget=full * 1.25)
    assert {a.model for a in fast.plan.assignments} == {"strong"}
    fast.invoke({})
    said = [(r.node, r.model, r.why) for r in fast.records]
    assert said[0][1:] == ("strong", "plan")
    assert "weak" in {model for _, model, _ in said[1:]}
    assert any(why.startswith("re-planned: $") for *_, why in said[1:])
    assert sum(r.cost_nano for r in fast.records) <= full * 1.25e9


def test_a_step_cheaper_than_planned_buys_better_models_for_the_rest() -> None:
    strong = ScriptedChat(name="strong", replies=["s"], in_tokens=350, out_tokens=10)
    weak = ScriptedChat(name="weak", replies=["w"])
    full = optimize(chain(strong, 4), models=pool(strong, weak)).plan.totals.cost_expected_usd
    fast = optimize(chain(strong, 4), models=pool(strong, weak), budget=full * 0.85)
    planned = {a.node: a.model for a in fast.plan.assignments}
    assert set(planned.values()) == {"strong", "weak"}
    fast.invoke({})
    better = [r for r in fast.records if planned[r.node] == "weak" and r.model == "strong"]
    first_strong = next(i for i, r in enumerate(fast.records) if r.model == "strong")
    later_weak = [r for r in fast.records[first_strong + 1 :] if planned[r.node] == "weak"]
    assert len(better) == len(later_weak)
    assert all("less spent" in r.why for r in better)


def test_a_run_that_goes_as_planned_solves_nothing_again() -> None:
    strong, weak = ScriptedChat(name="strong"), ScriptedChat(name="weak")
    fast = optimize(chain(strong, 3), models=pool(strong, weak), budget=10)
    course = Course(fast.plan)
    for step, node in enumerate(("n0", "n1", "n2"), start=1):
        found = course.ahead(node, step=step, failed=frozenset())
        assert found is not None
        assert found.why == ""
        course.called(node)
    assert course.ahead("elsewhere", step=9, failed=frozenset()) is None


def test_a_lost_model_is_planned_around_once_per_step() -> None:
    strong, weak = ScriptedChat(name="strong"), ScriptedChat(name="weak")
    fast = optimize(chain(strong, 3), models=pool(strong, weak), budget=10)
    course = Course(fast.plan)
    lost = frozenset({"strong"})
    for _ in range(3):
        found = course.ahead("n0", step=1, failed=lost)
        assert found is not None
        assert found.models[0] == "weak"
        assert found.why == "re-planned: strong cannot serve"
    back = course.ahead("n1", step=2, failed=frozenset())
    assert back is not None
    assert back.models[0] == "strong"


def test_what_is_left_falls_with_each_call_and_never_below_zero() -> None:
    strong, weak = ScriptedChat(name="strong"), ScriptedChat(name="weak")
    plan = optimize(chain(strong, 2), models=pool(strong, weak)).plan
    course = Course(plan)
    whole = course.left_nano()
    course.called("n0")
    assert course.left_nano() == pytest.approx(whole - course.per_call_nano("n0"))
    for _ in range(5):
        course.called("n0")
        course.called("n1")
    assert course.left_nano() == 0


def made(length: int = 4, *, usd: float | None = None, **limits: Any) -> tuple[Plan, Policy]:
    """A plan over a chain, one model strong and dear, one weak, free and quick, and its policy."""
    strong, weak = ScriptedChat(name="strong"), ScriptedChat(name="weak")
    models = [
        Model("strong", strong, quality=0.95, price_in_usd=10, price_out_usd=10, tokens_per_s=300),
        Model("weak", weak, quality=0.3, local=True, tokens_per_s=3_000, latency_s=0.1),
    ]
    budget = Budget(per_run_usd=usd)
    fast = optimize(chain(strong, length), models=models, budget=budget, store=False, **limits)
    return fast.plan, fast.__dict__["_graphroute"].policy


def models_ahead(course: Course, step: int, length: int = 4) -> list[str]:
    found = [course.ahead(f"n{n}", step=step, failed=frozenset()) for n in range(step - 1, length)]
    return [ahead.models[0] for ahead in found if ahead is not None]


def why(course: Course, node: str, step: int) -> str:
    found = course.ahead(node, step=step, failed=frozenset())
    assert found is not None
    return found.why


def run_step(course: Course, node: str, *, cost: float = 1.0) -> None:
    """A call of `node` that costs `cost` times what was expected."""
    expected = course.per_call_nano(node)
    course.called(node)
    course.ended(node, round(expected * cost))


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(s=100.0)


def ticking(clock: SimpleNamespace) -> Callable[[], float]:
    return lambda: float(clock.s)


def test_a_deadline_is_planned_again_with_the_time_that_is_left(clock: SimpleNamespace) -> None:
    plan, policy = made(deadline_s=8.0)
    assert [a.model for a in plan.assignments] == ["strong"] * 4
    a = plan.assignments[0]
    course = Course(plan, catalog=lambda: policy.catalog, clock=ticking(clock))
    assert models_ahead(course, 1) == ["strong"] * 4
    run_step(course, "n0")
    clock.s += a.latency_s
    assert models_ahead(course, 2) == ["strong"] * 3
    assert why(course, "n1", 2) == ""
    # The second step takes far longer than planned: two strong ones do not fit what is left.
    run_step(course, "n1")
    clock.s += 8.0 - a.latency_s - 1.6 * a.latency_s
    told = why(course, "n2", 3)
    assert told.startswith("re-planned: ")
    assert "s more taken than planned" in told
    seconds = {spec.name: spec.time_s(a.out_tokens) for spec in policy.catalog}
    assert 0 < sum(seconds[model] for model in models_ahead(course, 3)) <= 1.6 * a.latency_s


def test_a_deadline_that_is_over_leaves_the_quickest(clock: SimpleNamespace) -> None:
    plan, policy = made(deadline_s=8.0)
    course = Course(plan, catalog=lambda: policy.catalog, clock=ticking(clock))
    models_ahead(course, 1)
    run_step(course, "n0")
    clock.s += 60.0
    assert models_ahead(course, 2) == ["weak"] * 3


def test_time_in_which_a_run_was_paused_counts_against_no_deadline(clock: SimpleNamespace) -> None:
    plan, policy = made(deadline_s=8.0)
    course = Course(plan, catalog=lambda: policy.catalog, clock=ticking(clock))
    models_ahead(course, 1)
    course.called("n0")
    clock.s += plan.assignments[0].latency_s
    course.ended("n0", 0)
    clock.s += 3_600.0
    course.resumed()
    assert why(course, "n1", 2) == ""
    assert models_ahead(course, 2) == ["strong"] * 3


def test_a_raised_limit_is_planned_with_at_once_and_later() -> None:
    plan, policy = made(usd=0.008)
    planned = [a.model for a in plan.assignments]
    assert planned.count("weak") >= 2
    ledger = Ledger(limit_nano=plan_nano(plan))
    course = Course(plan, ledger=ledger, catalog=lambda: policy.catalog)
    assert models_ahead(course, 1) == planned
    ledger.raise_limit(NANO)
    again = course.again("n0")
    assert again is not None
    assert again.models[0] == "strong"
    assert again.why == "re-planned: the run may now cost $1.000000"
    run_step(course, "n0")
    assert models_ahead(course, 2) == ["strong"] * 3


def plan_nano(plan: Plan) -> int:
    assert plan.budget.per_run_usd is not None
    return round(plan.budget.per_run_usd * NANO)


def test_a_scarce_period_takes_the_dear_model_from_long_prompts_first() -> None:
    plan, policy = made()
    a, p95 = plan.assignments[0], plan.totals.cost_p95_usd * NANO
    kept = []
    for scarcity in (1.0, 1.5, 3.0, 6.0, 50.0):
        ledger = Ledger(limit_nano=None, allowance_nano=round(p95 / scarcity))
        course = Course(plan, ledger=ledger, catalog=lambda: policy.catalog)
        found = [
            course.ahead("n0", step=1, failed=frozenset(), in_tokens=tokens)
            for tokens in (a.in_tokens * times for times in (0.1, 1, 10, 100))
        ]
        kept.append([ahead.models[0] == "strong" for ahead in found if ahead is not None])
        told = {ahead.why for ahead in found if ahead is not None and ahead.models[0] == "weak"}
        assert "" not in told
    assert kept[0] == [True] * 4
    assert kept[-1] == [False] * 4
    # Never a long prompt on the dear model and a short one not, and never more of it when scarcer.
    assert all(row == sorted(row, reverse=True) for row in kept)
    assert [sum(row) for row in kept] == sorted((sum(row) for row in kept), reverse=True)
    assert len({sum(row) for row in kept}) > 2


def test_the_price_of_money_is_the_greater_of_the_runs_and_the_periods() -> None:
    plan, policy = made(usd=0.0205)
    assert plan.shadow_price > 0
    p95 = plan.totals.cost_p95_usd * NANO
    prices = []
    for scarcity in (1.0, 1.2, 2.0, 4.0):
        ledger = Ledger(limit_nano=plan_nano(plan), allowance_nano=round(p95 / scarcity))
        prices.append(Course(plan, ledger=ledger, catalog=lambda: policy.catalog).shadow_price)
    assert prices[:2] == [pytest.approx(plan.shadow_price)] * 2
    assert prices[2] >= plan.shadow_price * 0.99
    assert prices[3] == pytest.approx(3 * prices[2])
    assert Course(plan, ledger=Ledger(limit_nano=None)).shadow_price == plan.shadow_price


@pytest.mark.parametrize(("usd", "is_upgraded"), [(0.0235, True), (0.0196, False)])
def test_a_short_prompt_may_have_the_better_model_where_money_is_left_for_it(
    usd: float, is_upgraded: bool
) -> None:
    plan, policy = made(usd=usd)
    (weak,) = (a for a in plan.assignments if a.model == "weak")
    course = Course(plan, ledger=Ledger(limit_nano=plan_nano(plan)), catalog=lambda: policy.catalog)
    usual = course.ahead(weak.node, step=1, failed=frozenset(), in_tokens=weak.in_tokens)
    assert usual is not None
    assert (usual.models[0], usual.why) == ("weak", "")
    # The plan is followed until it is known what prompts the node has.
    first = course.ahead(weak.node, step=1, failed=frozenset(), in_tokens=1)
    assert first == usual
    for _ in range(30):
        course.ahead(weak.node, step=1, failed=frozenset(), in_tokens=weak.in_tokens)
    short = course.ahead(weak.node, step=1, failed=frozenset(), in_tokens=1)
    assert short is not None
    assert (short.models[0] == "strong") == is_upgraded
    if is_upgraded:
        assert short.why.startswith("a prompt of about 1 tokens, where 350 were planned")


def test_runs_learn_from_one_another_what_calls_cost() -> None:
    plan, policy = made(usd=0.0135)
    planned = [a.model for a in plan.assignments]
    assert planned.count("strong") == 2
    first = Course(plan, ledger=Ledger(limit_nano=plan_nano(plan)), catalog=lambda: policy.catalog)
    assert models_ahead(first, 1) == planned
    for node in ("n0", "n1", "n2", "n3"):
        for _ in range(30):
            first.ahead(node, step=None, failed=frozenset(), in_tokens=20.0)
            first.called(node, "strong")
            first.ended(node, 1, out_tokens=30)
    later = Course(plan, ledger=Ledger(limit_nano=plan_nano(plan)), catalog=lambda: policy.catalog)
    assert later.left_nano() < 0.2 * plan.totals.cost_expected_usd * NANO
    assert models_ahead(later, 1) == ["strong"] * 4
    assert "times what was planned" in why(later, "n0", 1)


def test_a_changed_price_is_planned_with(clock: SimpleNamespace) -> None:
    plan, policy = made(usd=0.027)
    assert [a.model for a in plan.assignments] == ["strong"] * 4
    course = Course(plan, catalog=lambda: policy.catalog, clock=ticking(clock))
    assert models_ahead(course, 1) == ["strong"] * 4
    run_step(course, "n0")
    left = course.left_nano()
    policy.catalog = dearer(policy.catalog, times=3)
    told = why(course, "n1", 2)
    assert told == "re-planned: the price of strong changed"
    assert models_ahead(course, 2).count("strong") == 1
    assert course.per_call_nano("n1") in (0.0, pytest.approx(left))
    # What calls cost at the new price is on course again.
    run_step(course, "n1")
    assert why(course, "n2", 3) == told


def dearer(catalog: Catalog, *, times: float) -> Catalog:
    return Catalog(
        models=tuple(
            replace(
                spec,
                price=Price(
                    in_usd=spec.price.in_usd * times,
                    out_usd=spec.price.out_usd * times,
                    source="user",
                ),
            )
            for spec in catalog
        )
    )


def test_money_for_calls_still_to_come_is_that_of_the_models_that_are_due() -> None:
    plan, policy = made(usd=0.027)
    course = Course(plan, ledger=Ledger(limit_nano=NANO), catalog=lambda: policy.catalog)
    lost = frozenset({"strong"})
    course.ahead("n0", step=1, failed=lost)
    assert course.left_nano() == 0
    course.called("n0", "weak")
    course.failed("n0")
    course.ahead("n0", step=2, failed=frozenset())
    assert course.left_nano() == pytest.approx(plan.totals.cost_expected_usd * NANO)


def test_without_any_limit_nothing_is_solved() -> None:
    plan, policy = made()
    course = Course(plan, catalog=lambda: policy.catalog)
    assert models_ahead(course, 1) == ["strong"] * 4
    policy.catalog = dearer(policy.catalog, times=100)
    run_step(course, "n0", cost=50.0)
    assert why(course, "n1", 2) == ""
    assert models_ahead(course, 2) == ["strong"] * 3


def rewritten(*changes: dict[str, Any]) -> tuple[Plan, Policy, float]:
    """A plan over as many steps with these changes, and what a call of the strong model costs."""
    plan, policy = made(len(changes))
    assert {a.model for a in plan.assignments} == {"strong"}
    strong_nano = Course(plan, catalog=lambda: policy.catalog).per_call_nano("n0")
    changed = tuple(replace(a, **c) for a, c in zip(plan.assignments, changes, strict=True))
    return replace(plan, assignments=changed), policy, strong_nano


def cascade(weight: float = 1.0, **more: Any) -> dict[str, Any]:
    """The free model first; the strong one, asked in half of all visits, doubles what is good."""
    return {
        "kind": "cascade",
        "model": "weak",
        "then": ("strong",),
        "expected_calls": 1.5,
        "reach": (0.5,),
        "so_far": (0.4, 0.8),
        "weight": weight,
        **more,
    }


def test_what_is_needed_is_first_answers_of_steps_to_come() -> None:
    plan, policy, strong_nano = rewritten(
        cascade(), {}, cascade(model="strong", then=("weak",)), {"expected_calls": 2.0}
    )
    course = Course(plan, catalog=lambda: policy.catalog)
    # Nothing for the free first answer, no second answers, and both calls of the last step.
    assert course.needed_nano() == pytest.approx(4 * strong_nano)
    for node, calls_left in (("n0", 4), ("n1", 3), ("n2", 2), ("n2", 2), ("n3", 1), ("n3", 0)):
        course.called(node)
        assert course.needed_nano() == pytest.approx(calls_left * strong_nano)
    course.failed("n3")
    assert course.needed_nano() == pytest.approx(strong_nano)


@pytest.mark.parametrize(
    ("weights", "calls", "is_asked"),
    [((1.0, 3.0), 1.5, False), ((1.0, 3.0), 2.0, True), ((3.0, 1.0), 1.5, True)],
)
def test_a_step_asks_on_unless_a_later_one_gains_more_with_the_money(
    weights: tuple[float, float], calls: float, *, is_asked: bool
) -> None:
    plan, policy, strong_nano = rewritten(*map(cascade, weights))
    course = Course(plan, catalog=lambda: policy.catalog)
    money = {"cost_nano": strong_nano, "available_nano": calls * strong_nano}
    course.called("n0")
    assert course.asks_on("n0", 1, **money) == is_asked
    course.called("n1")
    assert course.asks_on("n1", 1, **money)
    # The later step has had its turn.
    assert course.asks_on("n0", 1, **money)
    assert not course.asks_on("n1", 1, **{**money, "available_nano": 0.9 * strong_nano})


def test_a_step_does_not_ask_on_with_what_a_later_one_needs() -> None:
    plan, policy, strong_nano = rewritten(cascade(weight=9.0), {})
    course = Course(plan, catalog=lambda: policy.catalog)
    course.called("n0")
    for calls, is_asked in ((1.5, False), (2.0, True)):
        money = {"cost_nano": strong_nano, "available_nano": calls * strong_nano}
        assert course.asks_on("n0", 1, **money) == is_asked


def test_a_plan_that_does_not_say_what_a_cascade_gains_holds_back_first_answers_only() -> None:
    plan, policy, strong_nano = rewritten(cascade(reach=(), so_far=()), cascade(weight=9.0))
    course = Course(plan, catalog=lambda: policy.catalog)
    course.called("n0")
    assert course.asks_on("n0", 1, cost_nano=strong_nano, available_nano=strong_nano)
    assert course.asks_on("elsewhere", 1, cost_nano=strong_nano, available_nano=strong_nano)
