"""The tables, step by step from version to version, and what happens to a file that is no good.

A file of an older version is brought up to date when it is opened; one of a newer version is left
alone (`NewerFile`); one that is damaged or something else is set aside as `….damaged` with a
warning, and a new one begun. Names that occur again and again (nodes, models, reasons) are kept
once and pointed to, so that a million calls take about 120 MB and are summed as whole numbers.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x67725F72  # "gr_r"
BUSY_S: Final = 10.0
"""How long a step waits for another process's write lock."""

_FIRST = """
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE graphs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, fingerprint TEXT NOT NULL, shape TEXT,
    UNIQUE (fingerprint, name));
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, graph INTEGER NOT NULL,
    thread TEXT NOT NULL, UNIQUE (run, graph));
CREATE TABLE calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL, graph INTEGER NOT NULL, node INTEGER NOT NULL, model INTEGER NOT NULL,
    started_s REAL NOT NULL, took_s REAL NOT NULL, bucket INTEGER NOT NULL,
    in_tokens INTEGER NOT NULL, out_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    cost_nano INTEGER NOT NULL, baseline_nano INTEGER, flags INTEGER NOT NULL,
    retries INTEGER NOT NULL, why INTEGER NOT NULL, cache INTEGER, quality REAL,
    planned INTEGER, own_model INTEGER, step INTEGER, iteration INTEGER, difficulty REAL,
    predicted_quality REAL, predicted_cost_nano INTEGER, predicted_s REAL,
    prompt_sha BLOB, prompt_chars INTEGER NOT NULL, more TEXT);
CREATE INDEX calls_by_start ON calls (started_s);
CREATE INDEX calls_by_run ON calls (run, node);
CREATE TABLE texts (call INTEGER PRIMARY KEY, prompt TEXT, answer TEXT);
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, node INTEGER, at_s REAL NOT NULL,
    score REAL, passed INTEGER, source INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE INDEX verdicts_by_run ON verdicts (run);
CREATE TABLE credits (
    verdict INTEGER NOT NULL, run INTEGER NOT NULL, node INTEGER NOT NULL,
    score REAL NOT NULL, weight REAL NOT NULL, PRIMARY KEY (verdict, node)) WITHOUT ROWID;
CREATE INDEX credits_by_run ON credits (run, node);
"""

CELL_SUMS: Final = (
    ("calls", "1"),
    ("in_tokens", "{r}.in_tokens"),
    ("out_tokens", "{r}.out_tokens"),
    ("cached_tokens", "{r}.cached_tokens"),
    ("cost_nano", "{r}.cost_nano"),
    ("took_s", "{r}.took_s"),
    ("compared", "({r}.baseline_nano IS NOT NULL)"),
    ("compared_nano", "CASE WHEN {r}.baseline_nano IS NULL THEN 0 ELSE {r}.cost_nano END"),
    ("baseline_nano", "coalesce({r}.baseline_nano, 0)"),
    ("estimated", "({r}.flags & 1 != 0)"),
    ("moved", "({r}.flags & 2 != 0)"),
    ("failed", "({r}.flags & 4 != 0)"),
    ("faults", "({r}.flags & 8 != 0)"),
    ("capped", "({r}.flags & 16 != 0)"),
    ("cached", "({r}.flags & 32 != 0)"),
    ("retries", "{r}.retries"),
    ("predicted_quality_sum", "coalesce({r}.predicted_quality, 0.0)"),
    ("predicted", "({r}.predicted_quality IS NOT NULL)"),
    # Whoever has written a row, nothing else than a share is a quality.
    ("quality_sum", "CASE WHEN {r}.quality BETWEEN 0 AND 1 THEN {r}.quality ELSE 0.0 END"),
    (
        "square_sum",
        "CASE WHEN {r}.quality BETWEEN 0 AND 1 THEN {r}.quality * {r}.quality ELSE 0.0 END",
    ),
    ("judged", "coalesce({r}.quality BETWEEN 0 AND 1, 0)"),
)
"""What is summed of the calls (row `r`) of a graph and node on a model in a day."""

DAY: Final = "CAST({r}.started_s / 86400 AS INTEGER)"
"""Days since the epoch, UTC."""


_CELL: Final = "graph, node, model, day"
_SUMMED: Final = ", ".join(f"sum({expr.format(r='calls')})" for _, expr in CELL_SUMS)


def _cells() -> str:
    """The table of sums per day: a report adds up thousands of rows, not a million."""
    sums = ", ".join(f"{name} NUMERIC NOT NULL" for name, _ in CELL_SUMS)
    return f"""
CREATE TABLE cells (
    graph INTEGER NOT NULL, node INTEGER NOT NULL, model INTEGER NOT NULL, day INTEGER NOT NULL,
    {sums}, PRIMARY KEY ({_CELL})) WITHOUT ROWID;
INSERT INTO cells SELECT graph, node, model, {DAY.format(r="calls")}, {_SUMMED}
    FROM calls GROUP BY 1, 2, 3, 4;
"""


