"""LangChain chat models behind OpenAI's shapes: names in, completions out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from graphroute.ir.catalog import Model
from graphroute.pool import build_pool

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_FINISH = {"stop": "stop", "length": "length", "max_tokens": "length", "tool_calls": "tool_calls"}


class Chats:
    """Opens models by the names RouteLLM's users write: `gpt-4o`, `ollama_chat/llama3`, …"""

    def __init__(
        self, *, api_base: str | None, api_key: str | None, given: Mapping[str, Any]
    ) -> None:
        self._api_base, self._api_key = api_base, api_key
        self._opened: dict[str, BaseChatModel] = dict(given)

    def open(self, name: str) -> BaseChatModel:
        """The chat model called `name`, opened once."""
        if name not in self._opened:
            self._opened[name] = self._made(name)
        return self._opened[name]

    def _made(self, name: str) -> BaseChatModel:
        pool_name = named(name)
        if self._api_base is not None and pool_name.startswith("openai:"):
            from langchain_openai import ChatOpenAI
            from pydantic import SecretStr

            return ChatOpenAI(
                model=pool_name.partition(":")[2],
                base_url=self._api_base,
                api_key=SecretStr(self._api_key or "no-key-needed"),
            )
        # The price does not matter to a threshold router, so an unknown one is no obstacle.
        member = Model(pool_name, price_in_usd=0.0, price_out_usd=0.0)
        return build_pool([member]).open(pool_name)


def named(name: str) -> str:
    """graphroute's name of a model in LiteLLM's spelling.

    >>> named("gpt-4o"), named("ollama_chat/llama3.2"), named("anthropic/claude-3-haiku")
    ('openai:gpt-4o', 'ollama:llama3.2', 'anthropic:claude-3-haiku')
    """
    provider, slash, rest = name.partition("/")
    if slash:
        known = {"ollama_chat": "ollama", "ollama": "ollama", "anthropic": "anthropic"}
        return f"{known.get(provider, 'openai')}:{rest if provider in known else _bare(name)}"
    if name.partition(":")[0] in ("openai", "ollama", "anthropic", "llamacpp", "scripted"):
        return name
    return f"anthropic:{name}" if name.startswith("claude") else f"openai:{name}"


def _bare(name: str) -> str:
    return name.removeprefix("openai/")


def reply_of(message: Any, model: str) -> SimpleNamespace:
    """A chat completion as OpenAI's library gives it, from LangChain's message."""
    usage = message.usage_metadata or {}
    calls = [
        SimpleNamespace(
            id=call.get("id"),
            type="function",
            function=SimpleNamespace(name=call["name"], arguments=_json(call["args"])),
        )
        for call in getattr(message, "tool_calls", None) or ()
    ]
    reason = message.response_metadata.get("finish_reason") or (
        message.response_metadata.get("done_reason")
    )
    choice = SimpleNamespace(
        index=0,
        finish_reason=_FINISH.get(str(reason), "tool_calls" if calls else "stop"),
        message=SimpleNamespace(
            role="assistant", content=str(message.text), tool_calls=calls or None
        ),
    )
    return SimpleNamespace(
        id=message.id or f"chatcmpl-{uuid.uuid4().hex}",
        object="chat.completion",
        created=int(time.time()),
        model=model,
        choices=[choice],
        usage=SimpleNamespace(
            prompt_tokens=usage.get("input_tokens", 0),
            completion_tokens=usage.get("output_tokens", 0),
            total_tokens=usage.get("total_tokens", 0),
        ),
    )


def stream_of(chunks: Iterable[Any], model: str) -> Iterator[SimpleNamespace]:
    """Chunks as OpenAI's library gives them; the last one carries the finish reason."""
    ident, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())

    def chunk(content: str | None, reason: str | None) -> SimpleNamespace:
        delta = SimpleNamespace(role="assistant", content=content)
        return SimpleNamespace(
            id=ident,
            object="chat.completion.chunk",
            created=created,
            model=model,
            choices=[SimpleNamespace(index=0, delta=delta, finish_reason=reason)],
        )

    for part in chunks:
        if text := str(part.text):
            yield chunk(text, None)
    yield chunk(None, "stop")


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
