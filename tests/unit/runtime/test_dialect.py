"""A call made on one provider's model, in the words of another's: nothing lost without a word."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

from graphroute.errors import PoolError
from graphroute.runtime.dialect import Written, takes_logprobs, with_logprobs, write
from graphroute.runtime.request import read

SCHEMA = {
    "title": "Weather",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "W", "schema": SCHEMA, "strict": True}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


def openai(model: str = "gpt-4.1", **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, **{"api_key": "none", **settings})


def claude(model: str = "claude-haiku-4-5", **settings: Any) -> ChatAnthropic:
    return ChatAnthropic(model_name=model, **{"api_key": "none", **settings})


def llama(**settings: Any) -> ChatOllama:
    return ChatOllama(model="llama3.2", **settings)


def weather(city: str) -> str:
    """Tell the weather."""
    return city


def sent(
    own: BaseChatModel, kwargs: Any, target: BaseChatModel, *, limit: int | None = None
) -> Written:
    return write(read(own, None, kwargs), own=own, target=target, limit=limit)


def bound(chat: BaseChatModel, *tools: Any, **choice: Any) -> dict[str, Any]:
    return dict(chat.bind_tools(list(tools), **choice).kwargs)  # type: ignore[attr-defined]


def payload(target: BaseChatModel, written: Written) -> dict[str, Any]:
    """What the target's own package would put on the wire."""
    made: dict[str, Any] = target._get_request_payload(  # type: ignore[attr-defined]
        [("user", "hi")], stop=written.stop, **written.kwargs
    )
    return made


def test_schema_beside_tools_reaches_claude_in_its_own_words() -> None:
    own, target = openai(), claude()
    written = sent(own, {**bound(own, weather), "response_format": FORMAT}, target)
    wire = payload(target, written)
    assert [tool["name"] for tool in wire["tools"]] == ["weather"]
    assert wire["output_config"]["format"]["type"] == "json_schema"
    assert wire["output_config"]["format"]["schema"]["required"] == ["city"]


def test_a_claude_without_schemas_gets_a_forced_tool_and_beside_tools_nothing() -> None:
    own, target = openai(), claude("claude-3-haiku-20240307")
    alone = sent(own, {"response_format": FORMAT}, target)
    assert alone.kwargs["tool_choice"]["name"] == "W"
    assert alone.restore is not None
    with pytest.raises(PoolError, match=r"claude-3-haiku.*by schema beside tools"):
        sent(own, {**bound(own, weather), "response_format": FORMAT}, target)


def test_json_without_a_schema_is_not_dropped_on_the_way_to_claude() -> None:
    with pytest.raises(PoolError, match="JSON without a schema"):
        sent(openai(), {"response_format": {"type": "json_object"}}, claude())


@pytest.mark.parametrize("target", [openai(), llama()], ids=["openai", "ollama"])
def test_a_tool_of_claudes_server_goes_to_no_other(target: BaseChatModel) -> None:
    own = claude()
    with pytest.raises(PoolError, match="web_search_20250305"):
        sent(own, bound(own, SEARCH, weather), target)


@pytest.mark.parametrize("target", [claude(), llama()], ids=["anthropic", "ollama"])
def test_a_tool_of_openais_server_goes_to_no_other(target: BaseChatModel) -> None:
    own = openai()
    with pytest.raises(PoolError, match="web_search_preview"):
        sent(own, bound(own, {"type": "web_search_preview"}), target)


def test_a_tool_of_the_server_stays_within_the_family() -> None:
    own = claude()
    written = sent(own, bound(own, SEARCH, weather), claude("claude-sonnet-4-5"))
    assert written.kwargs["tools"][0] == SEARCH
    assert read(own, None, bound(own, SEARCH)).needs(images=0) == {"tools"}


def test_the_same_family_gets_every_argument() -> None:
    wishes = {
        "n": 3,
        "logprobs": True,
        "user": "u1",
        "extra_body": {"a": 1},
        "response_format": FORMAT,
        "parallel_tool_calls": False,
        "max_completion_tokens": 50,
    }
    own = openai()
    written = sent(own, {**bound(own, weather), **wishes}, openai("gpt-4.1-mini"))
    assert {name: written.kwargs[name] for name in wishes} == wishes
    assert written.restore is None


