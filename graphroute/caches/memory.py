"""Entries in this process, bounded by their bytes; the least recently used go first.

The fastest backend and the only one that private entries may always use: nothing leaves memory.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from graphroute.caches._checks import is_chosen, positive
from graphroute.ir.cache import CacheEntry, CacheFind, CacheStats

REQUIRES: tuple[str, ...] = ()
EXAMPLES: tuple[dict[str, object], ...] = ({}, {"limit_bytes": 1 << 20})

LIMIT_BYTES: Final = 64 * 1024 * 1024
ENTRY_BYTES: Final = 600
"""What Python itself takes for an entry besides key, tags and value; measured on CPython 3.11."""


class MemoryCache:
    """Keeps at most `limit_bytes` of entries; safe to share between threads.

    >>> cache = MemoryCache(limit_bytes=10_000)
    >>> cache.put("k", b"answer", tags={"node": "draft"})
    >>> cache.get("k"), cache.get("other")
    (b'answer', None)
    >>> cache.clear(node="draft")
    1
    """

    name = "memory"

    def __init__(
        self, *, limit_bytes: int = LIMIT_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.limit_bytes = positive("limit_bytes", limit_bytes)
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[CacheEntry, bytes]] = OrderedDict()
        self._size_bytes = self._hits = self._misses = 0

    def get(self, key: str) -> bytes | None:
        """The value of `key`; None where there is none or it has expired."""
        found = self.find(key)
        return None if found is None else found.value

    def find(self, key: str) -> CacheFind | None:
        """`get`, with the entry's tags and what is left of its time."""
        now = self._clock()
        with self._lock:
            held = self._entries.get(key)
            if held is not None and _is_over(held[0], now):
                self._drop(key)
                held = None
            if held is None:
                self._misses += 1
                return None
            entry, value = held
            self._hits += 1
            self._entries[key] = replace(entry, used_s=now, hits=entry.hits + 1), value
            self._entries.move_to_end(key)
        left = None if entry.expires_s is None else entry.expires_s - now
        return CacheFind(value=value, tags=entry.tags, ttl_s=left)

    def put(
        self,
        key: str,
        value: bytes,
        *,
        tags: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
    ) -> None:
        """Keep `value`; one that is larger than the whole cache is not kept."""
        now, tags = self._clock(), dict(tags or {})
        entry = CacheEntry(
            key=key,
            tags=tags,
            size_bytes=_weight(key, value, tags),
            created_s=now,
            used_s=now,
            expires_s=None if ttl_s is None else now + ttl_s,
        )
        with self._lock:
            self._drop(key)
            if entry.size_bytes > self.limit_bytes or _is_over(entry, now):
                return
            self._entries[key] = entry, bytes(value)
            self._size_bytes += entry.size_bytes
            while self._size_bytes > self.limit_bytes:
                self._drop(next(iter(self._entries)))

    def delete(self, key: str) -> bool:
        """Forget `key`; whether it was there."""
        with self._lock:
            return self._drop(key)

    def clear(
        self, *, node: str | None = None, older_than_s: float | None = None, dry_run: bool = False
    ) -> int:
        """Forget the entries of `node` that are older than `older_than_s`; how many they are."""
        now = self._clock()
        with self._lock:
            chosen = [
                key
                for key, (entry, _) in self._entries.items()
                if is_chosen(entry, node=node, older_than_s=older_than_s, now=now)
            ]
            if not dry_run:
                for key in chosen:
                    self._drop(key)
        return len(chosen)

    def entries(self, node: str | None = None) -> tuple[CacheEntry, ...]:
        """What is kept, of `node` or at all, the least recently used first."""
        now = self._clock()
        with self._lock:
            held = [entry for entry, _ in self._entries.values()]
        return tuple(
            entry for entry in held if not _is_over(entry, now) and is_chosen(entry, node=node)
        )

    def stats(self) -> CacheStats:
        """Counts since the cache was made."""
        with self._lock:
            return CacheStats(
                entries=len(self._entries),
                size_bytes=self._size_bytes,
                limit_bytes=self.limit_bytes,
                hits=self._hits,
                misses=self._misses,
            )

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._size_bytes = 0

    def _drop(self, key: str) -> bool:
        if (held := self._entries.pop(key, None)) is None:
            return False
        self._size_bytes -= held[0].size_bytes
        return True


def _weight(key: str, value: bytes, tags: Mapping[str, str]) -> int:
    """Bytes that an entry takes, tags by the length of their text."""
    labels = sum(len(name) + len(text) + 100 for name, text in tags.items())
    return len(value) + len(key) + labels + ENTRY_BYTES


def _is_over(entry: CacheEntry, now: float) -> bool:
    return entry.expires_s is not None and entry.expires_s <= now


def build(limit_bytes: int = LIMIT_BYTES) -> MemoryCache:
    """A cache of at most `limit_bytes` (> 0)."""
    return MemoryCache(limit_bytes=limit_bytes)
