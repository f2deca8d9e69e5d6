"""What a node returned, to be kept and given again: its values are copied, its ties are kept.

- What the node merely passed on (a message, a list of its state) is kept as its place in what was
  read: given again, it is what is there now.
- One object under two names stays one object.
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
_PLAIN: Final = frozenset((type(None), bool, int, float, complex, str, bytes, tuple, frozenset))
"""Types whose objects cannot change, so that two equal ones are as good as one."""

Path = tuple[Any, ...]
Read = Callable[[], Sequence[Any]]
"""Gives the objects in what was read, in the order of `objects_in`; asked only where needed."""


def why_not_kept(value: Any) -> str | None:
    """What forbids to keep a value: routing is decided anew each time; None if nothing."""
    for item in value if type(value) in (list, tuple) else (value,):
        if type(item).__name__ in _CONTROL and type(item).__module__.startswith("langgraph"):
            return f"it returned a {type(item).__name__}, which decides where the run goes"
    if isinstance(value, Runnable):
        return "it returned something to run"
    return None


def objects_in(value: Any) -> list[Any]:
    """The objects in a value that can change, in an order that equal values share."""
    found: list[Any] = []
    _collect(value, found, _MAX_DEPTH)
    return found


def _collect(value: Any, found: list[Any], depth: int) -> None:
    if type(value) not in _PLAIN:
        found.append(value)
    if depth and type(value) is dict:
        for key in sorted(value, key=repr):
            _collect(value[key], found, depth - 1)
    elif depth and type(value) in (list, tuple):
        for item in value:
            _collect(item, found, depth - 1)


def dump(value: Any, read: Sequence[Any]) -> dict[str, Any]:
    """A value with what giving it again needs to know.

    read: the objects in what the node read, by `objects_in`

    >>> words = ["a"]
    >>> state = {"words": words, "n": 1}
    >>> kept = dump({"first": words, "n": 2}, objects_in(state))
    >>> now = {"words": ["a"], "n": 1}
    >>> again = load(kept, lambda: objects_in(now))
    >>> again, again["first"] is now["words"]
    ({'first': ['a'], 'n': 2}, True)
    """
    writer = _Writer(read)
    stripped = writer.strip(value, (), _MAX_DEPTH)
    known = {
        item.id: place
        for place, item in enumerate(read)
        if isinstance(item, BaseMessage) and item.id
    }
    ids: dict[str, int | None] = {}
    for message in writer.messages:
        if message.id in known:
            ids[message.id] = known[message.id]
        elif message.id and _MADE_UP.search(message.id):
            ids[message.id] = None
    return {"value": stripped, "passed": writer.passed, "shared": writer.shared, "ids": ids}


class _Writer:
    def __init__(self, read: Sequence[Any]) -> None:
        self.places = {id(item): place for place, item in enumerate(read)}
        self.passed: list[list[Any]] = []
        self.shared: list[list[Any]] = []
        self.messages: list[BaseMessage] = []
        self.seen: dict[int, Path] = {}

    def strip(self, item: Any, path: Path, depth: int) -> Any:
        """`item` without what is kept as a tie; containers are new ones."""
        if type(item) not in _PLAIN:
            if (place := self.places.get(id(item))) is not None:
                self.passed.append([list(path), place])
                return None
            if (first := self.seen.get(id(item))) is not None:
                self.shared.append([list(path), list(first)])
                return None
            self.seen[id(item)] = path
        if isinstance(item, BaseMessage):
            self.messages.append(item)
        if depth and type(item) is dict:
            return {k: self.strip(v, (*path, k), depth - 1) for k, v in item.items()}
        if depth and type(item) in (list, tuple):
            parts = [self.strip(v, (*path, n), depth - 1) for n, v in enumerate(item)]
            return parts if type(item) is list else tuple(parts)
        return item


def load(kept: Mapping[str, Any], read: Read) -> Any:
    """The value again, for what is read now; may be called once for what is kept."""
    value = kept["value"]
    now: Sequence[Any] = ()
    if kept["passed"] or any(place is not None for place in kept["ids"].values()):
        now = read()
    if kept["ids"]:
        new = {
            old: _made_up_like(old) if place is None else now[place].id
            for old, place in kept["ids"].items()
        }
        for item in objects_in(value):
            if isinstance(item, BaseMessage) and item.id in new:
                item.id = new[item.id]
    for path, place in kept["passed"]:
        value = _put(value, path, now[place])
    for path, first in kept["shared"]:
        value = _put(value, path, _at(value, first))
    return value


def _made_up_like(old: str) -> str:
    """A new id that starts as the old one does."""
    # Not a uuid4: tests that seed or count those must find them as they left them.
    new = str(UUID(bytes=secrets.token_bytes(16), version=4))
    prefix = re.match(r"(lc_run-+|run-+|chatcmpl-|msg_|resp_|gen-)", old)
    return f"{prefix[0]}{new}" if prefix else new


def _at(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = value[step]
    return value


def _put(value: Any, path: Sequence[Any], part: Any) -> Any:
    if not path:
        return part
    if type(value) is tuple:
        items = list(value)
        items[path[0]] = _put(items[path[0]], path[1:], part)
        return tuple(items)
    value[path[0]] = _put(value[path[0]], path[1:], part)
    return value
