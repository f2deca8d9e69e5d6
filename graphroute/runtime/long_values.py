"""The digest of a long text, taken once for each object, however often its value is asked for.

One prompt of a megabyte is part of the key of its call, of the record of it, and of the keys of all
nodes that read it from their state; to hash it takes longer than all else that a known answer
needs. A text cannot change, so the digest of the very same object is remembered; an equal text that
was made anew is hashed anew.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import OrderedDict
from typing import Final

LONG: Final = 32 * 1024
"""Characters or bytes from which on a value is worth remembering: 20 µs to hash."""

LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Of values that are remembered; they stay in memory as long."""


class Digests:
    """Digests of the last long values, by identity; safe to share between threads.

    limit_bytes: of the values, which are kept so that no other object takes their place

    >>> digests = Digests()
    >>> text = "why" * 20_000
    >>> digests.of(text) == digests.of("why" * 20_000) == hashlib.sha256(text.encode()).digest()
    True
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes, self._size_bytes = limit_bytes, 0
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[str | bytes, bytes]] = OrderedDict()

    def of(self, value: str | bytes) -> bytes:
        """SHA-256 (32 bytes) of a text in UTF-8, or of bytes."""
        place = id(value)
        with self._lock:
            held = self._known.get(place)
            if held is not None and held[0] is value:
                self._known.move_to_end(place)
                return held[1]
        raw = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        found = hashlib.sha256(raw).digest()
        size = sys.getsizeof(value)
        if size <= self._limit_bytes:
            with self._lock:
                if self._known.pop(place, None) is None:
                    self._size_bytes += size
                self._known[place] = value, found
                while self._size_bytes > self._limit_bytes:
                    _, (old, _) = self._known.popitem(last=False)
                    self._size_bytes -= sys.getsizeof(old)
        return found


_SHARED: Final = Digests()


def long_digest(value: str | bytes) -> bytes:
    """`Digests.of`, of this process."""
    return _SHARED.of(value)
