"""LangChain chat models behind OpenAI's shapes: names in, completions out."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from graphroute.ir.catalog import Model
from graphroute.pool import build_pool

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_AT_OLLAMA: Final = {"max_tokens": "num_predict", "max_completion_tokens": "num_predict"} | {
    name: name for name in ("temperature", "top_p", "seed")
}
"""Arguments of OpenAI's that Ollama has among its options, and what it calls them."""

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


class Fields(SimpleNamespace):
    """An answer that reads like OpenAI's objects and, as LiteLLM's do, like a dict.

    >>> answer = Fields(model="m", choices=[Fields(index=0)])
    >>> answer.choices[0].index, answer["model"], answer.get("usage")
    (0, 'm', None)
    >>> answer.model_dump()
    {'model': 'm', 'choices': [{'index': 0}]}
    """

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def get(self, name: str, default: Any = None) -> Any:
        """The field called `name`, or `default`."""
        return self.__dict__.get(name, default)

    def model_dump(self) -> dict[str, Any]:
        """Plain values, all the way down."""
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def model_dump_json(self) -> str:
        """The same as JSON text."""
        return _json(self.model_dump())


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.model_dump()
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def asked(chat: BaseChatModel, options: Mapping[str, Any]) -> tuple[BaseChatModel, dict[str, Any]]:
    """The model and the keyword arguments to call it with, for OpenAI's arguments.

    Ollama takes what says how to sample among its options, and would refuse it beside them.
    """
    rest = dict(options)
    if isinstance(stop := rest.get("stop"), str):
        rest["stop"] = [stop]
    if not hasattr(chat, "num_predict"):
        return chat, rest
    fields = {_AT_OLLAMA[name]: rest.pop(name) for name in list(rest) if name in _AT_OLLAMA}
    return (chat.model_copy(update=fields) if fields else chat), rest


def reply_of(message: Any, model: str) -> Fields:
    """A chat completion as OpenAI's library gives it, from LangChain's message."""
    usage = message.usage_metadata or {}
    calls = [
        Fields(
            id=call.get("id"),
            type="function",
            function=Fields(name=call["name"], arguments=_json(call["args"])),
        )
        for call in getattr(message, "tool_calls", None) or ()
    ]
    reason = message.response_metadata.get("finish_reason") or (
        message.response_metadata.get("done_reason")
    )
    choice = Fields(
        index=0,
        finish_reason=_FINISH.get(str(reason), "tool_calls" if calls else "stop"),
        message=Fields(role="assistant", content=str(message.text), tool_calls=calls or None),
    )
    return Fields(
        id=message.id or f"chatcmpl-{uuid.uuid4().hex}",
        object="chat.completion",
        created=int(time.time()),
        model=model,
        choices=[choice],
        usage=Fields(
            prompt_tokens=usage.get("input_tokens", 0),
            completion_tokens=usage.get("output_tokens", 0),
            total_tokens=usage.get("total_tokens", 0),
        ),
    )


class _Chunks:
    """Chunks as OpenAI's library gives them; the last one carries the finish reason."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._ident, self._created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        self._reason = "stop"

    def of(self, part: Any) -> Fields | None:
        """The chunk of one part of an answer; None for a part without text."""
        told = part.response_metadata
        reason = told.get("finish_reason") or told.get("done_reason")
        self._reason = _FINISH.get(str(reason), self._reason)
        text = str(part.text)
        return self._chunk(text, None) if text else None

    def last(self) -> Fields:
        """What ends the stream."""
        return self._chunk(None, self._reason)

    def _chunk(self, content: str | None, reason: str | None) -> Fields:
        delta = Fields(role="assistant", content=content)
        return Fields(
            id=self._ident,
            object="chat.completion.chunk",
            created=self._created,
            model=self._model,
            choices=[Fields(index=0, delta=delta, finish_reason=reason)],
        )


def stream_of(parts: Iterable[Any], model: str) -> Iterator[Fields]:
    """The parts of an answer as OpenAI's chunks."""
    chunks = _Chunks(model)
    for part in parts:
        if (chunk := chunks.of(part)) is not None:
            yield chunk
    yield chunks.last()


async def astream_of(parts: AsyncIterable[Any], model: str) -> AsyncIterator[Fields]:
    """The same, awaited."""
    chunks = _Chunks(model)
    async for part in parts:
        if (chunk := chunks.of(part)) is not None:
            yield chunk
    yield chunks.last()


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
