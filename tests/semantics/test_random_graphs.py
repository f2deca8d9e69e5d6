"""Random graphs: branches, loops, fan-out, joins, subgraphs and reducers in any arrangement."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from tests.semantics import features
from tests.semantics.observe import Observed, first_difference
from tests.semantics.twins import Case, optimized, plain

KINDS = ("ask", "loop", "fan", "join", "branch", "defer")


class Grown(TypedDict, total=False):
    question: str
    notes: Annotated[list[str], operator.add]
    seen: Annotated[int, operator.add]


@dataclass(frozen=True)
class Stage:
    """One part of a graph, entered at `<n>` and left from `<n>.out`."""

    kind: str
    width: int
    inner: tuple[Stage, ...] = ()


stages: st.SearchStrategy[Stage] = st.recursive(
    st.builds(Stage, st.sampled_from(KINDS), st.integers(1, 3)),
    lambda inner: st.builds(
        Stage, st.just("graph"), st.just(1), st.lists(inner, min_size=1, max_size=2).map(tuple)
    ),
    max_leaves=4,
)


def grow(model: Any, parts: tuple[Stage, ...], **compiled: Any) -> Any:
    """The graph of these stages, one after the other."""
    builder = StateGraph(Grown)
    last = START
    for number, stage in enumerate(parts):
        name = f"s{number}"
        _add(builder, model, stage, name)
        builder.add_edge(last, name)
        last = f"{name}.out"
    builder.add_edge(last, END)
    return builder.compile(**compiled)


def _asks(model: Any, name: str) -> Any:
    def node(state: Grown) -> Any:
        return {"notes": [model.invoke(f"{name} {state.get('question')}").text], "seen": 1}

    return node


def _add(builder: Any, model: Any, stage: Stage, name: str) -> None:
    out, width = f"{name}.out", stage.width
    parts = [f"{name}.{n}" for n in range(width)]
    builder.add_node(out, lambda state: {"seen": 0}, defer=stage.kind == "defer")
    if stage.kind == "graph":
        builder.add_node(name, grow(model, stage.inner))
        builder.add_edge(name, out)
        return
    builder.add_node(name, _asks(model, name))
    if stage.kind == "ask":
        builder.add_edge(name, out)
    elif stage.kind == "loop":
        limit = 3 * width
        builder.add_conditional_edges(
            name, lambda s: name if s["seen"] % 4 and s["seen"] < limit else out, [name, out]
        )
    elif stage.kind == "branch":
        for part in parts:
            builder.add_node(part, _asks(model, part))
            builder.add_edge(part, out)
        builder.add_conditional_edges(name, lambda s: parts[s["seen"] % width], parts)
    elif stage.kind == "fan":
        builder.add_node(parts[0], _asks(model, parts[0]))
        builder.add_edge(parts[0], out)
        sends = [Send(parts[0], {"question": f"item {n}"}) for n in range(width)]
        builder.add_conditional_edges(name, lambda s: sends, parts[:1])
    else:
        for part in parts:
            builder.add_node(part, _asks(model, part))
            builder.add_edge(name, part)
        if stage.kind == "join":
            builder.add_edge(parts, out)
        else:
            for part in parts:
                builder.add_edge(part, out)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(stages, min_size=1, max_size=4).map(tuple), st.sampled_from([1, 4]))
def test_a_random_graph_runs_alike(parts: tuple[Stage, ...], workers: int) -> None:
    """States, chunks of all modes and callbacks are the plain graph's, at any concurrency."""
    case = Case(
        name="random",
        build=lambda model, **compiled: grow(model, parts, **compiled),
        input={"question": "q", "notes": [], "seen": 0},
    )
    for feature in (features.stream_all, features.callbacks):
        config = {"configurable": {"thread_id": "t"}, "max_concurrency": workers}
        one = feature(plain(case, checkpointer=InMemorySaver()).graph, case, config)
        pair = optimized(case, checkpointer=InMemorySaver())
        other = feature(pair.graph, case, config)
        seen = [Observed(is_ordered=False)(value) for value in (one, other)]
        assert first_difference(*seen) is None
        assert pair.own.calls == ()
        assert pair.twin.calls
