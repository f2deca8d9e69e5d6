"""Memory before a folder: what this process has met is in memory, what any has met on disk.

```
get ─► memory ─► hit
          └ miss ─► disk ─► hit, and a copy into memory for the time it has left
put ─► memory and disk
```

What another process clears from the folder may be found in this one's memory for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graphroute.caches import disk, memory
from graphroute.caches.disk import DiskCache
from graphroute.caches.memory import MemoryCache
from graphroute.ir.cache import CacheEntry, CacheFind, CacheStats

REQUIRES: tuple[str, ...] = disk.REQUIRES
EXAMPLES: tuple[dict[str, object], ...] = ({},)


class LayeredCache:
    """A memory cache in front of a disk cache.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = LayeredCache(MemoryCache(), DiskCache(Path(folder)))
    ...     cache.put("k", b"answer")
    ...     print(cache.back.get("k"), cache.front.get("k"))
    b'answer' b'answer'
    """

    name = "layered"

    def __init__(self, front: MemoryCache, back: DiskCache) -> None:
        self.front, self.back = front, back

    def get(self, key: str) -> bytes | None:
        """The value of `key`; None where there is none."""
        found = self.find(key)
        return None if found is None else found.value

    def find(self, key: str) -> CacheFind | None:
        """`get`, with the entry's tags and what is left of its time."""
        if (found := self.front.find(key)) is not None:
            # Else what is used most would look unused on disk, and be thrown out first.
            self.back.used(key)
            return found
        if (found := self.back.find(key)) is not None:
            self.front.put(key, found.value, tags=found.tags, ttl_s=found.ttl_s)
        return found

    def put(
        self,
        key: str,
        value: bytes,
        *,
        tags: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
    ) -> None:
        """Keep `value` in both; a private one in memory alone, unless the folder is encrypted."""
        self.front.put(key, value, tags=tags, ttl_s=ttl_s)
        self.back.put(key, value, tags=tags, ttl_s=ttl_s)

    def delete(self, key: str) -> bool:
        """Forget `key` in both; whether it was in one."""
        return any([self.front.delete(key), self.back.delete(key)])

    def clear(
        self, *, node: str | None = None, older_than_s: float | None = None, dry_run: bool = False
    ) -> int:
        """Forget in both; how many different entries they are."""
        before = {entry.key for entry in self.entries()}
        chosen = max(
            layer.clear(node=node, older_than_s=older_than_s, dry_run=dry_run)
            for layer in (self.front, self.back)
        )
        if dry_run:
            return chosen
        return len(before - {entry.key for entry in self.entries()})

    def entries(self, node: str | None = None) -> tuple[CacheEntry, ...]:
        """What is on disk, and what is in memory alone."""
        kept = self.back.entries(node)
        keys = {entry.key for entry in kept}
        return (*kept, *(entry for entry in self.front.entries(node) if entry.key not in keys))

    def stats(self) -> CacheStats:
        """The numbers of the disk cache; a hit in memory counts there too."""
        held, back = self.entries(), self.back.stats()
        return CacheStats(
            entries=len(held),
            size_bytes=sum(entry.size_bytes for entry in held),
            limit_bytes=back.limit_bytes,
            hits=back.hits,
            misses=back.misses,
            faults=back.faults,
        )

    def close(self) -> None:
        """Forget what is in memory and let go of the files."""
        self.front.close()
        self.back.close()


def build(
    folder: Path | str,
    memory_bytes: int = memory.LIMIT_BYTES,
    limit_bytes: int = disk.LIMIT_BYTES,
    key: str | None = None,
) -> LayeredCache:
    """A cache in `folder` of at most `limit_bytes`, with `memory_bytes` of it in memory (> 0)."""
    return LayeredCache(
        memory.build(memory_bytes), disk.build(folder, limit_bytes=limit_bytes, key=key)
    )
