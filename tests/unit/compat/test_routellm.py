from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_ollama import ChatOllama

from graphroute.compat._chat import asked, named
from graphroute.compat.routellm import (
    GPT_4_AUGMENTED_CONFIG,
    Controller,
    ModelPair,
    RoutingError,
    parse_model,
)
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
    with pytest.raises(RoutingError, match=r"Available routers are \['lexical', 'random'\]"):
        client.route("x", "bert", 0.5)
    with pytest.raises(RoutingError, match=r"a float between 0\.0 and 1\.0"):
        client.route("x", "random", 1.5)
    with pytest.raises(RoutingError, match="Router or threshold unspecified"):
        client.completion(messages=[{"role": "user", "content": "x"}])
    with pytest.raises(RoutingError, match="no messages"):
        client.completion(model="router-random-0.5", messages=[])


def test_routellms_checkpoints_are_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidValue, match="graphroute train"):
        Controller(["mf"], "a", "b", config={"mf": {"checkpoint_path": "/models/mine"}})


def test_published_checkpoints_are_replaced_by_our_weights_and_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = {"mf": {"checkpoint_path": "routellm/mf_gpt4_augmented"}}
    client = Controller(["mf"], "a", "b", config=config)
    assert "own weights stand for routellm/mf_gpt4_augmented" in caplog.text
    assert client.route("Hello", "mf", 0.0) == "a"
    caplog.clear()
    Controller(["mf"], "a", "b", config=dict(GPT_4_AUGMENTED_CONFIG))
    assert not caplog.records


def test_a_router_has_the_methods_of_routellms() -> None:
    client = controller()
    router = client.routers["lexical"]
    rate = router.calculate_strong_win_rate("Hello")
    assert 0 <= rate <= 1
    assert rate == client.batch_calculate_win_rate(["Hello"], "lexical")[0]
    assert router.route("Hello", rate, ModelPair(strong="s", weak="w")) == "s"
    assert router.route("Hello", min(rate + 1e-6, 1.0), ModelPair(strong="s", weak="w")) == "w"
    assert str(router) == "lexical"
    assert router.NO_PARALLEL


async def test_an_awaited_stream_is_for_async_for() -> None:
    stream = await controller().chat.completions.acreate(
        model="router-lexical-0.0", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "from big"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {c.model for c in chunks} == {"big"}


def test_an_answer_also_reads_like_a_dict_and_dumps() -> None:
    answer = ask(controller(), "0.0")
    assert answer["choices"][0]["message"]["content"] == "from big"
    assert answer.model_dump()["usage"]["total_tokens"] == 5
    assert json.loads(answer.model_dump_json())["model"] == "big"
    assert "choices" in answer
    assert answer.get("system_fingerprint") is None
    with pytest.raises(KeyError):
        answer["nothing"]


def test_openais_arguments_are_put_where_ollama_takes_them() -> None:
    chat = ChatOllama(model="tiny", temperature=0.9, num_ctx=512)
    given = {"temperature": 0.1, "max_tokens": 7, "seed": 3, "stop": "END", "tools": []}
    copy, rest = asked(chat, given)
    assert isinstance(copy, ChatOllama)
    assert (copy.temperature, copy.num_predict, copy.seed, copy.num_ctx) == (0.1, 7, 3, 512)
    assert rest == {"stop": ["END"], "tools": []}
    assert chat.temperature == 0.9
    params = copy._chat_params([HumanMessage("Hello")], **rest)
    assert params["options"]["num_predict"] == 7


def test_a_series_gives_a_series() -> None:
    class Series:
        """What of pandas' Series matters here."""

        def __init__(self, values: Iterable[Any], index: Sequence[int] = ()) -> None:
            self.values, self.index = list(values), list(index)

        def __iter__(self) -> Iterator[Any]:
            return iter(self.values)

        def apply(self, function: Any) -> Series:
            return Series(map(function, self.values), self.index)

    rates = controller().batch_calculate_win_rate(Series(["a", "b"], [7, 9]), "random")
    assert isinstance(rates, Series)
    assert rates.index == [7, 9]
    assert all(0 <= rate <= 1 for rate in rates)


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
