"""A cached run is the uncached run: random graphs, edits and inputs, one cache for all of them.

Every node's code is drawn: what it reads, how, what it does with it, whether it asks a model,
pauses (and is resumed), raises or says itself where the run goes. A sequence of versions of the
graph runs on a sequence of inputs; after each run the state, the chunks of the stream and the
checkpoints have to be those of the plain graph.
"""

from __future__ import annotations

import asyncio
import itertools
import operator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypedDict

from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from graphroute.caches.memory import MemoryCache
from graphroute.frontend.hints import route
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import hook
from tests.semantics.observe import Observed, first_difference
from tests.unit.runtime.node_cache.graphs import cached

KEYS = ("a", "b", "c")
MOST_PAUSES = 12


class State(TypedDict, total=False):
    a: Any
    b: Any
    c: Any
    log: Annotated[list[Any], operator.add]


@dataclass(frozen=True)
class Step:
    """One node: the keys it reads and writes, and how it does."""

    reads: str
    writes: str
    way: str
    constant: int
    asks: bool
    is_async: bool = False


WAYS = (
    *("item", "get", "if", "loop", "spread", "helper", "whole", "alias", "in place", "raise"),
    *("interrupt", "interrupt after", "goto", "order", "same"),
)

PURE = ("item", "get", "if", "loop", "spread", "helper", "whole", "alias", "order", "same")
"""Ways whose results are kept."""

RACES = ("raise", "in place", "interrupt", "interrupt after")

steps = st.builds(
    Step,
    reads=st.sampled_from(KEYS),
    writes=st.sampled_from(KEYS),
    way=st.sampled_from(WAYS),
    constant=st.integers(0, 2),
    asks=st.booleans(),
)
SHAPES = ("chain", "fan", "side by side", "branch", "subgraph")
ORDERS = ({"x": 1, "y": 2}, {"y": 2, "x": 1})


def _shared(given: dict[str, Any], is_shared: bool) -> dict[str, Any]:
    """Two keys with one object, or each with its own."""
    return {**given, "c": given["b"]} if is_shared and "b" in given else given


def _alike(given: dict[str, Any]) -> dict[str, Any]:
    """Equal to `given`, and yet another: its dictionaries turned, shared objects apart."""
    turned = {k: dict(reversed(v.items())) if type(v) is dict else v for k, v in given.items()}
    is_shared = "b" in given and given["b"] is given.get("c")
    found = {key: deepcopy(value) for key, value in turned.items()}
    return found if is_shared else _shared(found, found.get("b") == found.get("c"))


inputs = st.builds(
    _shared,
    st.fixed_dictionaries(
        {},
        optional={
            "a": st.integers(-1, 1),
            "b": st.one_of(
                st.lists(st.integers(0, 2), max_size=2), st.sampled_from(ORDERS).map(dict)
            ),
            "c": st.one_of(st.integers(0, 1), st.text("xy", max_size=2)),
        },
    ),
    st.booleans(),
)


def _function(step: Step, model: Any, then: str) -> Any:
    """`then`: where one goes that says so itself."""
    constant, reads = step.constant, step.reads

    def helper(values: Any) -> Any:
        return values.get(reads), constant

    def look(state: State) -> Any:
        if step.way == "item":
            if reads not in state:
                return "missing"
            return state[reads]  # type: ignore[literal-required]
        if step.way == "get":
            return state.get(reads, constant)
        if step.way == "if":
            return state.get("b") if state.get("a") else state.get("c")
        if step.way == "loop":
            return [(key, state[key]) for key in KEYS if key in state]  # type: ignore[literal-required]
        if step.way == "spread":
            return sorted({**state, "extra": constant}.keys())
        if step.way == "helper":
            return helper(state)
        if step.way == "whole":
            return repr(sorted((key, repr(value)) for key, value in state.items()))
        if step.way == "alias":
            other = state
            return other.get(reads)
        if step.way == "order":
            return str(state.get(reads))
        if step.way == "same":
            value = state.get(reads)
            return [k for k in KEYS if isinstance(value, (list, dict)) and state.get(k) is value]
        if step.way == "in place" and isinstance(state.get(reads), list):
            state[reads].append(constant)  # type: ignore[literal-required]
        if step.way == "raise" and state.get(reads) == 1:
            raise ValueError(f"no {constant}")
        return constant

    # Code that names `interrupt` is never cached, so only the steps that pause may.
    find = _pausing(step, look) if step.way.startswith("interrupt") else look

    def finish(found: Any) -> Any:
        if step.asks and step.way != "interrupt after":
            found = model.invoke(f"{found!r} {constant}").text
        update: Any = {step.writes: found, "log": [(constant, found)]}
        return Command(update=update, goto=then) if step.way == "goto" else update

    if step.is_async:

        async def run(state: State) -> Any:
            await asyncio.sleep(0)
            return finish(find(state))

        return run

    def run_now(state: State) -> Any:
        return finish(find(state))

    return run_now


def _pausing(step: Step, look: Any) -> Any:
    """Pauses before it has read the state, or after."""

    def before(state: State) -> Any:
        if state.get(step.reads):
            return [interrupt({"asks": step.constant}), state.get(step.reads)]
        return step.constant

    def after(state: State) -> Any:
        return [look(state), interrupt(step.constant), interrupt("again")]

    return before if step.way == "interrupt" else after


