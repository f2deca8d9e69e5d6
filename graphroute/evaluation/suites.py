"""The suites of `graphroute eval`: which outcomes, which settings, and every baseline beside them.

Scorers come in as functions that make an untrained one, so that this folder knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.evaluation import checkout, outcomes, results
from graphroute.evaluation.crossval import Predictions, Progress, cross_validated, tag_table
from graphroute.evaluation.metrics import Curve, exact_curve
from graphroute.evaluation.tables import number, rows_of
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes, PromptScorer, TrainableScorer

SUITES = ("mmlu", "gsm8k", "mt-bench", "nway")
FAULTY = "high_school_mathematics"
"""A subject of MMLU whose labels are faulty at the source; figures are given without it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routers:
    """What is evaluated: families to be trained anew, scorers as they are, and baselines."""

    fresh: Mapping[str, Callable[[], TrainableScorer]]
    ready: Mapping[str, PromptScorer]
    baselines: Mapping[str, PromptScorer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How: folds, limits on labels to try besides all, prices, seed."""

    folds: int = 5
    limits: tuple[int, ...] = (1500,)
    price_ratio: float = 0.012
    seed: int = 0


def pair_outcomes(paths: Sequence[Path], suite: str) -> Outcomes:
    """The suite's outcomes from a checkout of RouteLLM or from two-model files."""
    if len(paths) == 1 and checkout.is_checkout(paths[0]):
        return checkout.read(paths[0], suite)
    data = outcomes.read(paths)
    if not {"weak", "strong"} <= set(data.models):
        raise InvalidValue(
            f"suite {suite!r} needs outcomes of a weak and a strong model",
            suite=suite,
            next_step="give a file with prompt, weak, strong, or a checkout of RouteLLM",
        )
    return data


def pair_suite(
    suite: str,
    data: Outcomes,
    folds: NDArray[np.int64],
    routers: Routers,
    settings: Settings,
    *,
    others: Outcomes | None = None,
    progress: Progress | None = None,
) -> tuple[results.Report, list[tuple[str, Curve]]]:
    """Every router on a two-model suite; `others`: outcomes of other benchmarks, for transfer."""
    weak = data.correct[:, data.models.index("weak")]
    strong = data.correct[:, data.models.index("strong")]
    tags = np.array(data.tags)
    found: list[tuple[str, str, Floats, int, bool]] = []
    # So few prompts (MT-Bench) are for testing only.
    in_domain = len(data.prompts) >= 200
    for name, scorer in routers.baselines.items():
        found.append((name, "nothing", np.asarray(scorer.difficulty(data.prompts)), 0, True))
    if in_domain:
        for limit in (None, *settings.limits):
            label = "this suite, by folds" if limit is None else f"{limit:,} of it, by folds"
            if limit is not None and limit >= len(data.prompts):
                continue
            table = tag_table(data, folds, limit=limit, seed=settings.seed)
            found.append(("tag table", label, _need(table, data), table.labels, True))
            for name, make in routers.fresh.items():
                tell = _named(progress, f"{name}, {label}")
                out = cross_validated(
                    make, data, folds, limit=limit, seed=settings.seed, progress=tell
                )
                found.append((name, label, _need(out, data), out.labels, False))
    if others is not None:
        for name, make in routers.fresh.items():
            scorer = make().fit(others, seed=settings.seed)
            need = getattr(scorer, "need")(data.prompts)  # noqa: B009  # only trained ones have it
            label = f"{len(others.prompts):,} other prompts"
            found.append((name, label, need, len(others.prompts), False))
    for name, ready in routers.ready.items():
        score = getattr(ready, "need", ready.difficulty)(data.prompts)
        found.append((name, "as it is", np.asarray(score), 0, False))
    measured, curves = [], []
    for name, setting, score, labels, is_baseline in found:
        for mask, more in _parts(tags):
            measured.append(
                results.measured_pair(
                    name,
                    setting + more,
                    score[mask],
                    weak[mask],
                    strong[mask],
                    labels=labels,
                    price_ratio=settings.price_ratio,
                    is_baseline=is_baseline,
                    seed=settings.seed,
                )
            )
        curves.append((f"{name} ({setting})", exact_curve(score, weak, strong)))
    report = results.Report(
        suite=suite, pairs=tuple(measured), notes=(*_judged(measured), *_notes(data, settings))
    )
    return report, curves


def nway_suite(
    data: Outcomes,
    cost_usd: Floats,
    folds: NDArray[np.int64],
    routers: Routers,
    settings: Settings,
    *,
    progress: Progress | None = None,
) -> results.Report:
    """Every router among many models, by folds."""
    expected = np.broadcast_to(cost_usd.mean(0), cost_usd.shape)
    found: list[tuple[str, Predictions, bool]] = [
        ("tag table", tag_table(data, folds, seed=settings.seed), True)
    ]
    for name, make in routers.fresh.items():
        tell = _named(progress, name)
        out = cross_validated(make, data, folds, seed=settings.seed, progress=tell)
        found.append((name, out, False))
    flat = Predictions(success=np.broadcast_to(data.correct.mean(0), data.correct.shape), labels=0)
    found.append(("one model for all", flat, True))
    measured = [
        results.measured_gain(
            name,
            "this suite, by folds",
            out.success,
            expected,
            data.correct,
            cost_usd,
            labels=out.labels,
            is_baseline=is_baseline,
            seed=settings.seed,
        )
        for name, out, is_baseline in found
    ]
    table = next(r.gain for r in measured if r.router == "tag table")
    below = [r.router for r in measured if not r.is_baseline and r.gain <= table]
    notes = (f"No better than the tag table: {', '.join(below)}.",) if below else ()
    return results.Report(suite="nway", gains=tuple(measured), notes=notes)


def nway_outcomes(paths: Sequence[Path], models: Sequence[str] | None) -> tuple[Outcomes, Floats]:
    """Prompts that all models answered, and cost_usd[n, m] of the answers."""
    data = outcomes.read(paths, models=models)
    if models is None:
        # The models that cover most, so that the prompts they share are many.
        share = np.isfinite(data.correct).mean(0)
        kept = [m for m, s in zip(data.models, share, strict=True) if s > 0.999]
        data = outcomes.read(paths, models=kept or data.models)
    whole = np.flatnonzero(np.isfinite(data.correct).all(1))
    if not len(whole) or len(data.models) < 2:
        raise InvalidValue(
            "no prompt was answered by all of two or more models",
            models=data.models,
            next_step="name models that share prompts: --models a,b,c",
        )

    data = data.rows(whole)
    at = {ident: i for i, ident in enumerate(data.ids)}
    column = {model: j for j, model in enumerate(data.models)}
    cost = np.zeros(data.correct.shape)
    for path in paths:
        with rows_of(path) as rows:
            for row in rows:
                i, j = at.get(row.get("id", "")), column.get(row.get("model", ""))
                if i is not None and j is not None and "cost_usd" in row:
                    cost[i, j] = number(row, "cost_usd", path)
    if not (cost > 0).any():
        raise InvalidValue(
            "the outcomes have no costs", next_step="give a column cost_usd in US dollars"
        )
    return data, np.nan_to_num(cost)


def _need(out: Predictions, data: Outcomes) -> Floats:
    strong, weak = data.models.index("strong"), data.models.index("weak")
    return np.asarray(out.success[:, strong] - out.success[:, weak])


def _parts(tags: NDArray[np.str_]) -> list[tuple[NDArray[np.bool_], str]]:
    everything = (np.ones(len(tags), np.bool_), "")
    if (tags == FAULTY).any():
        return [everything, (tags != FAULTY, f", without {FAULTY}")]
    return [everything]


def _judged(measured: Sequence[results.PairResult]) -> tuple[str, ...]:
    tables = {r.setting: r.apgr for r in measured if r.router == "tag table"}
    return tuple(
        f"{r.router} ({r.setting}) does not beat the tag table: it has learned nothing about "
        "prompts that their label does not say."
        for r in measured
        if not r.is_baseline and r.setting in tables and r.apgr <= tables[r.setting]
    )


def _notes(data: Outcomes, settings: Settings) -> tuple[str, ...]:
    return (
        f"{len(data.prompts):,} prompts; {settings.folds} folds over questions, seed "
        f"{settings.seed}; a weak call costs {settings.price_ratio:.1%} of a strong one; "
        "intervals by 500 bootstrap samples of prompts. A scorer 'as it is' may have seen these "
        "prompts in its training.",
    )


def _named(progress: Progress | None, label: str) -> Progress | None:
    return None if progress is None else lambda what, done: progress(f"{label}: {what}", done)
