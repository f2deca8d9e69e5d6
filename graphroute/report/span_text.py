"""A report over a span as plain lines and, for the command line, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from graphroute.report.text import plural, saving_line, usd

if TYPE_CHECKING:
    from rich.console import Group

    from graphroute.report.span import Day, Row, SpanReport

SHOWN_DAYS: Final = 14
"""Days of the trend that are printed, the latest; JSON and HTML have all."""

EMPTY: Final = "no model call is recorded in this span"

_HEAD: Final = (
    *("node", "model", "calls", "cost", "saved", "p50", "p95", "quality", "planned", "notes"),
)
_TERMINAL: Final = (*("node", "model", "calls", "cost", "saved", "p50", "p95", "quality", "notes"),)
_DAY_HEAD: Final = ("day", "calls", "cost", "saved", "cached", "failed", "quality")
_WORDS: Final = ("node", "model", "notes", "day")


def plain(report: SpanReport) -> str:
    """The whole report in lines."""
    if not report.totals.calls:
        return EMPTY
    lines = [headline(report)]
    if report.saving:
        lines.append(saving_line(report.saving))
    for row in (*report.rows, report.totals):
        name = f"{row.node} on {row.model}" if row.node else "all"
        facts = zip(_HEAD[2:], cells(row)[2:], strict=True)
        lines.append(f"{name}: " + ", ".join(f"{what} {said}" for what, said in facts if said))
    lines += [
        f"{node}: {why}, {plural(calls, 'call')} moved" for node, why, calls in report.reasons
    ]
    return "\n".join(lines)


def headline(report: SpanReport) -> str:
    """From when to when, how many runs and calls, what they cost."""
    return (
        f"{report.first} to {report.last}: {plural(report.totals.calls, 'call')} in "
        f"{plural(report.runs, 'run')}, {usd(report.totals.cost_usd)}, "
        f"{report.totals.in_tokens:,} tokens in ({report.totals.cached_tokens:,} from a provider's "
        f"cache), {report.totals.out_tokens:,} out"
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row's values as they are shown, under `node, model, calls, cost, saved, …`."""
    return (
        row.node,
        row.model,
        f"{row.calls:,}",
        usd(row.cost_usd),
        interval(row.saved_usd, row.saved_low_usd, row.saved_high_usd, money=True),
        seconds(row.p50_s),
        seconds(row.p95_s),
        interval(row.quality, row.quality_low, row.quality_high),
        "" if row.predicted_quality is None else f"{row.predicted_quality:.2f}",
        notes(row),
    )


def short_cells(row: Row) -> tuple[str, ...]:
    """The same for a terminal's width: half an interval for money, bounds without their zero."""
    saved = "" if row.saved_usd is None else usd(row.saved_usd)
    if row.saved_usd is not None and row.saved_high_usd is not None:
        saved += f" ±{usd(row.saved_high_usd - row.saved_usd).lstrip('$')}"
    quality = "" if row.quality is None else f"{row.quality:.2f}"
    if row.quality_low is not None and row.quality_high is not None:
        quality += f" ({row.quality_low:.2f}–{row.quality_high:.2f})"
    whole = cells(row)
    return (*whole[:4], saved, *whole[5:7], quality, whole[9])


def day_cells(day: Day) -> tuple[str, ...]:
    """A day's values as they are shown."""
    return (
        day.day,
        f"{day.calls:,}",
        usd(day.cost_usd),
        "" if day.saved_usd is None else usd(day.saved_usd),
        f"{day.cache_hits:,}",
        f"{day.failed:,}",
        "" if day.quality is None else f"{day.quality:.2f}",
    )


def interval(
    value: float | None, low: float | None, high: float | None, *, money: bool = False
) -> str:
    """`0.80 (0.49 to 0.94)`, without the bounds where there are none.

    >>> interval(0.8, 0.49, 0.943), interval(0.002, None, None, money=True)
    ('0.80 (0.49 to 0.94)', '$0.002')
    """
    if value is None:
        return ""

    def shown(number: float) -> str:
        return usd(number) if money else f"{number:.2f}"

    if low is None or high is None:
        return shown(value)
    return f"{shown(value)} ({shown(low)} to {shown(high)})"


def seconds(value: float | None) -> str:
    """`0.42 s`, `12 s`; empty for None."""
    if value is None:
        return ""
    return f"{value:.2g} s" if value < 10 else f"{value:,.0f} s"


def notes(row: Row) -> str:
    """What was out of the ordinary, or nothing."""
    found = (
        f"{row.cache_hits:,} from a cache" if row.cache_hits else "",
        f"{row.moved:,} not as planned" if row.moved else "",
        f"{row.capped:,} shortened by the budget" if row.capped else "",
        f"{row.failed:,} failed" if row.failed else "",
        f"{row.retries:,} tried again" if row.retries else "",
        plural(row.faults, "routing fault") if row.faults else "",
        f"tokens of {row.estimated:,} estimated" if row.estimated else "",
    )
    return ", ".join(filter(None, found))


def table(report: SpanReport) -> Group:
    """The same for a terminal, with the trend of the latest days."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    if not report.totals.calls:
        return Group(Text(EMPTY))

    def grid(title: str, head: tuple[str, ...]) -> Table:
        shown = Table(title=title, title_justify="left", header_style="bold", expand=False)
        for name in head:
            is_text = name in _WORDS
            shown.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
        return shown

    main = grid("", _TERMINAL)
    for row in report.rows:
        main.add_row(*map(escape, short_cells(row)))
    main.add_row("all", *map(escape, short_cells(report.totals)[1:]), style="bold")
    parts: list[Text | Table] = [Text(headline(report)), main]
    if len(report.days) > 1:
        trend = grid(f"per day (UTC, the latest {SHOWN_DAYS})", _DAY_HEAD)
        for day in report.days[-SHOWN_DAYS:]:
            trend.add_row(*map(escape, day_cells(day)))
        parts.append(trend)
    if report.saving:
        parts.append(Text(saving_line(report.saving)))
    parts += [
        Text(f"{node}: {plural(calls, 'call')} moved ({why})")
        for node, why, calls in report.reasons[:10]
    ]
    return Group(*parts)
