"""Lists of prompts taken apart and put together again."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.outputs import Generation, LLMResult, RunInfo

from graphroute.runtime.apart import together


def _result(text: str, output: dict[str, Any] | None, *, has_run: bool = True) -> LLMResult:
    run = [RunInfo(run_id=uuid4())] if has_run else None
    return LLMResult(generations=[[Generation(text=text)]], llm_output=output, run=run)


def test_answers_and_runs_stay_in_order() -> None:
    parts = [_result("a", None), _result("b", {}, has_run=False), _result("c", {})]
    whole = together(parts)
    assert [each[0].text for each in whole.generations] == ["a", "b", "c"]
    assert whole.run == [*(parts[0].run or ()), *(parts[2].run or ())]
    assert whole.llm_output == {}


def test_usage_is_that_of_all_prompts() -> None:
    used = {"token_usage": {"total": 3, "details": {"cached": 1}, "cost": None}, "model_name": "m"}
    more = {"token_usage": {"total": 4, "details": {"cached": 2}, "cost": 0.5}, "streamed": True}
    whole = together([_result("a", used), _result("b", more), _result("c", more)])
    assert whole.llm_output == {
        "token_usage": {"total": 11, "details": {"cached": 5}, "cost": 1.0},
        "model_name": "m",
        "streamed": True,
    }


def test_the_first_error_is_that_of_the_list() -> None:
    ended: list[LLMResult | BaseException] = [_result("a", None)]
    ended += [ValueError("first"), KeyError("second")]
    with pytest.raises(ValueError, match="first"):
        together(ended)
