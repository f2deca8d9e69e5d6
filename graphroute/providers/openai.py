"""OpenAI, and any endpoint that speaks its protocol: vLLM, llama.cpp, LM Studio, a gateway.

`"openai:gpt-5-mini"` is OpenAI itself; `"openai:tiny@http://127.0.0.1:8000/v1"` is the model
`tiny` of that endpoint. An endpoint on this machine is local and free unless a price is given;
one elsewhere has the price the user states, because a listed name says nothing of its price.
OpenAI's key goes to OpenAI (or to `OPENAI_BASE_URL`) only; an endpoint named in the model gets
`OPENAI_COMPATIBLE_API_KEY`, or a word that is no key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.ir.catalog import Capability, Model
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._address import is_loopback
from graphroute.providers._endpoint import TIMEOUT_S, listings, loopback_settings
from graphroute.providers._profile import limits
from graphroute.providers._spec import Facts, listed_facts, spec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

REQUIRES = ("langchain_openai",)
EXTRA = "openai"
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)

_PROTOCOL: Final[frozenset[Capability]] = frozenset({"tools", "structured_output"})
"""What the protocol has; a served model that lacks one is told by `Model(capabilities=…)`."""

_NO_KEY: Final = "no-key-needed"
_CALL_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAI:
    """OpenAI, or the endpoint at `base_url` where the model's name gives none."""

    base_url: str | None = None
    environ: Mapping[str, str]
    timeout_s: float = TIMEOUT_S
    name: str = "openai"

    def offer(self, model: Model) -> Offer:
        """Facts of the model; nothing is asked over the network and no key is needed yet."""
        wanted, url, is_named = self._place(model.name)
        if url is None:
            return self._official(model, wanted)
        here = is_loopback(url) if model.local is None else model.local
        facts = Facts(
            provider=self.name,
            local=here,
            price=_prices.resolve(model, local=here),
            capabilities=_PROTOCOL,
        )
        key = self._key(is_named=is_named)
        return Offer(spec=spec(model, facts), open=partial(_open, wanted, url, key, here))

    def _official(self, model: Model, wanted: str) -> Offer:
        facts = listed_facts(
            model,
            self.name,
            found=limits(_open(wanted, None, _NO_KEY, False)),
            listed=_prices.table("openai", wanted),
            local=bool(model.local),
        )
        return Offer(spec=spec(model, facts), open=lambda: self._with_key(model.name, wanted))

    def _with_key(self, name: str, wanted: str) -> BaseChatModel:
        key = self.environ.get("OPENAI_API_KEY")
        if not key:
            raise ProviderUnavailable(
                f"model {name!r} needs the key OPENAI_API_KEY, which is not set",
                model=name,
                next_step="set OPENAI_API_KEY, or name an endpoint: "
                f"'openai:{wanted}@http://127.0.0.1:8000/v1'",
            )
        return _open(wanted, None, key, False)

    def discover(self) -> tuple[Model, ...]:
        """The models an endpoint lists; nothing for OpenAI, whose list is not the user's pool."""
        url = self.base_url or self._environ_url()
        if url is None:
            return ()
        found = listings(url, key=self._key(is_named=bool(self.base_url)), timeout_s=self.timeout_s)
        return tuple(
            Model(f"openai:{entry.model}@{url}", context_tokens=entry.context_tokens)
            for entry in sorted(found, key=lambda entry: entry.model)
        )

    def health(self) -> Health:
        """Whether the endpoint answers; for OpenAI itself, whether there is a key."""
        url = self.base_url or self._environ_url()
        if url is not None:
            try:
                found = self.discover()
            except ProviderUnavailable as fault:
                return Health(is_ok=False, detail=str(fault), next_step=fault.next_step)
            return Health(is_ok=True, detail=f"{url} serves {len(found)} models")
        if self.environ.get("OPENAI_API_KEY"):
            return Health(is_ok=True, detail="OPENAI_API_KEY is set")
        return Health(
            is_ok=False, detail="OPENAI_API_KEY is not set", next_step="set OPENAI_API_KEY"
        )

    def _place(self, name: str) -> tuple[str, str | None, bool]:
        """Model, address and whether the user named the address for this very model."""
        text = name.partition(":")[2]
        for scheme in ("@http://", "@https://"):
            wanted, at, rest = text.partition(scheme)
            if not at:
                continue
            url = scheme[1:] + rest
            if not wanted or not urlsplit(url).hostname:
                raise InvalidValue(
                    f"model name {name!r}",
                    model=name,
                    next_step="use 'openai:model@http://host:port/v1'",
                )
            return wanted, url, True
        if not text:
            raise InvalidValue(f"model name {name!r}", model=name, next_step="use 'openai:model'")
        return text, self.base_url or self._environ_url(), bool(self.base_url)

    def _environ_url(self) -> str | None:
        url = self.environ.get("OPENAI_BASE_URL") or self.environ.get("OPENAI_API_BASE")
        return None if not url or urlsplit(url).hostname == "api.openai.com" else url

    def _key(self, *, is_named: bool) -> str:
        variable = "OPENAI_COMPATIBLE_API_KEY" if is_named else "OPENAI_API_KEY"
        return self.environ.get(variable) or _NO_KEY


def build(
    *,
    base_url: str | None = None,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> OpenAI:
    """OpenAI, or the endpoint at `base_url`; `timeout_s` is for looking, not for calls."""
    return OpenAI(
        base_url=base_url, environ=os.environ if environ is None else environ, timeout_s=timeout_s
    )


def _open(wanted: str, url: str | None, key: str, is_here: bool) -> BaseChatModel:
    # Imported here: this takes half a second, which a pool without OpenAI need not spend.
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    settings: dict[str, Any] = {
        "model": wanted,
        "api_key": SecretStr(key),
        "base_url": url,
        "timeout": _CALL_TIMEOUT_S,
        # A server on this machine that is down stays down; elsewhere a hiccup is worth a retry.
        "max_retries": 0 if is_here else 2,
        "stream_usage": True,
    }
    if url is None or not is_loopback(url):
        return ChatOpenAI(**settings)
    import httpx

    from graphroute.providers._forced_chat import ForcedCallChat

    direct = loopback_settings()
    return ForcedCallChat(
        http_client=httpx.Client(timeout=_CALL_TIMEOUT_S, **direct),
        http_async_client=httpx.AsyncClient(timeout=_CALL_TIMEOUT_S, **direct),
        use_responses_api=False,
        **settings,
    )