def _build(shape: str, parts: tuple[Step, ...], *, is_cached: bool) -> Any:
    model = ScriptedChat(name="model", replies=lambda messages: messages[-1].text[:40])
    builder = StateGraph(State)
    names = [f"n{number}" for number in range(len(parts))]
    follow = [END] * len(names) if shape in ("side by side", "branch") else [*names[1:], END]
    for name, step, then in zip(names, parts, follow, strict=True):
        node = _function(step, model, then)
        builder.add_node(name, route(cache=True)(node) if is_cached else node)
    if shape == "fan":
        sends = [Send(names[0], {"a": n % 2, "b": [n % 2]}) for n in range(4)]
        builder.add_conditional_edges(START, lambda _: sends, [names[0]])
        _line(builder, [*names, END])
    elif shape == "side by side":
        for name in names:
            builder.add_edge(START, name)
            builder.add_edge(name, END)
    elif shape == "branch":
        builder.add_conditional_edges(START, lambda s: names[bool(s.get("a")) % len(names)], names)
        for name in names:
            builder.add_edge(name, END)
    else:
        _line(builder, [START, *names, END])
    if shape != "subgraph":
        return builder.compile(name="drawn", checkpointer=InMemorySaver())
    outer = StateGraph(State)
    outer.add_node("inner", builder.compile())
    _line(outer, [START, "inner", END])
    return outer.compile(name="drawn", checkpointer=InMemorySaver())


def _line(builder: Any, names: list[str]) -> None:
    for one, other in itertools.pairwise(names):
        builder.add_edge(one, other)


def _observe(graph: Any, given: Any, *, is_async: bool) -> Any:
    config = {"configurable": {"thread_id": "t"}}
    seen: list[Any] = []
    modes = ["values", "updates", "checkpoints"]

    async def drive(given: Any) -> None:
        async for chunk in graph.astream(given, config, stream_mode=modes, subgraphs=True):
            seen.append(chunk)  # noqa: PERF401 - an error must not lose what came before it

    for _ in range(MOST_PAUSES):
        try:
            if is_async:
                asyncio.run(drive(given))
            else:
                seen.extend(graph.stream(given, config, stream_mode=modes, subgraphs=True))
        except Exception as error:
            seen.append(error)
        if not graph.get_state(config).interrupts:
            break
        given = Command(resume="yes")
    return seen, [(state.values, state.next) for state in graph.get_state_history(config)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_cached_run_is_the_uncached_run(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(SHAPES), label="shape")
    is_async = data.draw(st.booleans(), label="async")
    drawn = data.draw(st.lists(steps, min_size=1, max_size=4), label="nodes")
    if shape in ("side by side", "fan"):
        # What else runs before an error, or sees a change made in place, is a race in plain runs.
        drawn = [replace(s, way="item") if s.way in RACES else s for s in drawn]
    if shape == "side by side":
        # Two writers of one key in one step are LangGraph's to refuse.
        drawn = [replace(s, writes=KEYS[n % 3]) for n, s in enumerate(drawn[:3])]
    if shape == "fan":
        drawn[0] = replace(drawn[0], writes="log")
    parts = tuple(replace(step, is_async=is_async) for step in drawn)
    cache = MemoryCache()
    hook.install()
    try:
        for _ in range(data.draw(st.integers(2, 5), label="runs")):
            given = data.draw(inputs, label="input")
            if data.draw(st.booleans(), label="edit"):
                place = data.draw(st.integers(0, len(parts) - 1))
                edited = replace(parts[place], constant=data.draw(st.integers(0, 2)))
                parts = (*parts[:place], edited, *parts[place + 1 :])
            plain = _build(shape, parts, is_cached=False)
            fast = cached(_build(shape, parts, is_cached=True), cache)
            one = _observe(plain, deepcopy(given), is_async=is_async)
            other = _observe(fast, deepcopy(given), is_async=is_async)
            ordered = shape not in ("fan", "side by side")
            seen = [Observed(is_ordered=ordered)(value) for value in (one, other)]
            assert first_difference(*seen) is None
            again = cached(_build(shape, parts, is_cached=True), cache)
            warm = _observe(again, deepcopy(given), is_async=is_async)
            assert first_difference(seen[0], Observed(is_ordered=ordered)(warm)) is None
            if all(step.way in PURE for step in parts):
                assert {record.outcome for record in again.node_records} == {"hit"}
    finally:
        assert hook.remove()


TOLD_APART = st.builds(
    Step,
    reads=st.sampled_from("bc"),
    writes=st.sampled_from(KEYS),
    way=st.sampled_from(("order", "same", "whole", "alias", "helper")),
    constant=st.just(0),
    asks=st.booleans(),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(given=inputs, parts=st.lists(TOLD_APART, min_size=1, max_size=3))
def test_equal_inputs_that_code_can_tell_apart_are_told_apart(
    given: dict[str, Any], parts: list[Step]
) -> None:
    cache = MemoryCache()
    hook.install()
    try:
        for each in (given, _alike(given), given):
            plain = _build("chain", tuple(parts), is_cached=False)
            fast = cached(_build("chain", tuple(parts), is_cached=True), cache)
            seen = [_observe(g, deepcopy(each), is_async=False) for g in (plain, fast)]
            assert first_difference(*(Observed(is_ordered=True)(one) for one in seen)) is None
        assert {record.outcome for record in fast.node_records} == {"hit"}
    finally:
        assert hook.remove()
