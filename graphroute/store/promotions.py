"""The log of what learning has put in use: who, when, why, from what to what; and one step back.

Entries are only ever added, one transaction each, so a process that is killed at any instant leaves
the whole of one or nothing of it. What is in use follows from the log alone: a promotion goes on
top, an undoing takes the top away, and what is on top is in use. There is nothing else to write
that could come to disagree with it.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> log = Promotions(Path(folder.name) / FILE)
>>> with log.step() as step:
...     step.add(kind="promoted", subject="scorer", old="", new="0001", why="better")
>>> in_use(log.entries(), "scorer")
'0001'
>>> folder.cleanup()
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from graphroute.errors import StoreUnavailable

FILE: Final = "promotions.sqlite3"
BUSY_S: Final = 10.0
MOST_ENTRIES: Final = 100_000
"""Entries that are read at most, the latest."""

Kind = Literal["promoted", "kept", "undone", "planned"]

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " at_s REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, old TEXT NOT NULL,"
    " new TEXT NOT NULL, why TEXT NOT NULL, facts TEXT NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS only_added BEFORE UPDATE ON entries"
    " BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END",
    "CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON entries"
    " BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log.

    kind: `promoted`: `new` was put in the place of `old`; `undone`: the other way round; `kept`: it
        was tried and `old` stays; `planned`: a graph was planned again by itself
    subject: what is promoted; `""` as old or new: what ships, nothing learnt
    facts: figures behind it, by name
    """

    number: int
    at_s: float
    kind: Kind
    subject: str
    old: str
    new: str
    why: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Promotions:
    """The log in the file at `path`, which is made by the first entry; shared by processes."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first; none where there is no file."""
        if not self.path.exists():
            return ()
        with self._opened() as db:
            return _read(db)

    @contextmanager
    def step(self) -> Iterator[Step]:
        """Look and add as one transaction, which no other process can come between."""
        with self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield Step(db, at_s=self._clock())
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            try:
                for statement in _SCHEMA:
                    db.execute(statement)
                yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as fault:
            raise StoreUnavailable(
                f"the log of promotions {str(self.path)!r} cannot be used ({fault})",
                path=str(self.path),
                next_step="free or move the file, or set store= or GRAPHROUTE_HOME to a folder "
                "that can be written",
            ) from fault


class Step:
    """The log inside one transaction."""

    def __init__(self, db: sqlite3.Connection, *, at_s: float) -> None:
        self._db, self._at_s = db, at_s

    def entries(self) -> tuple[Entry, ...]:
        """All entries so far, oldest first."""
        return _read(self._db)

    def add(
        self,
        *,
        kind: Kind,
        subject: str,
        old: str,
        new: str,
        why: str,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Add one entry."""
        values = (self._at_s, kind, subject, old, new, why, json.dumps(facts or {}))
        self._db.execute(
            "INSERT INTO entries (at_s, kind, subject, old, new, why, facts)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )


def standing(entries: Sequence[Entry], subject: str | None = None) -> tuple[Entry, ...]:
    """Promotions that nobody has undone, oldest first; of one subject or of all."""
    found: list[Entry] = []
    for entry in entries:
        if subject is not None and entry.subject != subject:
            continue
        if entry.kind == "promoted":
            found.append(entry)
        elif entry.kind == "undone":
            found = [e for e in found if (e.subject, e.new) != (entry.subject, entry.old)]
    return tuple(found)


def in_use(entries: Sequence[Entry], subject: str) -> str:
    """What of a subject is in use, `""` for what ships."""
    found = standing(entries, subject)
    return found[-1].new if found else ""


def undo(log: Promotions, *, why: str) -> Entry | None:
    """Take back the last promotion that stands, and say so in the log; it, or None without any."""
    with log.step() as step:
        if not (left := standing(step.entries())):
            return None
        last = left[-1]
        below = [entry.new for entry in left if entry.subject == last.subject][:-1]
        new = below[-1] if below else ""
        step.add(kind="undone", subject=last.subject, old=last.new, new=new, why=why)
        return last


def _read(db: sqlite3.Connection) -> tuple[Entry, ...]:
    query = "SELECT * FROM entries ORDER BY number DESC LIMIT ?"
    found = [_entry(*row) for row in db.execute(query, (MOST_ENTRIES,))]
    return tuple(reversed(found))


def _entry(
    number: int, at_s: float, kind: Kind, subject: str, old: str, new: str, why: str, facts: str
) -> Entry:
    try:
        known = json.loads(facts)
    except ValueError:
        known = {}
    return Entry(
        number=number,
        at_s=at_s,
        kind=kind,
        subject=subject,
        old=old,
        new=new,
        why=why,
        facts=known if isinstance(known, dict) else {},
    )
