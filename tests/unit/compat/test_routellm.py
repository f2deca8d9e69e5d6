from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from graphroute.compat._chat import named
from graphroute.compat.routellm import Controller, RoutingError, parse_model
from graphroute.errors import InvalidValue


def reply(text: str) -> AIMessage:
    return AIMessage(
        content=text,
        usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
        response_metadata={"finish_reason": "stop"},
    )


def controller(**options: Any) -> Controller:
    chats = {
        name: GenericFakeChatModel(messages=iter([reply(f"from {name}")] * 9))
        for name in ("big", "small")
    }
    return Controller(["lexical", "random"], "big", "small", chats=chats, **options)


def ask(client: Controller, threshold: str, **options: Any) -> Any:
    return client.chat.completions.create(
        model=f"router-lexical-{threshold}",
        messages=[{"role": "user", "content": "Hello"}],
        **options,
    )


def test_the_threshold_decides_and_the_answer_has_openais_shape() -> None:
    client = controller()
    strong, weak = ask(client, "0.0"), ask(client, "1.0")
    assert strong.choices[0].message.content == "from big"
    assert weak.choices[0].message.content == "from small"
    assert (strong.model, weak.model) == ("big", "small")
    assert strong.choices[0].finish_reason == "stop"
    assert strong.usage.total_tokens == 5
    assert client.model_counts["lexical"] == {"big": 1, "small": 1}


async def test_the_awaited_call_is_the_same() -> None:
    answer = await controller().chat.completions.acreate(
        router="lexical", threshold=0.0, messages=[{"role": "user", "content": "Hello"}]
    )
    assert answer.choices[0].message.content == "from big"


def test_a_stream_is_in_openais_chunks() -> None:
    chunks = list(ask(controller(), "0.0", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "from big"
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"


def test_win_rates_of_a_batch() -> None:
    rates = controller().batch_calculate_win_rate(["a", "b"], "random")
    assert len(rates) == 2
    assert all(0 <= rate <= 1 for rate in rates)
    assert controller().route("a", "random", rates[0]) == "big"


@pytest.mark.parametrize("model", ["mf-0.5", "router-0.5", "router-mf-high", "gpt-4", "router-mf-"])
def test_model_names_that_are_none_are_refused(model: str) -> None:
    with pytest.raises(RoutingError):
        parse_model(model)


def test_wrong_routers_thresholds_and_messages_are_refused() -> None:
    client = controller()
    with pytest.raises(RoutingError, match="available routers are lexical, random"):
        client.route("x", "bert", 0.5)
    with pytest.raises(RoutingError, match="invalid threshold"):
        client.route("x", "random", 1.5)
    with pytest.raises(RoutingError, match="unspecified"):
        client.completion(messages=[{"role": "user", "content": "x"}])
    with pytest.raises(RoutingError, match="no messages"):
        client.completion(model="router-random-0.5", messages=[])


def test_routellms_checkpoints_are_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidValue, match="graphroute train"):
        Controller(["mf"], "a", "b", config={"mf": {"checkpoint_path": "routellm/mf"}})


def test_parts_of_a_message_are_read() -> None:
    client = controller()
    parts = [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": {"url": "x"}}]
    answer = client.completion(
        router="lexical", threshold=0, messages=[{"role": "user", "content": parts}]
    )
    assert answer.model == "big"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4-1106-preview", "openai:gpt-4-1106-preview"),
        ("claude-3-5-haiku", "anthropic:claude-3-5-haiku"),
        ("ollama/llama3", "ollama:llama3"),
        ("openai/gpt-4o", "openai:gpt-4o"),
        ("mistralai/Mixtral-8x7B", "openai:mistralai/Mixtral-8x7B"),
        ("ollama:llama3.2:3b", "ollama:llama3.2:3b"),
    ],
)
def test_names_are_translated(name: str, expected: str) -> None:
    assert named(name) == expected
