"""The smaller parts: examples, judging, intervals, and calls on paper."""

from __future__ import annotations

import json
import random
from math import exp
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from graphroute import verify
from graphroute.errors import InvalidValue
from graphroute.profiling.calls import RecordedCall, read_back, written
from graphroute.profiling.examples import examples
from graphroute.profiling.intervals import amount, difference, share
from graphroute.profiling.judging import agreement, alike, end_score, judged
from graphroute.providers.scripted import ScriptedChat


def test_a_line_is_an_input_unless_it_says_more() -> None:
    plain, parted, odd = examples(
        [{"q": 1}, {"input": "x", "reference": {"a": ["1", "2"]}}, {"input": 1, "other": 2}]
    )
    assert (plain.input, plain.expected) == ({"q": 1}, None)
    assert [parted.reference_for("a", visit) for visit in range(3)] == ["1", "2", None]
    assert odd.input == {"input": 1, "other": 2}, "a graph may have a state key of that name"
    with pytest.raises(InvalidValue, match="input 1: 'expected' is str"):
        examples([{"input": 1, "expected": "yes"}])


def test_equal_inputs_are_examples_of_their_own_with_the_same_keys_each_time() -> None:
    keys = [each.key for each in examples([{"q": 1}, {"q": 1}, {"q": 2}])]
    assert len(set(keys)) == 3
    assert keys == [each.key for each in examples([{"q": 1}, {"q": 1}, {"q": 2}])]
    assert keys[0] == examples([{"q": 1}])[0].key


@pytest.mark.parametrize(
    ("reference", "reply", "score"),
    [
        ("negative", " Negative. ", 1.0),
        ("negative", "not negative", 0.0),
        ({"a": 1, "b": "x"}, 'here: {"a": "1", "b": "y"} done', 0.5),
        ({"a": 1}, "no data", 0.0),
        ({"a": {"b": [1, 2]}}, '```json\n{"a": {"b": [1, 2]}}\n```', 1.0),
        ([1, 2], "[1, 2]", 1.0),
        ([1, 2], "[2, 1]", 0.0),
        (1200, "that makes 1,200", 1.0),
        (7, "none", 0.0),
        (True, "true", 1.0),
    ],
)
def test_agreement(reference: Any, reply: str, score: float) -> None:
    found = agreement(reference, AIMessage(reply))
    assert (found.score, found.source) == (score, "reference")
    assert found.passed is (score == 1.0)


def test_a_tool_call_can_be_the_answer() -> None:
    call = {"name": "f", "args": {"city": "Oslo"}, "id": "1"}
    assert agreement({"city": "oslo"}, AIMessage("", tool_calls=[call])).score == 1.0


def test_who_judges_first() -> None:
    def broken(*_: object) -> bool:
        raise ValueError("broken")

    reply = AIMessage("yes")
    both: dict[str, Any] = {"check": lambda *_: 0.25, "judge": lambda *_: 0.75}
    by_reference = judged([], reply, reference="no", **both)
    assert by_reference is not None
    assert by_reference.score == 0.0
    by_check = judged([], reply, **both)
    assert by_check is not None
    assert by_check.score == 0.25
    assert judged([], reply, check=broken, judge=lambda *_: True) is None, "a check is not replaced"
    assert judged([], reply) is None


@pytest.mark.parametrize("check", [verify.agreement(), verify.confidence()], ids=["agree", "sure"])
def test_where_a_check_only_tells_how_sure_a_model_is_the_judge_is_asked(check: Any) -> None:
    told = {"content": [{"token": "no", "logprob": -0.1}]}
    reply = AIMessage("no", response_metadata={"logprobs": told})
    assert judged([], reply, check=check) is None
    found = judged([], reply, check=check, judge=lambda *_: False)
    assert found is not None
    assert found.quality == 0.0


def test_the_end_of_a_run() -> None:
    class Held:
        def __init__(self) -> None:
            self.a, self.b = 1, "X "

    assert end_score({"a": 1, "b": "x"}, Held()) == 1.0
    assert end_score({"a": 1, "c": "x"}, {"a": 1}) == 0.5
    assert not alike(None, "None")


def _covers(interval: Any, truth: float) -> bool:
    return bool(interval.low <= truth <= interval.high)


@pytest.mark.parametrize("count", [5, 10, 40])
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95])
def test_intervals_of_shares_cover(count: int, truth: float) -> None:
    draw = random.Random(1)
    hits = 0
    for _ in range(1000):
        found = share([float(draw.random() < truth) for _ in range(count)])
        hits += _covers(found, truth)
    assert hits >= 880


@pytest.mark.parametrize("count", [3, 10, 40])
def test_intervals_of_amounts_cover(count: int) -> None:
    draw, hits = random.Random(2), 0
    truth = exp(0.5**2 / 2)
    for _ in range(1000):
        found = amount([draw.lognormvariate(0.0, 0.5) for _ in range(count)])
        hits += _covers(found, truth)
    assert hits >= 900


@pytest.mark.parametrize("count", [4, 8, 30])
@pytest.mark.parametrize("win", [0.02, 0.3, 0.7])
def test_intervals_of_differences_cover(count: int, win: float) -> None:
    draw, hits = random.Random(3), 0
    for _ in range(1000):
        changes = [float(draw.random() < win) - float(draw.random() < 0.05) for _ in range(count)]
        hits += _covers(difference(changes), win - 0.05)
    assert hits >= 880


def test_intervals_of_little() -> None:
    assert share([]) is amount([]) is difference([]) is None
    one = amount([2.0])
    assert one is not None
    assert (one.low, one.mean, one.high) == (0.0, 2.0, float("inf"))
    same = amount([3.0, 3.0])
    assert same is not None
    assert (same.low, same.high) == (3.0, 3.0)


OWN = ScriptedChat(name="own")


def _call(**more: Any) -> RecordedCall:
    given: dict[str, Any] = {
        "key": "k",
        "node": "n",
        "example": "e",
        "run_id": "r",
        "visit": 0,
        "own": OWN,
        "own_name": "scripted:own",
        "messages": (
            HumanMessage("hi"),
            AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "7"}]),
            ToolMessage("done", tool_call_id="7"),
        ),
        "stop": ("#",),
        "kwargs": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    }
    return RecordedCall(**{**given, **more})


def test_a_call_comes_back_from_paper_as_it_was() -> None:
    data = written(_call())
    assert data is not None
    assert read_back(json.loads(json.dumps(data)), OWN) == _call()


@pytest.mark.parametrize(
    "kwargs", [{"response_format": AIMessage}, {"a": (1, 2)}, {"x": float("nan")}, {1: 2}]
)
def test_what_no_file_can_hold_is_not_written(kwargs: dict[Any, Any]) -> None:
    assert written(_call(kwargs=kwargs)) is None


def test_a_private_call_is_not_written() -> None:
    assert written(_call(is_private=True)) is None