def test_what_only_reasoning_models_take_goes_to_those() -> None:
    own = openai("gpt-5-mini")
    wish = {"reasoning_effort": "low", "logprobs": True}
    assert sent(own, wish, openai("gpt-5-nano")).kwargs["reasoning_effort"] == "low"
    assert "logprobs" not in sent(own, wish, openai("gpt-5-nano")).kwargs
    assert "reasoning_effort" not in sent(own, wish, openai("gpt-4.1")).kwargs


def test_arguments_of_one_family_stay_away_from_another() -> None:
    written = sent(openai(), {"logprobs": True, "user": "u1", "n": 2}, claude())
    assert set(written.kwargs).isdisjoint({"logprobs", "user", "n"})


def test_one_call_at_a_time_has_words_in_both_families() -> None:
    own, other = openai(), claude()
    there = sent(own, bound(own, weather, parallel_tool_calls=False), other)
    assert there.kwargs["tool_choice"]["disable_parallel_tool_use"] is True
    back = sent(other, bound(other, weather, parallel_tool_calls=False), own)
    assert back.kwargs["parallel_tool_calls"] is False


def test_one_call_at_a_time_holds_where_there_is_no_word_for_it() -> None:
    own = openai()
    written = sent(own, bound(own, weather, parallel_tool_calls=False), llama())
    calls = [{"name": "weather", "args": {"city": c}, "id": c} for c in "ab"]
    assert written.restore is not None
    assert len(written.restore(AIMessage("", tool_calls=calls)).tool_calls) == 1


def test_ollama_to_ollama_keeps_its_own_arguments() -> None:
    options = {"num_ctx": 9, "mirostat": 1}
    written = sent(llama(), {"keep_alive": "5m", "options": options}, llama(num_ctx=4096))
    assert written.kwargs["keep_alive"] == "5m"
    assert written.kwargs["options"] == {"num_ctx": 4096, "mirostat": 1}


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5-nano", "openai/gpt-5"])
def test_stop_is_kept_from_reasoning_models_and_the_answer_is_cut(model: str) -> None:
    own = openai(stop=["END"], temperature=0)
    written = sent(own, {}, openai(model))
    assert written.stop is None
    assert "temperature" not in written.kwargs
    assert written.restore is not None
    assert written.restore(AIMessage("yes END no")).text == "yes "
    assert sent(own, {}, openai("gpt-4.1-mini")).stop == ["END"]


def test_a_wish_for_more_than_the_target_can_say_is_cut_to_its_limit() -> None:
    own = openai(max_tokens=9000)
    assert sent(own, {}, claude(), limit=4096).kwargs["max_tokens"] == 4096
    assert sent(own, {}, llama(), limit=4096).kwargs["options"]["num_predict"] == 4096
    assert sent(own, {}, claude(), limit=20_000).kwargs["max_tokens"] == 9000
    assert "max_tokens" not in sent(openai(), {}, openai("gpt-4.1-mini"), limit=5).kwargs


@pytest.mark.parametrize(
    ("target", "takes"),
    [
        (openai(), True),
        (openai("gpt-5-mini"), False),
        (openai(use_responses_api=True), False),
        (llama(), True),
        (claude(), False),
    ],
    ids=["openai", "reasoning", "responses", "ollama", "claude"],
)
def test_probabilities_are_asked_of_models_that_have_a_word_for_them(
    target: BaseChatModel, takes: bool
) -> None:
    assert takes_logprobs(target) == takes


def test_probabilities_reach_ollama_beside_its_options() -> None:
    written = sent(openai(), {"max_tokens": 5}, llama(temperature=0))
    asked = with_logprobs(written.kwargs, llama())
    made = llama()._chat_params([HumanMessage("hi")], **asked)
    assert made["logprobs"] is True
    assert made["options"]["num_predict"] == 5


def test_openai_is_asked_for_no_more_than_the_likeliest_token_beside_each() -> None:
    made = payload(openai(), Written(kwargs=with_logprobs({"max_tokens": 5}, openai()), stop=None))
    assert (made["logprobs"], made["top_logprobs"], made["max_completion_tokens"]) == (True, 1, 5)
