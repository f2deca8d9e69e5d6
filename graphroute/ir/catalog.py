"""The pool: which models there are, what each can do, what it costs and how able it is.

`Model` is what a user writes; a provider turns it into a `ModelSpec`, in which nothing is open any
more except what nobody knows (then None). A `Catalog` is the tuple of specs a plan chooses from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from graphroute.errors import InvalidValue, UnknownModel

Capability = Literal["tools", "structured_output", "vision"]
CAPABILITIES: tuple[Capability, ...] = ("tools", "structured_output", "vision")


@dataclass(frozen=True, slots=True)
class Model:
    """One member of the pool as the user states it; everything not given is looked up.

    name: `"provider:model"`, e.g. `"ollama:llama3.2"`, `"openai:gpt-5-mini"`,
        `"llamacpp:/models/tiny.gguf"`; free to choose where `chat` is given
    chat: any LangChain chat model; resolved from `name` if None
    local: runs on this machine (None: the provider knows)
    price_in_usd, price_out_usd: US dollars per million tokens, ≥ 0; always win over the table
    quality: prior probability of a good answer on a step of middle difficulty, in (0, 1)
    context_tokens: largest prompt plus answer; memory_bytes: needed to hold it loaded
    latency_s: seconds to the first token; tokens_per_s: generation speed
    slots: calls its server works on at once; for a cloud model, the most it is to be sent at once

    >>> Model("ollama:llama3.2", quality=0.7).name
    'ollama:llama3.2'
    """

    name: str
    chat: object | None = field(default=None, repr=False)
    local: bool | None = field(default=None, kw_only=True)
    price_in_usd: float | None = field(default=None, kw_only=True)
    price_out_usd: float | None = field(default=None, kw_only=True)
    quality: float | None = field(default=None, kw_only=True)
    context_tokens: int | None = field(default=None, kw_only=True)
    capabilities: frozenset[Capability] | None = field(default=None, kw_only=True)
    memory_bytes: int | None = field(default=None, kw_only=True)
    latency_s: float | None = field(default=None, kw_only=True)
    tokens_per_s: float | None = field(default=None, kw_only=True)
    slots: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InvalidValue(
                f"model name {self.name!r}", value=self.name, next_step="use 'provider:model'"
            )
        for name, low in (
            ("price_in_usd", 0.0),
            ("price_out_usd", 0.0),
            ("latency_s", 0.0),
            ("tokens_per_s", 1e-9),
            ("context_tokens", 1),
            ("memory_bytes", 0),
            ("slots", 1),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or value < low:
                raise InvalidValue(
                    f"model {self.name!r}: {name}={value!r}",
                    model=self.name,
                    value=value,
                    next_step=f"use a finite number ≥ {low:g}",
                )
        if self.quality is not None and not 0 < self.quality < 1:
            raise InvalidValue(
                f"model {self.name!r}: quality={self.quality!r}",
                model=self.name,
                value=self.quality,
                next_step="use a probability strictly between 0 and 1",
            )
        if self.capabilities is not None:
            given = frozenset(self.capabilities)
            if unknown := sorted(given - set(CAPABILITIES)):
                raise InvalidValue(
                    f"model {self.name!r}: capabilities {', '.join(map(repr, unknown))}",
                    model=self.name,
                    value=unknown,
                    next_step=f"known are {', '.join(CAPABILITIES)}",
                )
            object.__setattr__(self, "capabilities", given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, with where the figure is from and of which date.

    is_known: False where nobody knows the price; the figures are then 0 and mean nothing
    """

    in_usd: float
    out_usd: float
    source: str
    date: str | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A resolved model.

    ability: in [0, 1], on the same scale as a step's difficulty (`ir.quality`); `ability_source`
        says whether it comes from the user, a published figure or the parameter count
    overhead_tokens: prompt tokens that the endpoint's own template adds to each call
    single_turn: it answers one question at a time and makes nothing of an exchange before it
    slots: calls its server works on at once, None where nobody knows or it adapts
    original: the graph itself holds this model
    """

    name: str
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
    ability: float = 0.5
    ability_source: str = "default"
    overhead_tokens: int = 0
    single_turn: bool = False
    original: bool = False
    slots: int | None = None

    def cost_usd(self, in_tokens: float, out_tokens: float) -> float:
        """Price of one call in USD for that many prompt and answer tokens."""
        return (in_tokens * self.price.in_usd + out_tokens * self.price.out_usd) / 1e6

    def time_s(self, out_tokens: float) -> float:
        """Seconds for one call that writes `out_tokens` tokens."""
        return self.latency_s + out_tokens / self.tokens_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The pool, sorted by name, so that ties break the same way each time."""

    models: tuple[ModelSpec, ...]

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models of the pool."""
        return tuple(model.name for model in self.models)

    def get(self, name: str) -> ModelSpec:
        """The spec called `name`; `UnknownModel` with the known names if there is none."""
        for model in self.models:
            if model.name == name:
                return model
        raise UnknownModel(
            f"no model {name!r} in the pool",
            model=name,
            known=self.names,
            next_step=f"the pool has {', '.join(self.names)}",
        )
