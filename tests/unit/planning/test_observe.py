"""What records of runs teach the planner, and what they must not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypedDict

import pytest
from langgraph.graph import StateGraph

from graphroute import Model, optimize
from graphroute.ir.graph import END, START, Graph
from graphroute.ir.record import AFTER_REFUSAL, CHECK, ONCE_MORE, CallRecord
from graphroute.ir.verdict import Verdict, unknown
from graphroute.planning.observe import observe
from graphroute.providers.scripted import ScriptedChat
from tests.unit.calls import call as made
from tests.unit.passes.graphs import graph, node, triage


def record(run: str, name: str, step: int | None, **facts: Any) -> CallRecord:
    own = {"planned": "m", "model": "m", "own_model": "m", "cost_nano": 0, "took_s": 0.1}
    return made(run_id=run, node=name, step=step, **(own | facts))


def runs(*paths: Sequence[tuple[str, int]]) -> list[CallRecord]:
    return [record(str(n), name, step) for n, path in enumerate(paths) for name, step in path]


CODE_CHECK = graph(
    ["draft", node("check", kind="code")],
    [
        (START, "draft"),
        ("draft", "check"),
        ("check", "draft", "conditional"),
        ("check", END, "conditional"),
    ],
)


def test_a_loop_through_a_step_without_records_is_read_off_the_steps() -> None:
    found = observe(runs([("draft", 1)], [("draft", 1), ("draft", 3), ("draft", 5)]), CODE_CHECK)
    assert found.edges == {("check", "draft"): 2, ("check", END): 2}
    # A thread goes on counting where the run before ended.
    later = observe(runs([("draft", 7), ("draft", 9)]), CODE_CHECK)
    assert later.edges == {("check", "draft"): 1, ("check", END): 1}


def test_a_recorded_check_gives_the_same() -> None:
    path = [("classify", 1), ("draft", 2), ("check", 3), ("draft", 4), ("check", 5)]
    assert observe(runs(path), triage()).edges == {("check", "draft"): 1, ("check", END): 1}


def test_what_a_check_asks_is_no_call_of_the_node_but_its_price() -> None:
    good = Verdict(score=1.0, passed=True)
    path = [("classify", 1), ("draft", 2), ("check", 3)]
    plain = observe(runs(path, path), triage())
    judged = [
        *runs(path, path),
        record("0", "draft", 2, verdicts=(good,)),
        record("1", "draft", 2, verdicts=(good,)),
        # Nothing was asked about this one, for there was no money.
        record("1", "draft", 2, verdicts=(unknown("too little is left"),)),
    ]
    asked = [
        record("0", "draft", 2, why=CHECK, model="judge", cost_nano=300, in_tokens=9_000)
        for _ in range(4)
    ]
    failed = record("1", "draft", 2, why=CHECK, model="judge", cost_nano=800, error="TimeoutError")
    found = observe([*asked, *judged, failed], triage())
    without = observe(judged, triage())
    assert found.check_usd == {"draft": pytest.approx(1e-6)}
    assert (found.calls, found.in_tokens) == (without.calls, without.in_tokens)
    assert ("draft", "judge") not in found.in_by_model
    # A run whose check failed has not failed.
    assert found.edges == without.edges == plain.edges


def test_ways_that_look_the_same_are_left_alone_altogether() -> None:
    twins = graph(
        ["a", node("x", kind="code"), node("y", kind="code"), "b"],
        [
            (START, "a"),
            ("a", "x", "conditional"),
            ("a", "y", "conditional"),
            ("a", END, "conditional"),
            ("x", "b"),
            ("y", "b"),
            ("b", END),
        ],
    )
    assert observe(runs([("a", 1), ("b", 3)], [("a", 1)]), twins).edges == {}


def test_a_step_beside_another_gives_no_verdict_where_both_lead_on() -> None:
    diamond = graph(
        ["a", "b", "c", "d"],
        [
            (START, "a"),
            (START, "b"),
            ("a", "c", "conditional"),
            ("a", "d", "conditional"),
            ("b", "c"),
        ],
    )
    assert observe(runs([("a", 1), ("b", 1), ("c", 2), ("d", 2)]), diamond).edges == {}
    alone = observe(runs([("a", 1), ("d", 2)]), diamond)
    assert alone.edges == {("a", "d"): 1}


def test_the_entry_of_a_graph_is_learned_too() -> None:
    fork = graph(
        ["a", "b"],
        [(START, "a", "conditional"), (START, "b", "conditional"), ("a", END), ("b", END)],
    )
    found = observe(runs([("a", 1)], [("a", 1)], [("b", 4)]), fork)
    assert found.edges == {(START, "a"): 2, (START, "b"): 1}


def test_failed_runs_and_calls_teach_no_branch_and_no_tokens() -> None:
    records = [record("1", "draft", 1, error="E: broken", in_tokens=0, out_tokens=0)]
    found = observe(records, CODE_CHECK)
    assert (found.edges, found.in_tokens, found.calls) == ({}, {}, {})
    assert (
        observe([record("1", "elsewhere", 1), record("1", "draft", None)], CODE_CHECK).calls == {}
    )


@pytest.mark.parametrize(
    "why", [f"{AFTER_REFUSAL}small", f"{ONCE_MORE}3 answers"], ids=["refused", "sampled"]
)
def test_further_answers_to_a_call_are_no_calls_of_the_node(why: str) -> None:
    g = graph(["plan"], [(START, "plan"), ("plan", END)])
    calls = [record("1", "plan", 1), record("1", "plan", 1, why=why), record("2", "plan", 1)]
    assert observe(calls, g).calls == {"plan": 1}


def test_means_of_tokens_calls_and_fan_out() -> None:
    fan = graph(["plan", "work"], [(START, "plan"), ("plan", "work", "send"), ("work", END)])
    records = [
        *(record("1", "work", 2, in_tokens=n, out_tokens=2 * n) for n in (10, 20, 30)),
        record("2", "work", 2, in_tokens=40, out_tokens=80),
        *(record("2", "plan", 1, in_tokens=478, model="big") for _ in range(2)),
    ]
    found = observe(records, fan, overhead={"big": 378})
    assert found.in_tokens == {"work": 25, "plan": 100}
    assert found.out_tokens == {"work": 50, "plan": 10}
    assert found.fanout == {"work": 2}
    assert found.calls == {"plan": 2}


@pytest.mark.parametrize(("kind", "learns"), [("static", True), ("send", False)])
def test_a_subgraph_that_may_run_often_is_not_counted_by_its_steps(kind: Any, learns: bool) -> None:
    nested = graph(
        [node("sub", kind="subgraph"), "sub/ask", node("sub/tool", kind="tool")],
        [
            (START, "sub", kind),
            ("sub", END),
            (f"sub/{START}", "sub/ask"),
            ("sub/ask", "sub/tool", "conditional"),
            ("sub/ask", f"sub/{END}", "conditional"),
            ("sub/tool", "sub/ask"),
        ],
    )
    found = observe(runs([("sub/ask", 1), ("sub/ask", 3)]), nested)
    expected = {("sub/ask", "sub/tool"): 1, ("sub/ask", f"sub/{END}"): 1}
    assert found.edges == (expected if learns else {})


def test_counts_of_a_random_walk_are_those_of_the_walk() -> None:
    """Every decision of a graph with a loop, a code router and two exits, over 200 runs."""
    maze = graph(
        ["a", node("route", kind="code"), "b", "c"],
        [
            (START, "a"),
            ("a", "route"),
            ("route", "a", "conditional"),
            ("route", "b", "conditional"),
            ("route", END, "conditional"),
            ("b", "c", "conditional"),
            ("b", "a", "conditional"),
            ("c", END),
        ],
    )
    draw, taken, records = random.Random(3), dict[tuple[str, str], int](), []
    for run in range(200):
        here, step = "a", 1
        while here != END:
            if here != "route":
                records.append(record(str(run), here, step))
            ways = [e for e in maze.edges if e.source == here]
            edge = draw.choice(ways)
            if edge.kind == "conditional":
                taken[here, edge.target] = taken.get((here, edge.target), 0) + 1
            here, step = edge.target, step + 1
    assert observe(records, maze).edges == taken


def test_many_ways_end_in_priors_and_in_no_time() -> None:
    wide = 40
    codes = [node(f"x{n}", kind="code") for n in range(wide)]
    arrows: Any = [(START, "a"), ("a", "x0")]
    for n in range(wide - 1):
        arrows += [(f"x{n}", f"x{n + 1}", "conditional")]
        arrows += [(f"x{n}", f"x{min(n + 2, wide - 1)}", "conditional")]
    arrows += [(f"x{wide - 1}", END)]
    assert observe(runs([("a", 1)]), graph(["a", *codes], arrows)).edges == {}


class State(TypedDict, total=False):
    text: str
    tries: int


def looping(chat: ScriptedChat, rounds: int) -> Any:
    def draft(state: State) -> State:
        return {
            "text": chat.invoke(f"Improve: {state['text']}").text,
            "tries": state.get("tries", 0) + 1,
        }

    builder = StateGraph(State)
    builder.add_node("draft", draft)
    builder.add_node("check", lambda state: {})
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "check")
    builder.add_conditional_edges(
        "check", lambda state: END if state["tries"] >= rounds else "draft", ["draft", END]
    )
    return builder.compile()


def test_replanning_learns_tokens_and_rounds_from_the_runs_so_far() -> None:
    chat = ScriptedChat(name="m", in_tokens=12, out_tokens=7)
    fast = optimize(
        looping(chat, 4), models=[Model("scripted:m", chat, price_in_usd=1, price_out_usd=1)]
    )
    before = fast.plan.assignment("draft")
    assert before is not None
    assert before.in_tokens > 100
    assert before.expected_visits < 2.5
    for _ in range(25):
        fast.invoke({"text": "a"})
    after = fast.replan().assignment("draft")
    assert after is not None
    assert (after.in_tokens, after.out_tokens) == (12, 7)
    assert after.expected_visits == pytest.approx(4, abs=0.15)
    spent = sum(r.cost_nano for r in fast.records) / 25 / 1e9
    assert fast.plan.totals.cost_expected_usd == pytest.approx(spent, rel=0.05)


def test_an_empty_history_changes_nothing() -> None:
    some: Graph = triage()
    assert observe([], some) == observe(runs(), some)
    assert not observe([], some).edges


def test_tokens_of_each_model_are_drawn_to_the_nodes_while_they_are_few() -> None:
    g = graph(["draft"], [(START, "draft"), ("draft", END)])
    calls = [record(f"a{n}", "draft", 1, model="brief", out_tokens=10) for n in range(95)]
    calls += [record(f"b{n}", "draft", 1, model="wordy", out_tokens=210) for n in range(5)]
    found = observe(calls, g, overhead={"wordy": 40})
    assert found.out_tokens["draft"] == pytest.approx(20)
    assert found.out_by_model["draft", "brief"] == pytest.approx(10.5)
    assert found.out_by_model["draft", "wordy"] == pytest.approx((5 * 210 + 5 * 20) / 10)
    assert found.in_by_model["draft", "wordy"] == pytest.approx((5 * 60 + 5 * 98) / 10)
