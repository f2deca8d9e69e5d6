"""Rows back as values: records of a span, the nodes of a run, credits, and how much there is."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphroute.ir.feedback import Credit
from graphroute.ir.record import CallRecord
from graphroute.ir.tally import Shape, Span
from graphroute.store import rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """How much a record file holds; times in seconds since the epoch, None where it is empty."""

    calls: int
    runs: int
    verdicts: int
    texts: int
    size_bytes: int
    first_s: float | None
    last_s: float | None


def where(span: Span) -> tuple[str, list[object]]:
    """The condition on `calls` that a span means, and its values."""
    condition, values = of_graph_and_node(span, "calls")
    if span.since_s is not None:
        condition += " AND calls.started_s >= ?"
        values.append(span.since_s)
    if span.until_s is not None:
        condition += " AND calls.started_s < ?"
        values.append(span.until_s)
    return condition, values


def of_graph_and_node(span: Span, table: str) -> tuple[str, list[object]]:
    """The part of a span's condition that is not time, for a table with both columns."""
    parts, values = ["1"], list[object]()
    if span.graph is not None:
        parts.append(
            f"{table}.graph IN (SELECT id FROM graphs"
            " WHERE name = ? OR substr(fingerprint, 1, length(?)) = ?)"
        )
        # An empty word is the beginning of every fingerprint and must not mean all graphs.
        values += [span.graph, span.graph or "-", span.graph or "-"]
    if span.node is not None:
        parts.append(
            f"{table}.node IN (SELECT id FROM names"
            " WHERE text = ? OR substr(text, 1, length(?) + 1) = ? || '/')"
        )
        values += [span.node] * 3
    return " AND ".join(parts), values


def records(
    db: sqlite3.Connection, span: Span, *, limit: int | None = None
) -> Iterator[CallRecord]:
    """The records of a span in the order of their start; with a limit the latest ones.

    One that cannot be read is passed over, with one warning for all.
    """
    condition, values = where(span)
    order = "DESC" if limit is not None else "ASC"
    query = (
        "SELECT calls.*, runs.run AS run_id, runs.thread, graphs.fingerprint, graphs.name,"
        " texts.prompt, texts.answer FROM calls JOIN runs ON runs.id = calls.run"
        " JOIN graphs ON graphs.id = calls.graph LEFT JOIN texts ON texts.call = calls.id"
        f" WHERE {condition} ORDER BY calls.started_s {order}, calls.id {order} LIMIT ?"
    )
    cursor = db.execute(query, (*values, -1 if limit is None else limit))
    columns = [entry[0] for entry in cursor.description]
    names = dict(db.execute("SELECT id, text FROM names").fetchall())
    found = _readable((dict(zip(columns, r, strict=True)) for r in cursor), names)
    return iter(list(found)[::-1]) if limit is not None else found


def _readable(found: Iterator[dict[str, Any]], names: dict[int, str]) -> Iterator[CallRecord]:
    warn = _Once()
    for values in found:
        try:
            record = rows.record_of(values, names)
        except Exception as fault:  # what a file holds is what others have made of it
            warn(f"call {values['id']} is passed over: {type(fault).__name__}: {fault}")
            continue
        if record.quality is None and values["quality"] is not None:
            warn(f"call {values['id']} has a quality of {values['quality']!r}, taken for none")
        yield record


class _Once:
    """Says the first of what is wrong in a file, and that there may be more."""

    def __init__(self) -> None:
        self._has_said = False

    def __call__(self, what: str) -> None:
        if not self._has_said:
            self._has_said = True
            logger.warning("in the records, %s; there may be more of this kind", what)


def nodes_of(db: sqlite3.Connection, run_id: str, fingerprint: str) -> dict[str, int]:
    """How many calls each node of a run has made; empty for an unknown run."""
    query = (
        "SELECT names.text, count(*) FROM calls JOIN runs ON runs.id = calls.run"
        " JOIN graphs ON graphs.id = runs.graph JOIN names ON names.id = calls.node"
        " WHERE runs.run = ? AND graphs.fingerprint = ? GROUP BY calls.node"
    )
    return dict(db.execute(query, (rows.clean(run_id), fingerprint)).fetchall())


def credited(db: sqlite3.Connection, span: Span) -> Iterator[tuple[Credit, str]]:
    """Every credit that feedback gave within a span, and the model that served the node.

    Where several models served a node in one run, its weight is divided among its calls.
    """
    condition, values = where(span)
    query = (
        "SELECT runs.run, node.text, model.text, source.text, credits.score,"
        " credits.weight * count(*) / (SELECT count(*) FROM calls AS every"
        "   WHERE every.run = credits.run AND every.node = credits.node"
        f"   AND every.flags & {rows.CHECKING} = 0)"
        " FROM credits JOIN verdicts ON verdicts.id = credits.verdict"
        " JOIN calls ON calls.run = credits.run AND calls.node = credits.node"
        " JOIN runs ON runs.id = credits.run JOIN names AS node ON node.id = credits.node"
        " JOIN names AS model ON model.id = calls.model"
        " JOIN names AS source ON source.id = verdicts.source"
        f" WHERE {condition} AND calls.flags & {rows.CHECKING} = 0"
        " GROUP BY credits.verdict, credits.node, calls.model"
        " ORDER BY credits.verdict, credits.node, calls.model"
    )
    warn = _Once()
    for run, node, model, source, score, weight in db.execute(query, values):
        if not _is_share(score) or not _is_share(weight):
            warn(f"feedback on run {run!r} has a score of {score!r} and is passed over")
            continue
        yield Credit(run_id=run, node=node, score=score, weight=weight, source=source), model


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


def shapes(db: sqlite3.Connection, span: Span) -> tuple[Shape, ...]:
    """The graphs that a span has calls of, the one that came last first."""
    condition, values = where(span)
    query = (
        "SELECT name, fingerprint, shape FROM graphs WHERE EXISTS"
        f" (SELECT 1 FROM calls WHERE calls.graph = graphs.id AND {condition}) ORDER BY id DESC"
    )
    return tuple(_shape(*row) for row in db.execute(query, values))


def holdings(db: sqlite3.Connection, size_bytes: int) -> Holdings:
    """What the file holds."""
    counted = [
        db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("calls", "runs", "verdicts", "texts")
    ]
    first, last = (
        db.execute(f"SELECT {which}(started_s) FROM calls").fetchone()[0]
        for which in ("min", "max")
    )
    calls, runs, verdicts, texts = counted
    return Holdings(
        calls=calls,
        runs=runs,
        verdicts=verdicts,
        texts=texts,
        size_bytes=size_bytes,
        first_s=first,
        last_s=last,
    )


def _shape(name: str, fingerprint: str, text: str | None) -> Shape:
    """A graph's picture; without nodes where what is kept of them is none."""
    try:
        nodes, edges = json.loads(text or "[[], []]")
        return Shape(
            name=name,
            fingerprint=fingerprint,
            nodes=tuple(map(str, nodes)),
            edges=tuple((str(source), str(target), float(p)) for source, target, p in edges),
        )
    except (TypeError, ValueError):
        return Shape(name=name, fingerprint=fingerprint)
