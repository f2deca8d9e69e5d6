"""`graphroute run`: run a graph by its plan on one input or on a file of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from graphroute.cli import _options
from graphroute.cli._files import lines, read_input, read_lines, write
from graphroute.errors import GraphrouteError, InvalidValue

SCHEMA = "graphroute.run/1"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(command)


def command(
    target: _options.Target = "",
    one: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON|@FILE", help="One input, as JSON or a file of it."),
    ] = None,
    many: Annotated[
        Path | None,
        typer.Option("--inputs", metavar="FILE.jsonl", help="Many inputs, one JSON value a line."),
    ] = None,
    budget: _options.BudgetUsd = None,
    objective: _options.Goal = "quality",
    models: _options.Pool = None,
    deadline: _options.Deadline = None,
    memory: _options.Memory = None,
    is_async: Annotated[
        bool, typer.Option("--async", help="Run by ainvoke, for graphs with async nodes.")
    ] = False,
    keep_text: Annotated[
        bool,
        typer.Option(
            "--keep-text",
            help="Record prompts and answers too, for calibrate --records; never those of "
            "private nodes.",
        ),
    ] = False,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Run a graph by its plan; results go to stdout, progress and the report to stderr."""
    if (one is None) == (many is None):
        raise InvalidValue("one of --input and --inputs is needed", next_step="give just one")
    inputs = [read_input(one)] if one is not None else read_lines(many or Path())
    from graphroute import Store, optimize
    from graphroute.frontend.target import load_target

    graph = load_target(target)
    fast = optimize(
        graph,
        models=_options.pool(models),
        budget=budget,
        objective=_options.objective(objective),
        deadline_s=deadline,
        memory_limit_bytes=_options.memory_bytes(memory),
        store=Store(keep_text=keep_text),
    )
    results = list(_results(fast, inputs, is_async=is_async))
    failed = [result for result in results if "error" in result]
    report = fast.report()
    if as_json:
        data = {
            "schema": SCHEMA,
            "results": results,
            "report": report.to_dict(),
            # As the store has them, for calibrate --records on this very file.
            "records": [asdict(record) for record in fast.records],
        }
        write(json.dumps(data, ensure_ascii=False, indent=2) + "\n", output)
    elif one is not None and not failed:
        write(json.dumps(results[0]["output"], ensure_ascii=False, indent=2) + "\n", output)
    elif many is not None:
        write(lines(iter(results)), output)
    if not as_json:
        _told(report)
    if failed:
        raise _failure(failed, len(inputs))


def _results(fast: Any, inputs: list[Any], *, is_async: bool) -> Iterator[dict[str, Any]]:
    """Run the inputs one after the other; an input that fails does not stop the others."""
    from pydantic_core import to_jsonable_python
    from rich.console import Console
    from rich.progress import track

    shown = track(
        list(enumerate(inputs)),
        description="running",
        console=Console(stderr=True),
        transient=True,
        disable=len(inputs) == 1,
    )
    for number, value in shown:
        # A graph that keeps its state needs to know whose; each input is a conversation of its own.
        config = {"configurable": {"thread_id": f"input-{number}"}} if fast.checkpointer else None
        try:
            if is_async:
                state = asyncio.run(fast.ainvoke(value, config))
            else:
                state = fast.invoke(value, config)
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            kind = type(error).__name__
            is_known = isinstance(error, GraphrouteError)
            yield {"input": value, "error": str(error) if is_known else f"{kind}: {first}"}
        else:
            yield {
                "input": value,
                "output": to_jsonable_python(state, fallback=str, inf_nan_mode="null"),
            }


def _told(report: Any) -> None:
    from rich.console import Console

    Console(stderr=True).print(report)


def _failure(failed: list[dict[str, Any]], total: int) -> GraphrouteError:
    first = failed[0]["error"]
    if total == 1:
        return GraphrouteError(first)
    return GraphrouteError(
        f"{len(failed)} of {total} inputs failed, the first with: {first}",
        next_step="the results say which",
    )
