"""What a node may hang on besides equal values: none of it may be answered with an old result."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypedDict

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
