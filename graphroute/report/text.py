"""A report as plain sentences and, for the command line, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from graphroute.report.saving import Saving
from graphroute.report.usage import Usage

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from graphroute.report import Report


def usd(value: float) -> str:
    """Dollars with three significant digits, never rounded to nothing.

    >>> usd(0), usd(0.00045), usd(12.5), usd(-0.002)
    ('$0', '$0.00045', '$12.50', '-$0.002')
    """
    sign, size = ("-" if value < 0 else ""), abs(value)
    if size == 0:
        return "$0"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    digits = f"{size:.12f}"
    zeros = len(digits[2:]) - len(digits[2:].lstrip("0"))
    return f"{sign}${size:.{min(zeros + 3, 12)}f}".rstrip("0")


def plural(number: int, word: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


_WORDS: Final = ("node", "models", "model", "node, model", "notes", "day")
"""Columns of names and sentences; the others hold figures."""


def grid(title: str, head: Sequence[str]) -> Table:
    """An empty table. A narrow terminal folds names; it cuts neither them nor a figure."""
    from rich.table import Table

    shown = Table(title=title, title_justify="left", header_style="bold", expand=False)
    for name in head:
        is_text = name in _WORDS
        shown.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
            min_width=12 if is_text else None,
        )
    return shown


def plain(report: Report) -> str:
    """The whole report in lines."""
    all_calls = report.totals
    lines = [
        f"{plural(all_calls.calls, 'call')} in {plural(report.runs, 'run')}: "
        f"{usd(all_calls.cost_usd)}, {all_calls.time_s:.1f} s in models, {_tokens(all_calls)}"
    ]
    if not all_calls.calls:
        return "no model call was made yet"
    if report.saving:
        lines.append(saving_line(report.saving))
    lines += [
        f"{name}: {plural(usage.calls, 'call')} ({pairs(usage.calls_by)}), {_tokens(usage)}, "
        f"{usd(usage.cost_usd)}, {usage.time_s:.1f} s{notes(usage, '; ')}"
        for name, usage in named(report)
    ]
    lines += [f"drift: {alarm}" for alarm in report.alarms]
    return "\n".join(lines)


def named(report: Report) -> Iterator[tuple[str, Usage]]:
    """What has a line of its own: the nodes, then what their checks asked models."""
    yield from ((usage.name, usage) for usage in report.nodes)
    yield from ((f"checks of {usage.name}", usage) for usage in report.checks)


def saving_line(saving: Saving) -> str:
    """What was saved, how sure that is, and which calls could not be compared."""
    share = "" if saving.share is None else f" ({abs(saving.share):.1%})".replace("%", " %")
    verb = "saved about" if saving.saved_usd >= 0 else "cost about"
    more = "" if saving.saved_usd >= 0 else " more"
    line = (
        f"{verb} {usd(abs(saving.saved_usd))}{share}{more} "
        "against the graph's own models at the tokens used"
    )
    if saving.low_usd is not None and saving.high_usd is not None:
        line += (
            f"; {usd(saving.per_run_usd)} a run, 95 % interval "
            f"{usd(saving.low_usd)} to {usd(saving.high_usd)}"
        )
    if saving.left_out_calls:
        line += f"; {plural(saving.left_out_calls, 'call')} without a known own price left out"
    return line


def notes(usage: Usage, lead: str = "") -> str:
    """What was out of the ordinary, or nothing."""
    found = [
        f"{usage.moved_calls} not as planned ({pairs(usage.reasons)})" if usage.moved_calls else "",
        f"{usage.capped_calls} held to a limit of tokens" if usage.capped_calls else "",
        f"{usage.failed_calls} failed" if usage.failed_calls else "",
        plural(usage.faults, "routing fault") if usage.faults else "",
        f"tokens of {usage.estimated_calls} estimated" if usage.estimated_calls else "",
    ]
    said = ", ".join(filter(None, found))
    return f"{lead}{said}" if said else ""


def pairs(counted: tuple[tuple[str, int], ...]) -> str:
    """`a 3, b 1`."""
    return ", ".join(f"{name} {number}" for name, number in counted)


def table(report: Report) -> Group:
    """The same for a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    if not report.totals.calls:
        return Group(Text(plain(report)))
    shown = grid("", ("node", "calls", "models", "tokens in", "out", "cost", "time"))
    for name, usage in (*named(report), (report.totals.name, report.totals)):
        is_total = usage is report.totals
        shown.add_row(
            escape(name),
            f"{usage.calls:,}",
            escape(pairs(usage.calls_by)),
            f"{usage.in_tokens:,}",
            f"{usage.out_tokens:,}",
            usd(usage.cost_usd),
            f"{usage.time_s:.1f} s",
            style="bold" if is_total else "",
        )
    lines = [saving_line(report.saving)] if report.saving else []
    lines += [f"{usage.name}: {notes(usage)}" for usage in report.nodes if notes(usage)]
    lines += [f"drift: {alarm}" for alarm in report.alarms]
    return Group(shown, *map(Text, lines))


def _tokens(usage: Usage) -> str:
    return f"{usage.in_tokens:,} tokens in, {usage.out_tokens:,} out"
