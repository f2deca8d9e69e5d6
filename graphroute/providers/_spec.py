"""From what a user states and what a provider finds out to a `ModelSpec`: the user always wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from graphroute.ir.ability import ability
from graphroute.ir.catalog import Capability, Model, ModelSpec, Price
from graphroute.providers import _prices
from graphroute.providers._profile import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a provider found out about a model; None where it cannot know."""

    provider: str
    local: bool
    price: Price
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] = frozenset()
    memory_bytes: int | None = None
    parameters: int | None = None
    quantization: str | None = None
    loaded: bool | None = None
    latency_s: float = 0.5
    tokens_per_s: float = 50.0
    overhead_tokens: int = 0
    single_turn: bool = False
    slots: int | None = None


def listed_facts(
    model: Model, provider: str, *, found: Limits, listed: _prices.Listed | None, local: bool
) -> Facts:
    """Facts of a model whose price and context may stand in the table."""
    return Facts(
        provider=provider,
        local=local,
        price=_prices.resolve(model, local=local, listed=listed.price if listed else None),
        context_tokens=_prices.room(model, found.context_tokens, listed),
        max_output_tokens=found.max_output_tokens,
        capabilities=found.capabilities,
    )


def spec(model: Model, facts: Facts) -> ModelSpec:
    """The resolved model; a context given by the user also caps the answer's length.

    >>> found = Facts(provider="scripted", local=False, price=Price(in_usd=1, out_usd=2, source=""))
    >>> spec(Model("scripted:weak", latency_s=0.1, quality=0.8), found).latency_s
    0.1
    """
    able, source = ability(model.name, facts.parameters, model.quality)
    context = _first(model.context_tokens, facts.context_tokens)
    longest = facts.max_output_tokens
    if longest is not None and context is not None:
        longest = min(longest, context)
    return ModelSpec(
        name=model.name,
        provider=facts.provider,
        local=facts.local,
        price=facts.price,
        context_tokens=context,
        max_output_tokens=longest,
        capabilities=_first(model.capabilities, facts.capabilities) or frozenset(),
        memory_bytes=_first(model.memory_bytes, facts.memory_bytes),
        parameters=facts.parameters,
        quantization=facts.quantization,
        loaded=facts.loaded,
        latency_s=facts.latency_s if model.latency_s is None else model.latency_s,
        tokens_per_s=facts.tokens_per_s if model.tokens_per_s is None else model.tokens_per_s,
        ability=able,
        ability_source=source,
        overhead_tokens=facts.overhead_tokens,
        single_turn=facts.single_turn,
        slots=_first(model.slots, facts.slots),
    )


def _first(stated: T | None, found: T | None) -> T | None:
    return found if stated is None else stated
