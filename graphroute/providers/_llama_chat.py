"""The chat model of an embedded llama.cpp: `ChatOpenAI` against a server that starts when needed.

Making the object costs no server and no memory, so a graph can hold one at import.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httpx
from pydantic import Field, SecretStr, SkipValidation

from graphroute.providers._endpoint import loopback_settings
from graphroute.providers._forced_chat import ForcedCallChat
from graphroute.providers._llama_server import Gguf, serve

_CALL_TIMEOUT_S = 600.0
_NOT_YET = "http://127.0.0.1:9/v1"
"""Stands in until the server has its port; nothing is sent there."""


class LlamaCppChat(ForcedCallChat):
    """A chat model served by llama.cpp from this process; made by `llamacpp.chat`."""

    graphroute_provider: ClassVar[str] = "llamacpp"

    gguf: SkipValidation[Gguf] = Field(exclude=True)

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    def _ready(self) -> None:
        url = serve(self.gguf)
        for client in (self.root_client, self.root_async_client):
            client.base_url = url

    async def _aready(self) -> None:
        # Loading a model takes seconds, which the event loop must not wait for.
        await asyncio.to_thread(self._ready)

    def _ends(self, stop: list[str] | None) -> list[str] | None:
        return [*self.gguf.stop, *(stop or ())] or None


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
