from __future__ import annotations

from timeit import timeit

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import ConfigurableField
from langchain_ollama import ChatOllama

from graphroute.ir.naming import model_name, pool_name

openai = pytest.importorskip("langchain_openai")
anthropic = pytest.importorskip("langchain_anthropic")


def chat_openai(**facts: object) -> object:
    return openai.ChatOpenAI(**{"model": "gpt-5", "api_key": "none", **facts})


def test_providers_by_class() -> None:
    assert pool_name(chat_openai()) == "openai:gpt-5"
    assert pool_name(ChatOllama(model="llama3.2")) == "ollama:llama3.2"
    chat = anthropic.ChatAnthropic(model="claude-sonnet-4", api_key="none")
    assert pool_name(chat) == "anthropic:claude-sonnet-4"


def test_another_endpoint_is_another_model() -> None:
    local = chat_openai(model="tiny", base_url="http://127.0.0.1:8080/v1")
    assert pool_name(local) == "openai:tiny@127.0.0.1:8080"
    remote = ChatOllama(model="llama3.2", base_url="http://box:11434")
    assert pool_name(remote) == "ollama:llama3.2@box:11434"


def test_default_endpoint_written_out_is_the_same_model() -> None:
    assert pool_name(chat_openai(base_url="https://api.openai.com/v1")) == "openai:gpt-5"
    own = ChatOllama(model="m", base_url="http://localhost:11434")
    assert pool_name(own) == "ollama:m"


def test_credentials_in_the_address_do_not_show() -> None:
    chat = chat_openai(model="tiny", base_url="http://user:secret@host:1/v1")
    assert pool_name(chat) == "openai:tiny@host:1"


def test_endpoint_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")
    assert pool_name(chat_openai()) == "openai:gpt-5@localhost:9"


def test_wrappers_name_what_they_wrap() -> None:
    chat = FakeListChatModel(responses=["a"], name="tiny")
    want = "FakeListChatModel:tiny"
    assert pool_name(chat.bind(stop=["x"])) == want
    assert pool_name(chat.with_retry().with_config(tags=["t"])) == want
    assert pool_name(chat.with_fallbacks([FakeListChatModel(responses=["b"])])) == want
    field = ConfigurableField(id="responses")
    assert pool_name(chat.configurable_fields(responses=field)) == want


def test_configurable_models() -> None:
    chat_models = pytest.importorskip("langchain.chat_models")
    known = chat_models.init_chat_model("gpt-5", configurable_fields="any")
    assert pool_name(known) == "openai:gpt-5"
    assert pool_name(chat_models.init_chat_model()) == "configurable:default"


def test_names_as_text() -> None:
    assert model_name("claude-sonnet-4") == "anthropic:claude-sonnet-4"
    assert model_name("ollama:llama3.2:1b") == "ollama:llama3.2:1b"
    assert model_name("llama3.2:1b") == "configurable:llama3.2:1b"


def test_own_classes_and_odd_objects() -> None:
    class Odd:
        __slots__ = ()

        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    assert pool_name(Odd()) == "Odd:Odd"
    assert pool_name(None) == "NoneType:NoneType"


def test_fast_enough_for_every_call() -> None:
    chat = chat_openai().bind(stop=["x"])  # type: ignore[attr-defined]
    best_s = min(timeit(lambda: pool_name(chat), number=1000) for _ in range(5)) / 1000
    assert best_s < 20e-6
