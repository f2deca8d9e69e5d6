"""A report over a span as one HTML page: tables, graph, trend and Pareto plot, all inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from graphroute.report.pareto import dots, plot
from graphroute.report.picture import picture
from graphroute.report.span_text import (
    DAY_HEAD,
    EMPTY,
    TREND_HEAD,
    cells,
    day_cells,
    headline,
    trend_cells,
)
from graphroute.report.text import plural, saving_line, usd

if TYPE_CHECKING:
    from graphroute.ir.tally import Shape
    from graphroute.report.span import Day, Row, SpanReport
    from graphroute.report.trend import Trend

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1150px;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #8884;text-align:right;vertical-align:top}
th:nth-child(-n+2),td:nth-child(-n+2),td:last-child{text-align:left}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.graph rect{fill:#8ecae633;stroke:#457b9d}.graph .other rect{fill:none;stroke:#8888}
.graph .name{font-weight:600}.edge{fill:none;stroke:#7778;stroke-width:1.5}
.edge.maybe{stroke-dasharray:5 4}.graph marker path{fill:#777}
.grid{stroke:#8883}.axis,.tick{opacity:.8}.bar{fill:#457b9d}.bar.saved{fill:#2a9d5c}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
.legend span{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:50%}
"""
_HEAD: Final = (
    *("node", "model", "calls", "cost", "saved (95 %)", "p50", "p95"),
    *("quality (95 %)", "planned", "notes"),
)


def page(report: SpanReport) -> str:
    """The whole page; every text of the user's in it is escaped."""
    title = "graphroute report"
    if not report.totals.calls:
        body = f"<p>{escape(EMPTY)}</p>"
    else:
        saved = f"<p>{escape(saving_line(report.saving))}</p>" if report.saving else ""
        body = (
            f"<p>{escape(headline(report))}</p>{saved}"
            + _section("Nodes and models", _table(_HEAD, _main_rows(report)))
            + "".join(_graph(shape, report.nodes, report.rows) for shape in report.shapes)
            + _section("Cost and quality", plot(dots(report.rows)))
            + _section("Per day (UTC)", _days(report.days))
            + _section("Earlier days and later ones", _trends(report.trends))
            + _section("Of these, what checks asked", _checks(report))
            + _section("Calls that went elsewhere than planned", _reasons(report))
        )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}" if content else ""


def _main_rows(report: SpanReport) -> list[Sequence[str]]:
    return [*map(cells, report.rows), ("all", *cells(report.totals)[1:])]


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _graph(shape: Shape, nodes: Sequence[Row], rows: Sequence[Row]) -> str:
    """The graph, each node with its busiest model and what it cost."""
    if not shape.nodes:
        return ""
    told = {}
    for node in nodes:
        models = [row for row in rows if row.node == node.node]
        most = max(models, key=lambda row: row.calls)
        more = f" +{len(models) - 1}" if len(models) > 1 else ""
        calls = plural(node.calls, "call")
        told[node.node] = (f"{most.model}{more}", f"{calls}, {usd(node.cost_usd)}")
    return _section(f"Graph {shape.name}", picture(shape, told))


def _days(days: Sequence[Day]) -> str:
    """A bar of cost for each day, and the table."""
    if not days:
        return ""
    most = max(day.cost_usd for day in days) or 1e-9
    wide = max(4.0, min(30.0, 700 / len(days)))
    bars = "".join(
        f'<rect class="bar" x="{number * wide:.1f}" width="{wide * 0.8:.1f}"'
        f' y="{100 - 96 * day.cost_usd / most:.1f}" height="{96 * day.cost_usd / most:.1f}">'
        f"<title>{escape(day.day)}: {escape(usd(day.cost_usd))}</title></rect>"
        for number, day in enumerate(days)
    )
    chart = (
        f'<svg viewBox="0 0 {len(days) * wide:.0f} 100" width="{len(days) * wide:.0f}" role="img"'
        f' aria-label="cost per day">{bars}</svg>'
    )
    return chart + _table(DAY_HEAD, map(day_cells, days))


def _trends(trends: Sequence[Trend]) -> str:
    return _table(TREND_HEAD, map(trend_cells, trends)) if trends else ""


def _checks(report: SpanReport) -> str:
    if not report.checks:
        return ""
    rows = [
        (node, model, f"{calls:,}", usd(cost)) for node, model, calls, cost in report.checks[:50]
    ]
    return _table(("node", "model", "calls", "cost"), rows)


def _reasons(report: SpanReport) -> str:
    if not report.reasons:
        return ""
    rows = [(node, why, f"{calls:,}") for node, why, calls in report.reasons[:50]]
    return _table(("node", "why", "calls"), rows)
