"""The chat model of an embedded llama.cpp: `ChatOpenAI` against a server that starts when needed.

Making the object costs no server and no memory, so a graph can hold one at import.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr, SkipValidation

from graphroute.providers._endpoint import loopback_settings
from graphroute.providers._forced_call import as_call, force, free
from graphroute.providers._llama_server import Gguf, serve

_CALL_TIMEOUT_S = 600.0
_NOT_YET = "http://127.0.0.1:9/v1"
"""Stands in until the server has its port; nothing is sent there."""


class LlamaCppChat(ChatOpenAI):
    """A chat model served by llama.cpp from this process; made by `llamacpp.chat`."""

    graphroute_provider: ClassVar[str] = "llamacpp"

    gguf: SkipValidation[Gguf] = Field(exclude=True)

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def lc_secrets(self) -> dict[str, str]:
        """None: no key leaves the environment."""
        return {}

    def _place(self) -> None:
        url = serve(self.gguf)
        for client in (self.root_client, self.root_async_client):
            client.base_url = url

    def _ends(self, stop: list[str] | None) -> list[str] | None:
        return [*self.gguf.stop, *(stop or ())] or None

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._place()
        stop = self._ends(stop)
        if forced := force(messages, kwargs):
            found = super()._generate(forced.messages, stop, run_manager, **forced.kwargs)
            return _called(found)
        return super()._generate(messages, stop, run_manager, **free(kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Loading a model takes seconds, which the event loop must not wait for.
        await asyncio.to_thread(self._place)
        stop = self._ends(stop)
        if forced := force(messages, kwargs):
            found = await super()._agenerate(forced.messages, stop, run_manager, **forced.kwargs)
            return _called(found)
        return await super()._agenerate(messages, stop, run_manager, **free(kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if force(messages, kwargs):
            # The call is only known when its JSON is complete: one chunk.
            found = self._generate(messages, stop, None, **_unstreamed(kwargs))
            chunk = _one_chunk(found, self.model_name)
            if run_manager:
                run_manager.on_llm_new_token("", chunk=chunk)
            yield chunk
            return
        self._place()
        yield from super()._stream(
            messages, stop=self._ends(stop), run_manager=run_manager, **free(kwargs)
        )

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if force(messages, kwargs):
            found = await self._agenerate(messages, stop, None, **_unstreamed(kwargs))
            chunk = _one_chunk(found, self.model_name)
            if run_manager:
                await run_manager.on_llm_new_token("", chunk=chunk)
            yield chunk
            return
        await asyncio.to_thread(self._place)
        async for chunk in super()._astream(
            messages, stop=self._ends(stop), run_manager=run_manager, **free(kwargs)
        ):
            yield chunk


def make(gguf: Gguf, **settings: Any) -> LlamaCppChat:
    """A chat model for a file; `settings` are those of `ChatOpenAI` (temperature, seed, …)."""
    stated = {"model": gguf.model, "max_tokens": gguf.max_output_tokens, **settings}
    return LlamaCppChat(
        gguf=gguf,
        api_key=SecretStr("no-key-needed"),
        base_url=_NOT_YET,
        timeout=_CALL_TIMEOUT_S,
        max_retries=0,
        stream_usage=True,
        use_responses_api=False,
        http_client=httpx.Client(timeout=_CALL_TIMEOUT_S, **loopback_settings()),
        http_async_client=httpx.AsyncClient(timeout=_CALL_TIMEOUT_S, **loopback_settings()),
        **stated,
    )


def _called(result: ChatResult) -> ChatResult:
    generations = [
        ChatGeneration(message=as_call(found.message), generation_info=found.generation_info)
        for found in result.generations
        if isinstance(found.message, AIMessage)
    ]
    return ChatResult(generations=generations, llm_output=result.llm_output)


def _unstreamed(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if k not in ("stream", "stream_usage")}


def _one_chunk(result: ChatResult, model: str) -> ChatGenerationChunk:
    answer = result.generations[0].message
    assert isinstance(answer, AIMessage)
    parts = [
        tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        for index, call in enumerate(answer.tool_calls)
    ]
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=answer.content,
            tool_call_chunks=parts,
            response_metadata={"model_name": model, **answer.response_metadata},
            usage_metadata=answer.usage_metadata,
            id=answer.id,
            chunk_position="last",
        ),
        generation_info=result.generations[0].generation_info,
    )
