from __future__ import annotations

import json
import math
import operator
from typing import Annotated, Any, TypedDict

import jsonschema
import pytest
from langgraph.graph import END, START, StateGraph

import graphroute
from graphroute import (
    InfeasibleBudget,
    InvalidValue,
    Model,
    Plan,
    RouteHints,
    UnknownModel,
    UnknownNode,
    UnknownPrice,
    optimize,
    plan,
    route,
)
from graphroute.ir.codec import plan_schema
from graphroute.providers.scripted import ScriptedChat


class State(TypedDict, total=False):
    text: str
    log: Annotated[list[str], operator.add]


STRONG = ScriptedChat(name="strong", replies=["strong"])
WEAK = ScriptedChat(name="weak", replies=["weak"])
FREE = ScriptedChat(name="free", replies=["free"])
POOL = [
    Model("scripted:strong", STRONG, price_in_usd=10, price_out_usd=30, quality=0.95),
    Model("scripted:weak", WEAK, price_in_usd=0.1, price_out_usd=0.4, quality=0.6),
    Model("scripted:free", FREE, local=True, quality=0.4),
]


def classify(state: State) -> State:
    return {"log": ["classify: " + STRONG.invoke(f"Classify: {state['text']}").text]}


@route(complexity=0.9)
def draft(state: State) -> State:
    return {"log": ["draft: " + STRONG.invoke(f"Write a reply to {state['text']}").text]}


def tidy(state: State) -> State:
    return {"log": ["tidy"]}


def chain() -> Any:
    builder = StateGraph(State)
    for node in (classify, draft, tidy):
        builder.add_node(node.__name__, node)
    builder.add_edge(START, "classify")
    builder.add_edge("classify", "draft")
    builder.add_edge("draft", "tidy")
    builder.add_edge("tidy", END)
    return builder.compile()


def test_the_whole_way_from_graph_to_report() -> None:
    graph = chain()
    fast = optimize(graph, models=POOL, budget=0.02)
    assert issubclass(type(fast), type(graph))
    assert type(fast).__name__ == "CompiledStateGraph"
    out = fast.invoke({"text": "my invoice is wrong"})
    models = {a.node: a.model for a in fast.plan.assignments}
    assert set(models) == {"classify", "draft"}
    said = {node: model.removeprefix("scripted:") for node, model in models.items()}
    assert out["log"] == [
        f"classify: {said['classify']}",
        f"draft: {said['draft']}",
        "tidy",
    ]
    assert [r.node for r in fast.records] == ["classify", "draft"]
    assert "draft" in str(fast.report())
    assert graph.invoke({"text": "x"})["log"][0] == "classify: strong"


def test_a_bigger_budget_buys_better_models_where_they_matter() -> None:
    rich = plan(chain(), models=POOL, budget=10)
    poor = plan(chain(), models=POOL, budget=0)
    assert {a.model for a in rich.assignments} == {"scripted:strong"}
    assert {a.model for a in poor.assignments} == {"scripted:free"}
    assert rich.totals.quality > poor.totals.quality
    assert poor.totals.cost_expected_usd == 0


def test_without_models_nothing_changes_but_the_records() -> None:
    fast = optimize(chain())
    assert fast.invoke({"text": "x"})["log"] == ["classify: strong", "draft: strong", "tidy"]
    assert {r.model for r in fast.records} == {"scripted:strong"}
    assert all(not r.fault for r in fast.records)


def test_the_plan_is_valid_json_and_the_same_bytes_twice() -> None:
    texts = [plan(chain(), models=POOL, budget=0.01).to_json() for _ in range(2)]
    assert texts[0] == texts[1]
    jsonschema.validate(json.loads(texts[0]), plan_schema())
    assert Plan.from_json(texts[0]).to_json() == texts[0]


def test_hints_from_outside_and_inside_bind() -> None:
    made = plan(
        chain(),
        models=POOL,
        budget=10,
        nodes={"classify": RouteHints(pin="scripted:weak"), "draft": RouteHints(privacy="local")},
    )
    found = {a.node: a for a in made.assignments}
    assert found["classify"].model == "scripted:weak"
    assert found["draft"].model == "scripted:free"
    assert found["draft"].privacy_local
    assert found["draft"].complexity == 0.9


def test_optimizing_twice_and_two_plans_at_once_do_not_mix() -> None:
    graph = chain()
    cheap = optimize(graph, models=POOL[1:2])
    free = optimize(cheap, models=POOL[2:])
    assert free.invoke({"text": "x"})["log"][0] == "classify: free"
    assert cheap.invoke({"text": "x"})["log"][0] == "classify: weak"
    assert len(cheap.records) == len(free.records) == 2


