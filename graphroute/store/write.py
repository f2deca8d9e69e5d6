"""One batch in one transaction, and the deletion of what is too old or too much."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import CallRecord
from graphroute.ir.tally import Shape
from graphroute.store import rows

_INSERT = (
    f"INSERT INTO calls ({', '.join(rows.COLUMNS)}) VALUES ({rows.placeholders(rows.COLUMNS)})"
)


_OF_THE_ITEM = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""Errors of SQLite that say something of what was to be written, and nothing of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Feedback on a run of one graph, with the credit that its nodes get of it."""

    graph: str
    graph_name: str
    feedback: Feedback
    shares: tuple[Credit, ...]


Item: TypeAlias = CallRecord | Judged | Shape


class Batch:
    """Writes items through one connection inside one transaction; ids are looked up once each.

    keep_text: also what may hold a user's words, but for those of private calls
    """

    def __init__(self, db: sqlite3.Connection, *, keep_text: bool = False) -> None:
        self._db, self._keep_text = db, keep_text
        self._names: dict[str, int] = {}
        self._graphs: dict[tuple[str, str], int] = {}
        self._runs: dict[tuple[str, int], int] = {}

    def write(self, items: Sequence[Item], *, refused: Callable[[Exception], None]) -> None:
        """All items; one that cannot be stored as it is goes to `refused`, the others are kept."""
        for item in items:
            try:
                match item:
                    case CallRecord():
                        self._call(item)
                    case Judged():
                        self._judged(item)
                    case Shape():
                        self._shape(item)
            except sqlite3.Error as fault:
                if not isinstance(fault, _OF_THE_ITEM):
                    raise  # the file cannot be written now; all of the batch waits
                refused(fault)
            except Exception as fault:  # whatever is wrong with one item, the others are kept
                refused(fault)

    def _call(self, record: CallRecord) -> None:
        if record.is_private or not self._keep_text:
            record = rows.without_text(record)
        graph = self._graph(record.graph, record.graph_name)
        values = rows.row(
            record,
            run=self._run(record.run_id, graph, record.thread),
            graph=graph,
            name_id=self._name,
        )
        number = self._db.execute(_INSERT, values).lastrowid
        if record.prompt is not None or record.answer is not None:
            texts = [None if t is None else rows.clean(t) for t in (record.prompt, record.answer)]
            self._db.execute("INSERT INTO texts VALUES (?, ?, ?)", (number, *texts))

    def _judged(self, item: Judged) -> None:
        said = item.feedback
        run = self._run(said.run_id, self._graph(item.graph, item.graph_name), "")
        node = None if said.node is None else self._name(said.node)
        self._forget(run, node, self._name(said.verdict.source))
        verdict = self._db.execute(
            "INSERT INTO verdicts (run, node, at_s, score, passed, source, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                run,
                node,
                said.at_s,
                said.verdict.score,
                said.verdict.passed,
                self._name(said.verdict.source),
                rows.clean(said.verdict.reason) if self._may_quote(run, node) else "",
            ),
        ).lastrowid
        self._db.executemany(
            "INSERT INTO credits VALUES (?, ?, ?, ?, ?)",
            [(verdict, run, self._name(c.node), c.score, c.weight) for c in item.shares],
        )

    def _forget(self, run: int, node: int | None, source: int) -> None:
        """Delete what the same source said of the same before: the last verdict stands."""
        which = "run = ? AND node IS ? AND source = ?"
        self._db.execute(
            f"DELETE FROM credits WHERE verdict IN (SELECT id FROM verdicts WHERE {which})",
            (run, node, source),
        )
        self._db.execute(f"DELETE FROM verdicts WHERE {which}", (run, node, source))

    def _may_quote(self, run: int, node: int | None) -> bool:
        """Whether what somebody says of a run, or of a node of it, may be kept word for word."""
        if not self._keep_text:
            return False
        found = self._db.execute(
            "SELECT 1 FROM calls WHERE run = ? AND (? IS NULL OR node = ?)"
            " AND CASE WHEN json_valid(more) THEN json_extract(more, '$.is_private')"
            " ELSE more IS NOT NULL END",
            (run, node, node),
        ).fetchone()
        return found is None

    def _shape(self, shape: Shape) -> None:
        graph = self._graph(shape.fingerprint, shape.name)
        text = json.dumps([list(shape.nodes), [list(edge) for edge in shape.edges]])
        self._db.execute("UPDATE graphs SET shape = ? WHERE id = ?", (text, graph))

    def _name(self, text: str) -> int:
        if (known := self._names.get(text)) is None:
            known = self._id("names", ("text",), (rows.clean(text),))
            self._names[text] = known
        return known

    def _graph(self, fingerprint: str, name: str) -> int:
        key = (fingerprint, name)
        if (known := self._graphs.get(key)) is None:
            values = (rows.clean(fingerprint), rows.clean(name))
            known = self._graphs[key] = self._id("graphs", ("fingerprint", "name"), values)
        return known

    def _run(self, run_id: str, graph: int, thread: str) -> int:
        key = (run_id, graph)
        if (known := self._runs.get(key)) is None:
            values = (rows.clean(run_id), graph)
            more = {"thread": rows.clean(thread)}
            known = self._runs[key] = self._id("runs", ("run", "graph"), values, more)
        return known

    def _id(
        self,
        table: str,
        columns: tuple[str, ...],
        values: tuple[object, ...],
        more: dict[str, str] | None = None,
    ) -> int:
        """The id of the row with these values, made if there is none; names are ours."""
        where = " AND ".join(f"{column} = ?" for column in columns)
        found = self._db.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
        if found is not None:
            return int(found[0])
        extra = more or {}
        every = (*columns, *extra)
        made = self._db.execute(
            f"INSERT INTO {table} ({', '.join(every)}) VALUES ({rows.placeholders(every)})",
            (*values, *extra.values()),
        ).lastrowid
        return int(made or 0)


def trim(db: sqlite3.Connection, *, max_rows: int, before_s: float) -> int:
    """Delete calls that started before `before_s` and the oldest beyond `max_rows`; how many."""
    gone = db.execute("DELETE FROM calls WHERE started_s < ?", (before_s,)).rowcount
    first, last = db.execute("SELECT min(id), max(id) FROM calls").fetchone()
    if last is not None and last - first + 1 > max_rows:
        (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
        if count > max_rows:
            gone += db.execute(
                "DELETE FROM calls WHERE id IN (SELECT id FROM calls ORDER BY id LIMIT ?)",
                (count - max_rows,),
            ).rowcount
    if gone:
        drop_orphans(db)
    return gone


def drop_orphans(db: sqlite3.Connection) -> None:
    """Delete what belongs to runs and calls that are no longer there."""
    db.execute("DELETE FROM texts WHERE call NOT IN (SELECT id FROM calls)")
    for table in ("credits", "verdicts"):
        db.execute(
            f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM calls WHERE run = {table}.run)"
        )
    db.execute("DELETE FROM runs WHERE NOT EXISTS (SELECT 1 FROM calls WHERE run = runs.id)")


def drop_unused_names(db: sqlite3.Connection) -> None:
    """Delete graphs and names that nothing points to any more."""
    db.execute("DELETE FROM graphs WHERE id NOT IN (SELECT graph FROM runs)")
    pointers = [(column, "calls") for column in rows.NAMES]
    pointers += [("node", "verdicts"), ("source", "verdicts"), ("node", "credits")]
    used = " UNION ".join(
        f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL" for column, table in pointers
    )
    db.execute(f"DELETE FROM names WHERE id NOT IN ({used})")
