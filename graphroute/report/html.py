"""A report for a notebook: one table, no script, no outside file, every text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from graphroute.report.text import named, notes, pairs, plural, saving_line, usd

if TYPE_CHECKING:
    from graphroute.report import Report
    from graphroute.report.usage import Usage

_COLUMNS = ("node", "calls", "models", "tokens in", "out", "cost", "time", "notes")


def page(report: Report) -> str:
    """The report as an HTML fragment."""
    if not report.totals.calls:
        return "<p>no model call was made yet</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
    body = "".join(_row(name, usage, "td") for name, usage in named(report))
    body += _row(report.totals.name, report.totals, "th")
    saved = f"<p>{escape(saving_line(report.saving))}</p>" if report.saving else ""
    caption = f"{plural(report.totals.calls, 'call')} in {plural(report.runs, 'run')}"
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{saved}"
    )


def _row(name: str, usage: Usage, cell: str) -> str:
    values = (
        name,
        f"{usage.calls:,}",
        pairs(usage.calls_by),
        f"{usage.in_tokens:,}",
        f"{usage.out_tokens:,}",
        usd(usage.cost_usd),
        f"{usage.time_s:.1f} s",
        notes(usage),
    )
    return "<tr>" + "".join(f"<{cell}>{escape(value)}</{cell}>" for value in values) + "</tr>"
