"""What entries were read to lately, so that the same bytes are not summed and parsed again.

A backend in memory gives the very same object each time; bytes from a disk are compared with those
that were read, which takes a tenth of the time their checksum would. Whoever puts a value here
gives it away, and whoever gets it copies what may be changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Of entries; what is read from them takes about as much again."""

T = TypeVar("T")


class Parsed(Generic[T]):
    """A few values by key, the least recently used go first; safe to share between threads.

    limit_bytes: of all entries together

    >>> parsed = Parsed[list[int]]()
    >>> parsed.put("k", b"[1]", [1])
    >>> parsed.get("k", b"[1]"), parsed.get("k", b"[2]")
    ([1], None)
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes, self._size_bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[bytes, T]] = OrderedDict()

    def get(self, key: str, raw: bytes) -> T | None:
        """What these bytes were read to; None where that is not known."""
        with self._lock:
            held = self._entries.get(key)
            if held is None or held[0] != raw:
                return None
            self._entries.move_to_end(key)
        return held[1]

    def put(self, key: str, raw: bytes, value: T) -> None:
        """Remember what bytes were read to."""
        if len(raw) > self._limit_bytes:
            return
        with self._lock:
            before = self._entries.pop(key, None)
            self._size_bytes += len(raw) - (0 if before is None else len(before[0]))
            self._entries[key] = raw, value
            while self._size_bytes > self._limit_bytes:
                _, (old, _) = self._entries.popitem(last=False)
                self._size_bytes -= len(old)
