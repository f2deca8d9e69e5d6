"""What a reply says: its text, the code or data in it, and the text that was sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_FENCED = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


def text_of(message: Any) -> str:
    """The text of a message (or the string itself), other parts left out.

    >>> text_of("yes"), text_of({"content": [{"type": "text", "text": "yes"}, {"type": "image"}]})
    ('yes', 'yes')
    """
    if isinstance(message, str):
        return message
    if isinstance(message, (tuple, list)) and len(message) == 2:
        return text_of(message[1]) if isinstance(message[1], str) else ""
    if isinstance(message, Mapping):
        content = message.get("content", "")
    else:
        content = getattr(message, "content", "")
    if isinstance(content, str):
        return content
    parts = (p if isinstance(p, str) else p.get("text") or "" for p in content or ())
    return "\n".join(str(part) for part in parts if part)


def sent_text(messages: Iterable[Any]) -> str:
    """The text of everything that was sent."""
    return "\n".join(filter(None, map(text_of, messages)))


def calls_of(reply: Any) -> list[Mapping[str, Any]]:
    """The tool calls of a reply."""
    return list(getattr(reply, "tool_calls", None) or ())


def fenced(text: str, *languages: str) -> list[str]:
    """The fenced blocks of a text, those in one of `languages` or in none.

    >>> fenced("so:" + chr(10) + "```python" + chr(10) + "x = 1" + chr(10) + "```", "python")
    ['x = 1\\n']
    """
    blocks = _FENCED.findall(text)
    return [code for name, code in blocks if not name or name.lower() in languages]


def data_of(reply: Any) -> Any:
    """The value a reply gives: its JSON text, the one fenced block of it, or its tool call.

    Raises ValueError where there is none.
    """
    text = text_of(reply).strip()
    if not text and (calls := calls_of(reply)):
        return calls[0].get("args")
    blocks = fenced(text, "json")
    return loads(blocks[0] if len(blocks) == 1 else text)


def loads(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity, a nesting that can be read."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def reason_of(fault: Exception) -> str:
    """The first line of an error."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]


def metadata_of(reply: Any) -> Mapping[str, Any]:
    """What the provider said of the reply."""
    found = getattr(reply, "response_metadata", None)
    return found if isinstance(found, Mapping) else {}
