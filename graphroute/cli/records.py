"""`graphroute records`: how much is recorded and where; take it out; delete it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from graphroute.cli import _options
from graphroute.cli._files import lines, write
from graphroute.cli._spans import moment
from graphroute.cli.report import Folder, OfGraph, Since, opened
from graphroute.errors import InvalidValue
from graphroute.report.text import plural

SCHEMA = "graphroute.records/1"


def register(app: typer.Typer) -> None:
    """Add the command and its three parts."""
    group = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=command.__doc__
    )
    group.callback()(command)
    group.command("stats")(stats)
    group.command("export")(export)
    group.command("clear")(clear)
    app.add_typer(group, name="records")


def command() -> None:
    """Look after the records of calls on this machine: how much there is; export; delete."""


def stats(
    store: Folder = None, as_json: _options.Json = False, output: _options.Output = None
) -> None:
    """Count calls, runs, verdicts and kept texts, and say where they are."""
    kept = opened(store)
    held = kept.holdings()
    if as_json or output is not None:
        data = {"schema": SCHEMA, "file": str(kept.path), **asdict(held)}
        write(json.dumps(data, indent=2) + "\n", output)
        return
    span = f", {_day(held.first_s)} to {_day(held.last_s)}" if held.calls else ""
    write(
        f"{plural(held.calls, 'call')} of {plural(held.runs, 'run')}{span}\n"
        f"{plural(held.verdicts, 'verdict')} from feedback, texts of {plural(held.texts, 'call')}\n"
        f"{held.size_bytes:,} bytes in {kept.path}\n",
        None,
    )


def export(
    since: Since = None,
    graph: OfGraph = None,
    store: Folder = None,
    output: _options.Output = None,
) -> None:
    """Print every record as a line of JSON, oldest first."""
    from graphroute.ir.tally import Span

    kept = opened(store)

    def rows() -> Iterator[object]:
        for record in kept.records(Span(since_s=moment("--since", since), graph=graph)):
            yield asdict(record)

    write(lines(rows()), output)


def clear(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="WHEN", help="Only older ones: 30d, or a date (UTC)."),
    ] = None,
    graph: OfGraph = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be deleted, and delete nothing.")
    ] = False,
    store: Folder = None,
    as_json: _options.Json = False,
) -> None:
    """Delete records with their verdicts and texts, so that nothing of them stays on disk."""
    kept = opened(store)
    if not (older_than or graph or everything or dry_run):
        raise InvalidValue(
            "which records? they cannot be brought back",
            next_step="give --older-than 30d, --graph NAME or --all",
        )
    before = moment("--older-than", older_than)
    gone = kept.clear(before_s=before, graph=graph, dry_run=dry_run)
    if as_json:
        data = {"schema": SCHEMA, "deleted": 0 if dry_run else gone, "matched": gone}
        write(json.dumps(data) + "\n", None)
        return
    verb = "would delete" if dry_run else "deleted"
    write(f"{verb} {plural(gone, 'call')}\n", None)


def _day(at_s: float | None) -> str:
    return "?" if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")
