"""Token probabilities in an answer: kept short for a check, taken out for the graph."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from graphroute.runtime.probabilities import few, is_refusal, without


class Refused(Exception):
    def __init__(self, status: int, text: str = "unknown argument") -> None:
        super().__init__(text)
        self.status_code = status


def reply(**metadata: Any) -> AIMessage:
    return AIMessage("yes", response_metadata=metadata)


LONG = {"token": "yes", "logprob": -0.5, "bytes": [121], "top_logprobs": [{"token": "no"}]}


@pytest.mark.parametrize("told", [{"content": [LONG], "refusal": None}, [LONG]])
def test_of_many_tokens_only_the_own_ones_are_kept(told: Any) -> None:
    kept = few(reply(logprobs=told, id=1)).response_metadata
    assert kept == {"logprobs": {"content": [{"token": "yes", "logprob": -0.5}]}, "id": 1}


@pytest.mark.parametrize("told", [None, {}, {"content": None}, "text"], ids=str)
def test_what_tells_none_is_left_alone(told: Any) -> None:
    message = reply(logprobs=told)
    assert few(message) is message


def test_an_openai_answer_keeps_the_empty_place_it_always_has() -> None:
    seen = without(reply(logprobs={"content": [LONG]}, model_provider="openai"))
    assert seen.response_metadata == {"model_provider": "openai", "logprobs": None}
    assert without(reply(logprobs=[LONG], id=1)).response_metadata == {"id": 1}


def test_an_answer_without_them_is_the_same_object() -> None:
    for message in (reply(), reply(logprobs=None)):
        assert without(message) is message


def test_they_are_taken_out_of_the_result_of_a_list_too() -> None:
    generation = ChatGeneration(
        message=reply(logprobs=[LONG], id=1), generation_info={"logprobs": [LONG], "stop": "x"}
    )
    without(LLMResult(generations=[[generation]]))
    assert generation.generation_info == {"stop": "x"}
    assert generation.message.response_metadata == {"id": 1}


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (Refused(400), True),
        (Refused(422), True),
        (Refused(400, "maximum context length exceeded"), False),
        (Refused(429), False),
        (ConnectionError("gone"), False),
    ],
    ids=["400", "422", "too long", "429", "gone"],
)
def test_a_refusal_is_told_from_other_errors(error: Exception, refuses: bool) -> None:
    assert is_refusal(error) == refuses
