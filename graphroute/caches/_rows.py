"""Reading the table of a disk cache: plain SQL beside diskcache, so that a look-up writes nothing.

diskcache would note each look-up in the table at once, which takes longer than the look-up itself;
here that is done later, for many at a time. Nothing but bytes is ever made of a row.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RAW: Final = 1
"""diskcache's mark for a value that stands in the row as it is."""

_BINARY: Final = 2
_FILE: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")


class ForeignRow(ValueError):
    """A row that this cache cannot have written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row without its value; times are seconds since the epoch."""

    key: str
    tag: str
    size_bytes: int
    stored_s: float
    used_s: float
    hits: int
    expires_s: float | None


class Rows:
    """One reading connection for all threads of a process; opens itself, also after a fork."""

    def __init__(self, folder: Path, open_: Callable[[], sqlite3.Connection]) -> None:
        self._folder, self._open = folder, open_
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inherited: tuple[sqlite3.Connection, ...] = ()
        self._owner = 0

    def value(self, key: str, now: float) -> tuple[bytes, str, float | None] | None:
        """(value, tag, when its time is over) of `key`; None where there is none."""
        found = self._read(
            "SELECT mode, filename, value, tag, expire_time FROM Cache"
            " WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)",
            (key, now),
        )
        if not found:
            return None
        mode, filename, value, tag, expires_s = found[0]
        if mode == _BINARY and value is None:
            try:
                value = file_of(self._folder, filename).read_bytes()
            except FileNotFoundError:  # thrown out between the two looks
                return None
        elif mode != RAW or type(value) is not bytes:
            raise ForeignRow(f"a value of mode {mode!r}, type {type(value).__name__}")
        return value, str(tag or ""), expires_s

    def all(self, now: float) -> list[Row]:
        """Every row whose time is not over, the least recently used first."""
        found = self._read(
            "SELECT key, tag, size + COALESCE(LENGTH(value), 0), store_time, access_time,"
            " access_count, expire_time FROM Cache WHERE raw = 1 AND TYPEOF(key) = 'text'"
            " AND (expire_time IS NULL OR expire_time > ?) ORDER BY access_time, rowid",
            (now,),
        )
        return [
            Row(
                key=key,
                tag=str(tag or ""),
                size_bytes=size,
                stored_s=stored_s,
                used_s=used_s,
                hits=hits,
                expires_s=expires_s,
            )
            for key, tag, size, stored_s, used_s, hits, expires_s in found
        ]

    def files(self) -> list[str]:
        """Names of the value files that rows know."""
        found = self._read("SELECT filename FROM Cache WHERE filename IS NOT NULL")
        return [str(name) for (name,) in found]

    def counts(self) -> tuple[int, int]:
        """Hits and misses that have been noted in the table."""
        found = dict(self._read("SELECT key, value FROM Settings WHERE key IN ('hits', 'misses')"))
        return int(found.get("hits", 0)), int(found.get("misses", 0))

    def _read(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._db().execute(query, values).fetchall()
            except sqlite3.OperationalError as fault:
                # Another process is just making the table, or was killed while it did.
                if "no such table" in str(fault):
                    return []
                raise

    def close(self) -> None:
        """Close the connection; the next look opens another."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
                self._connection = None

    def _db(self) -> sqlite3.Connection:
        if self._connection is None or self._owner != os.getpid():
            if self._connection is not None:
                # Closing a connection that came through a fork could break its owner's.
                self._inherited = (*self._inherited, self._connection)
            self._connection, self._owner = self._open(), os.getpid()
        return self._connection


def file_of(folder: Path, name: object) -> Path:
    """The file in `folder` that a row names; a name that could lead elsewhere is a `ForeignRow`.

    >>> file_of(Path("cache"), "../../secret.val")
    Traceback (most recent call last):
        ...
    graphroute.caches._rows.ForeignRow: a file named '../../secret.val'
    """
    plain = str(name).replace(os.sep, "/")
    if not _FILE.fullmatch(plain):
        raise ForeignRow(f"a file named {str(name)[:60]!r}")
    return folder / plain
