"""A chat model that gives an answer again which was paid for before.

It is called as the model itself would be, so callbacks, token streams and events come as they do
when LangGraph runs a node again, at no cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from graphroute.runtime.pause import Replies
from graphroute.runtime.pieces import as_chunk


class ReplayedChat(BaseChatModel):
    """Answers each prompt of one call with what it was answered with, in order."""

    model_name: str
    _left: deque[tuple[AIMessage, ...]] = PrivateAttr(default_factory=deque)
    _pieces: tuple[int, ...] = PrivateAttr(default=())

    @classmethod
    def of(cls, replies: Replies, *, model_name: str, pieces: Sequence[int] = ()) -> ReplayedChat:
        """A model for one call; `model_name` is shown to callbacks.

        pieces: lengths in characters of the chunks in which the answer is streamed, else in one
        """
        chat = cls(model_name=model_name)
        chat._left.extend(replies)
        chat._pieces = tuple(pieces)
        return chat

    @property
    def _llm_type(self) -> str:
        return "replayed"

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - base's signature
        stop: list[str] | None = None,  # noqa: ARG002 - as above
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - as above
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> ChatResult:
        replies = self._left.popleft()
        return ChatResult(
            generations=[ChatGeneration(message=reply.model_copy(deep=True)) for reply in replies]
        )

    def _stream(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - base's signature
        stop: list[str] | None = None,  # noqa: ARG002 - as above
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ARG002 - as above
    ) -> Iterator[ChatGenerationChunk]:
        whole = as_chunk(self._left.popleft()[0])
        for message in _in_pieces(whole, self._pieces):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _in_pieces(whole: AIMessageChunk, lengths: Sequence[int]) -> Iterator[AIMessageChunk]:
    """The text as it came; what is not text (usage, tool calls) comes with the last piece."""
    text = whole.content
    if not isinstance(text, str) or sum(lengths) != len(text):
        yield whole
        return
    start = 0
    for length in [each for each in lengths if each][:-1]:
        yield AIMessageChunk(content=text[start : start + length], id=whole.id)
        start += length
    yield whole.model_copy(update={"content": text[start:]})
