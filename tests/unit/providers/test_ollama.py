from __future__ import annotations

from typing import Any

import pytest
from langchain_ollama import ChatOllama

from graphroute.errors import InvalidValue, UnknownModel
from graphroute.ir.catalog import Model
from graphroute.providers import ollama

SHOWN = {
    "details": {"parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
    "capabilities": ["completion", "tools", "vision"],
    "parameters": 'stop   "<|eot|>"\nnum_ctx                        4096',
    "model_info": {
        "general.architecture": "llama",
        "general.parameter_count": 3_212_749_888,
        "llama.context_length": 131_072,
        "llama.block_count": 28,
        "llama.attention.head_count": 24,
        "llama.attention.head_count_kv": 8,
        "llama.embedding_length": 3072,
        "llama.attention.key_length": 128,
        "llama.attention.value_length": 128,
    },
}


@pytest.fixture
def server(rude: Any, answer: Any) -> Any:
    """Four models: a plain one that is loaded, one of a tag, an embedder, one of Ollama's cloud."""

    def show(body: dict[str, Any]) -> Any:
        if body["model"] == "embeds:latest":
            return answer(body=SHOWN | {"capabilities": ["embedding"]})
        if body["model"] == "bare:1b":
            return answer(body={"model_info": {}})
        return answer(body=SHOWN)

    names = ["llama3.2:latest", "bare:1b", "embeds:latest", "gpt-oss:120b-cloud"]
    rude.answers["/api/tags"] = answer(
        body={"models": [{"model": name, "size": 2_000_000_000} for name in names]}
    )
    rude.answers["/api/ps"] = answer(body={"models": [{"model": "llama3.2:latest"}]})
    rude.answers["/api/show"] = show
    return rude


def test_discovery_leaves_out_what_cannot_chat(server: Any) -> None:
    found = ollama.build(host=server.url).discover()
    assert [m.name for m in found] == [
        "ollama:bare:1b",
        "ollama:gpt-oss:120b-cloud",
        "ollama:llama3.2",
    ]


def test_all_facts_of_a_model(server: Any) -> None:
    spec = ollama.build(host=server.url).offer(Model("ollama:llama3.2")).spec
    assert (spec.name, spec.provider, spec.local, spec.loaded) == (
        "ollama:llama3.2",
        "ollama",
        True,
        True,
    )
    assert (spec.parameters, spec.quantization) == (3_212_749_888, "Q4_K_M")
    assert spec.capabilities == {"tools", "vision", "structured_output"}
    # What its file asks for, not what it was trained with: that is the real limit of a call.
    assert spec.context_tokens == 4096
    assert spec.memory_bytes == 2_000_000_000 + 4096 * 2 * 28 * 8 * 256
    assert spec.price.is_known
    assert spec.price.in_usd == 0


def test_the_call_asks_for_the_context_the_plan_counts_with(server: Any) -> None:
    provider = ollama.build(host=server.url)
    for model, tokens in (
        (Model("ollama:llama3.2"), 4096),
        (Model("ollama:llama3.2", context_tokens=16_000), 16_000),
        (Model("ollama:bare:1b"), 8192),
    ):
        offer = provider.offer(model)
        chat = offer.open()
        assert isinstance(chat, ChatOllama)
        assert chat.num_ctx == offer.spec.context_tokens == tokens
        assert chat.base_url == server.url


def test_a_model_without_details_can_still_be_used(server: Any) -> None:
    spec = ollama.build(host=server.url).offer(Model("ollama:bare:1b")).spec
    assert spec.capabilities == {"structured_output"}
    assert spec.parameters is None
    assert not spec.loaded


def test_a_model_of_ollamas_cloud_is_not_local(server: Any) -> None:
    spec = ollama.build(host=server.url).offer(Model("ollama:gpt-oss:120b-cloud")).spec
    assert not spec.local
    assert not spec.price.is_known


def test_a_missing_model_lists_what_there_is(server: Any) -> None:
    with pytest.raises(UnknownModel) as caught:
        ollama.build(host=server.url).offer(Model("ollama:llama3.2:70b"))
    assert "ollama pull llama3.2:70b" in str(caught.value)
    assert "bare:1b" in str(caught.value)


def test_an_embedder_is_refused(server: Any) -> None:
    with pytest.raises(UnknownModel, match="'embeds' of Ollama cannot chat"):
        ollama.build(host=server.url).offer(Model("ollama:embeds"))


def test_a_name_without_a_model_is_refused(server: Any) -> None:
    with pytest.raises(InvalidValue, match="use 'ollama:model'"):
        ollama.build(host=server.url).offer(Model("ollama:"))


def test_a_server_without_models_says_what_to_pull(rude: Any, answer: Any) -> None:
    rude.answers["/api/tags"] = answer(body={"models": []})
    rude.answers["/api/ps"] = answer(body={"models": []})
    health = ollama.build(host=rude.url).health()
    assert not health.is_ok
    assert health.next_step == "run 'ollama pull llama3.2'"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("box", "http://box:11434"),
        ("box:99", "http://box:99"),
        ("http://box", "http://box:80"),
        ("https://box/path/", "https://box:443/path"),
        ("[::]:5", "http://[::1]:5"),
        ("box:words", "http://box:11434"),
    ],
)
def test_every_form_of_the_host(host: str, url: str) -> None:
    assert ollama.build(environ={"OLLAMA_HOST": host}).url == url
