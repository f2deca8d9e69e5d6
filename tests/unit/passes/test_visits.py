"""Expected visits, tails and supersteps of the shapes that LangGraph graphs have."""

from __future__ import annotations

import math

import pytest

from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START
from graphroute.planner import study
from tests.unit.passes.graphs import Arrow, graph, node, visits

DIAMOND: list[Arrow] = [
    (START, "a"),
    ("a", "b"),
    ("a", "c"),
    ("b", "d"),
    ("c", "d"),
    ("d", END),
]


def test_both_static_branches_run_and_their_meeting_point_runs_once() -> None:
    assert visits("abcd", DIAMOND) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert study(graph("abcd", DIAMOND)).parallel_groups == (("b", "c"),)


def test_branches_of_unequal_length_start_their_meeting_point_twice_unless_it_is_a_join() -> None:
    arrows: list[Arrow] = [(START, "a"), ("a", "b"), ("a", "c"), ("b", "b2")]
    ends: list[Arrow] = [("b2", "d"), ("c", "d")]
    joined: list[Arrow] = [(s, t, "join") for s, t, *_ in ends]
    names = ["a", "b", "b2", "c", "d"]
    assert visits(names, arrows + ends)["d"] == 2
    assert visits(names, arrows + joined)["d"] == 1


def test_conditional_branches_share_one_run() -> None:
    arrows: list[Arrow] = [
        (START, "a"),
        ("a", "b", "conditional"),
        ("a", "c", "conditional"),
        ("b", "d"),
        ("c", "d"),
    ]
    assert visits("abcd", arrows) == {"a": 1, "b": 0.5, "c": 0.5, "d": 1}


def test_a_loop_is_expected_twice_and_recorded_transitions_move_that() -> None:
    arrows: list[Arrow] = [
        (START, "draft"),
        ("draft", "check"),
        ("check", "draft", "conditional"),
        ("check", END, "conditional"),
    ]
    assert visits(["draft", "check"], arrows)["draft"] == 2
    often = Observed(edges={("check", "draft"): 80.0, ("check", END): 20.0})
    # Posterior of the way back: (2 · 0.5 + 80) / (2 + 100).
    assert visits(["draft", "check"], arrows, observed=often)["draft"] == pytest.approx(
        1 / (1 - 81 / 102), abs=1e-5
    )


def test_a_loop_without_exit_runs_to_the_recursion_limit_and_is_warned_of() -> None:
    arrows: list[Arrow] = [(START, "a"), ("a", "b"), ("b", "a")]
    assert visits("ab", arrows, recursion_limit=10) == {"a": 6, "b": 5}
    warned = study(graph("ab", arrows), recursion_limit=10).warnings
    assert len(warned) == 1
    assert "recursion limit of 10" in warned[0]


def test_send_starts_several_tasks_and_what_follows_runs_once() -> None:
    arrows: list[Arrow] = [(START, "split"), ("split", "work", "send"), ("work", "merge")]
    names = ["split", "work", "merge"]
    assert visits(names, arrows) == {"split": 1, "work": 4, "merge": 1}
    seen = Observed(fanout={"work": 40.0})
    assert visits(names, arrows, observed=seen)["work"] == 40
    most = {v.node: v.most for v in study(graph(names, arrows)).visits}
    assert most["work"] == math.inf
    assert most["merge"] == 1


def test_a_deferred_node_waits_for_everything_else() -> None:
    arrows: list[Arrow] = [(START, "a"), ("a", "b"), ("a", "z"), ("b", "c")]
    found = study(graph(["a", "b", "c", node("z", deferred=True)], arrows))
    assert [s.nodes for s in found.supersteps] == [("a",), ("b",), ("c",), ("z",)]


def test_visits_of_subgraphs_multiply() -> None:
    arrows: list[Arrow] = [
        (START, "sub"),
        ("sub", "sub", "conditional"),
        ("sub", END, "conditional"),
        ("sub/__start__", "sub/x"),
        ("sub/x", "sub/x", "conditional"),
        ("sub/x", "sub/__end__", "conditional"),
    ]
    found = visits([node("sub", "subgraph"), "sub/x"], arrows)
    assert found == {"sub": 2, "sub/x": 4}


def test_a_subgraph_of_unknown_inside_runs_each_child_once_per_visit() -> None:
    assert visits([node("sub", "subgraph"), "sub/x", "sub/y"], [(START, "sub")])["sub/y"] == 1


def test_p95_is_the_tail_of_simulated_runs_and_repeats() -> None:
    arrows: list[Arrow] = [
        (START, "a"),
        ("a", "a", "conditional"),
        ("a", END, "conditional"),
    ]
    first, again = (study(graph("a", arrows), seed=3).visits[0] for _ in range(2))
    # P(more than k visits) = 2^-k, so the 95th percentile of the law is 5; 400 runs scatter.
    assert 4 <= first.p95 <= 6
    assert first == again


def test_too_many_states_fall_back_to_simulated_runs() -> None:
    names = [f"n{i}" for i in range(12)]
    arrows: list[Arrow] = [(START, "a")]
    for name in names:
        arrows += [("a", name), (name, f"{name}x", "conditional"), (name, END, "conditional")]
    found = visits(["a", *names, *(f"{n}x" for n in names)], arrows)
    assert found["n3"] == 1
    assert found["n3x"] == pytest.approx(0.5, abs=0.1)


def test_an_unknown_branch_may_end_anywhere_but_leaves_a_loop_half_the_time() -> None:
    arrows: list[Arrow] = [(START, "a"), ("b", "a"), ("c", "a")]
    arrows += [("a", t, "conditional") for t in ("a", "b", "c", END)]
    assert visits("abc", arrows)["a"] == 2
