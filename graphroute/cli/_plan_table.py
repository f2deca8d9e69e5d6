"""A plan in a terminal: a table of the steps, then totals, warnings and reasons."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graphroute.ir.explain import in_time, served_by
from graphroute.ir.plan import Plan
from graphroute.report.text import usd


def show(plan: Plan, console: Console | None = None) -> None:
    """Print the plan."""
    console = console or Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("step", "model", "difficulty", "visits", "quality", "cost", "time"):
        is_text = name in ("step", "model")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold")
    unpriced = {model.name for model in plan.models if model.price_source == "unknown"}
    for step in plan.assignments:
        table.add_row(
            escape(step.node),
            escape(served_by(step)),
            f"{step.complexity:.2f}",
            f"{step.expected_visits:.3g}",
            f"{step.quality:.2f}",
            "unknown" if unpriced & {step.model, *step.then} else usd(step.cost_usd),
            f"{step.latency_s:.1f} s",
        )
    totals = plan.totals
    table.add_row(
        "run",
        "",
        "",
        "",
        f"{totals.quality:.2f}",
        usd(totals.cost_expected_usd),
        f"{totals.latency_s:.1f} s",
        style="bold",
    )
    console.print(table)
    if unpriced & {name for step in plan.assignments for name in (step.model, *step.then)}:
        console.print("[yellow]without[/] the steps whose model has no known price:")
    worst = "not bounded" if totals.cost_worst_usd is None else usd(totals.cost_worst_usd)
    limit = plan.budget.per_run_usd
    console.print(
        f"cost of a run: {usd(totals.cost_expected_usd)} expected, "
        f"{usd(totals.cost_p95_usd)} in 95 of 100, {worst} at worst; "
        + ("no budget" if limit is None else f"budget {usd(limit)}"),
        highlight=False,
    )
    if share := in_time(plan):
        console.print(f"time of a run: {totals.latency_s:.1f} s expected; {share}", highlight=False)
    gap = f", gap {plan.solver.gap:.2%}".replace("%", " %")
    console.print(f"solver: {plan.solver.name}, {plan.solver.status}{gap}", highlight=False)
    for step in plan.assignments:
        console.print(f"[bold]{escape(step.node)}[/]: {escape(step.reason)}", highlight=False)
    for warning in plan.graph.warnings:
        console.print(f"[yellow]warning[/]: {escape(warning)}", highlight=False)
