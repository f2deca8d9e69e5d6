"""Day and month budgets: what all threads, tasks and processes together may spend.

A reservation is a row; settling replaces it by money spent in the periods it was made in. What
becomes of a row whose process is gone, or that is older than `EXPIRY_S`, hangs on whether its call
had gone out:

```
 reserve ──► put aside ──► start ──► started ──► settle ──► spent: what it cost
                 │                      │
             its process dies      its process dies
                 ▼                      ▼
          free for others again    spent: the worst it can cost, as the provider may bill it
                                        │
                                   settled all the same (another machine, a very slow call)
                                        ▼
                                   spent: what it cost
```

So the books never show less than what providers can bill, and a crash locks away nothing that they
cannot. Ids are never used twice, so a settlement that comes late ends no other's.

Periods are days and months in UTC, so a change of time zone moves nothing. The pace of each period
(`pacer`) is kept in the same file and moves on when a run begins.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from graphroute.runtime import pacer
from graphroute.runtime.ledger_file import LedgerFile
from graphroute.runtime.processes import Owner, lives
from graphroute.runtime.spans import Purse, Span, spans_at

EXPIRY_S: Final = 3600.0
"""A reservation older than this is given up: nobody is expected to settle it any more."""

KEPT_S: Final = 62 * 86_400.0
"""How long it is remembered what a call that was given up was counted with."""

_PUT_ASIDE, _STARTED, _COUNTED = 0, 1, 2


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
        self.day_nano, self.month_nano = day_nano, month_nano
        self._file = LedgerFile(path, clock=clock)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def reserve(self, amount_nano: int) -> int | None:
        """Put money aside in today's and this month's budget; its id, or None where one is full."""
        with self._file.step() as db:
            now = self._file.now(db)
            self._give_up_lost(db, now)
            return self._insert(db, now, amount_nano, id_=None, state=_PUT_ASIDE)

    def start(self, reservation: int, amount_nano: int) -> bool:
        """The call of a reservation goes out now, so that from here on it may be billed.

        False where the reservation was given up meanwhile and its money is not there any more.
        """
        with self._file.step() as db:
            row = db.execute(
                "UPDATE reserved SET state = MAX(state, ?) WHERE id = ? RETURNING state",
                (_STARTED, reservation),
            ).fetchone()
            if row is not None:
                return True
            now = self._file.now(db)
            return self._insert(db, now, amount_nano, id_=reservation, state=_STARTED) is not None

    def _insert(
        self, db: sqlite3.Connection, now: float, amount_nano: int, *, id_: int | None, state: int
    ) -> int | None:
        day, month = spans_at(now)
        if amount_nano and self._full(db, amount_nano, (day, month)) is not None:
            return None
        owner = self._file.owner
        return db.execute(
            "INSERT INTO reserved (id, pid, born, at, day, month, nano, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (id_, owner.pid, owner.born_s, now, day.key, month.key, amount_nano, state),
        ).lastrowid

    def settle(self, reservation: int, cost_nano: int) -> None:
        """Replace a reservation by what the call cost, in the periods it was reserved in.

        One that was given up meanwhile is still counted, and only once.
        """
        with self._file.step() as db:
            row = db.execute(
                "DELETE FROM reserved WHERE id = ? RETURNING day, month, nano, state",
                (reservation,),
            ).fetchone()
            if row is None:
                day, month = (span.key for span in spans_at(self._file.now(db)))
                counted = 0
            else:
                day, month, nano, state = row
                counted = nano if state == _COUNTED else 0
            _spend(db, day, cost_nano - counted)
            _spend(db, month, cost_nano - counted)

    def spent_nano(self) -> tuple[int, int]:
        """Spent today and this month."""
        with self._file.step() as db:
            now = self._file.now(db)
            self._give_up_lost(db, now)
            day, month = spans_at(now)
            return _spent(db, day), _spent(db, month)

    def unanswered_nano(self) -> tuple[int, int]:
        """The part of what is spent today and this month of which no answer is known.

        Calls that had gone out when their process died, at the worst they can cost.
        """
        with self._file.step() as db:
            day, month = (
                _reserved(db, span, is_counted=True) for span in spans_at(self._file.now(db))
            )
        return day, month

    def available_nano(self) -> int | None:
        """What a further call may reserve; None without a limit, never negative."""
        with self._file.step() as db:
            now = self._file.now(db)
            self._give_up_lost(db, now)
            left = [limit - _taken(db, span) for limit, span in self._limits(spans_at(now))]
        return max(0, min(left)) if left else None

    def purse(self, amount_nano: int) -> Purse | None:
        """The limit that `amount_nano` does not fit under now, the day's first; None if it fits."""
        with self._file.step() as db:
            return self._full(db, amount_nano, spans_at(self._file.now(db)))

    def tightest(self) -> Purse | None:
        """The limit with the least left; None where there is none."""
        with self._file.step() as db:
            purses = [
                _purse(db, span, limit)
                for limit, span in self._limits(spans_at(self._file.now(db)))
            ]
        return min(purses, key=lambda p: p.limit_nano - p.taken_nano, default=None)

    def begin_run(self, full_nano: int) -> int | None:
        """Count a run and take a step of the pacer; the run's allowance, None for no restraint.

        full_nano: what a run costs that is not held back, at the dear end
        """
        with self._file.step() as db:
            now = self._file.now(db)
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
            purse = _purse(db, span, limit)
            if purse.taken_nano + amount_nano > limit:
                return purse
        return None

    def _give_up_lost(self, db: sqlite3.Connection, now: float) -> None:
        """End the reservations of processes that are gone, and those that are too old."""
        owners = db.execute("SELECT DISTINCT pid, born FROM reserved WHERE state < 2").fetchall()
        for pid, born in owners:
            owner = Owner(pid=pid, born_s=born)
            if owner != self._file.owner and not lives(owner):
                _give_up(db, "pid = ? AND born = ?", (pid, born))
        _give_up(db, "at < ?", (now - EXPIRY_S,))
        db.execute("DELETE FROM reserved WHERE at < ?", (now - KEPT_S,))

    def close(self) -> None:
        """Close the file; a later step opens it again."""
        self._file.close()


