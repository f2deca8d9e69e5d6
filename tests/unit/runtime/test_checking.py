"""What a check's own calls are to a run's course and policy."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.language_models import BaseChatModel

from graphroute.ir.catalog import ModelSpec
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.checking import Beside
from graphroute.runtime.course import Course
from tests.unit.runtime.situations import assignment_for, plan_for, policy_for, spec_for

JUDGE = ScriptedChat(name="judge")


def test_a_check_takes_from_the_runs_money_and_moves_nothing_else() -> None:
    course = Course(plan_for(assignment_for("a", "m"), assignment_for("b", "m")))
    course.called("a")
    left, needed = course.left_nano(), course.needed_nano()
    beside = Beside(course)
    beside.called("a", "judge")
    beside.ended("a", 700, out_tokens=9)
    beside.called("a", "judge")
    beside.failed("a")
    assert (course.left_nano(), course.needed_nano()) == (left, needed)
    assert (beside.needed_nano(), beside.kept_back_nano()) == (needed, needed)
    assert course.kept_back_nano() == 0.0
    assert (course.round_of("a"), beside.round_of("a")) == (1, 1)
    assert course._spent_nano() == 700 + course.per_call_nano("a")


def test_no_check_is_planned() -> None:
    beside = Beside(Course(plan_for(assignment_for("a", "m"))))
    assert beside.assignment("a") is None
    assert beside.ahead("a", step=1, failed=frozenset()) is None
    assert beside.again("a") is None
    assert not beside.asks_on("a", 1, cost_nano=0.0, available_nano=1e9)


def test_nothing_of_a_course_is_asked_of_one_that_has_none() -> None:
    public = {name for name in vars(Course) if not name.startswith("_")}
    assert public <= vars(Beside).keys()


def test_a_model_of_a_check_is_looked_up_once_whoever_asks_first() -> None:
    asked: list[BaseChatModel] = []
    both = threading.Barrier(4)

    def look_up(chat: BaseChatModel) -> ModelSpec:
        asked.append(chat)
        return spec_for("scripted:judge", price=3.0)

    policy = policy_for(chats={}, look_up=look_up)

    def ask(_: int) -> ModelSpec:
        both.wait(30)
        return policy.checks_spec(JUDGE)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert asked == [JUDGE]
    assert {spec.price.in_usd for spec in found} == {3.0}


def test_the_pools_model_is_the_pools_whatever_it_is_called_there() -> None:
    named = spec_for("grader", price=7.0)
    policy = policy_for(chats={"grader": JUDGE}, specs=(named,))
    policy.chats = {"grader": JUDGE}
    assert policy.checks_spec(JUDGE) == named
    assert policy.own_spec(JUDGE).name == "scripted:judge"


def test_what_cannot_be_looked_up_costs_nobody_knows_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: BaseChatModel) -> ModelSpec:
        raise OSError("no such server")

    for look_up in (None, broken):
        policy = policy_for(chats={}, look_up=look_up)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                spec = policy.checks_spec(JUDGE)
        assert (spec.name, spec.local, spec.price.is_known) == ("scripted:judge", False, False)
    assert [record.message for record in caplog.records] == [
        "scripted:judge could not be looked up: no such server"
    ]
