"""`graphroute calibrate`: the threshold for a wanted share of strong calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from graphroute.cli._files import write
from graphroute.cli._options import Json
from graphroute.cli._records import Past, mean_cost_usd, read_past
from graphroute.cli._training import Seed, Weights, family_of, progress, trained
from graphroute.errors import InvalidValue

_BATCH = 500
_T = TypeVar("_T")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(command)


def command(
    prompts: Annotated[
        Path | None,
        typer.Argument(
            metavar="PROMPTS.csv",
            show_default=False,
            help="Your own prompts: columns id, prompt. Or --records.",
        ),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            "--records",
            metavar="FILE",
            help="Calls of earlier runs: a record store or JSON of records.",
        ),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="With --records: only calls of this node.")
    ] = None,
    strong_share: Annotated[
        float | None,
        typer.Option("--strong-share", min=0, max=1, help="Share for the strong model."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", min=0, help="US dollars per prompt on average.")
    ] = None,
    strong_usd: Annotated[
        float | None,
        typer.Option(
            "--strong-usd",
            min=0,
            show_default=False,
            help="Price of a strong call; records tell it otherwise.",
        ),
    ] = None,
    weak_usd: Annotated[
        float | None,
        typer.Option(
            "--weak-usd",
            min=0,
            show_default=False,
            help="Price of a weak call; else as recorded, else 0.",
        ),
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", metavar="NAME", help="Default: as the weights say.")
    ] = None,
    weights: Weights = None,
    strong: Annotated[str | None, typer.Option("--strong")] = None,
    weak: Annotated[str | None, typer.Option("--weak")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Use that many prompts, drawn at random."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    output: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Find the threshold for a share of strong calls, or for a budget per prompt."""
    from graphroute.evaluation.threshold import share_for_budget, threshold_for

    if (strong_share is None) == (budget is None):
        raise InvalidValue(
            "calibrating needs one of --strong-share and --budget", next_step="give one of them"
        )
    if (prompts is None) == (records is None):
        raise InvalidValue(
            "calibrating needs one of PROMPTS.csv and --records", next_step="give one of them"
        )
    past = read_past(records, node=node) if records is not None else ()
    if budget is not None:
        high, low = _prices(past, strong, weak, strong_usd, weak_usd)
        strong_share = share_for_budget(budget, strong_usd=high, weak_usd=low)
    assert strong_share is not None
    router = trained(family_of(weights, scorer), weights)
    scored = _scored(router, _texts(prompts, past), past, strong, weak, limit=limit, seed=seed)
    found = threshold_for(scored.values, strong_share)
    answer: dict[str, object] = {
        "scorer": router.name,
        "of": scored.of,
        "prompts": len(scored.values),
        "wanted_share": strong_share,
        "threshold": found.threshold,
        "share": found.share,
        "low": found.low,
        "high": found.high,
        "seed": seed,
    }
    # RouteLLM's names mean its need for the strong model, and nothing else.
    if scored.of == "need":
        answer["model"] = f"router-{router.name.replace('-', '_')}-{found.threshold:.5f}"
    if as_json:
        write(json.dumps(answer, indent=2) + "\n", output)
        return
    write(_told(answer), output)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """What the threshold is of: `need` for the strong model, or the recorded `difficulty`."""

    values: Sequence[float]
    of: str


def _scored(
    router: Any,
    texts: Sequence[str],
    past: Sequence[Past],
    strong: str | None,
    weak: str | None,
    *,
    limit: int | None,
    seed: int,
) -> _Scored:
    if not texts:
        values = [call.difficulty for call in past if call.difficulty is not None]
        if not values:
            raise InvalidValue(
                f"none of {len(past)} records has a prompt or a difficulty",
                next_step="keep texts with graphroute run --keep-text or Store(keep_text=True), "
                "or give PROMPTS.csv",
            )
        return _Scored(values=_drawn(values, limit, seed), of="difficulty")
    chosen = _drawn(texts, limit, seed)
    values = []
    has_need = hasattr(router, "need")
    with progress("scoring", is_quiet=len(chosen) <= _BATCH) as tell:
        for start in range(0, len(chosen), _BATCH):
            batch = chosen[start : start + _BATCH]
            values += list(
                router.need(batch, strong, weak) if has_need else router.difficulty(batch)
            )
            tell("prompts", min(start + _BATCH, len(chosen)) / len(chosen))
    return _Scored(values=values, of="need")


def _texts(prompts: Path | None, past: Sequence[Past]) -> Sequence[str]:
    if prompts is None:
        return [call.prompt for call in past if call.prompt is not None]
    from graphroute.evaluation.outcomes import read_prompts

    return read_prompts(prompts)[1]


def _drawn(values: Sequence[_T], limit: int | None, seed: int) -> Sequence[_T]:
    import random

    if limit is None or limit >= len(values):
        return values
    return random.Random(seed).sample(list(values), limit)


def _prices(
    past: Sequence[Past],
    strong: str | None,
    weak: str | None,
    strong_usd: float | None,
    weak_usd: float | None,
) -> tuple[float, float]:
    """Prices of a strong and a weak call: as given, else as recorded."""
    means = mean_cost_usd(past)
    if strong_usd is None:
        if len(means) < 2 and strong not in means:
            raise InvalidValue(
                "--budget needs the price of a strong call", next_step="give --strong-usd"
            )
        strong_usd = _mean(means, strong, list(means)[-1])
    if weak_usd is None:
        weak_usd = _mean(means, weak, next(iter(means))) if means else 0.0
    return strong_usd, weak_usd


def _mean(means: Mapping[str, float], named: str | None, otherwise: str) -> float:
    name = otherwise if named is None else named
    if name not in means:
        raise InvalidValue(
            f"no recorded call of model {name!r}",
            model=name,
            next_step=f"there are calls of {', '.join(means)}; or give its price",
        )
    return means[name]


def _told(answer: Mapping[str, Any]) -> str:
    lines = [
        f"For {answer['wanted_share']:.1%} strong calls with {answer['scorer']}: threshold "
        f"{answer['threshold']:.5f} of the {answer['of']}.",
        f"On these {answer['prompts']:,} prompts that is {answer['share']:.1%}, on others like "
        f"them {answer['low']:.1%} to {answer['high']:.1%} (95 %).",
    ]
    if "model" in answer:
        lines.append(f"As RouteLLM writes it: {answer['model']}")
    return "\n".join(lines) + "\n"
