from __future__ import annotations

from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.catalog import Model
from graphroute.ir.naming import pool_name
from graphroute.providers import anthropic, openai

REPLY = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "tiny",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def test_a_listed_model_has_price_limits_and_capabilities() -> None:
    spec = openai.build(environ={}).offer(Model("openai:gpt-5-mini")).spec
    assert not spec.local
    assert spec.price.source.startswith("genai-prices ")
    assert spec.price.date is not None
    assert spec.capabilities == {"tools", "structured_output", "vision"}
    assert spec.context_tokens is not None
    assert spec.context_tokens >= 200_000
    assert spec.max_output_tokens == 128_000


def test_a_plan_needs_no_key_but_a_call_does() -> None:
    for provider, name, key in (
        (openai.build(environ={}), "openai:gpt-5-mini", "OPENAI_API_KEY"),
        (anthropic.build(environ={}), "anthropic:claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
    ):
        offer = provider.offer(Model(name))
        with pytest.raises(ProviderUnavailable, match=f"set {key}"):
            offer.open()
        assert not provider.health().is_ok


def test_with_a_key_it_opens() -> None:
    chat = openai.build(environ={"OPENAI_API_KEY": "k"}).offer(Model("openai:gpt-5-mini")).open()
    assert pool_name(chat) == "openai:gpt-5-mini"
    chat = (
        anthropic.build(environ={"ANTHROPIC_API_KEY": "k"})
        .offer(Model("anthropic:claude-sonnet-4-5"))
        .open()
    )
    assert pool_name(chat) == "anthropic:claude-sonnet-4-5"


def test_an_endpoint_on_this_machine_is_local_and_free(rude: Any, answer: Any) -> None:
    rude.answers["/v1/chat/completions"] = answer(body=REPLY)
    offer = openai.build(environ={"OPENAI_API_KEY": "secret"}).offer(
        Model(f"openai:tiny@{rude.url}/v1")
    )
    assert offer.spec.local
    assert offer.spec.price.is_known
    reply = offer.open().invoke("hello")
    assert (reply.content, reply.usage_metadata and reply.usage_metadata["total_tokens"]) == (
        "hi",
        4,
    )
    path, authorization, body = rude.asked[0]
    assert (path, body["model"]) == ("/v1/chat/completions", "tiny")
    # OpenAI's key is for OpenAI: no other server may see it.
    assert "secret" not in authorization


def test_an_endpoint_elsewhere_needs_a_price() -> None:
    provider = openai.build(environ={})
    spec = provider.offer(Model("openai:gpt-5-mini@https://gate.example/v1")).spec
    assert not spec.local
    assert not spec.price.is_known
    priced = Model("openai:x@https://gate.example/v1", price_in_usd=1, price_out_usd=2)
    assert provider.offer(priced).spec.price.is_known


def test_the_environment_can_name_the_endpoint(rude: Any, answer: Any) -> None:
    rude.answers["/v1/chat/completions"] = answer(body=REPLY)
    environ = {"OPENAI_BASE_URL": f"{rude.url}/v1", "OPENAI_API_KEY": "theirs"}
    offer = openai.build(environ=environ).offer(Model("openai:tiny"))
    assert offer.spec.local
    offer.open().invoke("hello")
    assert rude.asked[0][1] == "Bearer theirs"


def test_a_named_endpoint_gets_its_own_key(rude: Any, answer: Any) -> None:
    rude.answers["/v1/chat/completions"] = answer(body=REPLY)
    environ = {"OPENAI_COMPATIBLE_API_KEY": "mine", "OPENAI_API_KEY": "secret"}
    offer = openai.build(environ=environ).offer(Model(f"openai:tiny@{rude.url}/v1"))
    offer.open().invoke("hello")
    assert rude.asked[0][1] == "Bearer mine"


def test_discovery_lists_models_with_their_context(rude: Any, answer: Any) -> None:
    rude.answers["/v1/models"] = answer(
        body={
            "data": [
                {"id": "b", "max_model_len": 4096},
                {"id": "a", "meta": {"n_ctx": 2048}},
                {"id": "c"},
            ]
        }
    )
    found = openai.build(base_url=f"{rude.url}/v1", environ={}).discover()
    assert [(m.name.partition("@")[0], m.context_tokens) for m in found] == [
        ("openai:a", 2048),
        ("openai:b", 4096),
        ("openai:c", None),
    ]
    offer = openai.build(environ={}).offer(found[0])
    assert offer.spec.context_tokens == 2048
    assert isinstance(chat := offer.open(), ChatOpenAI)
    assert chat.model_name == "a"


@pytest.mark.parametrize("name", ["openai:", "openai:@http://x/v1", "openai:x@http://"])
def test_a_malformed_name_says_the_form(name: str) -> None:
    with pytest.raises(InvalidValue, match="use 'openai:model"):
        openai.build(environ={}).offer(Model(name))
