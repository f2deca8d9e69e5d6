from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute import InfeasibleBudget, InvalidValue, Model, memory, optimize, plan
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.memory import GRAIN_BYTES, limit_bytes
from graphroute.providers.scripted import ScriptedChat

GB = 10**9
FREE = Price(in_usd=0.0, out_usd=0.0, source="local")


class State(TypedDict, total=False):
    text: str


def spec(name: str, size: int | None, *, local: bool = True, loaded: bool = False) -> ModelSpec:
    return ModelSpec(
        name=name, provider="x", local=local, price=FREE, memory_bytes=size, loaded=loaded
    )


def graph() -> Any:
    own = ScriptedChat(name="own")
    builder = StateGraph(State)
    builder.add_node("easy", lambda state: {"text": own.invoke("Is it yes or no?").text})
    builder.add_node("hard", lambda state: {"text": own.invoke("Prove the theorem.").text})
    builder.add_edge(START, "easy")
    builder.add_edge("easy", "hard")
    return builder.compile()


class Unloaded(ScriptedChat):
    """A model of which nobody says that it is in memory already."""

    graphroute_provider: ClassVar[str | None] = None  # type: ignore[assignment]


POOL = [
    Model("local:big", Unloaded(name="big"), local=True, quality=0.9, memory_bytes=8 * GB),
    Model("local:small", Unloaded(name="small"), local=True, quality=0.5, memory_bytes=GB),
]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """This machine, with as much memory free as a test says."""
    figures = SimpleNamespace(free=100 * GB, reads=0)

    def read() -> dict[str, float]:
        figures.reads += 1
        return {"available_bytes": float(figures.free)}

    monkeypatch.setattr(memory, "_signal", lambda: SimpleNamespace(name="memory", read=read))
    return figures


def test_what_is_free_counts_only_where_known_local_models_do_not_fit() -> None:
    def read() -> dict[str, float]:
        return {"available_bytes": 5.0 * GB}

    fits = Catalog(models=(spec("a", 2 * GB), spec("b", 3 * GB), spec("c", None)))
    assert limit_bytes("auto", fits, read=read) is None
    cloud = Catalog(models=(spec("a", 20 * GB, local=False),))
    assert limit_bytes("auto", cloud, read=read) is None
    tight = Catalog(models=(spec("a", 3 * GB), spec("b", 3 * GB)))
    assert limit_bytes("auto", tight, read=read) == 5 * GB // GRAIN_BYTES * GRAIN_BYTES
    loaded = Catalog(models=(replace(spec("a", 3 * GB), loaded=True), spec("b", 3 * GB)))
    assert limit_bytes("auto", loaded, read=read) is None
    assert limit_bytes("auto", tight, read=dict) is None
    assert limit_bytes(7, fits, read=read) == 7
    assert limit_bytes(None, tight, read=read) is None


@pytest.mark.parametrize("limit", [-1, 1.5, "much", True])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidValue, match="memory_limit_bytes"):
        plan(graph(), models=POOL, memory_limit_bytes=limit)


def test_plenty_of_memory_changes_no_byte_of_a_plan(machine: SimpleNamespace) -> None:
    texts = set()
    for machine.free in (10 * GB, 11 * GB, 300 * GB):
        texts.add(plan(graph(), models=POOL).to_json())
    texts.add(plan(graph(), models=POOL, memory_limit_bytes=None).to_json())
    assert len(texts) == 1
    assert machine.reads == 3


def test_scarce_memory_keeps_the_big_model_out_and_the_plan_says_so(
    machine: SimpleNamespace,
) -> None:
    assert {a.model for a in plan(graph(), models=POOL).assignments} == {"local:big"}
    machine.free = 4 * GB
    made = plan(graph(), models=POOL)
    assert {a.model for a in made.assignments} == {"local:small"}
    assert any("GB of memory for local models: not all" in w for w in made.graph.warnings)
    # A moment later a little more or less is free, and the plan stays what it was.
    machine.free += GRAIN_BYTES // 8
    assert plan(graph(), models=POOL).to_json() == made.to_json()


def test_too_little_for_any_plan_is_an_error_only_where_it_was_stated(
    machine: SimpleNamespace,
) -> None:
    machine.free = GRAIN_BYTES
    fast = optimize(graph(), models=POOL[:1])
    assert {a.model for a in fast.plan.assignments} == {"local:big"}
    assert any("too little for any plan" in w for w in fast.plan.graph.warnings)
    with pytest.raises(InfeasibleBudget, match="bytes for local models"):
        optimize(graph(), models=POOL[:1], memory_limit_bytes=GB)
