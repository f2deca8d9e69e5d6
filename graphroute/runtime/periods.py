"""Day and month budgets: one SQLite file that all threads, tasks and processes count in.

A reservation is a row; settling replaces it by money spent in the periods it was made in. SQLite's
write lock makes each step atomic between processes, and its journal makes a process that is killed
at any instant leave either the whole step or nothing. Rows of processes that are gone, and rows
older than `EXPIRY_S`, are dropped before each reservation, so that a crash locks no money away.
Ids are never used twice, so a settlement that comes after its row expired ends no other's.

Periods are days and months in UTC, so a change of time zone moves nothing. The latest time ever
seen is kept: a clock set back does not open an old period again. The pace of each period
(`pacer`) is kept in the same file and moves on when a run begins.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from graphroute.errors import LedgerUnavailable
from graphroute.runtime import pacer
from graphroute.runtime.spans import Purse, Span, spans_at

logger = logging.getLogger(__name__)

EXPIRY_S: Final = 3600.0
"""A reservation older than this belongs to a call that cannot be running any more."""

BUSY_S: Final = 30.0
"""How long a step waits for another process's write lock."""

TICK_S: Final = 1.0
"""The latest time is written this often at most, so that most look-ups write nothing."""

_BEHIND_S: Final = 86_400.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (period TEXT PRIMARY KEY, nano INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL, born REAL NOT NULL, at REAL NOT NULL,
    day TEXT NOT NULL, month TEXT NOT NULL, nano INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 0), latest REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pace (
    period TEXT PRIMARY KEY, runs INTEGER NOT NULL, seen INTEGER NOT NULL, price REAL NOT NULL
) WITHOUT ROWID;
"""


class PeriodLedger:
    """Counts spending per day and month in the file at `path`; safe to share and to crash."""

    def __init__(
        self,
        path: Path,
        *,
        day_nano: int | None = None,
        month_nano: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.day_nano, self.month_nano = path, day_nano, month_nano
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._born = 0.0
        self._has_warned = False

    def reserve(self, amount_nano: int) -> int | None:
        """Put money aside in today's and this month's budget; its id, or None where one is full."""
        with self._step() as db:
            now = self._now(db)
            self._drop_dead(db, now)
            day, month = spans_at(now)
            if amount_nano and self._full(db, amount_nano, (day, month)) is not None:
                return None
            return db.execute(
                "INSERT INTO reserved (pid, born, at, day, month, nano) VALUES (?, ?, ?, ?, ?, ?)",
                (self._pid, self._born, now, day.key, month.key, amount_nano),
            ).lastrowid

    def settle(self, reservation: int, cost_nano: int) -> None:
        """Replace a reservation by what the call cost, in the periods it was reserved in.

        One that has expired meanwhile is still counted: the money is gone either way.
        """
        with self._step() as db:
            row = db.execute(
                "DELETE FROM reserved WHERE id = ? RETURNING day, month", (reservation,)
            ).fetchone()
            for period in row or (span.key for span in spans_at(self._now(db))):
                db.execute(
                    "INSERT INTO spent VALUES (?, ?)"
                    " ON CONFLICT (period) DO UPDATE SET nano = nano + excluded.nano",
                    (period, cost_nano),
                )

    def spent_nano(self) -> tuple[int, int]:
        """Spent today and this month."""
        with self._step() as db:
            day, month = spans_at(self._now(db))
            return _spent(db, day), _spent(db, month)

    def available_nano(self) -> int | None:
        """What a further call may reserve; None without a limit, never negative."""
        with self._step() as db:
            now = self._now(db)
            self._drop_dead(db, now)
            left = [limit - _taken(db, span) for limit, span in self._limits(spans_at(now))]
        return max(0, min(left)) if left else None

    def purse(self, amount_nano: int) -> Purse | None:
        """The limit that `amount_nano` does not fit under now, the day's first; None if it fits."""
        with self._step() as db:
            return self._full(db, amount_nano, spans_at(self._now(db)))

    def begin_run(self, full_nano: int) -> int | None:
        """Count a run and take a step of the pacer; the run's allowance, None for no restraint.

        full_nano: what a run costs that is not held back, at the dear end
        """
        with self._step() as db:
            now = self._now(db)
            allowed = [
                pacer.allowance_nano(self._paced(db, span, limit, now), full_nano=full_nano)
                for limit, span in self._limits(spans_at(now))
            ]
        return min((nano for nano in allowed if nano is not None), default=None)

    def _paced(self, db: sqlite3.Connection, span: Span, limit: int, now: float) -> pacer.Pace:
        query = "SELECT runs, seen, price FROM pace WHERE period = ?"
        before = db.execute(query, (span.before,)).fetchone()
        row = db.execute(query, (span.key,)).fetchone()
        # A new period begins at the price the last one ended with.
        runs, seen, price = row or (0, 0, before[2] if before else 0.0)
        pace = pacer.step(
            pacer.Pace(runs=runs, seen_nano=seen, log_price=price),
            spent_nano=_spent(db, span),
            limit_nano=limit,
            elapsed=span.elapsed(now),
            runs_before=before[0] if before else 0,
        )
        db.execute(
            "INSERT OR REPLACE INTO pace VALUES (?, ?, ?, ?)",
            (span.key, pace.runs, pace.seen_nano, pace.log_price),
        )
        return pace

    def _limits(self, spans: tuple[Span, Span]) -> list[tuple[int, Span]]:
        limits = (self.day_nano, self.month_nano)
        return [
            (limit, span) for limit, span in zip(limits, spans, strict=True) if limit is not None
        ]

    def _full(
        self, db: sqlite3.Connection, amount_nano: int, spans: tuple[Span, Span]
    ) -> Purse | None:
        for limit, span in self._limits(spans):
            if (taken := _taken(db, span)) + amount_nano > limit:
                return Purse(
                    name=span.name,
                    limit_nano=limit,
                    spent_nano=_spent(db, span),
                    taken_nano=taken,
                    ends_s=span.end_s,
                )
        return None

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One transaction with the write lock held; rolled back as a whole on any error."""
        with self._lock:
            try:
                db = self._open()
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except (sqlite3.Error, OSError) as fault:
                self._drop_connection()
                raise LedgerUnavailable(
                    f"the ledger {str(self.path)!r} of the day and month budgets cannot be used "
                    f"({fault})",
                    path=str(self.path),
                    next_step="free or move the file, or set store= or GRAPHROUTE_HOME to a "
                    "folder that can be written",
                ) from fault

    def _open(self) -> sqlite3.Connection:
        # A connection must not cross a fork: the child opens its own.
        if self._connection is None or self._pid != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._pid = os.getpid()
            self._born = psutil.Process(self._pid).create_time()
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        return self._connection

    def _now(self, db: sqlite3.Connection) -> float:
        row = db.execute("SELECT latest FROM clock").fetchone()
        read, latest = self._clock(), row[0] if row else 0.0
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

    def _drop_dead(self, db: sqlite3.Connection, now: float) -> None:
        owners = db.execute("SELECT DISTINCT pid, born FROM reserved").fetchall()
        for pid, born in owners:
            if pid != self._pid and not _lives(pid, born):
                db.execute("DELETE FROM reserved WHERE pid = ? AND born = ?", (pid, born))
        db.execute("DELETE FROM reserved WHERE at < ?", (now - EXPIRY_S,))

    def _drop_connection(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Close the file; a later step opens it again."""
        with self._lock:
            self._drop_connection()


def _lives(pid: int, born: float) -> bool:
    """Whether the process that wrote a row still runs; pids are used again, start times are not."""
    try:
        process = psutil.Process(pid)
        # A killed process keeps its pid until its parent asks how it ended.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(abs(process.create_time() - born) < 0.05)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _spent(db: sqlite3.Connection, span: Span) -> int:
    row = db.execute("SELECT nano FROM spent WHERE period = ?", (span.key,)).fetchone()
    return row[0] if row else 0


def _taken(db: sqlite3.Connection, span: Span) -> int:
    """Spent and reserved of a period; the column is one of two literals."""
    query = f"SELECT COALESCE(SUM(nano), 0) FROM reserved WHERE {span.name} = ?"
    return _spent(db, span) + int(db.execute(query, (span.key,)).fetchone()[0])
