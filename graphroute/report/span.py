"""A report over any span of time, from the sums that the record store gives (`ir.tally`).

Per node and model: calls, money, what was saved against the graph's own models, time, cache hits,
failures, and quality where answers were judged; each with a 95 % interval where there is chance.

- the saving of a node × model: its sum ± 1.96 standard errors over runs
- quality: mean score of the verdicts with Wilson's interval (E. B. Wilson, Probable Inference, the
  Law of Succession, and Statistical Inference, JASA 22, 1927), which is on the safe side for scores
  between 0 and 1; a run's feedback counts with the weight its node was credited with
- `p50_s`, `p95_s`: from a histogram, exact to 3.6 %, over calls that a model answered
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from graphroute.ir.hints import NANO
from graphroute.ir.intervals import wilson
from graphroute.ir.tally import Cell, Gains, Shape, Tally, middle_s
from graphroute.report.saving import MIN_RUNS, Saving, half_width_usd, summed
from graphroute.report.trend import Trend, iso_day, trends

SCHEMA: Final = "graphroute.span/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Sums over the calls of a node on a model; of all models or all nodes where a name is `""`.

    Money in USD, times in seconds. saved_low_usd, saved_high_usd: 95 % interval, None below
    `MIN_RUNS` runs and for a model over all nodes; saved_usd: None where no own price is known
    p50_s, p95_s: None where no model answered
    quality, quality_low, quality_high: None where nothing was judged
    judged: weight of the verdicts
    predicted_quality: what the plan expected, mean over calls, None where it said nothing
    """

    node: str
    model: str
    calls: int
    in_tokens: int
    out_tokens: int
    cached_tokens: int
    cost_usd: float
    saved_usd: float | None
    saved_low_usd: float | None
    saved_high_usd: float | None
    time_s: float
    p50_s: float | None
    p95_s: float | None
    cache_hits: int
    moved: int
    failed: int
    faults: int
    capped: int
    retries: int
    estimated: int
    quality: float | None
    quality_low: float | None
    quality_high: float | None
    judged: float
    verdicts: int
    predicted_quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day (UTC, `2026-11-24`): sums over all nodes and models of the report."""

    day: str
    calls: int
    cost_usd: float
    saved_usd: float | None
    time_s: float
    cache_hits: int
    failed: int
    quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReport:
    """What runs of a span of time cost, saved, took and were worth.

    since, until: as asked for, ISO 8601 in UTC, None for no bound; first, last: start of the calls
    rows: node × model; nodes, models: by one of them; days: in order, those with calls only
    trends: what changed of each node × model with calls on two days or more
    reasons: why calls went elsewhere than planned: node, reason, calls
    checks: what the checks of nodes asked models: node, model, calls, USD; part of the rows as well
    """

    since: str | None
    until: str | None
    first: str | None
    last: str | None
    runs: int
    totals: Row
    saving: Saving | None
    rows: tuple[Row, ...]
    nodes: tuple[Row, ...]
    models: tuple[Row, ...]
    days: tuple[Day, ...]
    trends: tuple[Trend, ...]
    reasons: tuple[tuple[str, str, int], ...]
    shapes: tuple[Shape, ...]
    checks: tuple[tuple[str, str, int, float], ...] = ()

    @classmethod
    def of(cls, tally: Tally) -> SpanReport:
        """The report of a tally."""
        cells = tally.cells
        saving = summed(
            compared=sum(cell.compared for cell in cells),
            left_out=sum(cell.calls - cell.compared for cell in cells),
            spent_nano=sum(cell.compared_nano for cell in cells),
            baseline_nano=sum(cell.baseline_nano for cell in cells),
            gains_nano=tally.run_gains,
            every=tally.every,
        )
        totals = _row("", "", cells, tally)
        if saving is not None and saving.low_usd is not None and saving.high_usd is not None:
            # Of the whole, as the saving per run has it: runs, not cells, are what is drawn.
            runs = len(tally.run_gains) * tally.every
            bounds = {"saved_low_usd": saving.low_usd, "saved_high_usd": saving.high_usd}
            changed = {name: value * runs for name, value in bounds.items()}
            totals = Row(**{**_values(totals), **changed})
        return cls(
            since=_iso(tally.span.since_s),
            until=_iso(tally.span.until_s),
            first=_iso(tally.first_s),
            last=_iso(tally.last_s),
            runs=tally.runs,
            totals=totals,
            saving=saving,
            rows=_rows(tally, lambda cell: (cell.node, cell.model)),
            nodes=_rows(tally, lambda cell: (cell.node, "")),
            models=_rows(tally, lambda cell: ("", cell.model)),
            days=_days(cells),
            trends=trends(cells),
            reasons=tuple(
                sorted(
                    ((node, why, calls) for (node, why), calls in tally.reasons.items()),
                    key=lambda entry: (-entry[2], entry),
                )
            ),
            shapes=tally.shapes,
            checks=tuple(
                (node, model, calls, nano / NANO)
                for (node, model), (calls, nano) in tally.checks.items()
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values of schema `graphroute.span/1`."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_json(self, *, indent: int | None = 2) -> str:
        """JSON text; money in USD, times in seconds."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """One line per node × model, with the names of `Row`'s fields at the top."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [field.name for field in fields(Row)]
        writer.writerow(names)
        for row in self.rows:
            # A name that a spreadsheet would take for a formula is the user's text, not one.
            writer.writerow([_cell_text(getattr(row, name)) for name in names])
        return text.getvalue()

    def to_html(self) -> str:
        """One page that needs nothing else: no script, no network, no other file."""
        from graphroute.report import page

        return page.page(self)

    def __str__(self) -> str:
        from graphroute.report import span_text

        return span_text.plain(self)

    def __rich__(self) -> Any:
        from graphroute.report import terminal

        return terminal.Tables(self)


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """The time below which that share of the calls lies; None where there are none.

    >>> quantile({0: 9, 10: 1}, 0.5), quantile({0: 9, 10: 1}, 0.95)
    (0.001, 0.002)
    """
    left = share * sum(buckets.values())
    for number in sorted(buckets):
        left -= buckets[number]
        if left <= 1e-9:
            return middle_s(number)
    return None


