"""What a node may hang on besides equal values: none of it may be answered with an old result."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute.frontend.hints import route
from tests.unit.runtime.node_cache.graphs import cached, outcomes


class State(TypedDict, total=False):
    a: Any
    b: Any
    out: Any


def _graph(node: Callable[[State], Any]) -> Any:
    builder: Any = StateGraph(State)
    builder.add_node("node", route(cache=True)(node))
    builder.add_edge(START, "node")
    return builder.compile()


def seen(node: Callable[[State], Any], *inputs: State) -> list[str]:
    """What came of visits on these inputs, each of which ends as in the plain graph."""
    graph = _graph(lambda state: {"out": node(state)})
    fast = cached(graph)
    for given in inputs:
        assert repr(fast.invoke(given)) == repr(graph.invoke(given))
    return outcomes(fast)["node"]


def after(node: Callable[[State], Any], change: Callable[[], object]) -> list[str]:
    """What came of three visits, the last two after a change of what the code uses."""
    graph = _graph(lambda state: {"out": node(state)})
    fast = cached(graph)
    assert fast.invoke({"a": 1}) == graph.invoke({"a": 1})
    change()
    for _ in range(2):
        assert fast.invoke({"a": 1}) == graph.invoke({"a": 1})
    return outcomes(fast)["node"]


ANEW = ["computed", "computed", "hit"]

ONE_WAY: Any = {"x": 1, "y": 2}
OTHER_WAY: Any = {"y": 2, "x": 1}


def test_the_order_of_a_dict_that_is_read_counts() -> None:
    nodes: tuple[Callable[[State], Any], ...] = (
        lambda state: list(state["a"]),
        lambda state: f"{state}",
        lambda state: next(iter(state.get("a", {}).values())),
    )
    for node in nodes:
        inputs: list[State] = [{"a": way} for way in (ONE_WAY, OTHER_WAY, dict(ONE_WAY))]
        assert seen(node, *inputs) == ["computed", "computed", "hit"]


def test_the_order_of_what_is_not_read_does_not_count() -> None:
    inputs: list[State] = [{"a": 1, "b": ONE_WAY}, {"a": 1, "b": OTHER_WAY}]
    assert seen(lambda state: state["a"], *inputs) == ["computed", "hit"]


def test_the_order_of_keys_counts_in_a_state_that_is_a_dict() -> None:
    builder: Any = StateGraph[Any](dict)
    builder.add_node("node", route(cache=True)(lambda state: {"out": list(state)}))
    builder.add_edge(START, "node")
    graph = builder.compile()
    fast = cached(graph)
    for given in (ONE_WAY, OTHER_WAY, ONE_WAY):
        assert repr(fast.invoke(given)) == repr(graph.invoke(given))
    assert outcomes(fast)["node"] == ["computed", "computed", "hit"]


def _copied(state: State) -> Any:
    one, other = copy.deepcopy((state["a"], state["b"]))
    one.append(2)
    return other


def test_two_keys_that_hold_one_object_are_told_from_two_equal_ones() -> None:
    shared, again = [1], [1]
    inputs: list[State] = [
        {"a": [1], "b": [1]},
        {"a": shared, "b": shared},
        {"a": [1], "b": [1]},
        {"a": again, "b": again},
    ]
    for node in (lambda state: state["a"] is state["b"], _copied, lambda state: f"{state}"):
        assert seen(node, *inputs) == ["computed", "computed", "hit", "hit"]
    assert seen(lambda state: state["a"], *inputs) == ["computed", "hit", "hit", "hit"]


def test_objects_shared_inside_of_one_key_and_across_count() -> None:
    shared = {"n": 1}
    inputs: list[State] = [
        {"a": [{"n": 1}, {"n": 1}], "b": ({"n": 1},)},
        {"a": [shared, shared], "b": ({"n": 1},)},
        {"a": [shared, {"n": 1}], "b": (shared,)},
    ]
    ties = lambda state: (state["a"][0] is state["a"][1], state["a"][0] is state["b"][0])  # noqa: E731
    assert seen(ties, *inputs, *inputs) == ["computed"] * 3 + ["hit"] * 3


def test_the_order_of_a_dict_that_the_code_names_counts() -> None:
    rates = {"x": [1], "y": [2]}
    assert after(lambda state: list(rates), lambda: rates.update(x=rates.pop("x"))) == ANEW


class Base:
    """What classes below take from."""

    box = SimpleNamespace(n=1)

    def go(self) -> int:
        return 1


class Below(Base):
    """Asks its base."""

    def go(self) -> int:
        return super().go() + int(self.box.n)


def test_a_method_of_a_base_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    below = Below()
    nodes: tuple[Callable[[State], Any], ...] = (
        lambda state: below.go(),
        lambda state: Below().go(),
        lambda state: (lambda each: each.go())(below),
    )
    for node in nodes:
        with monkeypatch.context() as patch:
            assert after(node, lambda: patch.setattr(Base, "go", lambda self: 5)) == ANEW


def test_a_method_that_is_new_in_a_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Between(Base):
        pass

    class Last(Between):
        def go(self) -> int:
            return super().go()

    assert after(lambda state: Last().go(), lambda: setattr(Between, "go", lambda self: 7)) == ANEW

    class Other(Base):
        def go(self) -> int:
            return 9

    assert after(lambda state: Last().go(), lambda: setattr(Last, "__bases__", (Other,))) == ANEW


def test_an_object_that_a_class_holds_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def change() -> None:
        monkeypatch.setattr(Base.box, "n", 2)

    assert after(lambda state: Below().go(), change) == ANEW


def test_what_a_metaclass_does_counts() -> None:
    prices = {"p": 1}

    class Meta(type):
        def __getitem__(cls, key: str) -> int:
            return prices[key]

        @property
        def first(cls) -> int:
            return prices["p"]

    class Prices(metaclass=Meta):
        pass

    def change() -> None:
        prices["p"] += 1

    assert after(lambda state: Prices["p"], change) == ANEW
    assert after(lambda state: Prices.first, change) == ANEW
    assert after(lambda state: Prices["p"], lambda: setattr(Meta, "__getitem__", len)) == ANEW


unset: contextvars.ContextVar[Any] = contextvars.ContextVar("unset")
tenant: contextvars.ContextVar[Any] = contextvars.ContextVar("tenant", default="a")


def test_what_a_context_variable_holds_counts() -> None:
    box = {"n": 1}

    def all_of_it() -> None:
        assert after(lambda state: tenant.get(), lambda: tenant.set("b")) == ANEW
        assert after(lambda state: unset.get(None), lambda: unset.set(box)) == ANEW
        assert after(lambda state: str(unset.get()), lambda: box.update(n=2)) == ANEW

    contextvars.copy_context().run(all_of_it)


async def test_each_task_is_answered_by_its_own_context() -> None:
    def node(state: State) -> State:
        return {"out": tenant.get()}

    graph = _graph(node)
    fast = cached(graph)

    async def ask(name: str) -> Any:
        tenant.set(name)
        return (await fast.ainvoke({"a": 1}))["out"]

    names = ["a", "b", "c", "b", "a", "c"]
    assert await asyncio.gather(*map(ask, names)) == names
    assert [await ask(name) for name in names] == names
    assert outcomes(fast)["node"].count("computed") <= len(names)
    assert outcomes(fast)["node"][-len(names) :] == ["hit"] * len(names)
