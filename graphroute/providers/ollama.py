"""Models of an Ollama server: found by the `ollama` client, called by `langchain-ollama`.

`"ollama:llama3.2"` is the installed `llama3.2:latest`. The context Ollama gives a call is what
the call asks for, not what the model was trained with, and a prompt past it is cut off without a
word. So each call asks for a context of its own, and that is what the plan counts with: what the
user states, else what the model's file asks for, else the trained one up to 8192 tokens (a larger
one costs memory).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from graphroute.errors import InvalidValue, ProviderUnavailable, UnknownModel
from graphroute.ir.catalog import Capability, Model
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._address import is_loopback, ollama_url
from graphroute.providers._endpoint import loopback_settings
from graphroute.providers._ollama_api import Installed, Shown, installed, match, show
from graphroute.providers._profile import is_remote_tag
from graphroute.providers._spec import Facts, spec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from ollama import Client

REQUIRES = ("ollama", "langchain_ollama")
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)

TIMEOUT_S: Final = 3.0
DEFAULT_CONTEXT_TOKENS: Final = 8192
_CALL_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Ollama:
    """One Ollama server; `timeout_s` is for looking, not for calls.

    slots: requests each model is served at once, where the server's setting is known here
    """

    url: str
    timeout_s: float = TIMEOUT_S
    slots: int | None = None
    name: str = "ollama"

    @cached_property
    def _client(self) -> Client:
        from ollama import Client

        return Client(host=self.url, timeout=self.timeout_s, **self._settings())

    def _settings(self) -> dict[str, Any]:
        return loopback_settings() if is_loopback(self.url) else {}

    def offer(self, model: Model) -> Offer:
        """Facts of an installed model; `UnknownModel` lists what is installed."""
        wanted = model.name.partition(":")[2]
        if not wanted:
            raise InvalidValue(
                f"model name {model.name!r}", model=model.name, next_step="use 'ollama:model'"
            )
        models = installed(self._client, self.url)
        found = match(wanted, models)
        if found is None:
            names = tuple(entry.model for entry in models)
            raise UnknownModel(
                f"Ollama at {self.url} has no model {wanted!r}",
                model=model.name,
                known=names,
                next_step=f"run 'ollama pull {wanted}', or use one of: "
                f"{', '.join(names) or '(none is installed)'}",
            )
        shown = show(self._client, self.url, found.model)
        if "completion" not in shown.capabilities:
            raise UnknownModel(
                f"the model {wanted!r} of Ollama cannot chat",
                model=model.name,
                value=sorted(shown.capabilities),
                next_step="use a chat model; this one is for "
                f"{', '.join(sorted(shown.capabilities))}",
            )
        context = _context(model, shown)
        here = is_loopback(self.url) and not is_remote_tag(found.model)
        facts = _facts(found, shown, context, model, here if model.local is None else model.local)
        facts = replace(facts, slots=self.slots)
        return Offer(spec=spec(model, facts), open=lambda: self._open(found.model, context))

    def _open(self, model: str, context: int) -> BaseChatModel:
        from langchain_ollama import ChatOllama

        return ChatOllama(
            model=model,
            base_url=self.url,
            num_ctx=context,
            client_kwargs={"timeout": _CALL_TIMEOUT_S, **self._settings()},
        )

    def discover(self) -> tuple[Model, ...]:
        """Every installed model that can chat; `ProviderUnavailable` if the server is not there.

        A model whose details cannot be had is left out: it could not be planned with.
        """
        found: list[Model] = []
        for entry in installed(self._client, self.url):
            try:
                shown = show(self._client, self.url, entry.model)
            except ProviderUnavailable:
                continue
            if "completion" in shown.capabilities:
                found.append(Model(f"ollama:{entry.model.removesuffix(':latest')}"))
        return tuple(found)

    def health(self) -> Health:
        """Whether the server answers, and what it has."""
        try:
            models = installed(self._client, self.url)
        except ProviderUnavailable as fault:
            return Health(is_ok=False, detail=str(fault), next_step=fault.next_step)
        loaded = sum(entry.loaded for entry in models)
        return Health(
            is_ok=bool(models),
            detail=f"{self.url} has {len(models)} models, {loaded} loaded",
            next_step="" if models else "run 'ollama pull llama3.2'",
        )


def build(
    *,
    host: str | None = None,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Ollama:
    """The server at `host`, else at OLLAMA_HOST, else on this machine.

    >>> build(host="127.0.0.1:9999").url
    'http://127.0.0.1:9999'
    """
    known = os.environ if environ is None else environ
    # The server's own setting, which this process sees where both were started alike.
    parallel = known.get("OLLAMA_NUM_PARALLEL", "")
    slots = int(parallel) if parallel.isdecimal() and int(parallel) > 0 else None
    return Ollama(url=ollama_url(host, known), timeout_s=timeout_s, slots=slots)


def _context(model: Model, shown: Shown) -> int:
    trained = shown.context_tokens or DEFAULT_CONTEXT_TOKENS
    wanted = model.context_tokens or shown.num_ctx or DEFAULT_CONTEXT_TOKENS
    return min(wanted, trained) if model.context_tokens is None else wanted


def _facts(found: Installed, shown: Shown, context: int, model: Model, is_here: bool) -> Facts:
    # Ollama holds every model to a JSON schema by grammar, so structured output is always there.
    capabilities: set[Capability] = {"structured_output"}
    if "tools" in shown.capabilities:
        capabilities.add("tools")
    if "vision" in shown.capabilities:
        capabilities.add("vision")
    size = found.size_bytes
    return Facts(
        provider="ollama",
        local=is_here,
        price=_prices.resolve(model, local=is_here),
        context_tokens=context,
        capabilities=frozenset(capabilities),
        memory_bytes=None if size is None else size + context * shown.kv_bytes_per_token,
        parameters=shown.parameters,
        quantization=shown.quantization,
        loaded=found.loaded,
        tokens_per_s=20.0,
    )
