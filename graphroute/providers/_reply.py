"""What a scripted reply becomes: a message with usage and finish reason, whole or in chunks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCall, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

Reply = str | AIMessage | dict[str, Any] | BaseException
Script = Sequence[Reply] | Callable[[list[BaseMessage]], Reply]

_CHARS_PER_TOKEN = 4
_CAPS = ("max_completion_tokens", "num_predict", "max_tokens")


def message(
    reply: str | AIMessage | dict[str, Any],
    messages: Sequence[BaseMessage],
    *,
    kwargs: Mapping[str, Any],
    stop: Sequence[str],
    model: str,
    in_tokens: int | None,
    out_tokens: int | None,
    index: int,
) -> AIMessage:
    """The reply as a finished message; `index` numbers tool calls so that their ids differ."""
    if isinstance(reply, AIMessage):
        text, calls = str(reply.text), list(reply.tool_calls)
    elif isinstance(reply, dict):
        calls = _tool_calls(reply, kwargs, index)
        text = "" if calls else json.dumps(reply)
    else:
        text, calls = reply, []
    cap = next((kwargs[name] for name in _CAPS if kwargs.get(name) is not None), None)
    text, finish = _cut(text, cap, stop)
    if calls:
        finish = "tool_calls"
    written = text + "".join(json.dumps(call["args"]) for call in calls)
    used_in = _tokens("".join(m.text for m in messages)) if in_tokens is None else in_tokens
    used_out = _tokens(written) if out_tokens is None else out_tokens
    if cap is not None:
        used_out = min(used_out, cap)
    said = {"model_name": model, "finish_reason": finish}
    return AIMessage(
        content=text,
        tool_calls=calls,
        id=reply.id if isinstance(reply, AIMessage) else None,
        response_metadata=said | _logprobs(written, kwargs),
        usage_metadata=UsageMetadata(
            input_tokens=used_in, output_tokens=used_out, total_tokens=used_in + used_out
        ),
    )


def _logprobs(written: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a server that is asked for them tells of the tokens, here words, of an answer."""
    chance = kwargs.get("token_probability")
    if chance is None or not kwargs.get("logprobs"):
        return {}
    log = math.log(chance(written) if callable(chance) else chance)
    return {"logprobs": {"content": [{"token": w, "logprob": log} for w in written.split()]}}


def chunks(answer: AIMessage) -> Iterator[ChatGenerationChunk]:
    """Word by word, then tool calls, then an empty last chunk with usage and finish reason."""
    for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+", answer.text):
        yield ChatGenerationChunk(message=AIMessageChunk(content=word, id=answer.id))
    for index, call in enumerate(answer.tool_calls):
        part = tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[part]))
    yield ChatGenerationChunk(
        message=AIMessageChunk(
            content="",
            id=answer.id,
            response_metadata=answer.response_metadata,
            usage_metadata=answer.usage_metadata,
            chunk_position="last",
        ),
        generation_info={"finish_reason": answer.response_metadata["finish_reason"]},
    )


def _cut(text: str, cap: int | None, stop: Sequence[str]) -> tuple[str, str]:
    for word in stop:
        text = text.partition(word)[0]
    words = text.split()
    if cap is not None and len(words) > cap:
        return " ".join(words[:cap]), "length"
    return text, "stop"


def _tool_calls(reply: dict[str, Any], kwargs: Mapping[str, Any], index: int) -> list[ToolCall]:
    """The call a dict stands for: arguments of the tool asked for, or `{"name": …, "args": …}`."""
    known = [tool["function"]["name"] for tool in kwargs.get("tools") or ()]
    if not known:
        return []
    call_id = f"call_{index}"
    if set(reply) == {"name", "args"} and reply["name"] in known:
        return [ToolCall(name=reply["name"], args=reply["args"], id=call_id, type="tool_call")]
    choice = kwargs.get("tool_choice")
    if isinstance(choice, dict):
        choice = choice.get("function", {}).get("name")
    name = choice if choice in known else known[0]
    return [ToolCall(name=str(name), args=reply, id=call_id, type="tool_call")]


def _tokens(text: str) -> int:
    return max(1, -(-len(text) // _CHARS_PER_TOKEN))
