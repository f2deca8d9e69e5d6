"""What a LangChain chat model object says of itself: limits, capabilities, where it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel

from graphroute.ir.catalog import Capability
from graphroute.ir.naming import pool_name
from graphroute.providers._address import is_loopback, ollama_url

_FLAGS: tuple[tuple[Capability, str], ...] = (
    ("tools", "tool_calling"),
    ("structured_output", "structured_output"),
    ("vision", "image_inputs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits in tokens; None where the object does not say."""

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] = frozenset()


def limits(chat: BaseChatModel) -> Limits:
    """From the object's profile, else from what its class implements."""
    profile: Mapping[str, Any] = chat.profile or {}
    stated = next(
        (
            value
            for name in ("max_tokens", "num_predict", "max_output_tokens")
            if isinstance(value := getattr(chat, name, None), int) and value > 0
        ),
        None,
    )
    window = getattr(chat, "num_ctx", None) or profile.get("max_input_tokens")
    return Limits(
        context_tokens=window if isinstance(window, int) and window > 0 else None,
        max_output_tokens=stated or profile.get("max_output_tokens"),
        capabilities=_capabilities(chat, profile),
    )


def _capabilities(chat: BaseChatModel, profile: Mapping[str, Any]) -> frozenset[Capability]:
    if profile:
        found: set[Capability] = {name for name, flag in _FLAGS if profile.get(flag)}
        # The default with_structured_output is a forced tool call, so tools are enough for it.
        return frozenset(found | {"structured_output"} if "tools" in found else found)
    kind = type(chat)
    if kind.bind_tools is not BaseChatModel.bind_tools:
        return frozenset({"tools", "structured_output"})
    if kind.with_structured_output is not BaseChatModel.with_structured_output:
        return frozenset({"structured_output"})
    return frozenset()


def is_local(chat: object) -> bool:
    """Whether the object calls a server of this machine; a class that does not say counts as not.

    Nothing is asked over the network: the address it holds decides.
    """
    provider, _, model = pool_name(chat).partition(":")
    if provider == "llamacpp":
        return True
    if provider == "ollama" and is_remote_tag(model.rpartition("@")[0] or model):
        return False
    _, at, place = model.rpartition("@")
    if at:
        return is_loopback(place)
    return provider == "ollama" and is_loopback(ollama_url(getattr(chat, "base_url", None)))


def is_remote_tag(model: str) -> bool:
    """Whether an Ollama model's tag says that Ollama passes its calls on to its cloud.

    >>> is_remote_tag("gpt-oss:120b-cloud"), is_remote_tag("llama3.2:3b")
    (True, False)
    """
    tag = model.partition(":")[2]
    return tag == "cloud" or tag.endswith("-cloud")
