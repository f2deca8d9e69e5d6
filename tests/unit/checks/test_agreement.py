"""Answers of one model held against each other."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphroute import verify
from graphroute.checks.agreement import said
from graphroute.errors import InvalidValue


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is 1,200.", "1200"),
        ("The total: 3.50 EUR", "3.5"),
        (" Billing. ", "billing"),
        ('{"a": 1, "b": [2]}', '```json\n{"b": [2], "a": 1}\n```'),
        ("0.1", "0.10000000000001"),
    ],
)
def test_what_says_the_same_is_equal(one: str, other: str) -> None:
    assert said(one) == said(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "-7"),
        ("billing", "shipping"),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": "order 7"}', '{"b": "order 7"}'),
        ("7", '{"a": 7}'),
        ("1e400", "1e401"),
    ],
)
def test_what_says_something_else_is_not(one: str, other: str) -> None:
    assert said(one) != said(other)


def test_an_empty_answer_agrees_with_none() -> None:
    assert said("  .") is None
    check = verify.agreement(2)
    verdict = check.over([], ["", ""])
    assert verdict is not None
    assert (verdict.passed, verdict.score) == (False, 0.0)


def test_calls_of_tools_are_compared_without_their_ids() -> None:
    def call(number: str, city: str) -> AIMessage:
        named = {"name": "weather", "args": {"city": city}, "id": number, "type": "tool_call"}
        return AIMessage("", tool_calls=[named])

    assert said(call("1", "Rome")) == said(call("2", "Rome"))
    assert said(call("1", "Rome")) != said(call("1", "Oslo"))


@pytest.mark.parametrize(
    ("k", "at_least", "replies", "passed"),
    [
        (3, 0.5, "ab", None),
        (3, 0.5, "aa", True),
        (3, 1.0, "aa", None),
        (3, 1.0, "ab", False),
        (4, 0.5, "aab", None),
        (4, 0.5, "aabb", False),
        (5, 0.8, "abaa", None),
        (5, 0.8, "abaaa", True),
        (5, 0.8, "abb", None),
        (5, 0.8, "abba", False),
        (2, 0.5, "a", None),
    ],
)
def test_asking_ends_when_the_rest_can_change_nothing(
    k: int, at_least: float, replies: str, passed: bool | None
) -> None:
    verdict = verify.agreement(k, at_least=at_least).over([], list(replies))
    assert (None if verdict is None else verdict.passed) == passed


@pytest.mark.parametrize(
    ("replies", "index"), [("baa", 1), ("ab", 0), (["", "a", ""], 1), (["", ""], 0), ("abcb", 1)]
)
def test_the_first_of_the_most_frequent_stands_for_all(replies: Any, index: int) -> None:
    assert verify.agreement().pick(list(replies)) == index


def test_one_answer_alone_says_nothing() -> None:
    assert not verify.agreement()([], "7").is_known


@pytest.mark.parametrize(
    "wrong",
    [{"k": 1}, {"k": 9}, {"k": True}, {"k": 2.0}, {"at_least": 0.4}, {"at_least": 1.1}, {"key": 3}],
    ids=str,
)
def test_what_makes_no_sense_is_refused_where_it_is_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        verify.agreement(**wrong)


def test_it_is_not_combined_with_checks_of_one_answer() -> None:
    with pytest.raises(InvalidValue, match="compares several answers"):
        verify.all_of(verify.non_empty, verify.agreement())
