"""What a node returned, to be kept and given again: messages need care, the rest is copied.

- A message that the node merely passed on is kept as its place in what it read: given again, it is
  the message that is there now.
- Ids that models make up name one answer. Given twice, LangGraph's `add_messages` would take the
  second for the first and drop one; so each time there are new ones. Ids of messages that were read
  become those of the messages read now, and ids that the code itself gave stay.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

_MADE_UP: Final = re.compile(
    r"^(lc_run-|run-|chatcmpl-|msg_|resp_|gen-)|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-"
)
_MAX_DEPTH: Final = 6
_CONTROL: Final = frozenset({"Command", "Send"})
Path = tuple[Any, ...]


def why_not_kept(value: Any) -> str | None:
    """What forbids to keep a value: routing is decided anew each time; None if nothing."""
    for item in value if type(value) in (list, tuple) else (value,):
        if type(item).__name__ in _CONTROL and type(item).__module__.startswith("langgraph"):
            return f"it returned a {type(item).__name__}, which decides where the run goes"
    if isinstance(value, Runnable):
        return "it returned something to run"
    return None


def dump(value: Any, read: Sequence[BaseMessage]) -> dict[str, Any]:
    """A value with what giving it again needs to know.

    read: the messages in what the node read, in the order of `State.messages`

    >>> kept = dump({"text": "hi", "pair": (1, 2)}, ())
    >>> load(kept, ())
    {'text': 'hi', 'pair': (1, 2)}
    """
    places = {id(message): place for place, message in enumerate(read)}
    passed: list[list[Any]] = []

    def take(item: Any, path: Path) -> Any:
        if isinstance(item, BaseMessage) and id(item) in places:
            passed.append([list(path), places[id(item)]])
            return None
        return item

    stripped = _mapped(value, take, (), _MAX_DEPTH)
    known = {message.id: place for place, message in enumerate(read) if message.id}
    ids: dict[str, int | None] = {}

    def note(item: Any, _: Path) -> Any:
        if isinstance(item, BaseMessage) and item.id:
            if item.id in known:
                ids[item.id] = known[item.id]
            elif _MADE_UP.search(item.id):
                ids[item.id] = None
        return item

    _mapped(stripped, note, (), _MAX_DEPTH)
    return {"value": stripped, "passed": passed, "ids": ids}


def load(kept: Mapping[str, Any], read: Sequence[BaseMessage]) -> Any:
    """The value again, for the messages that are read now; may be called once for what is kept."""
    value = kept["value"]
    new = {
        old: _made_up_like(old) if place is None else read[place].id
        for old, place in kept["ids"].items()
    }

    def rename(item: Any, _: Path) -> Any:
        if isinstance(item, BaseMessage) and item.id in new:
            item.id = new[item.id]
        return item

    value = _mapped(value, rename, (), _MAX_DEPTH) if new else value
    for path, place in kept["passed"]:
        value = _put(value, path, read[place])
    return value


def _made_up_like(old: str) -> str:
    """A new id that starts as the old one does."""
    # Not a uuid4: tests that seed or count those must find them as they left them.
    new = str(UUID(bytes=secrets.token_bytes(16), version=4))
    prefix = re.match(r"(lc_run-+|run-+|chatcmpl-|msg_|resp_|gen-)", old)
    return f"{prefix[0]}{new}" if prefix else new


def _mapped(value: Any, change: Callable[[Any, Path], Any], path: Path, depth: int) -> Any:
    """`value` with every part changed; containers are copied."""
    if depth and type(value) is dict:
        return {k: _mapped(v, change, (*path, k), depth - 1) for k, v in value.items()}
    if depth and type(value) in (list, tuple):
        items = [_mapped(v, change, (*path, n), depth - 1) for n, v in enumerate(value)]
        return items if type(value) is list else tuple(items)
    return change(value, path)


def _put(value: Any, path: Sequence[Any], part: Any) -> Any:
    if not path:
        return part
    if type(value) is tuple:
        items = list(value)
        items[path[0]] = _put(items[path[0]], path[1:], part)
        return tuple(items)
    value[path[0]] = _put(value[path[0]], path[1:], part)
    return value