def test_a_graph_without_models_runs_as_it_did_and_the_plan_says_so() -> None:
    builder = StateGraph(State)
    builder.add_node("tidy", tidy)
    builder.add_edge(START, "tidy")
    fast = optimize(builder.compile(), models=POOL)
    assert fast.invoke({"text": "x"})["log"] == ["tidy"]
    assert fast.plan.assignments == ()
    assert any("no node" in warning for warning in fast.plan.graph.warnings)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"budget": -1}, InvalidValue, "budget per_run_usd=-1"),
        ({"budget": math.nan}, InvalidValue, "nan"),
        ({"budget": math.inf}, InvalidValue, "inf"),
        ({"budget": 10**400}, InvalidValue, "finite"),
        ({"budget": "0.1"}, InvalidValue, "'0.1'"),
        ({"objective": "speed"}, InvalidValue, "'speed'"),
        ({"models": "ollama:llama3.2"}, InvalidValue, r"\['ollama:llama3.2'\]"),
        ({"models": []}, InvalidValue, "at least one model"),
        ({"models": ["nobody-knows-this:thing"]}, UnknownModel, "nobody-knows-this"),
        ({"models": [Model("scripted:x", WEAK), POOL[0]]}, UnknownPrice, "price_in_usd"),
        ({"nodes": {"drfat": RouteHints()}}, UnknownNode, "classify.*draft|draft.*classify"),
        ({"nodes": {"draft": {"pin": "x"}}}, InvalidValue, r"RouteHints\("),
        ({"nodes": {"draft": RouteHints(pin="nobody")}}, graphroute.GraphrouteError, "nobody"),
    ],
)
def test_bad_input_is_one_clear_error(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        optimize(chain(), **{"models": POOL, **options})


def test_a_budget_too_small_names_the_smallest_that_works_and_that_one_works() -> None:
    with pytest.raises(InfeasibleBudget) as caught:
        optimize(chain(), models=POOL[:2], budget=1e-9)
    needed = caught.value.facts["needed"]
    assert isinstance(needed, float)
    assert f"{needed:.2g}"[:3] in str(caught.value)
    assert plan(chain(), models=POOL[:2], budget=needed * (1 + 1e-9)).feasible
    assert not plan(chain(), models=POOL[:2], budget=needed * 0.99).feasible


def test_not_a_graph() -> None:
    with pytest.raises(InvalidValue, match="compile"):
        optimize(StateGraph(State), models=POOL)


def test_replan_takes_the_pool_as_it_is_now() -> None:
    pool = list(POOL[:1])
    fast = optimize(chain(), models=pool)
    pool[:] = POOL[2:]
    assert {a.model for a in fast.replan().assignments} == {"scripted:free"}
    assert fast.invoke({"text": "x"})["log"][0] == "classify: free"


def test_hints_that_the_arguments_leave_without_effect_are_told() -> None:
    hints = {"draft": RouteHints(deferrable=True)}
    made = plan(chain(), models=POOL, nodes=hints)
    assert any("'draft'" in w and "batch='deferred'" in w for w in made.graph.warnings)
    assert not plan(chain(), models=POOL, nodes=hints, batch="deferred").graph.warnings


def inside(state: State) -> State:
    own = ScriptedChat(name="inner", replies=["inner"])
    return {"log": [own.invoke(state["text"]).text]}


def test_a_model_made_inside_a_node_keeps_the_node_and_the_plan_says_so() -> None:
    builder = StateGraph(State)
    builder.add_node("inside", inside)
    builder.add_node("classify", classify)
    builder.add_edge(START, "inside")
    builder.add_edge("inside", "classify")
    fast = optimize(builder.compile())
    assert fast.invoke({"text": "x"})["log"] == ["inner", "classify: strong"]
    assert [a.node for a in fast.plan.assignments] == ["classify"]


def test_without_models_an_outage_of_one_own_model_is_not_mended_by_another() -> None:
    first = ScriptedChat(name="first", replies=[ConnectionError("down"), "first"])
    second = ScriptedChat(name="second", replies=["second"])
    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"log": [first.with_retry().invoke("x").text]})
    builder.add_node("b", lambda state: {"log": [second.invoke("x").text]})
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    assert optimize(builder.compile()).invoke({"text": "x"})["log"] == ["first", "second"]


@pytest.mark.parametrize(
    "hint", [RouteHints(pin="scripted:weak"), RouteHints(models=("scripted:weak",))]
)
def test_a_pin_holds_even_where_nothing_fits(hint: RouteHints) -> None:
    weak = Model("scripted:weak", WEAK, price_in_usd=0.1, price_out_usd=0.4, context_tokens=9000)
    fast = optimize(chain(), models=[weak, POOL[0]], nodes={"classify": hint})
    long = fast.invoke({"text": "word " * 20_000})
    assert long["log"][0] == "classify: weak"


def test_a_budget_over_a_pool_that_nothing_is_known_of_runs_as_before() -> None:
    builder = StateGraph(State)
    builder.add_node("tidy", tidy)
    builder.add_edge(START, "tidy")
    assert optimize(builder.compile(), budget=0.1).invoke({"text": "x"})["log"] == ["tidy"]
