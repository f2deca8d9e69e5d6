"""`graphroute score`: scores for a file of prompts."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

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
