"""`graphroute report`: records of any span of time, or what `graphroute run --json` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.cli._spans import moment
from graphroute.errors import InvalidValue

if TYPE_CHECKING:
    from graphroute.store.records import RecordStore

Folder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        show_default=False,
        help="The folder given to optimize(store=…); default GRAPHROUTE_HOME or the user's data.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="From then on: 12h, 7d, 4w ago, or a date (UTC)."),
]
OfGraph = Annotated[
    str | None, typer.Option("--graph", metavar="NAME", help="Only this graph, or fingerprint.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(command)


def command(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN.json",
            show_default=False,
            help="A file of: graphroute run TARGET --json --output RUN.json. Without it: the "
            "records that optimized graphs leave in the store.",
        ),
    ] = None,
    since: Since = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Up to then, not included.")
    ] = None,
    graph: OfGraph = None,
    node: Annotated[
        str | None, typer.Option("--node", metavar="NAME", help="Only this node and what is in it.")
    ] = None,
    store: Folder = None,
    as_json: _options.Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: one line per node and model.")
    ] = False,
    as_html: Annotated[
        bool, typer.Option("--html", help="Print one HTML page with graph and plots inside it.")
    ] = False,
    output: _options.Output = None,
) -> None:
    """Show calls, tokens, cost, time, quality and the saving of earlier runs."""
    if as_json + as_csv + as_html > 1:
        raise InvalidValue("--json, --csv and --html exclude one another", next_step="give one")
    if run is not None:
        _check_file_only(since=since, until=until, graph=graph, node=node, store=store)
        if as_csv or as_html:
            raise InvalidValue(
                "the report of one file has no --csv and no --html",
                next_step="leave the file out: its run is in the store as well",
            )
        _show(_of_file(run), as_json=as_json, output=output)
        return
    from graphroute.ir.tally import Span
    from graphroute.report.span import SpanReport

    begin, end = moment("--since", since), moment("--until", until)
    if begin is not None and end is not None and begin >= end:
        raise InvalidValue(
            f"--since {since} is not before --until {until}",
            value=since,
            next_step="change them over: 7d means seven days ago",
        )
    span = Span(since_s=begin, until_s=end, graph=graph, node=node)
    report = SpanReport.of(opened(store).tally(span))
    if as_csv:
        write(report.to_csv(), output)
    elif as_html:
        write(report.to_html(), output)
    else:
        _show(report, as_json=as_json, output=output)


def opened(store: Path | None) -> RecordStore:
    """The records of a store; `InvalidValue` where there are none yet."""
    from graphroute.ir.storage import Store
    from graphroute.keeping import record_store

    kept = record_store(Store(folder=store))
    assert kept is not None
    if not kept.path.exists():
        raise InvalidValue(
            f"there are no records in {str(kept.path.parent)!r}",
            value=str(kept.path),
            next_step="run an optimized graph, give --store or GRAPHROUTE_HOME another folder, "
            "or a file of: graphroute run TARGET --json --output RUN.json (in the process itself "
            "it is fast.report())",
        )
    return kept


def _check_file_only(**given: object) -> None:
    named = [f"--{name}" for name, value in given.items() if value is not None]
    if named:
        raise InvalidValue(
            f"{', '.join(named)} with a file of one run",
            next_step="leave the file out to choose among the records of the store",
        )


def _of_file(run: Path) -> Any:
    from graphroute.report import Report

    try:
        data = json.loads(run.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise InvalidValue(
            f"cannot read {str(run)!r} ({fault})",
            value=str(run),
            next_step="give a file written by: graphroute run TARGET --json --output RUN.json",
        ) from None
    return Report.from_dict(data.get("report", data) if isinstance(data, dict) else data)


def _show(report: Any, *, as_json: bool, output: Path | None) -> None:
    if as_json:
        write(report.to_json(), output)
    elif output is not None:
        write(f"{report}\n", output)
    else:
        from rich.console import Console

        Console().print(report)
