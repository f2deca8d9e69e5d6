"""`graphroute eval`: routers by RouteLLM's yardsticks, baselines always beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphroute.cli._files import write
from graphroute.cli._options import Json
from graphroute.cli._training import Data, Seed, family_of, progress, trained, untrained
from graphroute.errors import InvalidValue
from graphroute.protocols import TrainableScorer

if TYPE_CHECKING:
    from graphroute.evaluation.metrics import Curve


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(command)


def command(
    data: Data,
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="mmlu, gsm8k, mt-bench or nway.")
    ],
    scorers: Annotated[
        str, typer.Option("--scorers", metavar="NAMES", help="Families to train and measure.")
    ] = "lexical",
    ready: Annotated[
        str | None,
        typer.Option("--ready", metavar="NAMES", help="Scorers to measure with their weights."),
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option("--weights", metavar="DIR", help="Trained weights.")
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option("--train", metavar="FILE", help="Other outcomes, to measure transfer."),
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="NAMES", help="For nway: only these.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, max=50)] = 5,
    limits: Annotated[
        str, typer.Option("--limits", metavar="COUNTS", help="Labels to train on besides all.")
    ] = "1500",
    price_ratio: Annotated[
        float, typer.Option("--price-ratio", min=0, max=1, help="Weak call over strong call.")
    ] = 0.012,
    seed: Seed = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Picture: .png, .svg or .pdf.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Instead of stdout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure scorers on outcomes, by folds over questions and by transfer."""
    from graphroute.cli._folds import folds_of
    from graphroute.evaluation import outcomes, results, suites

    if suite not in suites.SUITES:
        raise InvalidValue(
            f"--suite {suite}", value=suite, next_step=f"use {', '.join(suites.SUITES)}"
        )
    names = [name.strip() for name in scorers.split(",") if name.strip()]
    routers = suites.Routers(
        fresh={name: _maker(name) for name in names},
        ready={
            **{f"{n} (shipped)": trained(n.strip(), None) for n in (ready or "").split(",") if n},
            **{str(path.name): _of(path) for path in weights or ()},
        },
        baselines={name: trained(name, None) for name in ("random", "length")},
    )
    settings = suites.Settings(
        folds=folds,
        limits=tuple(int(part) for part in limits.split(",") if part.strip()),
        price_ratio=price_ratio,
        seed=seed,
    )
    chosen = [name.strip() for name in models.split(",")] if models else None
    curves: list[tuple[str, Curve]] = []
    with progress(f"evaluating {suite}") as tell:
        if suite == "nway":
            found, cost = suites.nway_outcomes(data, chosen)
            split = folds_of(found.prompts, folds, seed)
            report = suites.nway_suite(found, cost, split, routers, settings, progress=tell)
        else:
            found = suites.pair_outcomes(data, suite)
            others = outcomes.read(train) if train else None
            report, curves = suites.pair_suite(
                suite,
                found,
                folds_of(found.prompts, folds, seed),
                routers,
                settings,
                others=others,
                progress=tell,
            )
    if plot is not None and curves:
        results.plot(curves, suite, plot)
    write((report.to_json() + "\n") if as_json else report.to_markdown(), output)


def _maker(name: str) -> Callable[[], TrainableScorer]:
    untrained(name)  # refuse unknown names before anything is read
    return lambda: untrained(name)


def _of(path: Path) -> Any:
    return trained(family_of(path, None), path)
