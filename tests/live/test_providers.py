"""Each real server through provider and chat: discovery, chat, tools, structured output, streaming,
usage. What a model of 135 million parameters says is not tested, only that it is served right.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from graphroute.errors import UnknownModel
from graphroute.ir.catalog import Model, ModelSpec
from graphroute.ir.naming import pool_name
from graphroute.pool import build_pool
from graphroute.protocols import Provider
from graphroute.providers import llamacpp, ollama, openai

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=200)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@dataclass(frozen=True, kw_only=True)
class Case:
    provider: Provider
    model: Model


@pytest.fixture(scope="module", params=["ollama", "openai", "llamacpp"])
def case(request: pytest.FixtureRequest) -> Case:
    provider: Provider
    match request.param:
        case "ollama":
            provider = ollama.build(host=request.getfixturevalue("ollama_url"))
        case "openai":
            url = request.getfixturevalue("openai_url")
            provider = openai.build(base_url=url, environ={})
        case _:
            provider = llamacpp.build(files=[request.getfixturevalue("smollm2")])
    (model,) = provider.discover()
    return Case(provider=provider, model=model)


@pytest.fixture(scope="module")
def spec(case: Case) -> ModelSpec:
    return case.provider.offer(case.model).spec


@pytest.fixture(scope="module")
def chat(case: Case) -> BaseChatModel:
    opened = case.provider.offer(case.model).open()
    # Greedy decoding, so that a run that passed passes again; a limit, because so small a model
    # may go on until its context is full.
    limit = "num_predict" if case.provider.name == "ollama" else "max_tokens"
    return opened.model_copy(update={"temperature": 0.0, limit: 48})


def test_health_and_facts(case: Case, spec: ModelSpec) -> None:
    assert case.provider.health().is_ok
    assert spec.local
    assert spec.price.is_known
    assert spec.price.in_usd == spec.price.out_usd == 0
    assert spec.capabilities == {"tools", "structured_output"}


def test_a_chat_counts_its_usage(chat: BaseChatModel) -> None:
    answer = chat.invoke([HumanMessage("What is the capital of France?")], stop=["\n"])
    assert answer.text.strip()
    usage = answer.usage_metadata
    assert usage is not None
    assert usage["input_tokens"] > 5
    assert usage["output_tokens"] > 0


async def test_an_async_chat_sends_what_the_sync_one_sends(chat: BaseChatModel) -> None:
    question = "What is the capital of France?"
    usages = [(await chat.ainvoke(question)).usage_metadata, chat.invoke(question).usage_metadata]
    assert None not in usages
    assert len({usage["input_tokens"] for usage in usages if usage}) == 1


def test_a_stream_has_pieces_and_its_usage(chat: BaseChatModel) -> None:
    parts = list(chat.stream("Say the numbers one to five."))
    assert len([part for part in parts if part.text]) > 1
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 1


def test_structured_output_is_held_to_the_schema(chat: BaseChatModel) -> None:
    bound = chat.with_structured_output(Person, method="json_schema")
    found = bound.invoke("Extract the person: Bob is 22 years old.")
    assert isinstance(found, Person)


def test_tools_reach_the_model(chat: BaseChatModel) -> None:
    plain = chat.invoke("What is 2 + 3?")
    told = chat.bind_tools([add]).invoke("What is 2 + 3?")
    assert isinstance(told, AIMessage)
    assert plain.usage_metadata is not None
    assert told.usage_metadata is not None
    # The definition of a tool takes tokens, so a template that drops tools shows here.
    assert told.usage_metadata["input_tokens"] > plain.usage_metadata["input_tokens"] + 30
    assert all(call["name"] == "add" for call in told.tool_calls)


def test_a_tool_that_must_be_called_is_called(case: Case, chat: BaseChatModel) -> None:
    if case.provider.name == "ollama":
        # Ollama's protocol has no tool_choice; a routed run asks for a schema there.
        return
    for choice in ("any", "add"):
        answer = chat.bind_tools([add], tool_choice=choice).invoke("What is 2 + 3?")
        (call,) = answer.tool_calls
        assert call["name"] == "add"
        assert {key: type(value) for key, value in call["args"].items()} == {"a": int, "b": int}
    streamed = list(chat.bind_tools([add], tool_choice="any").stream("What is 2 + 3?"))
    (called,) = [part for part in streamed if isinstance(part, AIMessageChunk) and part.tool_calls]
    assert called.tool_calls[0]["name"] == "add"
    assert called.usage_metadata is not None


def test_an_embedded_model_is_named_and_restarts_after_close(smollm2: llamacpp.Gguf) -> None:
    chat = llamacpp.chat(smollm2, temperature=0, max_tokens=4)
    assert pool_name(chat) == "llamacpp:smollm2"
    first = chat.invoke("Hi").usage_metadata
    llamacpp.close([smollm2.path])
    assert not llamacpp.build(files=[smollm2]).offer(Model("llamacpp:smollm2")).spec.loaded
    again = chat.invoke("Hi").usage_metadata
    assert first is not None
    assert again is not None
    # Words may differ: llama.cpp's sums depend on which part of a prompt was cached.
    assert again["input_tokens"] == first["input_tokens"]


def test_ollama_leaves_embedding_models_out_and_names_what_there_is(ollama_url: str) -> None:
    provider = ollama.build(host=ollama_url)
    assert [model.name for model in provider.discover()] == ["ollama:smollm2:135m"]
    with pytest.raises(UnknownModel, match=r"no model 'llama3.2'.*ollama pull llama3.2"):
        provider.offer(Model("ollama:llama3.2"))
    with pytest.raises(UnknownModel, match="cannot chat"):
        provider.offer(Model("ollama:only-embeds"))


def test_ollama_tells_size_and_what_is_loaded(ollama_url: str) -> None:
    provider = ollama.build(host=ollama_url)
    chat = provider.offer(Model("ollama:smollm2:135m")).open()
    chat.model_copy(update={"num_predict": 4}).invoke("Hi")
    spec = provider.offer(Model("ollama:smollm2:135m")).spec
    assert spec.loaded
    assert (spec.parameters, spec.quantization) == (134_515_008, "Q4_1")
    assert spec.memory_bytes is not None
    assert spec.memory_bytes > 90_000_000
    assert spec.context_tokens == 8192


def test_a_pool_of_all_three(ollama_url: str, openai_url: str, smollm2: llamacpp.Gguf) -> None:
    pool = build_pool(
        [
            "ollama:smollm2:135m",
            f"openai:tiny@{openai_url}",
            Model("strong", chat=llamacpp.chat(smollm2), price_in_usd=1, price_out_usd=2),
        ],
        budgeted=True,
        providers={"ollama": ollama.build(host=ollama_url)},
    )
    assert len(pool.catalog) == 3
    for spec in pool.catalog:
        # The first words are enough.
        assert pool.open(spec.name).invoke("Hi", stop=[" "]).usage_metadata is not None