def _triggers() -> str:
    """What keeps those sums."""

    def values(row: str) -> str:
        exprs = (expr.format(r=row) for _, expr in CELL_SUMS)
        return ", ".join([f"{row}.graph, {row}.node, {row}.model", DAY.format(r=row), *exprs])

    def changed(sign: str, row: str) -> str:
        return ", ".join(f"{name} = {name} {sign} {expr.format(r=row)}" for name, expr in CELL_SUMS)

    grown = ", ".join(f"{name} = {name} + excluded.{name}" for name, _ in CELL_SUMS)
    old = "graph = OLD.graph AND node = OLD.node AND model = OLD.model AND day = " + DAY.format(
        r="OLD"
    )
    return f"""
CREATE TRIGGER calls_grow AFTER INSERT ON calls BEGIN
    INSERT INTO cells VALUES ({values("NEW")}) ON CONFLICT ({_CELL}) DO UPDATE SET {grown};
END;
CREATE TRIGGER calls_shrink AFTER DELETE ON calls BEGIN
    UPDATE cells SET {changed("-", "OLD")} WHERE {old};
    DELETE FROM cells WHERE calls <= 0 AND {old};
END;
"""


_SERVED = "ALTER TABLE calls ADD COLUMN served INTEGER"


def _mended() -> str:
    """Files from when a verdict could be anything, and the same one be kept again and again.

    The last that one source said of a run, or of a node of it, stands.
    """
    day = DAY.format(r="calls")
    return f"""
DROP TRIGGER calls_grow;
DROP TRIGGER calls_shrink;
DELETE FROM cells WHERE ({_CELL}) IN (
    SELECT graph, node, model, {day} FROM calls WHERE NOT quality BETWEEN 0 AND 1);
UPDATE calls SET quality = NULL WHERE NOT quality BETWEEN 0 AND 1;
INSERT INTO cells SELECT graph, node, model, {day} AS on_day, {_SUMMED} FROM calls
    WHERE NOT EXISTS (SELECT 1 FROM cells WHERE cells.graph = calls.graph
        AND cells.node = calls.node AND cells.model = calls.model AND cells.day = {day})
    GROUP BY graph, node, model, on_day;
DELETE FROM verdicts WHERE NOT score BETWEEN 0 AND 1
    OR id NOT IN (SELECT max(id) FROM verdicts GROUP BY run, node, source);
DELETE FROM credits WHERE NOT score BETWEEN 0 AND 1 OR NOT weight BETWEEN 0 AND 1
    OR verdict NOT IN (SELECT id FROM verdicts);
{_triggers()}"""


STEPS: Final = (_FIRST, _cells() + _triggers(), _SERVED, _mended())
"""`STEPS[n]` brings a file of version n to version n + 1; none is ever changed afterwards."""

_MENDED: Final = 4
"""The version in which verdicts are shares."""

_SPOILT: Final = (
    "SELECT (SELECT count(*) FROM calls WHERE NOT quality BETWEEN 0 AND 1)"
    " + (SELECT count(*) FROM credits WHERE NOT score BETWEEN 0 AND 1)"
)
"""How much of what judges answers is none, in a file from before it was mended."""


class NewerFile(Exception):
    """A file written by a later version, which this one must not touch."""


class WrongFile(sqlite3.DatabaseError):
    """A file that SQLite can read but that is not ours, or lacks what its version should have."""


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether an error means that the file itself is no good, and not just out of reach."""
    code = getattr(fault, "sqlite_errorcode", None)
    broken = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(fault, WrongFile) or (code is not None and code & 0xFF in broken)


def opened(path: Path, *, steps: tuple[str, ...] = STEPS) -> sqlite3.Connection:
    """A connection to the file at `path`, made or brought up to date if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # Before anything is written: a foreign file must not even change its journal.
        version = _version(db, len(steps))
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if version < len(steps):
            _migrate(db, steps)
        db.execute("SELECT run, model, flags, more FROM calls LIMIT 0")
        db.execute("SELECT node, weight FROM credits LIMIT 0")
        if len(steps) > 1:
            db.execute("SELECT day, judged FROM cells LIMIT 0")
    except BaseException as fault:
        db.close()
        is_ours = isinstance(fault, sqlite3.OperationalError) and "no such" in str(fault)
        if is_ours:
            raise WrongFile(f"{path.name} lacks a table it should have ({fault})") from fault
        raise
    return db


def _version(db: sqlite3.Connection, newest: int) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and owner != APPLICATION_ID:
        raise WrongFile("the file belongs to another program")
    if version > newest:
        raise NewerFile(f"version {version} of the file is newer than {newest}, the last one known")
    return int(version)


def _migrate(db: sqlite3.Connection, steps: tuple[str, ...]) -> None:
    db.execute("BEGIN EXCLUSIVE")
    try:
        # Another process may have done it while this one waited for the lock.
        (version,) = db.execute("PRAGMA user_version").fetchone()
        spoilt = db.execute(_SPOILT).fetchone()[0] if 0 < version < _MENDED else 0
        for step in steps[version:]:
            for statement in _statements(step):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    if spoilt:
        logger.warning(
            "%d verdicts in the records had a score outside [0, 1]; they do not count any more",
            spoilt,
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; unlike `executescript`, running them one by one is undone whole.

    >>> list(_statements("CREATE TABLE a (x); CREATE TABLE b (y)"))
    ['CREATE TABLE a (x);', ' CREATE TABLE b (y);']
    """
    text = ""
    for part in script.split(";"):
        text += f"{part};"
        if text.strip(" \n;") and sqlite3.complete_statement(text):
            yield text
            text = ""


def set_aside(path: Path, fault: BaseException) -> Path:
    """Move a file that is no good out of the way, with its journal; where it is now."""
    aside = path.with_name(f"{path.name}.damaged")
    for end in ("-wal", "-shm"):
        with suppress(OSError):
            os.replace(f"{path}{end}", f"{aside}{end}")
    os.replace(path, aside)
    logger.warning(
        "the record file %r is damaged (%s); it was set aside as %r and a new one begun",
        str(path),
        fault,
        aside.name,
    )
    return aside
