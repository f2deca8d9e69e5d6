"""A report over a span as tables that fit the terminal they are printed on.

A narrow one has fewer columns, never a name cut to nothing: node and model share a column, and what
was out of the ordinary follows in lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphroute.report.span_text import (
    DAY_HEAD,
    EMPTY,
    SHORT_HEAD,
    SHOWN,
    check_lines,
    day_cells,
    headline,
    notes,
    reason_lines,
    short_cells,
    trend_line,
)
from graphroute.report.text import grid, saving_line, usd

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from graphroute.report.span import SpanReport

WIDE: Final = 130
"""Characters a line from which all columns are shown."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What Rich prints of a report."""

    report: SpanReport

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The tables, as wide as there is room for."""
        from rich.markup import escape
        from rich.text import Text

        report = self.report
        if not report.totals.calls:
            yield Text(EMPTY)
            return
        yield Text(headline(report))
        yield _wide(report) if options.max_width >= WIDE else _narrow(report)
        if len(report.days) > 1:
            days = grid(f"per day (UTC, the latest {SHOWN})", DAY_HEAD)
            for day in report.days[-SHOWN:]:
                days.add_row(*map(escape, day_cells(day)))
            yield days
        if report.saving:
            yield Text(saving_line(report.saving))
        lines = [
            *check_lines(report)[:SHOWN],
            *map(trend_line, report.trends[:SHOWN]),
            *reason_lines(report)[:SHOWN],
        ]
        if options.max_width < WIDE:
            noted = [row for row in report.rows if notes(row)]
            lines += [f"{row.node} on {row.model}: {notes(row)}" for row in noted]
        yield from map(Text, lines)


def _wide(report: SpanReport) -> Table:
    from rich.markup import escape

    shown = grid("", SHORT_HEAD)
    for row in report.rows:
        shown.add_row(*map(escape, short_cells(row)))
    shown.add_row("all", *map(escape, short_cells(report.totals)[1:]), style="bold")
    return shown


def _narrow(report: SpanReport) -> Table:
    from rich import box
    from rich.markup import escape

    shown = grid("", ("node, model", "calls", "cost", "saved", "p50", "quality"))
    shown.box, shown.pad_edge, shown.show_edge = box.SIMPLE_HEAD, False, False
    for row in (*report.rows, report.totals):
        _, _, calls, cost, _, middle, _, quality, _ = short_cells(row)
        # The interval of what was saved stands in the line below the table.
        saved = "" if row.saved_usd is None else usd(row.saved_usd)
        name = f"{row.node}\n {row.model}" if row.node else "all"
        told = (name, calls, cost, saved, middle, quality)
        shown.add_row(*map(escape, told), style="" if row.node else "bold")
    return shown
