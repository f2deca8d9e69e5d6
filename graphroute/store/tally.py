"""The sums of a span, in a few passes of SQL over its calls."""

from __future__ import annotations

import math
import sqlite3
from typing import Final

from graphroute.ir.hints import NANO
from graphroute.ir.tally import Cell, Gains, Span, Tally
from graphroute.store import rows
from graphroute.store.read import of_graph_and_node, shapes, where
from graphroute.store.schema import CELL_SUMS, DAY

_DAY_S: Final = 86_400
_FAR: Final = 10**9
"""A day that no clock will show."""

SAMPLED_RUNS: Final = 20_000
"""Above this many runs the spread of what runs saved is taken from every second, third, … run."""


_SUMS: Final = ", ".join(f"sum({expr.format(r='calls')})" for _, expr in CELL_SUMS)
_ADDED: Final = ", ".join(f"sum({name})" for name, _ in CELL_SUMS)
_KEPT: Final = ", ".join(name for name, _ in CELL_SUMS)


def tally(db: sqlite3.Connection, span: Span) -> Tally:
    """Everything a report of `span` needs."""
    condition, values = where(span)
    names = _Names(db.execute("SELECT id, text FROM names").fetchall())
    first, last, runs = db.execute(
        f"SELECT min(started_s), max(started_s), count(DISTINCT run) FROM calls WHERE {condition}",
        values,
    ).fetchone()
    # The spread of 20,000 runs is known to 1 %; a million would take as long as all the rest.
    every = max(1, runs // SAMPLED_RUNS)
    by_pair, run_gains = _gains(db, condition, values, names, every)
    return Tally(
        span=span,
        first_s=first,
        last_s=last,
        runs=runs,
        cells=_cells(db, span, names),
        run_gains=run_gains,
        gains=by_pair,
        buckets=_buckets(db, condition, values, names),
        reasons=_reasons(db, condition, values, names),
        checks=_checks(db, condition, values, names),
        shapes=shapes(db, span),
        every=every,
    )


class _Names(dict[int, str]):
    """Texts by number; of a number that the file does not explain, the money counts all the same.

    >>> _Names({1: "draft"})[7]
    '?'
    """

    def __missing__(self, number: int) -> str:
        return "?"


def _cells(db: sqlite3.Connection, span: Span, names: dict[int, str]) -> tuple[Cell, ...]:
    """The sums of whole days, which the file keeps, and of the parts of days at the span's ends."""
    days, edges = _days(span)
    kept, kept_values = of_graph_and_node(span, "cells")
    raw, raw_values = of_graph_and_node(span, "calls")
    parts = [f"SELECT node, model, day, {_KEPT} FROM cells WHERE {kept} AND day >= ? AND day < ?"]
    values = [*kept_values, *days]
    for start_s, end_s in edges:
        parts.append(
            f"SELECT node, model, {DAY.format(r='calls')} AS day, {_SUMS} FROM calls"
            f" WHERE {raw} AND started_s >= ? AND started_s < ? GROUP BY node, model, day"
        )
        values += [*raw_values, start_s, end_s]
    query = (
        f"SELECT node, model, day, {_ADDED} FROM ({' UNION ALL '.join(parts)})"
        " GROUP BY node, model, day ORDER BY node, model, day"
    )
    told = _credited(db, *where(span))
    cells = []
    for node, model, day, *sums in db.execute(query, values):
        weight, score, square, verdicts = told.get((node, model, day), (0.0, 0.0, 0.0, 0))
        found = dict(zip((name for name, _ in CELL_SUMS), sums, strict=True))
        judged = found["judged"]
        found |= {
            "judged": float(judged + weight),
            "quality_sum": found["quality_sum"] + score,
            "square_sum": found["square_sum"] + square,
        }
        cells.append(
            Cell(node=names[node], model=names[model], day=day, verdicts=judged + verdicts, **found)
        )
    return tuple(cells)


def _days(span: Span) -> tuple[tuple[int, int], list[tuple[float, float]]]:
    """The whole days of a span, and the times at its ends that are parts of days.

    >>> _days(Span(since_s=86_400.0 * 3 - 10, until_s=86_400.0 * 5 + 10))
    ((3, 5), [(259190.0, 259200.0), (432000.0, 432010.0)])
    >>> _days(Span(since_s=5.0, until_s=10.0))
    ((0, 0), [(5.0, 10.0)])
    """
    first = -_FAR if span.since_s is None else math.ceil(span.since_s / _DAY_S)
    last = _FAR if span.until_s is None else math.floor(span.until_s / _DAY_S)
    if span.since_s is not None and span.until_s is not None and first > last:
        return (0, 0), [(span.since_s, span.until_s)]
    edges = []
    if span.since_s is not None and span.since_s < first * _DAY_S:
        edges.append((span.since_s, float(first * _DAY_S)))
    if span.until_s is not None and span.until_s > last * _DAY_S:
        edges.append((float(last * _DAY_S), span.until_s))
    return (first, max(first, last)), edges


def _credited(
    db: sqlite3.Connection, condition: str, values: list[object]
) -> dict[tuple[int, int, int], tuple[float, float, float, int]]:
    """Weight, weighted sum and square sum, and number of the credits of each cell."""
    query = (
        "SELECT node, model, day, sum(w), sum(w * score), sum(w * score * score), count(*) FROM ("
        " SELECT calls.node, calls.model,"
        f" CAST(min(calls.started_s) / {_DAY_S} AS INTEGER) AS day, credits.score,"
        " credits.weight * count(*) / (SELECT count(*) FROM calls AS every"
        "   WHERE every.run = credits.run AND every.node = credits.node"
        f"   AND every.flags & {rows.CHECKING} = 0) AS w"
        " FROM credits JOIN calls ON calls.run = credits.run AND calls.node = credits.node"
        f" WHERE {condition} AND credits.score BETWEEN 0 AND 1 AND credits.weight BETWEEN 0 AND 1"
        f" AND calls.flags & {rows.CHECKING} = 0"
        " GROUP BY credits.verdict, calls.node, calls.model"
        ") GROUP BY node, model, day"
    )
    return {(row[0], row[1], row[2]): row[3:] for row in db.execute(query, values)}


def _gains(
    db: sqlite3.Connection,
    condition: str,
    values: list[object],
    names: dict[int, str],
    every: int,
) -> tuple[dict[tuple[str, str], Gains], tuple[int, ...]]:
    """What every `every`-th run saved, per node × model and in all, where the baseline is known."""
    query = (
        "SELECT run, node, model, sum(baseline_nano - cost_nano) FROM calls"
        f" WHERE {condition} AND baseline_nano IS NOT NULL AND run % {every} = 0"
        " GROUP BY run, node, model"
    )
    by_pair: dict[tuple[int, int], list[float]] = {}
    by_run: dict[int, int] = {}
    for run, node, model, gain in db.execute(query, values):
        by_pair.setdefault((node, model), []).append(gain / NANO)
        by_run[run] = by_run.get(run, 0) + gain
    pairs = {
        (names[node], names[model]): Gains(
            runs=len(gains), total_usd=sum(gains), squares_usd=sum(gain * gain for gain in gains)
        )
        for (node, model), gains in sorted(by_pair.items())
    }
    return pairs, tuple(by_run.values())


def _buckets(
    db: sqlite3.Connection, condition: str, values: list[object], names: dict[int, str]
) -> dict[tuple[str, str, int], int]:
    # An answer from a cache or an error says nothing of the model's speed.
    query = (
        f"SELECT node, model, bucket, count(*) FROM calls WHERE {condition}"
        f" AND flags & {rows.CACHED | rows.FAILED} = 0 GROUP BY node, model, bucket"
        " ORDER BY node, model, bucket"
    )
    return {
        (names[node], names[model], number): calls
        for node, model, number, calls in db.execute(query, values)
    }


def _reasons(
    db: sqlite3.Connection, condition: str, values: list[object], names: dict[int, str]
) -> dict[tuple[str, str], int]:
    query = (
        f"SELECT node, why, count(*) FROM calls WHERE {condition} AND flags & {rows.MOVED} != 0"
        " GROUP BY node, why ORDER BY node, why"
    )
    return {(names[node], names[why]): calls for node, why, calls in db.execute(query, values)}


def _checks(
    db: sqlite3.Connection, condition: str, values: list[object], names: dict[int, str]
) -> dict[tuple[str, str], tuple[int, int]]:
    query = (
        "SELECT node, model, count(*), sum(cost_nano) FROM calls"
        f" WHERE {condition} AND flags & {rows.CHECKING} != 0"
        " GROUP BY node, model ORDER BY node, model"
    )
    return {
        (names[node], names[model]): (calls, cost)
        for node, model, calls, cost in db.execute(query, values)
    }
