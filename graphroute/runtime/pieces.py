"""A whole answer as the reader of a stream is given it: one chunk, or the events of protocol v3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

Event = Mapping[str, Any]


def as_chunk(answer: AIMessage) -> AIMessageChunk:
    """The answer as a stream of one chunk, which may be added to others.

    >>> call = {"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    >>> as_chunk(AIMessage("", tool_calls=[call])).tool_call_chunks[0]["args"]
    '{"a": 1}'
    """
    if isinstance(answer, AIMessageChunk):
        return answer.model_copy(deep=True)
    return AIMessageChunk(
        content=answer.content,
        additional_kwargs=answer.additional_kwargs,
        response_metadata=answer.response_metadata,
        usage_metadata=answer.usage_metadata,
        id=answer.id,
        tool_call_chunks=[
            tool_call_chunk(
                name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
            )
            for index, call in enumerate(answer.tool_calls)
        ],
        chunk_position="last",
    )


def as_events(answer: AIMessage) -> Iterator[Event]:
    """The answer as LangChain's protocol v3 tells it."""
    # An older langchain-core has no such module, and then nobody asks for events.
    from langchain_core.language_models._compat_bridge import message_to_events

    for event in message_to_events(answer):
        if event["event"] == "message-finish" and answer.additional_kwargs:
            yield {**event, "additional_kwargs": answer.additional_kwargs}
        else:
            yield event
