"""`graphroute train`: learn a scorer from outcomes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from graphroute.cli._training import Data, Scorer, Seed, progress, untrained
from graphroute.errors import InvalidValue
from graphroute.protocols import Outcomes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(command)


def command(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the weights.")],
    scorer: Scorer = "lexical",
    models: Annotated[
        str | None, typer.Option("--models", metavar="NAMES", help="Only these, comma-separated.")
    ] = None,
    strong: Annotated[
        str, typer.Option("--strong", help="What the strong model of two-model files is called.")
    ] = "strong",
    weak: Annotated[
        str, typer.Option("--weak", help="What the weak model of two-model files is called.")
    ] = "weak",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Train on that many prompts only.")
    ] = None,
    choice: Annotated[
        str,
        typer.Option(
            "--choice",
            metavar="HOW",
            help="With --limit: random, or even (few that stand for all).",
        ),
    ] = "random",
    seed: Seed = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Train again even where the same training is there.")
    ] = False,
) -> None:
    """Train a scorer and write its weights and card; done before with the same data: kept."""
    from graphroute.evaluation import outcomes

    if choice not in ("random", "even"):
        raise InvalidValue(f"--choice {choice}", value=choice, next_step="use random or even")
    options: dict[str, object] = {
        "models": models,
        "strong": strong,
        "weak": weak,
        "limit": limit,
        "choice": choice,
        "seed": seed,
    }
    mark = _mark(data, scorer, options)
    if not force and _is_there(out, mark):
        typer.echo(f"{out} already holds this training; --force does it again", err=True)
        return
    learner = untrained(scorer)
    chosen = [name.strip() for name in models.split(",")] if models is not None else None
    found = outcomes.read(data, pair=(weak, strong), models=chosen)
    if limit is not None:
        found = _chosen(found, limit, choice, seed)
    # Where a family trains by epochs, those that are done outlive a training that is cut off.
    epochs = out.parent / f".{out.name}.{mark}"
    keep = getattr(learner, "keep_epochs", None)
    if keep is not None:
        keep(epochs)
    with progress(f"training {scorer}") as tell:
        learner.fit(found, seed=seed, progress=tell)
    facts = {"data": [path.name for path in data], "options": options, "training": mark}
    save = getattr(learner, "save")  # noqa: B009  # families take further facts for the card
    save(out, **facts)
    shutil.rmtree(epochs, ignore_errors=True)
    typer.echo(
        f"{scorer}: {len(found.prompts):,} prompts, {len(found.models)} models → {out}", err=True
    )


def _chosen(data: Outcomes, limit: int, choice: str, seed: int) -> Outcomes:
    """The prompts to train on, chosen without a look at their outcomes."""
    from graphroute.evaluation.choice import drawn, even

    if choice == "random" or limit >= len(data.prompts):
        return drawn(data, limit, seed=seed)
    from graphroute.scorers._topics import Topics

    topics = Topics.fit(data.prompts, seed=seed, progress=lambda _what, _done: None)
    return data.rows(even(topics.vectors(data.prompts), limit, seed=seed))


def _mark(data: list[Path], scorer: str, options: dict[str, object]) -> str:
    """A fingerprint of everything that the weights depend on."""
    digest = hashlib.sha256(json.dumps([scorer, options], sort_keys=True).encode())
    for path in data:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InvalidValue(
                f"cannot read {str(path)!r} ({error.strerror})",
                path=str(path),
                next_step="give a file that exists and may be read",
            ) from None
    return digest.hexdigest()[:16]


def _is_there(out: Path, mark: str) -> bool:
    try:
        card = json.loads((out / "card.json").read_text(encoding="utf-8"))
        digest = hashlib.sha256((out / "weights.npz").read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False
    # The card is written last, so a training that was cut off has none or an older one.
    return bool(card.get("training") == mark and card.get("sha256") == digest)
