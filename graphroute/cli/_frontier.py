"""The trade-off of a graph and its pool: plans that no other beats in cost, quality and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graphroute.ir.plan import Plan, Point
from graphroute.report.text import usd

SCHEMA = "graphroute.frontier/1"


MOST_COLUMNS = 6
"""More nodes than this have no column each; how often a model is chosen is counted instead."""


def show(plan: Plan, points: Sequence[Point], console: Console) -> None:
    """Print a row per plan, cheapest first; the one that was asked for is marked."""
    nodes = _nodes(plan)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "cost", "quality", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for node in nodes if len(nodes) <= MOST_COLUMNS else ("models",):
        table.add_column(escape(node), overflow="fold")
    for point in points:
        table.add_row(
            "*" if is_the_plan(plan, point) else "",
            usd(point.cost_usd),
            f"{point.quality:.3f}",
            f"{point.latency_s:.1f} s",
            *map(escape, _named(point) if len(nodes) <= MOST_COLUMNS else (_counted(point),)),
        )
    console.print(table)
    count = len(points)
    console.print(
        f"{count} plan{'s' * (count != 1)} that no other beats in cost, quality and time, "
        "whatever the budget and the deadline"
        + ("; * is the one asked for" if any(is_the_plan(plan, p) for p in points) else ""),
        highlight=False,
    )


def _named(point: Point) -> list[str]:
    """The models of each node, those that come after the first in the order they are asked."""
    return [
        ", then ".join((model, *then))
        for model, then in zip(point.models, _after(point), strict=True)
    ]


def _after(point: Point) -> tuple[tuple[str, ...], ...]:
    return point.then or ((),) * len(point.models)


def _counted(point: Point) -> str:
    counts = Counter(_named(point)).most_common()
    return ", ".join(f"{count} × {name}" for name, count in counts)


def data(plan: Plan, points: Sequence[Point]) -> dict[str, Any]:
    """For programs."""
    nodes = _nodes(plan)
    return {
        "schema": SCHEMA,
        "points": [
            {
                "cost_usd": point.cost_usd,
                "quality": point.quality,
                "latency_s": point.latency_s,
                "is_the_plan": is_the_plan(plan, point),
                "models": dict(zip(nodes, point.models, strict=True)),
                "then": {
                    node: list(then)
                    for node, then in zip(nodes, _after(point), strict=True)
                    if then
                },
            }
            for point in points
        ],
    }


def is_the_plan(plan: Plan, point: Point) -> bool:
    """Whether a point of the frontier is the plan itself."""
    totals = plan.totals
    return plan.feasible and (point.cost_usd, point.quality, point.latency_s) == (
        totals.cost_expected_usd,
        totals.quality,
        totals.latency_s,
    )


def _nodes(plan: Plan) -> list[str]:
    """The nodes that a plan assigns, also where this one assigns none."""
    if plan.assignments:
        return [a.node for a in plan.assignments]
    return [n.name for n in plan.graph.nodes if n.models or n.kind in ("llm", "unknown")]
