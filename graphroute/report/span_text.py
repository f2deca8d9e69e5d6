"""A report over a span in words: lines, and the cells of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from graphroute.report.text import plural, saving_line, usd

if TYPE_CHECKING:
    from graphroute.report.span import Day, Row, SpanReport
    from graphroute.report.trend import Trend

SHOWN: Final = 14
"""Days, and lines of trends and reasons, that are printed; JSON and HTML have all."""

EMPTY: Final = "no model call is recorded in this span"

HEAD: Final = (
    *("node", "model", "calls", "cost", "saved", "p50", "p95", "quality", "planned", "notes"),
)
SHORT_HEAD: Final = tuple(name for name in HEAD if name != "planned")
TREND_HEAD: Final = (
    *("node", "model", "since", "quality", "change", "cost a call", "time a call"),
)
DAY_HEAD: Final = ("day", "calls", "cost", "saved", "cached", "failed", "quality")


def plain(report: SpanReport) -> str:
    """The whole report in lines."""
    if not report.totals.calls:
        return EMPTY
    lines = [headline(report)]
    if report.saving:
        lines.append(saving_line(report.saving))
    for row in (*report.rows, report.totals):
        name = f"{row.node} on {row.model}" if row.node else "all"
        facts = zip(HEAD[2:], cells(row)[2:], strict=True)
        lines.append(f"{name}: " + ", ".join(f"{what} {said}" for what, said in facts if said))
    ends = (*check_lines(report), *map(trend_line, report.trends), *reason_lines(report))
    return "\n".join((*lines, *ends))


def check_lines(report: SpanReport) -> list[str]:
    """What checks asked models, which is in the rows as well."""
    return [
        f"of these, checks of {node} on {model}: {plural(calls, 'call')}, {usd(cost)}"
        for node, model, calls, cost in report.checks
    ]


def reason_lines(report: SpanReport) -> list[str]:
    """Why calls went elsewhere than planned."""
    return [f"{node}: {why}, {plural(calls, 'call')} moved" for node, why, calls in report.reasons]


def trend_line(trend: Trend) -> str:
    """`draft on weak, since 2026-11-24: quality 0.90 → 0.60, change -0.30 (-0.45 to -0.12), …`."""
    node, model, since, *told = trend_cells(trend)
    facts = zip(TREND_HEAD[3:], told, strict=True)
    return f"{node} on {model}, since {since}: " + ", ".join(f"{a} {b}" for a, b in facts if b)


def trend_cells(trend: Trend) -> tuple[str, ...]:
    """A trend's values as they are shown, under `TREND_HEAD`."""
    was, now = trend.before, trend.after
    quality = ""
    if was.quality is not None and now.quality is not None:
        quality = f"{was.quality:.2f} → {now.quality:.2f}"
    change = ""
    if trend.change is not None and trend.change_low is not None and trend.change_high is not None:
        change = f"{trend.change:+.2f} ({trend.change_low:+.2f} to {trend.change_high:+.2f})"
    return (
        trend.node,
        trend.model,
        trend.since,
        quality,
        change,
        f"{usd(was.cost_usd)} → {usd(now.cost_usd)}",
        f"{seconds(was.time_s)} → {seconds(now.time_s)}",
    )


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
    """Under `SHORT_HEAD`, for a terminal's width: of money half an interval."""
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
        f"{row.capped:,} held to a limit of tokens" if row.capped else "",
        f"{row.failed:,} failed" if row.failed else "",
        f"{row.retries:,} tried again" if row.retries else "",
        plural(row.faults, "routing fault") if row.faults else "",
        f"tokens of {row.estimated:,} estimated" if row.estimated else "",
    )
    return ", ".join(filter(None, found))
