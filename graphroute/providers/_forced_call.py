"""A tool call that is demanded, as a JSON schema: llama.cpp does not enforce `tool_choice`.

The answer is held to `{"name": …, "arguments": …}` by grammar and then becomes the tool call, so
"any tool" and "this tool" mean what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
)

_DROPPED = ("tools", "tool_choice", "parallel_tool_calls", "strict")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedCall:
    """A call rewritten: the messages with an instruction, and arguments with the schema."""

    messages: list[BaseMessage]
    kwargs: dict[str, Any]


def force(messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> ForcedCall | None:
    """The rewritten call where a tool call is demanded, None where it is free.

    >>> force([], {"tools": [], "tool_choice": "auto"}) is None
    True
    """
    functions = _demanded(kwargs)
    if not functions:
        return None
    schemas = [
        {
            "type": "object",
            "properties": {
                "name": {"const": function["name"]},
                "arguments": function.get("parameters") or {"type": "object"},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for function in functions
    ]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    listed = "\n".join(json.dumps(function) for function in functions)
    text = f'Call one of these functions: answer {{"name": …, "arguments": …}} as JSON.\n{listed}'
    rest = {name: value for name, value in kwargs.items() if name not in _DROPPED}
    wish = {"name": "call", "schema": schema}
    return ForcedCall(
        messages=_with_instruction(messages, text),
        kwargs=rest | {"response_format": {"type": "json_schema", "json_schema": wish}},
    )


def free(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call that is not forced; `tool_choice="none"` takes the tools away."""
    if kwargs.get("tool_choice") == "none":
        return {name: value for name, value in kwargs.items() if name not in _DROPPED}
    return dict(kwargs)


def as_call(answer: AIMessage) -> AIMessage:
    """The answer with its JSON as a tool call; cut-off JSON becomes an invalid call."""
    text = str(answer.text)
    call_id = f"call_{uuid4().hex[:16]}"
    try:
        found = json.loads(text)
        call = ToolCall(
            name=found["name"], args=dict(found["arguments"]), id=call_id, type="tool_call"
        )
    except (ValueError, KeyError, TypeError) as fault:
        broken = InvalidToolCall(
            type="invalid_tool_call", name=None, args=text, id=call_id, error=str(fault)
        )
        return answer.model_copy(update={"invalid_tool_calls": [broken]})
    # The parsed object of a JSON answer would be taken for the structured output itself.
    more = {k: v for k, v in answer.additional_kwargs.items() if k != "parsed"}
    return answer.model_copy(
        update={"content": "", "tool_calls": [call], "additional_kwargs": more}
    )


def _demanded(kwargs: Mapping[str, Any]) -> list[dict[str, Any]]:
    choice = kwargs.get("tool_choice")
    if choice in (None, False, "auto", "none"):
        return []
    functions = [tool["function"] for tool in kwargs.get("tools") or () if "function" in tool]
    if choice in (True, "any", "required"):
        return functions
    name = choice["function"]["name"] if isinstance(choice, dict) else choice
    return [function for function in functions if function["name"] == name]


def _with_instruction(messages: Sequence[BaseMessage], text: str) -> list[BaseMessage]:
    """One system message at the front: templates of small models know no second one."""
    first = messages[0] if messages else None
    if isinstance(first, SystemMessage):
        return [SystemMessage(f"{first.text}\n\n{text}"), *messages[1:]]
    return [SystemMessage(text), *messages]
