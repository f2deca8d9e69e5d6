"""What was said in a LangChain message: what a model is shown of it, and no more.

Left out: the message's id, its usage, its response metadata (times, run ids, the server's
fingerprint), a tool's artifact, and the traces that streaming leaves in content blocks. Ids of tool
calls only tie a tool's result to its call, and models make them up anew each time; so they are
written as their number in the conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage

KINDS: Final[Mapping[str, str]] = {
    f"{name}MessageChunk": kind
    for name, kind in (
        ("AI", "ai"),
        ("Human", "human"),
        ("System", "system"),
        ("Tool", "tool"),
        ("Function", "function"),
        ("Chat", "chat"),
    )
}
"""A message added up from chunks says the same as one that came whole."""

_UNSAID: Final = frozenset(
    (
        "id",
        "type",
        "response_metadata",
        "usage_metadata",
        "artifact",
        "tool_call_chunks",
        "chunk_position",
        "tool_calls",
        "invalid_tool_calls",
        "content",
        "additional_kwargs",
    )
)
_ID_KEYS: Final = frozenset(("id", "tool_use_id", "tool_call_id", "call_id"))


def said(message: BaseMessage, names: Mapping[str, str]) -> dict[str, object]:
    """The parts that count, by name; empty ones are left out. `names`: see `names_of`.

    >>> from langchain_core.messages import AIMessage
    >>> said(AIMessage("Hello", id="run-1", response_metadata={"took": 3}), {})
    {'content': 'Hello'}
    """
    own = dict(message.__dict__) | (message.__pydantic_extra__ or {})
    parts: dict[str, object] = {
        name: value
        for name, value in own.items()
        if name not in _UNSAID and value not in (None, "", (), [], {})
    }
    if message.type == "remove":
        parts["id"] = message.id
    if "tool_call_id" in parts:
        parts["tool_call_id"] = _renamed(parts["tool_call_id"], names)
    parts["content"] = _content(message.content, names)
    calls = own.get("tool_calls") or ()
    if calls:
        parts["calls"] = [(c["name"], c["args"], _renamed(c.get("id"), names)) for c in calls]
    if invalid := own.get("invalid_tool_calls"):
        parts["bad calls"] = [
            (c.get("name"), c.get("args"), _renamed(c.get("id"), names)) for c in invalid
        ]
    more = {
        name: value
        for name, value in message.additional_kwargs.items()
        # The same calls again, in one provider's words and with their ids.
        if value is not None and not (name == "tool_calls" and (calls or invalid))
    }
    if more:
        parts["more"] = more
    return parts


def whole(message: BaseMessage) -> dict[str, object]:
    """Every field, for those who may read any of them."""
    return dict(message.__dict__) | (message.__pydantic_extra__ or {})


def names_of(messages: Iterable[BaseMessage]) -> dict[str, str]:
    """What to write for the id of each tool call: its number in the order of appearance.

    >>> from langchain_core.messages import AIMessage
    >>> names_of([AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "call_x7"}])])
    {'call_x7': '#0'}
    """
    names: dict[str, str] = {}
    for message in messages:
        if isinstance(message, AIMessage):
            for call in (*message.tool_calls, *message.invalid_tool_calls):
                if call.get("id"):
                    names.setdefault(str(call["id"]), f"#{len(names)}")
    return names


def _content(content: Any, names: Mapping[str, str]) -> object:
    if isinstance(content, str):
        return content
    return [_block(block, names) if isinstance(block, dict) else block for block in content]


def _block(block: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A content block without its number in a stream, and with calls' ids renamed."""
    return {
        key: _renamed(value, names) if key in _ID_KEYS else value
        for key, value in block.items()
        if key != "index" and not (key == "id" and str(value).startswith("lc_"))
    }


def _renamed(value: object, names: Mapping[str, str]) -> object:
    return names.get(value, value) if isinstance(value, str) else value
