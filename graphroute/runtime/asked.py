"""What tells one model call from another: which model with which settings, and what it is asked.

A model's settings are those that somebody stated on the chat model; what a class sets by itself
goes with its name. Secrets, callbacks, tracing, time-outs and clients say nothing of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import SecretBytes, SecretStr

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime import cache_key, dialect
from graphroute.runtime.request import Request

_SILENT: Final = frozenset(
    (
        *("cache", "callbacks", "callback_manager", "custom_get_token_ids", "metadata", "name"),
        *("profile", "rate_limiter", "tags", "verbose", "disable_streaming", "streaming"),
        *("stream_usage", "stream_chunk_timeout", "max_retries", "timeout", "request_timeout"),
        *("default_request_timeout", "openai_proxy", "openai_organization", "keep_alive"),
        *("client_kwargs", "async_client_kwargs", "sync_client_kwargs", "http_socket_options"),
        *("include_response_headers", "tiktoken_model_name"),
    )
)
# An embedded server listens on another port each time it is started.
_PLACES: Final = frozenset(("base_url", "openai_api_base", "anthropic_api_url"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call on one model: its key, and the digest of each of its parts, by the part's name."""

    key: str
    facets: Mapping[str, str]


def asked(
    spec: ModelSpec,
    chat: BaseChatModel | None,
    request: Request,
    messages: Sequence[BaseMessage],
    *,
    own: BaseChatModel,
) -> Asked | None:
    """What a call asks of a model; None where a part of it cannot be told from others.

    chat: the model's object, None where it is only named
    own: the model the call was made on, in whose words it is answered
    """
    try:
        found = facets(spec, chat, request, messages, own=own)
    except cache_key.Unkeyable:
        return None
    return Asked(key=cache_key.key_of(found), facets=found)


def facets(
    spec: ModelSpec,
    chat: BaseChatModel | None,
    request: Request,
    messages: Sequence[BaseMessage],
    *,
    own: BaseChatModel,
) -> dict[str, str]:
    """The digest of each part of a call, by the part's name; `Unkeyable` where one has none."""
    model = {"name": spec.name, "settings": {} if chat is None else settings(chat, spec)}
    fields: dict[str, Any] = {
        **request.as_made,
        **request.sampling,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop),
    }
    if request.tools or request.schema is not None or request.any_json:
        fields["words"] = dialect.family(own)
    return cache_key.facets(model, fields, messages)


def settings(chat: BaseChatModel, spec: ModelSpec) -> Mapping[str, Any]:
    """What somebody stated on a chat model that may change its answers, and its class.

    >>> from graphroute.ir.catalog import Price
    >>> from graphroute.providers.scripted import ScriptedChat
    >>> price = Price(in_usd=0.0, out_usd=0.0, source="")
    >>> spec = ModelSpec(name="scripted:a", provider="scripted", local=True, price=price)
    >>> settings(ScriptedChat(name="a", temperature=0, tags=["x"]), spec)["temperature"]
    0.0
    """
    kind = type(chat)
    skipped = _SILENT | _PLACES if spec.provider == "llamacpp" else _SILENT
    found: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    for name in chat.model_fields_set - skipped:
        field = kind.model_fields.get(name)
        value = getattr(chat, name, None)
        if value is None or field is None or field.exclude or field.repr is False:
            continue
        if not isinstance(value, (SecretStr, SecretBytes)):
            found[name] = value
    found |= {name: value for name, value in (chat.model_extra or {}).items() if name not in found}
    return found


def is_settled(
    request: Request, spec: ModelSpec, chat: BaseChatModel | None, *, is_own: bool
) -> bool:
    """Whether the same call gets the same answer: one answer, at temperature 0."""
    several = request.as_made.get("n") or (getattr(chat, "n", None) if chat is not None else None)
    if several not in (None, 1):
        return False
    return dialect.temperature(request, spec, chat, is_own=is_own) == 0
