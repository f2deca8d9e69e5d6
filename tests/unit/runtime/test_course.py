from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute import Model, optimize
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.course import Course


class State(TypedDict, total=False):
    n: str


def chain(own: ScriptedChat, length: int) -> Any:
    builder = StateGraph(State)
    previous = START
    for number in range(length):
        name = f"n{number}"
        builder.add_node(name, lambda state, n=number: {"n": own.invoke(f"Write text {n}").text})
        builder.add_edge(previous, name)
        previous = name
    return builder.compile()


def pool(strong: ScriptedChat, weak: ScriptedChat) -> list[Model]:
    return [
        Model("strong", strong, quality=0.95, price_in_usd=10, price_out_usd=10),
        Model("weak", weak, quality=0.3, local=True),
    ]


def test_a_step_dearer_than_planned_moves_later_steps_to_cheaper_models() -> None:
    strong = ScriptedChat(name="strong", replies=["s"], in_tokens=60, out_tokens=900)
    weak = ScriptedChat(name="weak", replies=["w"])
    full = optimize(chain(strong, 4), models=pool(strong, weak)).plan.totals.cost_expected_usd
    fast = optimize(chain(strong, 4), models=pool(strong, weak), budget=full * 1.05)
    assert {a.model for a in fast.plan.assignments} == {"strong"}
    fast.invoke({})
    said = [(r.node, r.model, r.why) for r in fast.records]
    assert said[0][1:] == ("strong", "plan")
    assert "weak" in {model for _, model, _ in said[1:]}
    assert any(why.startswith("re-planned: $") and "more spent" in why for *_, why in said[1:])
    assert sum(r.cost_nano for r in fast.records) <= full * 1.05e9


def test_a_step_cheaper_than_planned_buys_better_models_for_the_rest() -> None:
    strong = ScriptedChat(name="strong", replies=["s"], in_tokens=10, out_tokens=10)
    weak = ScriptedChat(name="weak", replies=["w"])
    full = optimize(chain(strong, 4), models=pool(strong, weak)).plan.totals.cost_expected_usd
    fast = optimize(chain(strong, 4), models=pool(strong, weak), budget=full * 0.8)
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
