"""`graphroute calibrate`: the threshold for a wanted share of strong calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from graphroute.cli._files import write
from graphroute.cli._options import Json
from graphroute.cli._training import Weights, family_of, progress, trained
from graphroute.errors import InvalidValue


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(command)


def command(
    prompts: Annotated[
        Path, typer.Argument(metavar="PROMPTS.csv", help="Your own prompts: columns id, prompt.")
    ],
    strong_share: Annotated[
        float | None,
        typer.Option("--strong-share", min=0, max=1, help="Share for the strong model."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", min=0, help="US dollars per prompt on average.")
    ] = None,
    strong_usd: Annotated[
        float | None, typer.Option("--strong-usd", min=0, help="Price of a strong call.")
    ] = None,
    weak_usd: Annotated[
        float, typer.Option("--weak-usd", min=0, help="Price of a weak call.")
    ] = 0.0,
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="Default: as the weights say.")
    ] = None,
    weights: Weights = None,
    strong: Annotated[str | None, typer.Option("--strong")] = None,
    weak: Annotated[str | None, typer.Option("--weak")] = None,
    as_json: Json = False,
    output: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Find the threshold for a share of strong calls, or for a budget per prompt."""
    from graphroute.evaluation.outcomes import read_prompts
    from graphroute.evaluation.threshold import share_for_budget, threshold_for

    if (strong_share is None) == (budget is None):
        raise InvalidValue(
            "calibrating needs one of --strong-share and --budget", next_step="give one of them"
        )
    if budget is not None:
        if strong_usd is None:
            raise InvalidValue(
                "--budget needs the price of a strong call", next_step="give --strong-usd"
            )
        strong_share = share_for_budget(budget, strong_usd=strong_usd, weak_usd=weak_usd)
    assert strong_share is not None
    router = trained(family_of(weights, scorer), weights)
    _, texts = read_prompts(prompts)
    with progress("scoring", is_quiet=len(texts) < 500):
        need = router.need(texts, strong, weak) if hasattr(router, "need") else None
        values = need if need is not None else router.difficulty(texts)
    found = threshold_for(values, strong_share)
    name = router.name.replace("-", "_")
    answer = {
        "scorer": router.name,
        "prompts": len(texts),
        "wanted_share": strong_share,
        "threshold": found.threshold,
        "share": found.share,
        "low": found.low,
        "high": found.high,
        "model": f"router-{name}-{found.threshold:.5f}",
    }
    if as_json:
        write(json.dumps(answer, indent=2) + "\n", output)
        return
    write(
        f"For {strong_share:.1%} strong calls with {router.name}: threshold "
        f"{found.threshold:.5f}.\nOn these {len(texts):,} prompts that is {found.share:.1%}, on "
        f"others like them {found.low:.1%} to {found.high:.1%} (95 %).\n"
        f"As RouteLLM writes it: {answer['model']}\n",
        output,
    )
