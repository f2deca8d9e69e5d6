"""Entries in a folder, shared by all processes that use it; kept while there is room and time.

Values are bytes in an SQLite table or, from 64 KiB, in files of their own; the least recently used
go when `limit_bytes` is reached. A process may be killed at any instant: the table has the whole
entry or nothing of it. Nothing read from the folder is ever unpickled.

Whatever goes wrong (disk full, folder read-only, table damaged, another process in the way) makes
look-ups miss and puts vanish, with a warning in the log. Entries tagged private are written only if
there is a key to encrypt with; and if there is one, all entries are encrypted.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graphroute.caches._checks import is_chosen, positive
from graphroute.caches._faults import Faults
from graphroute.caches._labels import MARK, Labels
from graphroute.caches._table import Table
from graphroute.caches._vault import Vault, find_key
from graphroute.ir.cache import PRIVATE, CacheEntry, CacheFind, CacheStats

REQUIRES: tuple[str, ...] = ("diskcache",)
EXAMPLES: tuple[dict[str, object], ...] = ({}, {"limit_bytes": 1 << 22, "key": "A" * 43 + "="})

LIMIT_BYTES: Final = 1 << 30
BUSY_S: Final = 5.0
"""How long a put waits for another process's write before it is lost."""


class DiskCache:
    """A cache in `folder`; opened when first used, safe to share between threads.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = DiskCache(Path(folder))
    ...     cache.put("k", b"answer", tags={"node": "draft"})
    ...     print(DiskCache(Path(folder)).get("k"), cache.entries()[0].tags)
    b'answer' {'node': 'draft'}
    """

    name = "disk"

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int = LIMIT_BYTES,
        vault: Vault | None = None,
        busy_s: float = BUSY_S,
    ) -> None:
        self.folder = folder
        self.limit_bytes = positive("limit_bytes", limit_bytes)
        self._labels = Labels(vault)
        self._faults = Faults(folder)
        self._table = Table(folder, limit_bytes=limit_bytes, busy_s=busy_s)
        self._has_marked = False
        # A program that ends without close() has its look-ups noted all the same.
        self._end = weakref.finalize(self, _close, self._faults, self._table)

    @property
    def is_sealed(self) -> bool:
        """Whether entries are encrypted."""
        return self._labels.vault is not None

    def get(self, key: str) -> bytes | None:
        """The value of `key`; None where there is none."""
        found = self.find(key)
        return None if found is None else found.value

    def find(self, key: str) -> CacheFind | None:
        """`get`, with the entry's tags and what is left of its time."""
        found = self._faults.tried("read", lambda: self._find(key), None)
        self._note()
        return found

    def _find(self, key: str) -> CacheFind | None:
        self._mark()
        name = self._labels.name(key)
        if (found := self._table.look(name)) is None:
            return None
        sealed, tag, expires_s = found
        if (value := self._labels.open(sealed)) is None:
            return None
        left_s = None if expires_s is None else expires_s - time.time()
        return CacheFind(value=value, tags=self._labels.read_tag(name, tag)[1], ttl_s=left_s)

    def put(
        self,
        key: str,
        value: bytes,
        *,
        tags: Mapping[str, str] | None = None,
        ttl_s: float | None = None,
    ) -> None:
        """Write `value`; not if it is private and there is no key, or larger than the cache."""
        tags = tags or {}
        if (tags.get(PRIVATE) and not self.is_sealed) or len(value) > self.limit_bytes:
            return
        if ttl_s is not None and ttl_s <= 0:
            self.delete(key)
            return
        self._faults.tried("write to", lambda: self._put(key, value, tags, ttl_s), None)

    def _put(self, key: str, value: bytes, tags: Mapping[str, str], ttl_s: float | None) -> None:
        self._mark()
        labels = self._labels
        self._table.put(
            labels.name(key), labels.seal(value), tag=labels.tag(key, tags), ttl_s=ttl_s
        )

    def delete(self, key: str) -> bool:
        """Forget `key`; whether it was there."""
        name = self._labels.name(key)
        return self._faults.tried("write to", lambda: self._table.delete_all([name]) > 0, False)

    def used(self, key: str) -> None:
        """Count a look-up of `key` that a copy in front of this cache has answered."""
        self._table.used(self._labels.name(key))
        self._note()

    def _note(self) -> None:
        if self._table.has_much_to_note:
            self._faults.tried("note look-ups in", self._table.note, None)

    def clear(
        self, *, node: str | None = None, older_than_s: float | None = None, dry_run: bool = False
    ) -> int:
        """Forget the entries of `node` that are older than `older_than_s`; how many they are.

        With neither given, everything goes, also a table that is damaged.
        """
        self._faults.wake()
        now = time.time()
        chosen = [
            entry.key
            for entry in self.entries()
            if is_chosen(entry, node=node, older_than_s=older_than_s, now=now)
        ]
        if dry_run:
            return len(chosen)
        if node is None and older_than_s is None:
            if not self._faults.tried("clear", self._empty, False):
                self._faults.wake()
                self._faults.tried("delete", self._table.discard, None)
            self._has_marked = False
            return len(chosen)
        names = [self._labels.name(key) for key in chosen]
        return self._faults.tried("clear", lambda: self._table.delete_all(names), 0)

    def _empty(self) -> bool:
        self._table.empty()
        return True

    def entries(self, node: str | None = None) -> tuple[CacheEntry, ...]:
        """What is kept, of `node` or at all, the least recently used first."""
        none: tuple[CacheEntry, ...] = ()
        found = self._faults.tried("read", self._entries, none)
        return tuple(entry for entry in found if is_chosen(entry, node=node))

    def _entries(self) -> tuple[CacheEntry, ...]:
        found = []
        for row in self._table.rows():
            if row.key == MARK:
                continue
            key, tags = self._labels.read_tag(row.key, row.tag)
            found.append(
                CacheEntry(
                    key=key,
                    tags=tags,
                    size_bytes=row.size_bytes,
                    created_s=row.stored_s,
                    used_s=row.used_s,
                    hits=row.hits,
                    expires_s=row.expires_s,
                )
            )
        return tuple(found)

    def stats(self) -> CacheStats:
        """Counts over all processes and since the folder was made."""
        held = self.entries()
        hits, misses = self._faults.tried("read", self._table.counts, (0, 0))
        return CacheStats(
            entries=len(held),
            size_bytes=sum(entry.size_bytes for entry in held),
            limit_bytes=self.limit_bytes,
            hits=hits,
            misses=misses,
            faults=self._faults.count,
        )

    def close(self) -> None:
        """Let go of the files; the next use opens them again."""
        _close(self._faults, self._table)

    def _mark(self) -> None:
        """At the first use, see whether the folder's entries can be read with this key."""
        if self._has_marked:
            return
        self._has_marked = True
        found = self._table.peek(MARK)
        if (mark := self._labels.marked(found, self.folder)) is not None:
            self._table.put(MARK, mark, tag="{}", ttl_s=None)


def _close(faults: Faults, table: Table) -> None:
    faults.tried("close", table.close, None)


def build(folder: Path | str, limit_bytes: int = LIMIT_BYTES, key: str | None = None) -> DiskCache:
    """A cache in `folder` of at most `limit_bytes` (> 0).

    key: encrypts the entries; by default `GRAPHROUTE_CACHE_KEY` or the keyring's, if there is one
    """
    key = key if key is not None else find_key()
    vault = None if key is None else Vault(key)
    return DiskCache(Path(folder), limit_bytes=limit_bytes, vault=vault)
