"""`graphroute doctor`: what is missing before a graph can be routed, and what to do about it."""

from __future__ import annotations

import json

import typer

from graphroute.cli import _options
from graphroute.cli._checks import Check, graph_checks, provider_checks
from graphroute.cli._files import write

SCHEMA = "graphroute.doctor/1"
_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[red]problem[/]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(command)


def command(
    target: _options.Target = "",
    models: _options.Pool = None,
    budget: _options.BudgetUsd = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Check servers, keys and prices and, with TARGET, a graph; exits 1 on a problem."""
    checks = list(provider_checks())
    if target:
        from graphroute.frontend.target import load_target

        checks += graph_checks(load_target(target), _options.pool(models), budget)
    is_well = all(check.level != "problem" for check in checks)
    if as_json or output is not None:
        data = {
            "schema": SCHEMA,
            "is_well": is_well,
            "checks": [
                {"what": c.what, "level": c.level, "detail": c.detail, "next_step": c.next_step}
                for c in checks
            ],
        }
        write(json.dumps(data, indent=2) + "\n", output)
    else:
        _show(checks)
    if not is_well:
        raise typer.Exit(1)


def _show(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for check in checks:
        console.print(
            f"{_MARKS[check.level]} [bold]{escape(check.what)}[/]: {escape(check.detail)}",
            highlight=False,
        )
        if check.next_step and check.level != "ok":
            console.print(f"     → {escape(check.next_step)}", highlight=False)
