"""`RecordStore`: call records, verdicts and credits in one SQLite file that processes share.

>>> import tempfile
>>> from graphroute.ir.record import CallRecord
>>> folder = tempfile.TemporaryDirectory()
>>> store = RecordStore(Path(folder.name) / "records.sqlite3")
>>> store.add(CallRecord(
...     run_id="r1", node="draft", step=1, planned="weak", model="weak", why="plan",
...     own_model="strong", in_tokens=100, out_tokens=20, is_estimated=False,
...     cost_nano=1_000, baseline_nano=9_000, started_s=1_800_000_000.0, took_s=0.4))
>>> store.flush()
True
>>> [(call.run_id, call.node, call.cost_nano) for call in store.records()]
[('r1', 'draft', 1000)]
>>> store.clear(before_s=1_900_000_000.0)
1
>>> folder.cleanup()
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from graphroute.errors import StoreUnavailable
from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import CallRecord
from graphroute.ir.storage import MAX_AGE_DAYS, MAX_ROWS
from graphroute.ir.tally import Shape, Span, Tally
from graphroute.store import read, schema, write
from graphroute.store.background import Background
from graphroute.store.read import Holdings
from graphroute.store.tally import tally

logger = logging.getLogger(__name__)

FILE: Final = "records.sqlite3"
DAY_S: Final = 86_400.0
TRIM_EVERY_S: Final = 60.0


class RecordStore:
    """Writes beside the run and never breaks it; reading raises `StoreUnavailable`.

    A connection lives for one batch or one question only, so that nothing of it crosses a fork,
    and a file that somebody moves or deletes is simply begun anew.

    max_rows, max_age_s: the oldest records beyond either are deleted
    keep_text: keep prompts, answers and error texts where the records have them
    """

    def __init__(
        self,
        path: Path,
        *,
        max_rows: int = MAX_ROWS,
        max_age_s: float = MAX_AGE_DAYS * DAY_S,
        keep_text: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.keep_text = path, keep_text
        self._max_rows, self._max_age_s, self._clock = max_rows, max_age_s, clock
        self._trimmed_at = float("-inf")
        self._has_refused = False
        self._queue: Background[write.Item] = Background(self._write)

    # -- writing: never raises, never waits

    def add(self, record: CallRecord) -> None:
        """Keep a finished call."""
        self._queue.put(record)

    def judge(
        self, feedback: Feedback, shares: Sequence[Credit], *, graph: str, graph_name: str
    ) -> None:
        """Keep what was said of a run of the graph with this fingerprint and name."""
        self._queue.put(
            write.Judged(
                graph=graph, graph_name=graph_name, feedback=feedback, shares=tuple(shares)
            )
        )

    def describe(self, shape: Shape) -> None:
        """Keep the nodes and edges of a graph, for the picture in a report."""
        self._queue.put(shape)

    def flush(self) -> bool:
        """Write all that was given so far before going on; whether it could be written."""
        return self._queue.flush()

    @property
    def lost(self) -> int:
        """How many items were dropped because they could not be written for too long."""
        return self._queue.lost

    # -- reading

    def records(self, span: Span = Span(), *, limit: int | None = None) -> Iterator[CallRecord]:  # noqa: B008 - frozen
        """The records of a span, oldest first; with a limit the latest that many."""
        with self._reading() as db:
            yield from read.records(db, span, limit=limit)

    def credits(self, span: Span = Span()) -> tuple[tuple[Credit, str], ...]:  # noqa: B008 - frozen
        """What feedback said of each node in a span, and the model that had served it."""
        with self._reading() as db:
            return tuple(read.credited(db, span))

    def nodes_of(self, run_id: str, *, graph: str) -> Mapping[str, int]:
        """How many calls each node made in a run of the graph with this fingerprint."""
        with self._reading() as db:
            return read.nodes_of(db, run_id, graph)

    def tally(self, span: Span = Span()) -> Tally:  # noqa: B008 - frozen
        """The sums that a report of a span is made of."""
        with self._reading() as db:
            try:
                return tally(db, span)
            except (TypeError, ValueError, ArithmeticError) as fault:
                raise StoreUnavailable(
                    f"the records in {str(self.path)!r} cannot be summed up"
                    f" ({type(fault).__name__}: {fault})",
                    path=str(self.path),
                    next_step="take out what can be read by `graphroute records export`, and "
                    "delete the file",
                ) from fault

    def holdings(self) -> Holdings:
        """How much there is."""
        with self._reading() as db:
            return read.holdings(db, self.size_bytes())

    def size_bytes(self) -> int:
        """What the file and its journal take on disk."""
        files = (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm")))
        return sum(file.stat().st_size for file in files if file.exists())

    # -- deleting

    def clear(
        self, *, before_s: float | None = None, graph: str | None = None, dry_run: bool = False
    ) -> int:
        """Delete the calls that started before `before_s` (or all), of one graph or of all.

        What hangs on them goes too, and the file is rewritten so that nothing of it stays on disk.
        Gives the number of calls; with `dry_run` nothing is deleted.
        """
        condition, values = read.where(Span(until_s=before_s, graph=graph))
        with self._reading() as db:
            if dry_run:
                query = f"SELECT count(*) FROM calls WHERE {condition}"
                return int(db.execute(query, values).fetchone()[0])
            db.execute("PRAGMA secure_delete = ON")
            with _transaction(db):
                gone = db.execute(f"DELETE FROM calls WHERE {condition}", values).rowcount
                write.drop_orphans(db)
                write.drop_unused_names(db)
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    # -- the file

    def _write(self, items: Sequence[write.Item]) -> None:
        try:
            self._write_once(items)
        except sqlite3.Error as fault:
            if not schema.is_damage(fault):
                raise
            schema.set_aside(self.path, fault)
            self._write_once(items)

    def _write_once(self, items: Sequence[write.Item]) -> None:
        db = schema.opened(self.path)
        try:
            with _transaction(db):
                write.Batch(db, keep_text=self.keep_text).write(items, refused=self._refused)
                now = self._clock()
                if now - self._trimmed_at >= TRIM_EVERY_S:
                    write.trim(db, max_rows=self._max_rows, before_s=now - self._max_age_s)
                    self._trimmed_at = now
        finally:
            db.close()

    def _refused(self, fault: Exception) -> None:
        if not self._has_refused:
            self._has_refused = True
            logger.warning("a record cannot be stored: %s: %s", type(fault).__name__, fault)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file as it is after a flush."""
        self.flush()
        try:
            db = self._opened()
            try:
                yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError, schema.NewerFile) as fault:
            if isinstance(fault, sqlite3.Error) and schema.is_damage(fault):
                schema.set_aside(self.path, fault)
            raise StoreUnavailable(
                f"the records in {str(self.path)!r} cannot be read ({fault})",
                path=str(self.path),
                next_step="free or move the file, or set store= or GRAPHROUTE_HOME to a folder "
                "that can be written",
            ) from fault

    def _opened(self) -> sqlite3.Connection:
        try:
            return schema.opened(self.path)
        except sqlite3.Error as fault:
            if not schema.is_damage(fault):
                raise
            schema.set_aside(self.path, fault)
            return schema.opened(self.path)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # some faults, such as a full disk, roll back by themselves
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
