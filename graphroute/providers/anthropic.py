"""Anthropic's models, called by `langchain-anthropic`: `"anthropic:claude-sonnet-4-5"`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.catalog import Model
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._profile import limits
from graphroute.providers._spec import listed_facts, spec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

REQUIRES = ("langchain_anthropic",)
EXTRA = "anthropic"
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)
_CALL_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anthropic:
    """Anthropic's API."""

    environ: Mapping[str, str]
    name: str = "anthropic"

    def offer(self, model: Model) -> Offer:
        """Facts of the model; no key is needed before it is opened."""
        wanted = model.name.partition(":")[2]
        if not wanted:
            raise InvalidValue(
                f"model name {model.name!r}",
                model=model.name,
                next_step="use 'anthropic:model'",
            )
        facts = listed_facts(
            model,
            self.name,
            found=limits(_open(wanted, "not-set")),
            listed=_prices.table("anthropic", wanted),
            local=bool(model.local),
        )
        return Offer(spec=spec(model, facts), open=lambda: self._with_key(model.name, wanted))

    def _with_key(self, name: str, wanted: str) -> BaseChatModel:
        key = self.environ.get("ANTHROPIC_API_KEY")
        if not key:
            raise ProviderUnavailable(
                f"model {name!r} needs the key ANTHROPIC_API_KEY, which is not set",
                model=name,
                next_step="set ANTHROPIC_API_KEY",
            )
        return _open(wanted, key)

    def discover(self) -> tuple[Model, ...]:
        """Nothing: the provider's list is not the user's pool."""
        return ()

    def health(self) -> Health:
        """Whether there is a key."""
        if self.environ.get("ANTHROPIC_API_KEY"):
            return Health(is_ok=True, detail="ANTHROPIC_API_KEY is set")
        return Health(
            is_ok=False, detail="ANTHROPIC_API_KEY is not set", next_step="set ANTHROPIC_API_KEY"
        )


def build(*, environ: Mapping[str, str] | None = None) -> Anthropic:
    """Anthropic's API with the key of the environment."""
    return Anthropic(environ=os.environ if environ is None else environ)


def _open(wanted: str, key: str) -> BaseChatModel:
    from langchain_anthropic import ChatAnthropic
    from pydantic import SecretStr

    return ChatAnthropic(
        model_name=wanted, api_key=SecretStr(key), timeout=_CALL_TIMEOUT_S, stop=None
    )
