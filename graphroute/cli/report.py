"""`graphroute report`: read what `graphroute run --json` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.errors import InvalidValue


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(command)


def command(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN.json",
            show_default=False,
            help="Written by: graphroute run TARGET --json --output RUN.json",
        ),
    ] = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Show calls, tokens, cost, time and the saving of earlier runs."""
    if run is None:
        # Records live in the optimized graph and end with its process.
        raise InvalidValue(
            "no file of a run is given, and records are not kept between processes",
            next_step="write one by: graphroute run TARGET --inputs FILE --json --output RUN.json, "
            "or call fast.report() where the graph ran",
        )
    from graphroute.report import Report

    try:
        data = json.loads(run.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise InvalidValue(
            f"cannot read {str(run)!r} ({fault})",
            value=str(run),
            next_step="give a file written by: graphroute run TARGET --json --output RUN.json",
        ) from None
    report = Report.from_dict(data.get("report", data) if isinstance(data, dict) else data)
    if as_json:
        write(report.to_json(), output)
    elif output is not None:
        write(f"{report}\n", output)
    else:
        from rich.console import Console

        Console().print(report)
