"""Every provider, found by discovery, keeps the protocol's promises, without network or key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import TypeVar

import pytest

from graphroute import registry
from graphroute.errors import GraphrouteError, ProviderUnavailable
from graphroute.ir.catalog import Model
from graphroute.protocols import Health, Provider

T = TypeVar("T")

CASES = [
    pytest.param(name, options, id=f"{name}-{number}")
    for name in registry.names("providers")
    for number, options in enumerate(registry.load("providers", name).EXAMPLES)
]


@pytest.fixture
def provider(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> Provider:
    name, options = request.param
    for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    # Nothing listens there: a provider must say so, not fail otherwise.
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{free_port}")
    built = registry.build("providers", name, **options)
    assert isinstance(built, Provider)
    return built


def _each(name: str, options: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    return name, options


every = pytest.mark.parametrize(
    "provider",
    [pytest.param(_each(*case.values), id=case.id) for case in CASES],  # type: ignore[arg-type]
    indirect=True,
)


def test_the_family_is_complete() -> None:
    assert set(registry.names("providers")) >= {
        "anthropic",
        "langchain",
        "llamacpp",
        "ollama",
        "openai",
        "scripted",
    }


@pytest.mark.parametrize("name", registry.names("providers"))
def test_a_plugin_says_what_it_needs(name: str) -> None:
    module = registry.load("providers", name)
    assert all(isinstance(need, str) for need in module.REQUIRES)
    assert module.EXAMPLES
    parameters = inspect.signature(module.build).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters)


@every
def test_it_has_its_name_and_is_a_value(provider: Provider) -> None:
    assert provider.name in registry.names("providers")
    assert is_dataclass(provider)


@every
def test_health_tells_and_never_raises(provider: Provider) -> None:
    health = provider.health()
    assert isinstance(health, Health)
    assert health.detail
    assert health.is_ok or health.next_step


@every
def test_discovery_gives_names_of_its_own_or_says_why_not(provider: Provider) -> None:
    found, fault = _outcome(provider.discover)
    if fault is not None:
        assert isinstance(fault, ProviderUnavailable)
        assert fault.next_step
        return
    names = [model.name for model in found or ()]
    assert names == sorted(set(names))
    assert all(name.startswith(f"{provider.name}:") for name in names)


@every
@pytest.mark.parametrize("rest", ["", "no/such/model", "x@http://", "ä" * 300])
def test_a_strange_name_is_refused_or_served_but_never_a_traceback(
    provider: Provider, rest: str
) -> None:
    name = f"{provider.name}:{rest}"
    offer, fault = _outcome(lambda: provider.offer(Model(name)))
    if offer is None:
        assert fault is not None
        assert fault.next_step
        return
    assert offer.spec.name == name
    assert offer.spec.price.is_known or not offer.spec.local


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "anthropic:claude-sonnet-4-5", "scripted:x"])
def test_what_the_user_states_wins(name: str) -> None:
    model = Model(
        name,
        local=True,
        price_in_usd=7,
        price_out_usd=8,
        context_tokens=999,
        capabilities=frozenset({"vision"}),
        memory_bytes=5,
        latency_s=0.25,
        tokens_per_s=3,
        quality=0.9,
    )
    provider = registry.build("providers", name.partition(":")[0])
    assert isinstance(provider, Provider)
    spec = provider.offer(model).spec
    assert spec.local
    assert (spec.price.in_usd, spec.price.out_usd, spec.price.source) == (7, 8, "user")
    assert (spec.context_tokens, spec.memory_bytes) == (999, 5)
    assert spec.capabilities == {"vision"}
    assert (spec.latency_s, spec.tokens_per_s) == (0.25, 3)
    assert spec.ability_source != "default"


@every
def test_offers_are_the_same_twice(provider: Provider) -> None:
    wanted = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5"}
    model = Model(f"{provider.name}:{wanted.get(provider.name, 'x')}")
    first, second = (_outcome(lambda: provider.offer(model)) for _ in range(2))
    assert str(first[1]) == str(second[1])
    assert (first[0] and first[0].spec) == (second[0] and second[0].spec)


def _outcome(call: Callable[[], T]) -> tuple[T | None, GraphrouteError | None]:
    """The value, or the error; another exception than ours fails the test."""
    try:
        return call(), None
    except GraphrouteError as fault:
        return None, fault
