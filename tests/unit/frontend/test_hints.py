from __future__ import annotations

import functools
import gc
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from graphroute.errors import InvalidValue
from graphroute.frontend.hints import ATTRIBUTE, hints_of, route
from graphroute.ir.hints import RouteHints


class State(TypedDict):
    text: str


def node(state: State) -> State:
    return state


def compiled(action: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", action)
    builder.add_edge(START, "node")
    return builder.compile()


def test_returns_the_same_callable_with_one_attribute() -> None:
    def step(state: State) -> State:
        return state

    before = set(step.__dict__)
    assert route(pin="a:b")(step) is step
    assert set(step.__dict__) - before == {ATTRIBUTE}
    assert step({"text": "x"}) == {"text": "x"}


def test_stacking_merges_and_the_outer_wins() -> None:
    @route(complexity=0.9)
    @route(complexity=0.1, privacy="local")
    def step(state: State) -> State:
        return state

    assert hints_of(step) == RouteHints(complexity=0.9, privacy="local")


def test_unknown_and_impossible_facts() -> None:
    with pytest.raises(InvalidValue, match=r"no 'complexty'.*complexity"):
        route(complexty=0.3)
    with pytest.raises(InvalidValue, match="complexity=2"):
        route(complexity=2)


async def test_async_function() -> None:
    @route(weight=2)
    async def step(state: State) -> State:
        return state

    assert hints_of(step).weight == 2
    assert await step({"text": "x"}) == {"text": "x"}


def test_method_and_callable_class() -> None:
    class Steps:
        @route(pin="m")
        def run(self, state: State) -> State:
            return state

        @route(weight=3)
        def __call__(self, state: State) -> State:
            return state

    @route(pin="c")
    class Marked:
        def __call__(self, state: State) -> State:
            return state

    assert hints_of(Steps().run).pin == "m"
    assert hints_of(Marked()).pin == "c"
    assert hints_of(compiled(Steps().run).builder.nodes["node"].runnable).pin == "m"


def test_bound_method_object() -> None:
    class Steps:
        def run(self, state: State) -> State:
            return state

    steps = Steps()
    method = route(pin="m")(steps.run)
    assert hints_of(method).pin == "m"
    assert hints_of(Steps().run) == RouteHints()


def test_runnables_and_models() -> None:
    chat = FakeListChatModel(responses=["a"], name="tiny")
    chain = route(privacy="local")(chat | RunnableLambda(lambda m: m))
    assert hints_of(chain).privacy == "local"
    assert hints_of(route(pin="x")(chat)).pin == "x"
    assert chat.model_dump() == FakeListChatModel(responses=["a"], name="tiny").model_dump()


def test_compiled_graph() -> None:
    graph = compiled(node)
    assert hints_of(route(pin="x")(graph)).pin == "x"
    assert graph.invoke({"text": "a"}) == {"text": "a"}


def test_read_through_what_langgraph_makes_of_a_function() -> None:
    @route(pin="x")
    def step(state: State) -> State:
        return state

    async def other(state: State) -> State:
        return state

    @functools.wraps(step)
    def wrapper(state: State) -> State:
        return step(state)

    for action in (step, functools.partial(step), wrapper, RunnableLambda(step, other)):
        assert hints_of(compiled(action).builder.nodes["node"].runnable).pin == "x", action
    assert hints_of(compiled(other).builder.nodes["node"].runnable) == RouteHints()


def test_objects_without_room_are_remembered_while_they_live() -> None:
    class Slotted:
        __slots__ = ("__weakref__",)

        def __call__(self, state: State) -> State:
            return state

    slotted = Slotted()
    assert hints_of(route(pin="x")(slotted)).pin == "x"
    assert hints_of(Slotted()) == RouteHints()
    del slotted
    gc.collect()
    assert all(hints_of(Slotted()) == RouteHints() for _ in range(100))
