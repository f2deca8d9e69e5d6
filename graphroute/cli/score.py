"""`graphroute score`: scores for a file of prompts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from graphroute.cli._files import write
from graphroute.cli._training import Weights, family_of, progress, trained
from graphroute.errors import InvalidValue

_BATCH = 500


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(command)


def command(
    prompts: Annotated[
        Path, typer.Argument(metavar="PROMPTS.csv", help="Columns id and prompt; .gz as well.")
    ],
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="Default: as the weights say.")
    ] = None,
    weights: Weights = None,
    models: Annotated[
        str | None,
        typer.Option(
            "--models", metavar="NAMES", help="Probability of a right answer for each of these."
        ),
    ] = None,
    strong: Annotated[
        str | None, typer.Option("--strong", help="The strong model that the need is for.")
    ] = None,
    weak: Annotated[
        str | None, typer.Option("--weak", help="The weak model that would answer otherwise.")
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Outcomes of models that the weights do not know, as for train; with --models.",
        ),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            "--quality",
            metavar="NAME=P",
            help="Your prior for a new model: its chance on a task of middle difficulty.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="CSV instead of stdout.")
    ] = None,
) -> None:
    """Score prompts: how much each needs the strong model, or success per model."""
    from graphroute.evaluation.outcomes import read_prompts

    router = trained(family_of(weights, scorer), weights)
    ids, texts = read_prompts(prompts)
    names = [name.strip() for name in models.split(",") if name.strip()] if models else None
    if models is not None and not names:
        raise InvalidValue(f"--models {models!r} names none", next_step="separate names by commas")
    if names and not hasattr(router, "success"):
        raise InvalidValue(
            f"scorer {router.name!r} knows no models",
            name=router.name,
            next_step="leave --models out, or use lexical, mf or similarity",
        )
    if labels or quality:
        router = _joined(router, labels or [], _priors(quality or []), names)
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(("id", "model", "score") if names else ("id", "score"))
    with progress(f"scoring with {router.name}", is_quiet=len(texts) <= _BATCH) as tell:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            if names:
                values = router.success(batch, names)
                for ident, line in zip(ids[start:], values, strict=False):
                    rows.writerows(
                        (ident, name, f"{value:.6f}")
                        for name, value in zip(names, line, strict=True)
                    )
            else:
                if hasattr(router, "need"):
                    need = router.need(batch, strong, weak)
                else:
                    need = router.difficulty(batch)
                rows.writerows(
                    (ident, f"{value:.8f}") for ident, value in zip(ids[start:], need, strict=False)
                )
            tell("prompts", min(start + _BATCH, len(texts)) / len(texts))
    write(buffer.getvalue(), out)


def _joined(
    router: Any, labels: Sequence[Path], priors: Mapping[str, float], names: Sequence[str] | None
) -> Any:
    """The router with the models that join it: by labels, by a stated quality, or by both."""
    from graphroute.evaluation import outcomes
    from graphroute.scorers.joining import Joined

    if not names:
        raise InvalidValue(
            "--labels and --quality are about single models", next_step="name them by --models"
        )
    joined = Joined(router)
    found = outcomes.read(labels) if labels else None
    told = [m for m in (found.models if found else ()) if m not in router.models]
    for model in dict.fromkeys([*told, *priors]):
        prompts: Sequence[str] = ()
        correct: Sequence[float] = ()
        if found is not None and model in found.models:
            column = found.correct[:, found.models.index(model)]
            rows = [i for i, value in enumerate(column) if value == value]
            prompts = [found.prompts[i] for i in rows]
            correct = [float(column[i]) for i in rows]
        joined.join(model, prompts, correct, quality=priors.get(model))
    return joined


def _priors(stated: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in stated:
        # From the right: a model's name may hold an equals sign, a number does not.
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise InvalidValue(
                f"--quality {text!r}", value=text, next_step="write it like corp:assistant=0.7"
            )
    return found
