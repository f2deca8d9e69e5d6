"""`ChatOpenAI` for servers of this machine, which take `tool_choice` for a hint or drop it.

Servers that keep it also keep a JSON schema, so a demanded tool call goes as one to all of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from graphroute.providers._forced_call import as_call, force, free


class ForcedCallChat(ChatOpenAI):
    """A chat model whose demanded tool calls are held to by JSON schema."""

    @property
    def lc_secrets(self) -> dict[str, str]:
        """None: the key of such a server is not the environment's."""
        return {}

    def _ready(self) -> None:
        """Called before each call; a subclass may start its server here."""

    async def _aready(self) -> None:
        """As `_ready`, without holding the event loop."""

    def _ends(self, stop: list[str] | None) -> list[str] | None:
        """The texts that end an answer."""
        return stop

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._ready()
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
        await self._aready()
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
        self._ready()
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
        await self._aready()
        async for chunk in super()._astream(
            messages, stop=self._ends(stop), run_manager=run_manager, **free(kwargs)
        ):
            yield chunk


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
