"""`graphroute eval`: routers by RouteLLM's yardsticks, baselines always beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphroute.cli import _evaluation
from graphroute.cli._files import write
from graphroute.cli._options import Json
from graphroute.cli._training import Seed, family_of, progress, trained, untrained
from graphroute.errors import InvalidValue
from graphroute.protocols import TrainableScorer

if TYPE_CHECKING:
    from graphroute.evaluation.suites import Routers

_ALL = "all"
_COUNTS = "250,500,1000,1500"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(command)


def command(
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            metavar="PATH",
            help="CSV or CSV.GZ as for train, a folder of them, or a checkout of RouteLLM; may be "
            "given several times.",
        ),
    ],
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="all, mmlu, gsm8k, mt-bench or nway.")
    ] = _ALL,
    scorers: Annotated[
        str,
        typer.Option(
            "--scorers",
            metavar="NAMES",
            help="Families to train and measure; encoder is slow.",
        ),
    ] = "lexical,mf,similarity",
    ready: Annotated[
        str,
        typer.Option(
            "--ready",
            metavar="NAMES",
            help="Scorers to measure with the weights they have; causal is slow; '' for none.",
        ),
    ] = "lexical,mf",
    weights: Annotated[
        list[Path] | None, typer.Option("--weights", metavar="DIR", help="Trained weights.")
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(
            "--train",
            metavar="PATH",
            help="With a suite: outcomes of other benchmarks, to measure transfer. With all: a "
            "folder to train on, instead of by folds.",
        ),
    ] = None,
    routellm: Annotated[
        Path | None,
        typer.Option(
            "--routellm",
            metavar="CHECKOUT",
            help="With all: take MMLU, GSM8K and MT-Bench from RouteLLM's repository.",
        ),
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="NAMES", help="For nway: only these.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, max=50)] = 5,
    limits: Annotated[
        str, typer.Option("--limits", metavar="COUNTS", help="Labels to train on besides all.")
    ] = "1500",
    choice: Annotated[
        bool,
        typer.Option(
            "--choice",
            help="Instead: what chosen labels give against labels at random, at each of --limits.",
        ),
    ] = False,
    price_ratio: Annotated[
        float, typer.Option("--price-ratio", min=0, max=1, help="Weak call over strong call.")
    ] = 0.012,
    seed: Seed = 0,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="DIR",
            help="Where finished parts are kept, so that a second call goes on; default: the "
            "user's data.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compute everything anew, and keep nothing.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Picture: .png, .svg or .pdf.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Instead of stdout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure scorers on outcomes, by folds over questions and by transfer."""
    from graphroute.cli._folds import stem
    from graphroute.evaluation.cells import Cells
    from graphroute.evaluation.suites import SUITES, Settings

    if suite not in (_ALL, *SUITES):
        raise InvalidValue(
            f"--suite {suite}", value=suite, next_step=f"use {', '.join((_ALL, *SUITES))}"
        )
    if routellm is not None and suite != _ALL:
        raise InvalidValue(
            "--routellm is for --suite all", next_step="give the checkout by --data instead"
        )
    _evaluation.check_plot(plot)
    settings = Settings(
        stem=stem,
        folds=folds,
        limits=_counts(limits),
        price_ratio=price_ratio,
        seed=seed,
        cells=Cells(None if again else _kept_in(state)),
    )
    asked = _evaluation.Asked(
        data=tuple(data),
        train=tuple(train or ()),
        routellm=routellm,
        models=_names(models) if models is not None else None,
    )
    routers = _routers(scorers, ready, weights or ())
    with progress(f"evaluating {suite}") as tell:
        if choice:
            found = _evaluation.choices(suite, asked, routers, settings, tell)
        elif suite == _ALL:
            found = _evaluation.whole(asked, routers, settings, tell)
        else:
            found = _evaluation.one(suite, asked, routers, settings, tell)
    if settings.cells.found:
        typer.echo(f"{settings.cells.found} finished parts of an earlier call were used", err=True)
    if plot is not None:
        found.draw(plot)
    write((found.to_json() + "\n") if as_json else found.to_markdown(), output)


def _routers(scorers: str, ready: str, weights: list[Path] | tuple[()]) -> Routers:
    from graphroute.evaluation.suites import Routers

    return Routers(
        fresh={name: _maker(name) for name in _names(scorers)},
        ready={
            **{f"{name} (shipped)": trained(name, None) for name in _names(ready)},
            **{path.name: trained(family_of(path, None), path) for path in weights},
        },
        baselines={name: trained(name, None) for name in ("random", "length")},
    )


def _maker(name: str) -> Callable[[], TrainableScorer]:
    untrained(name)  # refuse unknown names before anything is read
    return lambda: untrained(name)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _counts(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in _names(text))
    except ValueError:
        found = (0,)
    if any(count < 1 for count in found):
        raise InvalidValue(
            f"--limits {text!r}", value=text, next_step=f"use whole numbers like {_COUNTS}"
        )
    return found


def _kept_in(state: Path | None) -> Path:
    from graphroute.keeping import home

    return state if state is not None else home() / "evaluation"
