"""What is known of a cache and of each entry in it; the values themselves are bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PRIVATE: Final = "private"
"""Tag of an entry that must not be written down where others could read it; any text counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFind:
    """A value that was found, with what was said of it when it was put.

    ttl_s: how much longer it may be used, None for as long as it is kept
    """

    value: bytes
    tags: Mapping[str, str] = field(default_factory=dict)
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One entry, without its value.

    size_bytes: what it takes; created_s, used_s, expires_s: seconds since the epoch
    hits: how often it was found; a disk cache may be some seconds behind
    """

    key: str
    tags: Mapping[str, str]
    size_bytes: int
    created_s: float
    used_s: float
    hits: int = 0
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """A cache in numbers.

    size_bytes: what its entries take; limit_bytes: what they may take, None for no limit
    hits, misses: look-ups by their outcome, as far back as the cache remembers
    faults: operations that were lost because the backend failed, in this process
    """

    entries: int
    size_bytes: int
    limit_bytes: int | None
    hits: int
    misses: int
    faults: int = 0

    @property
    def hit_share(self) -> float:
        """Share of look-ups that found something, in [0, 1]; 0 where nothing was looked up.

        >>> CacheStats(entries=1, size_bytes=9, limit_bytes=None, hits=3, misses=1).hit_share
        0.75
        """
        return self.hits / max(self.hits + self.misses, 1)
