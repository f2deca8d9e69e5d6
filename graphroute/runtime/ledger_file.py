"""The file of day and month budgets: one transaction at a time, in whichever process.

SQLite's write lock makes each step atomic between processes, and its journal makes a process that
is killed at any instant leave either the whole step or nothing. The latest time ever seen is kept
in the file: a clock set back does not open an old period again.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from graphroute.errors import LedgerUnavailable
from graphroute.runtime.processes import Owner, this_process

logger = logging.getLogger(__name__)

BUSY_S: Final = 30.0
"""How long a step waits for another process's write lock."""

TICK_S: Final = 1.0
"""The latest time is written this often at most, so that most look-ups write nothing."""

_BEHIND_S: Final = 86_400.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS spent (period TEXT PRIMARY KEY, nano INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS reserved (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " pid INTEGER NOT NULL, born REAL NOT NULL, at REAL NOT NULL,"
    " day TEXT NOT NULL, month TEXT NOT NULL, nano INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS clock"
    " (id INTEGER PRIMARY KEY CHECK (id = 0), latest REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pace (period TEXT PRIMARY KEY, runs INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, price REAL NOT NULL) WITHOUT ROWID",
)
_STATE: Final = "ALTER TABLE reserved ADD COLUMN state INTEGER NOT NULL DEFAULT 1"
"""Files of the first version lack it; their calls may have started, so that is the default."""


class LedgerFile:
    """A connection that opens itself, also anew after a fork; shared by threads."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self.path, self.clock = path, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = Owner(pid=0, born_s=0.0)
        self._has_warned = False

    @property
    def owner(self) -> Owner:
        """The process that the open connection belongs to."""
        return self._owner

    @contextmanager
    def step(self) -> Iterator[sqlite3.Connection]:
        """One transaction with the write lock held; rolled back as a whole on any error."""
        with self._lock:
            try:
                db = self._open()
                with _transaction(db):
                    yield db
            except (sqlite3.Error, OSError) as fault:
                self._drop_connection()
                raise LedgerUnavailable(
                    f"the ledger {str(self.path)!r} of the day and month budgets cannot be used "
                    f"({fault})",
                    path=str(self.path),
                    next_step="free or move the file, or set store= or GRAPHROUTE_HOME to a "
                    "folder that can be written",
                ) from fault

    def now(self, db: sqlite3.Connection) -> float:
        """Seconds since the epoch, never less than any process has seen before."""
        row = db.execute("SELECT latest FROM clock").fetchone()
        read, latest = self.clock(), row[0] if row else 0.0
        if read >= latest + TICK_S:
            db.execute(
                "INSERT INTO clock VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET latest = ?",
                (read, read),
            )
        elif read < latest - _BEHIND_S and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "the clock is %.1f days behind the latest time in %r: day and month budgets stay "
                "in that time's period until the clock has caught up; if that time was wrong, "
                "move the file away",
                (latest - read) / 86_400,
                str(self.path),
            )
        return max(read, latest)

    def _open(self) -> sqlite3.Connection:
        # A connection must not cross a fork: the child opens its own.
        if self._connection is None or not self._is_ours:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._owner = this_process()
            db = self._connection = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            with _transaction(db):
                for statement in _SCHEMA:
                    db.execute(statement)
                if "state" not in {row[1] for row in db.execute("PRAGMA table_info(reserved)")}:
                    db.execute(_STATE)
        return self._connection

    @property
    def _is_ours(self) -> bool:
        return self._owner.pid == os.getpid()

    def _drop_connection(self) -> None:
        if self._connection is not None and self._is_ours:
            self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Close the file; a later step opens it again."""
        with self._lock:
            self._drop_connection()


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
