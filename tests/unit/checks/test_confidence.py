"""How sure a model was, read off its answer in the forms that servers have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphroute import verify
from graphroute.checks.confidence import token_logs
from graphroute.ir.sureness import USUAL


def reply(told: Any) -> AIMessage:
    return AIMessage("yes", response_metadata={"logprobs": told})


def token(word: str, chance: float) -> dict[str, Any]:
    return {"token": word, "logprob": math.log(chance), "top_logprobs": []}


def test_the_score_is_the_geometric_mean_whatever_the_length() -> None:
    check = verify.confidence()
    short = check([], reply({"content": [token("a", 0.5)]}))
    long = check([], reply({"content": [token("a", 0.25), token("b", 1.0)]}))
    assert short.score == pytest.approx(0.5)
    assert long.score == pytest.approx(0.5)


def test_ollama_tells_them_in_a_list_and_the_end_of_an_answer_is_no_word() -> None:
    assert token_logs(reply([token("a", 0.5), token("", 0.1)])) == [math.log(0.5)]


def test_values_of_the_ollama_package_are_read_as_dicts_are() -> None:
    from ollama._types import Logprob

    assert token_logs(reply([Logprob(token="a", logprob=-0.5)])) == [-0.5]


@pytest.mark.parametrize(
    "told",
    [None, {}, {"content": None}, {"content": []}, [], "text", [{"token": "a"}], [3]],
    ids=str,
)
def test_what_tells_nothing_leaves_it_open(told: Any) -> None:
    assert not verify.confidence()([], reply(told)).is_known


def test_a_threshold_is_of_the_chance_and_not_of_the_score() -> None:
    told = reply({"content": [token("a", 0.9)]})
    assert verify.confidence(at_least=USUAL(0.9) - 0.01)([], told).passed
    assert not verify.confidence(at_least=USUAL(0.9) + 0.01)([], told).passed


def test_what_earlier_runs_say_of_a_score_counts() -> None:
    told = reply({"content": [token("a", 0.9)]})
    verdict = verify.confidence().calibrated(lambda score: score / 3)([], told)
    assert verdict.passed is False
    assert verdict.score == pytest.approx(0.9), "the score stays what was measured"
    assert "by earlier runs 30%" in verdict.reason
    unknown = verify.confidence().calibrated(lambda _: None)([], told)
    assert unknown.passed == (USUAL(0.9) >= 0.5)
    assert "as a rule" in unknown.reason
