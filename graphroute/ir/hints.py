"""What only the author of a node knows: `RouteHints`, and what a run may spend: `Budget`.

Both are checked when they are made, so a typing error shows where it was typed and not in a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from graphroute.errors import InvalidValue

Privacy = Literal["local", "any"]
OnExceed = Literal["degrade", "interrupt", "raise"]
Objective = Literal["quality", "cost", "latency"]

private: Final = "graphroute: private"
"""Marks a key of a graph's state as private, whoever writes it: `ticket: Annotated[str, private]`.

Nodes that read it, and what is derived from it, stay on this machine as behind `privacy="local"`.
Next to a reducer it stands first: `Annotated[list, private, operator.add]`.
"""

NANO = 1_000_000_000
"""Nano-dollars in a dollar; all money that is counted (not planned) is an integer of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteHints:
    """Facts about one node that its author states; `None` everywhere means "find out yourself".

    complexity: difficulty of the step in [0, 1], instead of the structural score
    min_quality: smallest acceptable probability of a good answer, in [0, 1]
    models: names this node may use; pin: the one name it must use
    privacy: `"local"` keeps every call of the node on this machine, whatever the plan says
    weight: how much the node counts for the end result, ≥ 0 (default from the graph)
    max_output_tokens: largest answer the node asks for, > 0
    verify: `(messages, reply)` → is the answer good: a bool, a score in [0, 1] or a `Verdict`
    verify_output: the same of what the node returns, `(state, update)`; where it says no, the node
        is run again on another model, if running it again is safe. Beside `verify` it is recorded
    hint: False: the model that is asked after `verify` refused an answer is not told of it; else it
        is shown the answer and what the check says is wrong with it
    cache, batch, deferrable: for the cache and the batcher

    >>> RouteHints(complexity=0.2, privacy="local").privacy
    'local'
    """

    complexity: float | None = None
    min_quality: float | None = None
    models: tuple[str, ...] | None = None
    pin: str | None = None
    privacy: Privacy | None = None
    cache: bool | Literal["auto", "semantic"] | None = None
    batch: bool | Literal["pack"] | None = None
    verify: Callable[..., Any] | None = None
    verify_output: Callable[..., Any] | None = None
    hint: bool | None = None
    weight: float | None = None
    max_output_tokens: int | None = None
    deferrable: bool = False

    def __post_init__(self) -> None:
        _unit("complexity", self.complexity)
        _unit("min_quality", self.min_quality)
        if isinstance(self.models, str):
            raise InvalidValue(
                f"models={self.models!r} is a string",
                value=self.models,
                next_step=f"write models=({self.models!r},)",
            )
        if self.models is not None:
            object.__setattr__(self, "models", tuple(self.models))
            if not self.models:
                raise InvalidValue(
                    "models=() allows no model", next_step="name one or leave it out"
                )
        if self.pin is not None and self.models is not None and self.pin not in self.models:
            raise InvalidValue(
                f"pin={self.pin!r} is not among models={self.models!r}",
                value=self.pin,
                next_step="pin one of them or drop models=",
            )
        if self.privacy not in (None, "local", "any"):
            raise InvalidValue(
                f"privacy={self.privacy!r}", value=self.privacy, next_step="use 'local' or 'any'"
            )
        if self.weight is not None and not (_is_number(self.weight) and self.weight >= 0):
            raise InvalidValue(
                f"weight={self.weight!r}", value=self.weight, next_step="use a number ≥ 0"
            )
        for name in ("verify", "verify_output"):
            if (check := getattr(self, name)) is not None and not callable(check):
                raise InvalidValue(
                    f"{name}={check!r}", value=check, next_step="give a function, or one of verify"
                )
        if self.hint not in (None, True, False):
            raise InvalidValue(
                f"hint={self.hint!r}", value=self.hint, next_step="use True or False"
            )
        tokens = self.max_output_tokens
        if tokens is not None and (
            isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1
        ):
            raise InvalidValue(
                f"max_output_tokens={tokens!r}", value=tokens, next_step="use a whole number ≥ 1"
            )

    def merged(self, other: RouteHints) -> RouteHints:
        """These hints, with every fact that `other` states laid over them."""
        stated = {
            f.name: getattr(other, f.name)
            for f in fields(other)
            if getattr(other, f.name) != f.default
        }
        return RouteHints(**{f.name: getattr(self, f.name) for f in fields(self)} | stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent, in USD, and what happens at the limit.

    >>> Budget(per_run_usd=0.02).per_run_nano
    20000000
    """

    per_run_usd: float | None = None
    per_day_usd: float | None = None
    per_month_usd: float | None = None
    on_exceed: OnExceed = "degrade"

    def __post_init__(self) -> None:
        for name in ("per_run_usd", "per_day_usd", "per_month_usd"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                raise InvalidValue(
                    f"budget {name}={value!r}",
                    value=value,
                    next_step="use a finite number of US dollars ≥ 0, or None for no limit",
                )
        if self.on_exceed not in ("degrade", "interrupt", "raise"):
            raise InvalidValue(
                f"on_exceed={self.on_exceed!r}",
                value=self.on_exceed,
                next_step="use 'degrade', 'interrupt' or 'raise'",
            )

    @property
    def per_run_nano(self) -> int | None:
        """The run's limit in nano-dollars, rounded down so that rounding never overspends."""
        return _nano(self.per_run_usd)

    @property
    def per_day_nano(self) -> int | None:
        """The day's limit in nano-dollars, rounded down."""
        return _nano(self.per_day_usd)

    @property
    def per_month_nano(self) -> int | None:
        """The month's limit in nano-dollars, rounded down."""
        return _nano(self.per_month_usd)

    @property
    def is_limited(self) -> bool:
        """Whether any limit is set, so that every price must be known."""
        return (self.per_run_usd, self.per_day_usd, self.per_month_usd) != (None, None, None)


def _nano(usd: float | None) -> int | None:
    # The small addend keeps 0.1 + 0.2 dollars from losing a nano-dollar to the binary fraction.
    return None if usd is None else math.floor(usd * NANO + 1e-6)


def _is_number(value: object) -> bool:
    # Beyond 1e18 nothing here is meant, and a whole number can be too large to be a float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e18


def _unit(name: str, value: float | None) -> None:
    if value is not None and not (_is_number(value) and 0 <= value <= 1):
        raise InvalidValue(f"{name}={value!r}", value=value, next_step="use a number in [0, 1]")
