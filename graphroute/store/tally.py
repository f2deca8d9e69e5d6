"""The sums of a span, in a few passes of SQL over its calls."""

from __future__ import annotations

import sqlite3
from typing import Final

from graphroute.ir.hints import NANO
from graphroute.ir.tally import Cell, Gains, Span, Tally
from graphroute.store import rows
from graphroute.store.read import shapes, where

_DAY_S: Final = 86_400
SAMPLED_RUNS: Final = 20_000
"""Above this many runs the spread of what runs saved is taken from every second, third, … run."""


def _bits(flag: int) -> str:
    return f"sum(flags & {flag} != 0)"


_SUMS: Final = (
    "count(*), sum(in_tokens), sum(out_tokens), sum(cached_tokens), sum(cost_nano), sum(took_s),"
    " sum(baseline_nano IS NOT NULL),"
    " coalesce(sum(CASE WHEN baseline_nano IS NOT NULL THEN cost_nano END), 0),"
    " coalesce(sum(baseline_nano), 0),"
    f" {_bits(rows.ESTIMATED)}, {_bits(rows.MOVED)}, {_bits(rows.FAILED)}, {_bits(rows.FAULT)},"
    f" {_bits(rows.CAPPED)}, {_bits(rows.CACHED)}, sum(retries),"
    " coalesce(sum(predicted_quality), 0.0), count(predicted_quality),"
    " coalesce(sum(quality), 0.0), coalesce(sum(quality * quality), 0.0), count(quality)"
)


def tally(db: sqlite3.Connection, span: Span) -> Tally:
    """Everything a report of `span` needs."""
    condition, values = where(span)
    names = dict(db.execute("SELECT id, text FROM names").fetchall())
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
        cells=_cells(db, condition, values, names),
        run_gains=run_gains,
        gains=by_pair,
        buckets=_buckets(db, condition, values, names),
        reasons=_reasons(db, condition, values, names),
        shapes=shapes(db, span),
        every=every,
    )


def _cells(
    db: sqlite3.Connection, condition: str, values: list[object], names: dict[int, str]
) -> tuple[Cell, ...]:
    # One grouping by whole numbers, the day among them: SQLite sums a million rows in one pass.
    query = (
        f"SELECT node, model, CAST(started_s / {_DAY_S} AS INTEGER) AS day, {_SUMS}"
        f" FROM calls WHERE {condition} GROUP BY node, model, day ORDER BY node, model, day"
    )
    told = _credited(db, condition, values)
    cells = []
    for node, model, day, *sums in db.execute(query, values):
        weight, score, square, verdicts = told.get((node, model, day), (0.0, 0.0, 0.0, 0))
        *counted, quality, quality_square, judged = sums
        cells.append(
            Cell(
                node=names[node],
                model=names[model],
                day=day,
                **dict(zip(_COUNTED, counted, strict=True)),
                judged=judged + weight,
                quality_sum=quality + score,
                square_sum=quality_square + square,
                verdicts=judged + verdicts,
            )
        )
    return tuple(cells)


_COUNTED: Final = (
    *("calls", "in_tokens", "out_tokens", "cached_tokens", "cost_nano", "took_s"),
    *("compared", "compared_nano", "baseline_nano"),
    *("estimated", "moved", "failed", "faults", "capped", "cached", "retries"),
    *("predicted_quality_sum", "predicted"),
)
"""Fields of `Cell` in the order of `_SUMS`."""


def _credited(
    db: sqlite3.Connection, condition: str, values: list[object]
) -> dict[tuple[int, int, int], tuple[float, float, float, int]]:
    """Weight, weighted sum and square sum, and number of the credits of each cell."""
    query = (
        "SELECT node, model, day, sum(w), sum(w * score), sum(w * score * score), count(*) FROM ("
        " SELECT calls.node, calls.model,"
        f" CAST(min(calls.started_s) / {_DAY_S} AS INTEGER) AS day, credits.score,"
        " credits.weight * count(*) / (SELECT count(*) FROM calls AS every"
        "   WHERE every.run = credits.run AND every.node = credits.node) AS w"
        " FROM credits JOIN calls ON calls.run = credits.run AND calls.node = credits.node"
        f" WHERE {condition} GROUP BY credits.verdict, calls.node, calls.model"
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
