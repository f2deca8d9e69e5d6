"""The table of a disk cache: the writing store, the reading rows, and look-ups not yet noted.

Errors are raised here; `disk` turns them into misses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from graphroute.caches import _store
from graphroute.caches._rows import Row, Rows

NOTE_EVERY: Final = 256
NOTE_AFTER_S: Final = 10.0
"""Look-ups are noted in the table when there are so many, or after so long; and at the end."""

_ORPHAN_S: Final = 3600.0


class Table:
    """Opened when first written to; a folder without a table reads as an empty one."""

    def __init__(self, folder: Path, *, limit_bytes: int, busy_s: float) -> None:
        self.folder = folder
        self._limit_bytes, self._busy_s = limit_bytes, busy_s
        self._lock = threading.RLock()  # held for every use of the store
        self._store: Any = None
        self._rows = Rows(folder, lambda: _store.connect(folder, busy_s=busy_s))
        self._seen_lock = threading.Lock()
        self._used: dict[str, tuple[int, float]] = {}
        self._hits = self._misses = 0
        self._noted_s = time.monotonic()

    @property
    def is_there(self) -> bool:
        """Whether there is a table to read."""
        return self._store is not None or (self.folder / "cache.db").exists()

    def look(self, name: str) -> tuple[bytes, str, float | None] | None:
        """(value, tag, when its time is over); None where there is none."""
        found = self._rows.value(name, time.time()) if self.is_there else None
        self._count(name, is_hit=found is not None)
        return found

    def peek(self, name: str) -> bytes | None:
        """The value of a row, without counting the look."""
        found = self._rows.value(name, time.time()) if self.is_there else None
        return None if found is None else found[0]

    def put(self, name: str, value: bytes, *, tag: str, ttl_s: float | None) -> None:
        """Write a row, and its file if it is long."""
        with self._lock:
            self._opened().put(name, value, tag=tag, ttl_s=ttl_s)

    def delete_all(self, names: Sequence[str]) -> int:
        """Delete rows in one transaction; how many there were."""
        if not names or not self.is_there:
            return 0
        with self._lock:
            return int(self._opened().delete_all(names))

    def empty(self) -> None:
        """Delete every row, also what others have left."""
        if not self.is_there:
            return
        with self._lock:
            self._opened().clear()
            _store.sweep(self.folder, known=self._rows.files(), older_than=time.time() - _ORPHAN_S)

    def rows(self) -> list[Row]:
        """What the table holds, without the values."""
        self.note()
        return self._rows.all(time.time()) if self.is_there else []

    def counts(self) -> tuple[int, int]:
        """Hits and misses so far, those of other processes as far as they have noted them."""
        hits, misses = self._rows.counts() if self.is_there else (0, 0)
        with self._seen_lock:
            return hits + self._hits, misses + self._misses

    def discard(self) -> None:
        """Delete the files of a table that cannot be used."""
        with self._lock:
            self.let_go()
            _store.discard(self.folder)

    def used(self, name: str) -> None:
        """Count a look-up that was answered elsewhere from a copy of the row."""
        self._count(name, is_hit=True)

    @property
    def has_much_to_note(self) -> bool:
        """Whether look-ups should be written down now."""
        seen = self._hits + self._misses
        return seen >= NOTE_EVERY or (seen > 0 and time.monotonic() - self._noted_s > NOTE_AFTER_S)

    def note(self) -> None:
        """Write down the look-ups so far; they stay for later if another process is writing."""
        with self._seen_lock:
            hits, misses, used = self._hits, self._misses, self._used
            self._hits, self._misses, self._used = 0, 0, {}
            self._noted_s = time.monotonic()
        # Nothing is written into a folder that nobody has put anything into.
        if not (hits or misses) or not self.is_there:
            return
        with self._lock:
            is_noted = self._opened().note(used, hits=hits, misses=misses)
        if not is_noted:
            with self._seen_lock:
                self._hits, self._misses = self._hits + hits, self._misses + misses
                self._used = used | self._used

    def close(self) -> None:
        """Note what there is to note, and let go of the files."""
        try:
            self.note()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the files."""
        with self._lock:
            self._rows.close()
            if self._store is not None:
                self._store.close()
                self._store = None

    def _opened(self) -> Any:
        if self._store is None:
            self._store = _store.open_store(
                self.folder, limit_bytes=self._limit_bytes, busy_s=self._busy_s
            )
        return self._store

    def _count(self, name: str, *, is_hit: bool) -> None:
        with self._seen_lock:
            if is_hit:
                self._hits += 1
                self._used[name] = self._used.get(name, (0, 0.0))[0] + 1, time.time()
            else:
                self._misses += 1
