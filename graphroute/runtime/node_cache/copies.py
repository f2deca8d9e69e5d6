"""Values that can be copied at once: numbers, text, containers of them, and messages.

What was read from an entry once is given again as a copy, so that nobody can change what the next
one gets. Values of other kinds are read from the bytes each time.
"""

from __future__ import annotations

from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))
_MESSAGES: Final = frozenset(
    (AIMessage, ChatMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage)
)
_MAX_DEPTH: Final = 20


def is_copyable(value: Any, depth: int = 0) -> bool:
    """Whether a value is made of such alone.

    >>> is_copyable({"said": [AIMessage("Because.")], "n": 1}), is_copyable([{1, 2}])
    (True, False)
    """
    kind = type(value)
    if kind in _PLAIN:
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind is dict:
        return all(type(k) in _PLAIN and is_copyable(v, depth + 1) for k, v in value.items())
    if kind in _MESSAGES:
        parts = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        return is_copyable(parts, depth + 1)
    return kind in (list, tuple) and all(is_copyable(item, depth + 1) for item in value)


def copied(value: Any) -> Any:
    """A copyable value with containers and messages of its own.

    >>> said = [AIMessage("Because.")]
    >>> copied(said) == said, copied(said)[0] is said[0]
    (True, False)
    """
    kind = type(value)
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    if kind is tuple:
        return tuple(map(copied, value))
    return value.model_copy(deep=True) if kind in _MESSAGES else value
