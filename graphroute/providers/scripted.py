"""The test double that is just another provider: a chat model that answers by a script.

It is deterministic to the token: the same script and prompts give the same replies, usage and
chunks, with and without threads. Replies are taken in order of arrival and the last one repeats;
a function of the messages answers independently of the order.

>>> chat = ScriptedChat(name="weak", replies=["first", "last"])
>>> [chat.invoke("hi").content for _ in range(3)]
['first', 'last', 'last']
>>> chat.calls[0].messages[0].content, chat.invoke("hi").usage_metadata["output_tokens"]
('hi', 1)
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr, SkipValidation

from graphroute.errors import InvalidValue
from graphroute.ir.catalog import CAPABILITIES, Model
from graphroute.protocols import Health, Offer
from graphroute.providers import _prices
from graphroute.providers._reply import Script, chunks, message
from graphroute.providers._spec import Facts, spec

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)
CONTEXT_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """What one call brought: its messages, the bound and passed arguments, and from where."""

    messages: tuple[BaseMessage, ...]
    kwargs: Mapping[str, Any]
    stop: tuple[str, ...]
    thread: str
    is_streamed: bool


class _Journal:
    """Calls in order of arrival; shared by copies of the model, as a server would be."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[ScriptedCall] = []

    def add(self, call: ScriptedCall) -> int:
        with self.lock:
            self.calls.append(call)
            return len(self.calls) - 1

    def __deepcopy__(self, memo: object) -> _Journal:
        return self


class ScriptedChat(BaseChatModel):
    """A chat model that answers by a script; pool name `"scripted:<name>"`.

    replies: texts, messages, dicts or exceptions, the last one repeats; or a function from the
        messages to one of these. A dict answers as a call of the tool that is asked for, and as
        JSON text where no tool is bound. An exception is raised
    in_tokens, out_tokens: usage to report; None counts a quarter of the characters, at least 1
    delay_s: seconds before an answer, slept by `sleep` and `async_sleep`
    fail_after_chunks: a stream breaks off with `ConnectionError` after that many chunks
    max_tokens: an answer is cut to that many words (and reported tokens); a call may pass its own
    token_probability: of each word of an answer, in (0, 1], or a function of its text that gives
        it: told where a call has `logprobs=True`; None: never told
    """

    graphroute_provider: ClassVar[str] = "scripted"

    name: str = "scripted"
    replies: SkipValidation[Script] = Field(default=("ok",), repr=False)
    in_tokens: int | None = None
    out_tokens: int | None = None
    delay_s: float = 0.0
    fail_after_chunks: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    logprobs: bool | None = None
    token_probability: SkipValidation[float | Callable[[str], float] | None] = None
    sleep: SkipValidation[Callable[[float], None]] = Field(default=time.sleep, repr=False)
    async_sleep: SkipValidation[Callable[[float], Awaitable[None]]] = Field(
        default=asyncio.sleep, repr=False
    )
    _journal: _Journal = PrivateAttr(default_factory=_Journal)

    @property
    def calls(self) -> tuple[ScriptedCall, ...]:
        """The calls so far, in order of arrival."""
        with self._journal.lock:
            return tuple(self._journal.calls)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model_name": self.name, "temperature": self.temperature}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in OpenAI's shape, as most providers' models do."""
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **choice, **kwargs)

    def _answer(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        is_streamed: bool,
    ) -> AIMessage:
        call = ScriptedCall(
            messages=tuple(messages),
            kwargs=dict(kwargs),
            stop=tuple(stop or ()),
            thread=threading.current_thread().name,
            is_streamed=is_streamed,
        )
        index = self._journal.add(call)
        script = self.replies
        if callable(script):
            reply = script(messages)
        elif script:
            reply = script[min(index, len(script) - 1)]
        else:
            raise InvalidValue(
                f"model 'scripted:{self.name}' has no replies",
                model=self.name,
                next_step="pass replies=[…]",
            )
        if isinstance(reply, BaseException):
            raise reply
        return message(
            reply,
            messages,
            kwargs={
                "max_tokens": self.max_tokens,
                "logprobs": self.logprobs,
                **kwargs,
                "token_probability": self.token_probability,
            },
            stop=call.stop,
            model=self.name,
            in_tokens=self.in_tokens,
            out_tokens=self.out_tokens,
            index=index,
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - base's signature
        **kwargs: Any,
    ) -> ChatResult:
        if self.delay_s:
            self.sleep(self.delay_s)
        return _result(self._answer(messages, stop, kwargs, is_streamed=False))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - as above
        **kwargs: Any,
    ) -> ChatResult:
        if self.delay_s:
            await self.async_sleep(self.delay_s)
        return _result(self._answer(messages, stop, kwargs, is_streamed=False))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self.delay_s:
            self.sleep(self.delay_s)
        answer = self._answer(messages, stop, kwargs, is_streamed=True)
        for chunk in self._until_broken(answer):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if self.delay_s:
            await self.async_sleep(self.delay_s)
        answer = self._answer(messages, stop, kwargs, is_streamed=True)
        for chunk in self._until_broken(answer):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _until_broken(self, answer: AIMessage) -> Iterator[ChatGenerationChunk]:
        for number, chunk in enumerate(chunks(answer)):
            if number == self.fail_after_chunks:
                raise ConnectionError(f"'scripted:{self.name}' broke off after {number} chunks")
            yield chunk


def _result(answer: AIMessage) -> ChatResult:
    info = {"finish_reason": answer.response_metadata["finish_reason"]}
    return ChatResult(generations=[ChatGeneration(message=answer, generation_info=info)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """Scripted models as a pool member: a cloud model unless `Model(local=True)` says otherwise.

    chats: models to serve by pool name; another name is answered by a fresh model saying "ok"
    """

    chats: Mapping[str, ScriptedChat]
    name: str = "scripted"

    def offer(self, model: Model) -> Offer:
        """The model's facts and its chat; its price is unknown unless given."""
        chat = model.chat if isinstance(model.chat, ScriptedChat) else self.chats.get(model.name)
        served = chat or ScriptedChat(name=model.name.partition(":")[2] or model.name)
        is_local = bool(model.local)
        facts = Facts(
            provider=self.name,
            local=is_local,
            price=_prices.resolve(model, local=is_local),
            context_tokens=CONTEXT_TOKENS,
            max_output_tokens=served.max_tokens,
            capabilities=frozenset(CAPABILITIES),
            loaded=True,
            latency_s=served.delay_s,
            tokens_per_s=1000.0,
        )
        return Offer(spec=spec(model, facts), open=lambda: served)

    def discover(self) -> tuple[Model, ...]:
        """The scripted models that were given."""
        return tuple(Model(name, chat=self.chats[name]) for name in sorted(self.chats))

    def health(self) -> Health:
        """Always well."""
        return Health(is_ok=True, detail=f"{len(self.chats)} scripted models")


def build(*, chats: Sequence[ScriptedChat] = ()) -> Scripted:
    """Serve these scripted models under their names.

    >>> build(chats=[ScriptedChat(name="weak")]).discover()[0].name
    'scripted:weak'
    """
    return Scripted(chats={f"scripted:{chat.name}": chat for chat in chats})
