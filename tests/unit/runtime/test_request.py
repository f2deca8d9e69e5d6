"""What a call asks for: the author's wishes, not what a class sets by itself."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from graphroute.runtime.request import read

CLAUDE: Any = ChatAnthropic
OPENAI: Any = ChatOpenAI


def test_the_limit_a_class_takes_from_its_profile_is_no_wish() -> None:
    own = CLAUDE(model_name="claude-haiku-4-5", api_key="none")
    assert "max_tokens" in own.__pydantic_fields_set__
    assert own.max_tokens > 4096
    assert read(own, None, {}).max_tokens is None


def test_the_limit_of_a_class_for_unknown_models_is_no_wish() -> None:
    own = CLAUDE(model_name="claude-nobody-knows", api_key="none")
    assert own.max_tokens is not None
    assert read(own, None, {}).max_tokens is None


def test_the_limit_an_author_wrote_is_a_wish() -> None:
    own = CLAUDE(model_name="claude-haiku-4-5", max_tokens_to_sample=300, api_key="none")
    assert read(own, None, {}).max_tokens == 300
    assert read(own, None, {"max_tokens": 100}).max_tokens == 100


def test_a_temperature_a_class_forces_on_a_model_is_no_wish() -> None:
    own = OPENAI(model="o1", api_key="none")
    assert own.temperature == 1
    assert read(own, None, {}).sampling == {}
    stated = OPENAI(model="gpt-4.1", temperature=0, api_key="none")
    assert read(stated, None, {}).sampling == {"temperature": 0}


def test_strict_and_parallel_are_read() -> None:
    own = OPENAI(model="gpt-4.1", api_key="none")
    wish = {"name": "A", "schema": {"type": "object"}, "strict": True}
    kwargs = {"response_format": {"type": "json_schema", "json_schema": wish}}
    request = read(own, None, {**kwargs, "parallel_tool_calls": False})
    assert (request.strict, request.parallel, request.schema_name) == (True, False, "A")
