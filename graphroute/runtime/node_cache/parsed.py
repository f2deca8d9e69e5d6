"""Entries read lately, so that a backend's unchanged bytes are not summed and parsed again.

Only what a backend gives as the very same object (as memory does) counts as unchanged, and only
values of plain types are given again from here, each time as a new copy.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

LIMIT_BYTES: Final = 16 * 1024 * 1024
_PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes))
_MAX_DEPTH: Final = 20


class Parsed:
    """A few entries by key; safe to share between threads.

    >>> parsed = Parsed()
    >>> parsed.put("k", raw := b"[1]", [1])
    >>> first = parsed.get("k", raw)
    >>> first, parsed.get("k", bytes([*b"[1]"])), parsed.get("k", raw) is first
    ([1], None, False)
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes, self._size_bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[bytes, Any]] = OrderedDict()

    def get(self, key: str, raw: bytes) -> Any:
        """A copy of what these bytes were parsed to; None where that is not known."""
        with self._lock:
            held = self._entries.get(key)
            if held is None or held[0] is not raw:
                return None
            self._entries.move_to_end(key)
        return copied(held[1])

    def put(self, key: str, raw: bytes, value: Any) -> None:
        """Remember what bytes were parsed to, if it is made of plain types alone."""
        if len(raw) > self._limit_bytes or not is_plain(value):
            return
        with self._lock:
            before = self._entries.pop(key, None)
            self._size_bytes += len(raw) - (0 if before is None else len(before[0]))
            self._entries[key] = raw, copied(value)
            while self._size_bytes > self._limit_bytes:
                _, (old, _) = self._entries.popitem(last=False)
                self._size_bytes -= len(old)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value is made of numbers, text, lists, tuples and dicts alone."""
    if type(value) in _PLAIN:
        return True
    if depth > _MAX_DEPTH:
        return False
    if type(value) is dict:
        return all(type(k) in _PLAIN and is_plain(v, depth + 1) for k, v in value.items())
    return type(value) in (list, tuple) and all(is_plain(item, depth + 1) for item in value)


def copied(value: Any) -> Any:
    """A plain value with containers of its own."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return tuple(map(copied, value)) if type(value) is tuple else value