def _rows(tally: Tally, key: Callable[[Cell], tuple[str, str]]) -> tuple[Row, ...]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in tally.cells:
        groups.setdefault(key(cell), []).append(cell)
    made = [_row(node, model, cells, tally) for (node, model), cells in groups.items()]
    return tuple(sorted(made, key=lambda row: (row.node, -row.cost_usd, row.model)))


def _row(node: str, model: str, cells: Iterable[Cell], tally: Tally) -> Row:
    cells = list(cells)

    def sums(name: str) -> Any:
        return sum(getattr(cell, name) for cell in cells)

    pairs = {(cell.node, cell.model) for cell in cells}
    buckets: dict[int, int] = {}
    for (of_node, of_model, number), calls in tally.buckets.items():
        if (of_node, of_model) in pairs:
            buckets[number] = buckets.get(number, 0) + calls
    saved = (sums("baseline_nano") - sums("compared_nano")) / NANO if sums("compared") else None
    half = None
    if node:
        # A run takes one model for a node, so its models may be added as if apart; its nodes not.
        half = _half([tally.gains[pair] for pair in pairs if pair in tally.gains], tally.every)
    judged, quality = sums("judged"), None
    low = high = None
    if judged > 0:
        quality = min(1.0, max(0.0, sums("quality_sum") / judged))
        low, high = wilson(quality, judged)
    predicted = sums("predicted")
    return Row(
        node=node,
        model=model,
        **{name: sums(name) for name in ("calls", "in_tokens", "out_tokens", "cached_tokens")},
        cost_usd=sums("cost_nano") / NANO,
        saved_usd=saved,
        saved_low_usd=None if saved is None or half is None else saved - half,
        saved_high_usd=None if saved is None or half is None else saved + half,
        time_s=float(sums("took_s")),
        p50_s=quantile(buckets, 0.5),
        p95_s=quantile(buckets, 0.95),
        cache_hits=sums("cached"),
        **{name: sums(name) for name in ("moved", "failed", "faults", "capped", "retries")},
        estimated=sums("estimated"),
        quality=quality,
        quality_low=low,
        quality_high=high,
        judged=float(judged),
        verdicts=sums("verdicts"),
        predicted_quality=sums("predicted_quality_sum") / predicted if predicted else None,
    )


def _half(gains: list[Gains], every: int) -> float | None:
    """Half the 95 % interval of a sum over runs."""
    if not gains or sum(gain.runs for gain in gains) < MIN_RUNS:
        return None
    square = 0.0
    for gain in gains:
        half = half_width_usd(gain.runs, gain.total_usd, gain.squares_usd)
        if math.isinf(half):
            continue  # one run of many on this model: its spread is not known and counts as none
        # Of a sum over all runs: the mean's standard error times their number.
        square += (half * gain.runs * math.sqrt(every)) ** 2
    return math.sqrt(square)


def _days(cells: Iterable[Cell]) -> tuple[Day, ...]:
    by_day: dict[int, list[Cell]] = {}
    for cell in cells:
        by_day.setdefault(cell.day, []).append(cell)
    return tuple(_day(number, by_day[number]) for number in sorted(by_day))


def _day(number: int, cells: list[Cell]) -> Day:
    compared, judged = sum(c.compared for c in cells), sum(c.judged for c in cells)
    saved = sum(c.baseline_nano - c.compared_nano for c in cells) / NANO
    return Day(
        day=iso_day(number),
        calls=sum(c.calls for c in cells),
        cost_usd=sum(c.cost_nano for c in cells) / NANO,
        saved_usd=saved if compared else None,
        time_s=float(sum(c.took_s for c in cells)),
        cache_hits=sum(c.cached for c in cells),
        failed=sum(c.failed for c in cells),
        quality=sum(c.quality_sum for c in cells) / judged if judged > 0 else None,
    )


def _iso(at_s: float | None) -> str | None:
    if at_s is None:
        return None
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return f"{at_s:.0f} s"


def _cell_text(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return "" if value is None else value


def _values(row: Row) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}
