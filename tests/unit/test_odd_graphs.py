"""Graphs and limits nobody should have: each is planned, or refused in words to act on."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from graphroute import Model, RouteHints, optimize, plan, private
from graphroute.errors import InfeasibleBudget
from graphroute.ir.plan import Plan
from graphroute.providers.scripted import ScriptedChat

BIG, MINI, HOME = (ScriptedChat(name=name) for name in ("big", "mini", "home"))
PAID = [
    Model("s:big", BIG, price_in_usd=20.0, price_out_usd=20.0, quality=0.95),
    Model("s:mini", MINI, price_in_usd=1.0, price_out_usd=1.0, quality=0.7),
]
POOL = [*PAID, Model("s:home", HOME, local=True, quality=0.4)]


class Ticket(TypedDict, total=False):
    """A private ticket, private parts of it, and a clean text."""

    ticket: Annotated[str, private]
    parts: Annotated[list[str], private, operator.add]
    clean: str
    out: str


class State(TypedDict, total=False):
    """One text."""

    text: str


def ask(state: State) -> State:
    """One model call."""
    return {"text": BIG.invoke(f"Go on: {state.get('text', '')}").text}


def built(names: list[str], wire: Callable[[Any], object]) -> Any:
    builder: Any = StateGraph(State)
    for name in names:
        builder.add_node(name, ask)
    wire(builder)
    return builder.compile()


def chain(length: int) -> Any:
    names = [f"n{i}" for i in range(length)]
    return built(
        names, lambda b: [b.add_edge(s, t) for s, t in zip([START, *names], names, strict=False)]
    )


def nested(depth: int) -> Any:
    inner = chain(1)
    for _ in range(depth):
        builder: Any = StateGraph(State)
        builder.add_node("inner", inner)
        builder.add_node("after", ask)
        builder.add_edge(START, "inner")
        builder.add_edge("inner", "after")
        inner = builder.compile()
    return inner


def side_by_side(width: int) -> Any:
    names = [f"n{i}" for i in range(width)]
    return built(names, lambda b: [b.add_edge(START, name) for name in names])


def cycles_in_cycles() -> Any:
    def wire(b: Any) -> None:
        b.add_edge(START, "a")
        b.add_edge("a", "b")
        b.add_edge("b", "c")
        b.add_conditional_edges("c", lambda _: "d", ["b", "d"])
        b.add_conditional_edges("d", lambda _: END, ["a", "b", END])

    return built(list("abcd"), wire)


def all_to_all(size: int) -> Any:
    names = [f"n{i}" for i in range(size)]

    def wire(b: Any) -> None:
        b.add_edge(START, names[0])
        for name in names:
            b.add_conditional_edges(name, lambda _: END, [*names, END])

    return built(names, wire)


def with_a_dead_node() -> Any:
    def wire(b: Any) -> None:
        b.add_edge(START, "a")
        b.add_edge("lost", "a")

    return built(["a", "lost"], wire)


GRAPHS = {
    "nested": lambda: nested(12),
    "chain": lambda: chain(200),
    "wide": lambda: side_by_side(200),
    "cycles": cycles_in_cycles,
    "all to all": lambda: all_to_all(12),
    "dead": with_a_dead_node,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_planned_within_its_limits(name: str) -> None:
    graph = GRAPHS[name]()
    loose = plan(graph, models=POOL)
    budget, late = 0.4 * loose.totals.cost_expected_usd, 1.2 * loose.totals.latency_s
    made = plan(graph, models=POOL, budget=budget, deadline_s=late)
    assert made.feasible
    assert made.totals.cost_expected_usd <= budget * (1 + 1e-8)
    assert made.totals.latency_s <= late * (1 + 1e-8)
    assert made.solver.gap <= 0.01
    assert Plan.from_json(made.to_json(timing=True)) == made
    assert made.to_mermaid().startswith("flowchart")
    assert made.explain()


def test_a_node_that_nothing_leads_to_costs_nothing() -> None:
    lost = plan(with_a_dead_node(), models=PAID).assignment("lost")
    assert lost is not None
    assert (lost.expected_visits, lost.cost_usd) == (0.0, 0.0)


def test_a_loop_without_a_way_out_is_told() -> None:
    def wire(b: Any) -> None:
        for source, target in ((START, "a"), ("a", "b"), ("b", "a")):
            b.add_edge(source, target)

    made = plan(built(["a", "b"], wire), models=POOL)
    assert "the loop a → b has no way out" in " ".join(made.graph.warnings)


def test_one_model_is_taken_and_said_to_be_the_only_one() -> None:
    made = plan(chain(2), models=PAID[:1], budget=1.0)
    assert {a.model for a in made.assignments} == {"s:big"}
    assert "the pool has no other" in made.assignments[0].reason


NO_MODEL: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "private and only cloud": (
        {"models": PAID, "nodes": {"n0": RouteHints(privacy="local")}},
        ("'n0'", "s:big", "s:mini", "must stay on this machine", "'n0' →(text)→ 'n1'"),
    ),
    "windows too small": (
        {"models": [Model("s:tiny", MINI, local=True, quality=0.5, context_tokens=64)]},
        ("'n0'", "s:tiny", "context of 64 tokens", "are needed", "add a model"),
    ),
    "nothing is good enough": (
        {"models": POOL, "nodes": {"n1": RouteHints(min_quality=0.999)}},
        ("'n1'", "s:big", "quality 0.", "minimum 1.00", "relax the hint"),
    ),
}


@pytest.mark.parametrize("name", NO_MODEL)
def test_a_node_without_a_model_is_told_with_each_model_and_reason(name: str) -> None:
    arguments, words = NO_MODEL[name]
    made = plan(chain(2), **arguments)
    assert made.infeasible is not None
    assert made.infeasible.limit == "models"
    for word in words:
        assert word in made.infeasible.message
    with pytest.raises(InfeasibleBudget, match="no model left"):
        optimize(chain(2), **arguments)


def reader(key: str) -> Callable[[Ticket], Ticket]:
    if key == "ticket":
        return lambda state: {"clean": HOME.invoke(state["ticket"]).text}
    if key == "parts":
        return lambda state: {"out": BIG.invoke(state["parts"][0]).text}
    return lambda state: {"out": BIG.invoke(state["clean"]).text}


@pytest.mark.parametrize(
    ("key", "is_pinned"), [("ticket", True), ("parts", True), ("clean", False)]
)
def test_a_state_key_marked_private_keeps_its_readers_here(key: str, is_pinned: bool) -> None:
    builder: Any = StateGraph(Ticket)
    builder.add_node("read", reader(key))
    builder.add_edge(START, "read")
    graph = builder.compile()
    made = plan(graph, models=POOL)
    assert made.assignments[0].privacy_local == is_pinned
    routed = optimize(graph, models=POOL, learn=False)
    routed.invoke({"ticket": "a", "parts": ["b"], "clean": "c"})
    assert [r.model for r in routed.records] == ["s:home" if is_pinned else "s:big"]
    refused = plan(graph, models=PAID).infeasible
    assert (refused is not None) == is_pinned
    if refused is not None:
        assert f"→({key})→ 'read' must stay on this machine" in refused.message


def test_a_private_key_of_a_subgraph_counts_in_it() -> None:
    inner: Any = StateGraph(Ticket)
    inner.add_node("read", reader("ticket"))
    inner.add_edge(START, "read")
    outer: Any = StateGraph(State)
    outer.add_node("sub", inner.compile())
    outer.add_edge(START, "sub")
    made = plan(outer.compile(), models=POOL)
    assert {a.node: a.privacy_local for a in made.assignments} == {"sub/read": True}


def test_two_hundred_nodes_without_a_model_are_not_all_told() -> None:
    made = plan(chain(200), models=PAID, nodes={"n0": RouteHints(privacy="local")})
    assert made.infeasible is not None
    assert "and 195 more nodes" in made.infeasible.message
    assert len(made.infeasible.message) < 2000


LIMITS: dict[str, dict[str, Any]] = {
    "no money": {"budget": 0.0},
    "hardly any money": {"budget": 1e-9},
    "hardly any time": {"deadline_s": 1e-9},
    "neither": {"budget": 1e-9, "deadline_s": 1e-9},
    "time but for all the money": {"budget": 0.0021, "deadline_s": 1.3},
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("objective", ["quality", "cost", "latency"])
def test_what_a_refusal_asks_for_is_enough(name: str, objective: Any) -> None:
    slow = Model(
        "s:slow", MINI, price_in_usd=1.0, price_out_usd=1.0, quality=0.7, tokens_per_s=20.0
    )
    quick = Model(
        "s:quick", BIG, price_in_usd=20.0, price_out_usd=20.0, quality=0.8, tokens_per_s=900.0
    )
    limits = dict(LIMITS[name])
    made = plan(chain(3), models=[slow, quick], objective=objective, **limits)
    told = made.infeasible
    assert told is not None
    words = {"budget": "budget", "deadline": "deadline_s"}
    moves = [[c] for c in told.conflict if c.needed is not None] or [list(told.together)]
    assert moves[0]
    for move in moves:
        raised = limits | {words[c.limit]: c.needed for c in move}
        assert plan(chain(3), models=[slow, quick], objective=objective, **raised).feasible
        less = limits | {words[c.limit]: 0.99 * (c.needed or 0.0) for c in move}
        assert not plan(chain(3), models=[slow, quick], objective=objective, **less).feasible
    if len(moves[0]) > 1:
        assert " and give it " in told.message
