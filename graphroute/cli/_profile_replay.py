"""`graphroute profile TARGET`: replay each node's calls on the candidate models."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphroute.cli import _options
from graphroute.cli._files import read_lines, write
from graphroute.cli._profile_table import show, text_of
from graphroute.cli.report import Folder
from graphroute.errors import GraphrouteError, InvalidValue, TargetError

if TYPE_CHECKING:
    from graphroute.profiling import Progress


def command(
    target: _options.Target = "",
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="FILE.jsonl",
            help="Inputs, one JSON value a line; or objects with 'input' and what is right: "
            "'expected' (keys of the end state), 'reference' (answers by node).",
        ),
    ] = None,
    models: _options.Pool = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="USD", help="Most that the profile may cost in all."),
    ] = None,
    per_run: Annotated[
        float | None,
        typer.Option(
            "--per-run",
            metavar="USD",
            help="What a run may cost later: what matters under that limit is asked first.",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="MODEL",
            help="Judges where neither a reference nor verify= does; paid from the budget.",
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score",
            metavar="FILE.py:NAME",
            help="Function of an end state and its example: how good it is, in [0, 1].",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="NODE", help="Never replay this node; again and again."),
    ] = None,
    influence: Annotated[
        str,
        typer.Option(
            "--influence",
            metavar="HOW",
            help="Measure what nodes do to the end by running the graph again: on, off, or auto "
            "(where its code is proven to do no harm).",
        ),
    ] = "auto",
    influence_runs: Annotated[
        int, typer.Option("--influence-runs", min=0, help="Inputs of which that is done.")
    ] = 8,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Go on from this file the next time; it holds prompts of your graph.",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", metavar="N", help="Begin nothing after that.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Replays at a time.")] = 1,
    is_async: Annotated[
        bool, typer.Option("--async", help="Run by ainvoke, for graphs with async nodes.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="For the order of the calls.")] = 0,
    store: Folder = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Run a graph once per input, replay its nodes' calls on the models, and learn from it."""
    if inputs is None:
        raise InvalidValue("--inputs is needed", next_step="give a file with one JSON value a line")
    lines = read_lines(inputs)
    from graphroute.frontend.target import load_target
    from graphroute.profiling import profile

    graph = load_target(target)
    with _bar() as advance:
        found = profile(
            graph,
            lines,
            models=_options.pool(models),
            budget=budget,
            per_run=per_run,
            judge=_judge(judge),
            score=None if score is None else _function(score),
            skip=skip or (),
            influence=_influence(influence),
            influence_runs=influence_runs,
            state=state,
            store=store,
            max_s=None if max_minutes is None else 60 * max_minutes,
            workers=workers,
            is_async=is_async,
            seed=seed,
            progress=advance,
        )
    if as_json:
        write(found.to_json(), output)
    elif output is not None:
        write(text_of(found), output)
    else:
        show(found)
    if not found.runs:
        raise GraphrouteError(f"nothing was profiled: {found.stopped}")


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr, which shows nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("${task.fields[spent]:.6f}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the graph", total=None, spent=0.0)

        def advance(at: Progress) -> None:
            bar.update(
                task, description=at.doing, completed=at.done, total=at.total, spent=at.spent_usd
            )

        yield advance


def _influence(word: str) -> bool | Literal["auto"]:
    match word:
        case "auto":
            return "auto"
        case "on" | "off":
            return word == "on"
    raise InvalidValue(f"--influence {word}", value=word, next_step="use on, off or auto")


def _judge(name: str | None) -> Any:
    if name is None:
        return None
    from graphroute import verify

    return verify.judge(name)


def _function(place: str) -> Any:
    """The function that `file.py:name` means."""
    path, _, name = place.rpartition(":")
    file = Path(path).resolve()
    help_ = "give file.py:name of a function of (state, example) that gives a number in [0, 1]"
    if not file.is_file():
        raise TargetError(f"--score {place!r}: there is no file", target=place, next_step=help_)
    sys.path.insert(0, str(file.parent))
    try:
        # By plain name, so that the graph's own script and this are one module.
        found = getattr(importlib.import_module(file.stem), name, None)
    except Exception as error:
        text = f"--score {place!r}: importing it raised {type(error).__name__}: {error}"
        raise TargetError(text, target=place, next_step="mend it") from None
    finally:
        sys.path.remove(str(file.parent))
    if not callable(found):
        text = f"--score {place!r} is {type(found).__name__}"
        raise TargetError(text, target=place, next_step=help_)
    return found
