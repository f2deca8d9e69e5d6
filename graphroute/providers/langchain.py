"""Any LangChain chat model: an object that was given, or a `"provider:model"` text.

An object is used as it is. A text is opened by LangChain's `init_chat_model`, so each provider
that LangChain has a package for works; the plan can be made before its key is set.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, cast

from langchain_core.language_models import BaseChatModel

from graphroute.errors import InvalidValue, ProviderUnavailable, UnknownModel
from graphroute.ir.catalog import Capability, Model
from graphroute.ir.naming import pool_name
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._profile import Limits, is_local, limits
from graphroute.providers._spec import listed_facts, spec

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)

PACKAGES: Final[Mapping[str, str]] = {
    "azure_ai": "langchain-azure-ai",
    "azure_openai": "langchain-openai",
    "bedrock": "langchain-aws",
    "bedrock_converse": "langchain-aws",
    "cohere": "langchain-cohere",
    "deepseek": "langchain-deepseek",
    "fireworks": "langchain-fireworks",
    "google_genai": "langchain-google-genai",
    "google_vertexai": "langchain-google-vertexai",
    "groq": "langchain-groq",
    "huggingface": "langchain-huggingface",
    "ibm": "langchain-ibm",
    "mistralai": "langchain-mistralai",
    "nvidia": "langchain-nvidia-ai-endpoints",
    "openrouter": "langchain-openrouter",
    "perplexity": "langchain-perplexity",
    "together": "langchain-together",
    "upstage": "langchain-upstage",
    "xai": "langchain-xai",
}
"""Providers `init_chat_model` opens, and the package each one needs."""

_CLOUD_CAPABILITIES: Final[frozenset[Capability]] = frozenset({"tools", "structured_output"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LangChain:
    """Chat model objects and whatever `init_chat_model` opens."""

    name: str = "langchain"

    def offer(self, model: Model) -> Offer:
        """Facts of an object, or of a text whose provider's package is installed."""
        return self._wrap(model) if model.chat is not None else self._named(model)

    def _wrap(self, model: Model) -> Offer:
        chat = model.chat
        if not isinstance(chat, BaseChatModel):
            raise InvalidValue(
                f"model {model.name!r}: {type(chat).__name__} is no LangChain chat model",
                model=model.name,
                next_step="pass the chat model itself, without bound tools, retries or fallbacks",
            )
        provider, _, rest = pool_name(chat).partition(":")
        here = is_local(chat) if model.local is None else model.local
        own, at, _ = rest.rpartition("@")
        # A compatible endpoint elsewhere may serve a model of a listed name at its own price.
        listed = None if here or at else _prices.table(provider, own or rest)
        facts = listed_facts(model, provider, found=limits(chat), listed=listed, local=here)
        return Offer(spec=spec(model, facts), open=lambda: chat)

    def _named(self, model: Model) -> Offer:
        provider, _, rest = model.name.partition(":")
        package = PACKAGES.get(provider)
        if package is None or not rest:
            known = ("anthropic", "llamacpp", "ollama", "openai", "scripted", *PACKAGES)
            raise UnknownModel(
                f"no provider for model {model.name!r}",
                model=model.name,
                known=tuple(sorted(known)),
                next_step="use 'provider:model' with one of "
                f"{', '.join(sorted(known))}, or pass a LangChain chat model",
            )
        require(model.name, "langchain", "langchain")
        require(model.name, package.replace("-", "_"), package)
        facts = listed_facts(
            model,
            provider,
            found=Limits(capabilities=_CLOUD_CAPABILITIES),
            listed=_prices.table(provider, rest),
            local=bool(model.local),
        )
        return Offer(spec=spec(model, facts), open=lambda: open_named(model.name))

    def discover(self) -> tuple[Model, ...]:
        """Nothing: a cloud provider's list is not a list of what the user may use."""
        return ()

    def health(self) -> Health:
        """Whether texts can be opened; objects always can."""
        if find_spec("langchain") is None:
            return Health(
                is_ok=False,
                detail="chat model objects only; texts like 'groq:…' need langchain",
                next_step="run: pip install langchain",
            )
        return Health(is_ok=True, detail="chat model objects and 'provider:model' texts")


def build() -> LangChain:
    """The provider of last resort: it takes what no other one does."""
    return LangChain()


def require(model: str, module: str, package: str) -> None:
    """`ProviderUnavailable` with the pip command unless `module` can be imported."""
    if find_spec(module) is None:
        raise ProviderUnavailable(
            f"model {model!r} needs the package {package}",
            model=model,
            package=package,
            next_step=f"run: pip install {package}",
        )


def open_named(name: str) -> BaseChatModel:
    """Open a text by LangChain; a missing key or package is a `ProviderUnavailable`."""
    # Not a plain import: langchain is optional, and is checked for before we come here.
    models = importlib.import_module("langchain.chat_models")
    start = cast("Callable[[str], BaseChatModel]", models.init_chat_model)
    try:
        return start(name)
    except Exception as fault:
        raise ProviderUnavailable(
            f"model {name!r} does not open: {first_line(fault)}",
            model=name,
            next_step="set what it asks for (usually an API key in the environment)",
        ) from fault


def first_line(fault: BaseException) -> str:
    """Type and first line of an exception's text, for messages of one line."""
    lines = str(fault).strip().splitlines()
    return f"{type(fault).__name__}: {lines[0][:200]}" if lines else type(fault).__name__
