"""`diskcache`, made to hold bytes only and to be shared by threads.

Plain diskcache unpickles whatever a row says is a pickle, so who can write to its folder can run
code in every process that reads it; and it opens a connection per thread, of which LangGraph has
many short-lived ones. Here a row that is not bytes is refused before it is read, file names in rows
stay inside the folder, and one connection serves all threads of a process, one at a time.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from graphroute.caches._rows import RAW, ForeignRow, file_of

_PRAGMAS: Final = {
    # Memory that is mapped from a file which another process cuts short kills the reader.
    "sqlite_mmap_size": 0,
    "sqlite_synchronous": 1,
}
MIN_FILE_BYTES: Final = 64 * 1024
"""Values from here on are files of their own; below, a row of the table is faster."""

CULL: Final = 64
"""Most entries that one put throws out to make room."""

_OVER: Final = (
    "SELECT rowid, filename, 0 FROM Cache"
    " WHERE expire_time IS NOT NULL AND expire_time < ? ORDER BY expire_time LIMIT ?"
)
_OLDEST: Final = (
    "SELECT rowid, filename, size + COALESCE(LENGTH(value), 0) FROM Cache"
    " ORDER BY access_time, rowid LIMIT ?"
)


def open_store(folder: Path, *, limit_bytes: int, busy_s: float) -> Any:
    """The store in `folder`, which is made if need be, readable for its owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store, disk = _classes()
    give_up = time.monotonic() + busy_s
    while True:
        try:
            return store(
                str(folder),
                timeout=busy_s,
                disk=disk,
                size_limit=limit_bytes,
                eviction_policy="least-recently-used",
                disk_min_file_size=MIN_FILE_BYTES,
                statistics=0,
                **_PRAGMAS,
            )
        except sqlite3.OperationalError as fault:
            # Opening writes settings, and not all of its steps wait for other processes.
            if "locked" not in str(fault) or time.monotonic() > give_up:
                raise
            time.sleep(0.005)


@cache
def _classes() -> tuple[Any, Any]:
    """The two classes of diskcache, changed; made when a cache is first opened.

    Importing diskcache is left until then, so that `import graphroute` does without it.
    """
    import diskcache

    class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
        last_file: str | None = None
        """The file that the last `store` wrote, None where it wrote none."""

        def put(self, key: object) -> tuple[str, bool]:
            if type(key) is not str:
                raise ForeignRow(f"a key of type {type(key).__name__}")
            return key, True

        def get(self, key: object, raw: object) -> str:
            if type(key) is not str or not raw:
                raise ForeignRow("a key that is no text")
            return key

        def store(self, value: object, read: bool, key: object = None) -> Any:
            if type(value) is not bytes or read:
                raise ForeignRow(f"a value of type {type(value).__name__}")
            self.last_file = None
            return super().store(value, False, key=key)

        def filename(self, key: object = None, value: object = None) -> tuple[str, str]:
            name, path = super().filename(key, value)
            self.last_file = name
            return name, path

        def fetch(self, *_: object) -> bytes:
            raise ForeignRow("values are read by Rows")

        def remove(self, file_path: str) -> None:
            super().remove(str(file_of(Path(self._directory), file_path)))

    class Store(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
        _shared: sqlite3.Connection | None = None
        _owner = 0
        _inherited: tuple[sqlite3.Connection, ...] = ()

        def __init__(self, *args: Any, **settings: Any) -> None:
            try:
                super().__init__(*args, **settings)
            except BaseException:
                self.close()
                raise

        @property
        def _con(self) -> sqlite3.Connection:
            if self._shared is None or self._owner != os.getpid():
                if self._shared is not None:
                    # Closing a connection that came through a fork could break its owner's.
                    self._inherited = (*self._inherited, self._shared)
                self._owner, self._txn_id = os.getpid(), None
                self._shared = connect(self._directory, busy_s=self._timeout)
            return self._shared

        def close(self) -> None:
            if self._shared is not None and self._owner == os.getpid():
                self._shared.close()
                self._shared = None

        def put(self, key: str, value: bytes, *, tag: str, ttl_s: float | None) -> None:
            try:
                self.set(key, value, expire=ttl_s, tag=tag)
            except BaseException:
                if self._disk.last_file is not None:
                    self._disk.remove(self._disk.last_file)
                raise

        def _cull(self, now: float, sql: Any, cleanup: Any) -> None:
            """Throw out what is over, then the least recently used, but no more than is needed.

            diskcache throws out a fixed number, which of few large entries is half the cache.
            """
            chosen = sql(_OVER, (now, CULL)).fetchall()
            excess = self.volume() - self.size_limit
            if excess > 0:
                for row in sql(_OLDEST, (CULL,)).fetchall():
                    if excess <= 0:
                        break
                    chosen.append(row)
                    excess -= row[2]
            for rowid, filename, _ in chosen:
                sql("DELETE FROM Cache WHERE rowid = ?", (rowid,))
                cleanup(filename)

        def delete_all(self, keys: Iterable[str]) -> int:
            with self.transact():
                return sum(self.delete(key) for key in keys)

        def note(self, used: dict[str, tuple[int, float]], *, hits: int, misses: int) -> bool:
            """Add look-ups to the table; False, and at once, where another process is writing."""
            self._sql("PRAGMA busy_timeout = 0")
            try:
                with self.transact():
                    for key, (times, at) in used.items():
                        self._sql(
                            "UPDATE Cache SET access_count = access_count + ?, access_time = ?"
                            " WHERE key = ? AND raw = 1",
                            (times, at, key),
                        )
                    for name, count in (("hits", hits), ("misses", misses)):
                        self._sql(
                            "UPDATE Settings SET value = value + ? WHERE key = ?", (count, name)
                        )
            except diskcache.Timeout:
                return False
            finally:
                self._sql(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")
            return True

    return Store, BytesDisk


def connect(folder: str | Path, *, busy_s: float) -> sqlite3.Connection:
    """A connection to the table in `folder` that any thread may use, one at a time."""
    db = sqlite3.connect(
        Path(folder) / "cache.db", timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    for name, value in _PRAGMAS.items():
        db.execute(f"PRAGMA {name.removeprefix('sqlite_')} = {value}")
    return db


def discard(folder: Path) -> None:
    """Delete the files of a store that cannot be opened, and nothing else in its folder."""
    for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    sweep(folder, known=())


def sweep(folder: Path, *, known: Iterable[str], older_than: float | None = None) -> None:
    """Delete value files that no row knows; a process that was killed while it wrote left them.

    older_than: only those last changed before that time, as others may be about to get their row
    """
    kept = {file_of(folder, name) for name in known}
    for path in folder.glob("??/??/*.val"):
        if path not in kept and re.fullmatch(r"[0-9a-f]{28}\.val", path.name):
            try:
                if older_than is None or path.stat().st_mtime < older_than:
                    path.unlink()
            except FileNotFoundError:
                continue


__all__ = ["RAW", "ForeignRow", "connect", "discard", "open_store", "sweep"]