def _give_up(db: sqlite3.Connection, which: str, values: tuple[float, ...]) -> None:
    """Free the money of calls that never went out; count the others at their worst."""
    db.execute(f"DELETE FROM reserved WHERE state = {_PUT_ASIDE} AND {which}", values)
    lost = db.execute(
        f"UPDATE reserved SET state = {_COUNTED} WHERE state = {_STARTED} AND {which}"
        " RETURNING day, month, nano",
        values,
    ).fetchall()
    for day, month, nano in lost:
        _spend(db, day, nano)
        _spend(db, month, nano)


def _spend(db: sqlite3.Connection, period: str, nano: int) -> None:
    db.execute(
        "INSERT INTO spent VALUES (?, ?)"
        " ON CONFLICT (period) DO UPDATE SET nano = nano + excluded.nano",
        (period, nano),
    )


def _spent(db: sqlite3.Connection, span: Span) -> int:
    row = db.execute("SELECT nano FROM spent WHERE period = ?", (span.key,)).fetchone()
    return row[0] if row else 0


def _reserved(db: sqlite3.Connection, span: Span, *, is_counted: bool) -> int:
    """Sum of a period's rows; the column is one of two literals."""
    query = f"SELECT COALESCE(SUM(nano), 0) FROM reserved WHERE {span.name} = ? AND state "
    query += f"= {_COUNTED}" if is_counted else f"< {_COUNTED}"
    return int(db.execute(query, (span.key,)).fetchone()[0])


def _purse(db: sqlite3.Connection, span: Span, limit: int) -> Purse:
    return Purse(
        name=span.name,
        limit_nano=limit,
        spent_nano=_spent(db, span),
        taken_nano=_taken(db, span),
        ends_s=span.end_s,
    )


def _taken(db: sqlite3.Connection, span: Span) -> int:
    """Spent and reserved of a period."""
    return _spent(db, span) + _reserved(db, span, is_counted=False)
