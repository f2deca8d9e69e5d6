from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from graphroute.errors import InvalidValue, ProviderUnavailable, UnknownModel
from graphroute.ir.catalog import Model
from graphroute.providers import langchain


def _openai(**settings: Any) -> ChatOpenAI:
    return ChatOpenAI(api_key=SecretStr("k"), **settings)


@pytest.mark.parametrize(
    ("chat", "local"),
    [
        (_openai(model="gpt-5-mini"), False),
        (_openai(model="x", base_url="http://127.0.0.1:9/v1"), True),
        (_openai(model="x", base_url="http://localhost:9/v1"), True),
        (_openai(model="x", base_url="https://gate.example/v1"), False),
        (ChatOllama(model="x", base_url="http://127.0.0.1:5"), True),
        (ChatOllama(model="x", base_url="http://10.0.0.7:11434"), False),
        (ChatOllama(model="gpt-oss:120b-cloud", base_url="http://127.0.0.1:5"), False),
        (FakeListChatModel(responses=["x"]), False),
    ],
)
def test_an_address_on_this_machine_makes_an_object_local(chat: object, local: bool) -> None:
    spec = langchain.build().offer(Model("m", chat=chat)).spec
    assert spec.local is local
    assert langchain.build().offer(Model("m", chat=chat, local=not local)).spec.local is not local


def test_an_ollama_object_without_an_address_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for host, local in (("127.0.0.1:1", True), ("http://10.0.0.7", False)):
        monkeypatch.setenv("OLLAMA_HOST", host)
        assert langchain.build().offer(Model("m", chat=ChatOllama(model="x"))).spec.local is local


def test_an_object_of_a_listed_model_has_its_price_and_profile() -> None:
    chat = _openai(model="gpt-5-mini", max_tokens=100)
    spec = langchain.build().offer(Model("openai:gpt-5-mini", chat=chat)).spec
    assert (spec.provider, spec.max_output_tokens) == ("openai", 100)
    assert spec.price.source.startswith("genai-prices")
    assert "vision" in spec.capabilities


def test_a_listed_name_at_another_place_has_no_listed_price() -> None:
    chat = _openai(model="gpt-5-mini", base_url="https://gate.example/v1")
    assert not langchain.build().offer(Model("m", chat=chat)).spec.price.is_known


def test_what_a_class_implements_stands_in_for_a_profile() -> None:
    offer = langchain.build().offer(Model("m", chat=FakeListChatModel(responses=["x"])))
    assert offer.spec.capabilities == frozenset()
    ollama = ChatOllama(model="x", base_url="http://127.0.0.1:5", num_ctx=2048)
    spec = langchain.build().offer(Model("m", chat=ollama)).spec
    assert spec.capabilities == {"tools", "structured_output"}
    assert spec.context_tokens == 2048


def test_an_object_that_is_no_chat_model_is_refused() -> None:
    bound = _openai(model="gpt-5-mini").bind_tools([])
    for wrong in (object(), bound):
        with pytest.raises(InvalidValue, match="is no LangChain chat model"):
            langchain.build().offer(Model("m", chat=wrong))


@pytest.mark.parametrize("name", ["nobody:x", "llama3.2", "groq:"])
def test_a_name_nobody_knows_lists_the_providers(name: str) -> None:
    with pytest.raises(UnknownModel, match=r"no provider for model .*groq"):
        langchain.build().offer(Model(name))


def test_a_missing_package_is_told_with_its_command() -> None:
    with pytest.raises(ProviderUnavailable, match="pip install langchain-upstage"):
        langchain.build().offer(Model("upstage:solar-pro"))


def test_a_model_that_does_not_open_tells_the_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise RuntimeError("no key\nfor a long reason")

    fake = ModuleType("langchain.chat_models")
    vars(fake)["init_chat_model"] = refuse
    monkeypatch.setitem(sys.modules, "langchain.chat_models", fake)
    with pytest.raises(ProviderUnavailable, match="'groq:x' does not open: RuntimeError: no key;"):
        langchain.open_named("groq:x")
