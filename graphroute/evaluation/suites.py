"""The suites of `graphroute eval`: which outcomes, which settings, and every baseline beside them.

Scorers come in as functions that make an untrained one, so that this folder knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.evaluation import results
from graphroute.evaluation.cells import Cells, name_of
from graphroute.evaluation.crossval import (
    Predictions,
    Progress,
    Split,
    Stems,
    by_folds,
    by_transfer,
    learned,
    need_of,
    tag_table,
)
from graphroute.evaluation.metrics import Curve, exact_curve
from graphroute.evaluation.results import Kind
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes, PromptScorer, TrainableScorer

SUITES = ("mmlu", "gsm8k", "mt-bench", "nway")
FAULTY = "high_school_mathematics"
"""A subject of MMLU whose labels are faulty at the source; figures are given without it too."""
TABLE = "tag table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routers:
    """What is evaluated: families to be trained anew, scorers as they are, and baselines."""

    fresh: Mapping[str, Callable[[], TrainableScorer]]
    ready: Mapping[str, PromptScorer]
    baselines: Mapping[str, PromptScorer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How: folds, limits on labels to try besides all, prices, seed; finished parts; progress.

    price_ratio: a weak call's price over a strong one's, in [0, 1]
    stem: what two prompts of one question have in common
    """

    stem: Stems
    folds: int = 5
    limits: tuple[int, ...] = (1500,)
    price_ratio: float = 0.012
    seed: int = 0
    cells: Cells = field(default_factory=lambda: Cells(None))
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One router in one setting: what gives its score of each prompt, and who it is."""

    router: str
    setting: str
    kind: Kind
    score: Callable[[Progress | None], Predictions]
    is_baseline: bool = False


def pair_suite(
    suite: str,
    data: Outcomes,
    folds: NDArray[np.int64],
    routers: Routers,
    settings: Settings,
    *,
    others: Outcomes | None = None,
    train: Outcomes | None = None,
) -> tuple[results.Report, list[tuple[str, Curve]]]:
    """Every router on a two-model suite.

    fold[n]: equal for prompts of one question
    others: outcomes of other benchmarks, to measure transfer
    train: further outcomes of this benchmark, to learn from instead of by folds
    """
    _need_both_models(suite, data)
    known = np.flatnonzero(np.isfinite(data.correct).all(1))
    data, folds = data.rows(known), folds[known]
    if not len(known):
        raise InvalidValue(
            f"suite {suite!r}: no prompt has an outcome of both models",
            suite=suite,
            next_step="fill the columns weak and strong",
        )
    weak = data.correct[:, data.models.index("weak")]
    strong = data.correct[:, data.models.index("strong")]
    jobs = [
        *_untrained(data, routers, settings),
        # MT-Bench is so small that it is for testing only.
        *(_in_domain(data, folds, train, routers, settings) if suite != "mt-bench" else ()),
        *(_transferred(data, others, routers, settings) if others is not None else ()),
    ]
    notes: list[str] = []
    measured, curves = [], []
    for job, found in _done(jobs, settings, notes):
        score = found.value[:, -1]
        for mask, without in _parts(data.tags):
            measured.append(
                results.measured_pair(
                    job.router,
                    job.setting + (f", without {without}" if without else ""),
                    score[mask],
                    weak[mask],
                    strong[mask],
                    kind=job.kind,
                    without=without,
                    labels=found.labels,
                    price_ratio=settings.price_ratio,
                    is_baseline=job.is_baseline,
                    seed=settings.seed,
                )
            )
        curves.append((f"{job.router} ({job.setting})", exact_curve(score, weak, strong)))
    if weak.mean() == strong.mean():
        notes.append("Both models do equally well on these prompts: there is no gap to recover.")
    told = (*notes, *_judged(measured), _how(data, settings, train))
    return results.Report(suite=suite, pairs=tuple(measured), notes=told), curves


def nway_suite(
    data: Outcomes,
    cost_usd: Floats,
    folds: NDArray[np.int64],
    routers: Routers,
    settings: Settings,
    *,
    train: Outcomes | None = None,
) -> results.Report:
    """Every router among many models, by folds or after learning from `train`."""
    if train is None:
        setting, splits = "this suite, by folds", by_folds(data, folds, seed=settings.seed)
    else:
        setting = "this suite, other questions"
        splits = by_transfer(train, data, settings.stem, seed=settings.seed)
    mean = np.broadcast_to(data.correct.mean(0), data.correct.shape)
    jobs = [
        Job(
            router="one model for all",
            setting=setting,
            kind="all",
            score=lambda _tell: Predictions(value=mean, labels=0),
            is_baseline=True,
        ),
        *_tabled(data, splits, setting, "all"),
    ]
    for name, make in routers.fresh.items():
        jobs.append(_learning(name, make, data, splits, setting, "all", settings, data.models))
    for name, ready in routers.ready.items():
        if hasattr(ready, "success"):
            jobs.append(_as_it_is(name, ready, data, settings, data.models))
    expected = np.broadcast_to(cost_usd.mean(0), cost_usd.shape)
    notes: list[str] = []
    measured = [
        results.measured_gain(
            job.router,
            job.setting,
            found.value,
            expected,
            data.correct,
            cost_usd,
            kind=job.kind,
            labels=found.labels,
            is_baseline=job.is_baseline,
            seed=settings.seed,
        )
        for job, found in _done(jobs, settings, notes)
    ]
    table = max((r.gain for r in measured if r.router == TABLE), default=-np.inf)
    below = [r.router for r in measured if not r.is_baseline and r.gain <= table]
    if below:
        notes.append(f"No better than the tag table ({table:.3f}): {', '.join(below)}.")
    notes.append(_how(data, settings, train))
    return results.Report(suite="nway", gains=tuple(measured), notes=tuple(notes))


def _need_both_models(suite: str, data: Outcomes) -> None:
    if not {"weak", "strong"} <= set(data.models):
        raise InvalidValue(
            f"suite {suite!r} needs outcomes of a weak and a strong model",
            suite=suite,
            next_step="give a file with prompt, weak, strong, or a checkout of RouteLLM",
        )


def _untrained(data: Outcomes, routers: Routers, settings: Settings) -> list[Job]:
    found = []
    for name, scorer in routers.baselines.items():

        def score(_tell: Progress | None, scorer: PromptScorer = scorer) -> Predictions:
            values = np.asarray(scorer.difficulty(data.prompts), dtype=np.float64)
            return Predictions(value=values[:, None], labels=0)

        found.append(
            Job(router=name, setting="nothing", kind="nothing", score=score, is_baseline=True)
        )
    return found + [_as_it_is(n, s, data, settings, None) for n, s in routers.ready.items()]


def _as_it_is(
    name: str,
    ready: PromptScorer,
    data: Outcomes,
    settings: Settings,
    models: Sequence[str] | None,
) -> Job:
    def score(_tell: Progress | None) -> Predictions:
        def compute() -> Floats:
            if models is not None and isinstance(ready, TrainableScorer):
                return ready.success(data.prompts, models)
            return need_of(ready, data.prompts)[:, None]

        key = name_of(ready, None, data.prompts, models=models)
        return Predictions(value=settings.cells.of(key, compute), labels=0)

    return Job(router=name, setting="as it is", kind="ready", score=score)


def _in_domain(
    data: Outcomes,
    folds: NDArray[np.int64],
    train: Outcomes | None,
    routers: Routers,
    settings: Settings,
) -> list[Job]:
    jobs: list[Job] = []
    source = "this suite, by folds" if train is None else "this suite, other questions"
    for limit in (None, *settings.limits):
        # As many as there are, or more, is no limit.
        if limit is not None and limit >= len((train or data).prompts):
            continue
        kind: Kind = "all" if limit is None else "limit"
        setting = source if limit is None else f"{limit:,} of {source}"
        if train is None:
            splits = by_folds(data, folds, limit=limit, seed=settings.seed)
        else:
            splits = by_transfer(train, data, settings.stem, limit=limit, seed=settings.seed)
        jobs += _tabled(data, splits, setting, kind)
        for name, make in routers.fresh.items():
            jobs.append(_learning(name, make, data, splits, setting, kind, settings, None))
    return jobs


def _transferred(
    data: Outcomes, others: Outcomes, routers: Routers, settings: Settings
) -> list[Job]:
    splits = by_transfer(others, data, settings.stem, seed=settings.seed)
    setting = f"{len(splits[0].train.prompts):,} prompts of other benchmarks"
    return [
        _learning(name, make, data, splits, setting, "others", settings, None)
        for name, make in routers.fresh.items()
    ]


def _learning(
    name: str,
    make: Callable[[], TrainableScorer],
    data: Outcomes,
    splits: Sequence[Split],
    setting: str,
    kind: Kind,
    settings: Settings,
    models: Sequence[str] | None,
) -> Job:
    return Job(
        router=name,
        setting=setting,
        kind=kind,
        score=lambda tell: learned(
            make, data, splits, models=models, cells=settings.cells, progress=tell
        ),
    )


def _tabled(data: Outcomes, splits: Sequence[Split], setting: str, kind: Kind) -> list[Job]:
    """The table of tags, where there is more than one tag to tell prompts apart."""
    if len(set(data.tags)) < 2:
        return []

    def score(_tell: Progress | None) -> Predictions:
        found = tag_table(data, splits)
        if {"weak", "strong"} != set(data.models):
            return found
        strong, weak = data.models.index("strong"), data.models.index("weak")
        return replace(found, value=(found.value[:, strong] - found.value[:, weak])[:, None])

    return [Job(router=TABLE, setting=setting, kind=kind, score=score, is_baseline=True)]


def _done(
    jobs: Sequence[Job], settings: Settings, notes: list[str]
) -> list[tuple[Job, Predictions]]:
    """What each job found; one that lacks a package or a server is left out with a note."""
    found: list[tuple[Job, Predictions]] = []
    missing: dict[str, str] = {}
    for k, job in enumerate(jobs):
        if job.router in missing:
            continue
        tell = _named(settings.progress, job, k, len(jobs))
        try:
            found.append((job, job.score(tell)))
        except ProviderUnavailable as error:
            missing[job.router] = str(error)
        if settings.progress is not None:
            settings.progress(f"{job.router}, {job.setting}", (k + 1) / len(jobs))
    notes += [f"{router} was left out: {why}" for router, why in missing.items()]
    if missing and all(job.is_baseline for job, _ in found):
        raise ProviderUnavailable(
            next(iter(missing.values())), next_step="leave these scorers out of --scorers"
        )
    return found


def _named(progress: Progress | None, job: Job, k: int, jobs: int) -> Progress | None:
    if progress is None:
        return None
    return lambda what, done: progress(f"{job.router}, {job.setting}: {what}", (k + done) / jobs)


def _parts(tags: Sequence[str]) -> list[tuple[NDArray[np.bool_], str]]:
    named = np.array(tags)
    everything = (np.ones(len(named), np.bool_), "")
    if (named == FAULTY).any() and (named != FAULTY).any():
        return [everything, (named != FAULTY, FAULTY)]
    return [everything]


def _judged(measured: Sequence[results.PairResult]) -> list[str]:
    """In words: who does not beat the table of tags, or where there is none, prompt length."""
    notes = []
    tables = {(r.kind, r.without, r.setting): r.apgr for r in measured if r.router == TABLE}
    lengths = {r.without: r.apgr for r in measured if r.router == "length"}
    for r in measured:
        if r.is_baseline or not np.isfinite(r.apgr):
            continue
        bar = tables.get((r.kind, r.without, r.setting))
        if bar is not None and not r.apgr > bar:
            notes.append(
                f"{r.router} ({r.setting}) does not beat the tag table ({r.apgr:.3f} against "
                f"{bar:.3f}): it has learned nothing about prompts that their tag does not say."
            )
        elif bar is None and r.without in lengths and not r.apgr > lengths[r.without]:
            notes.append(
                f"{r.router} ({r.setting}) does not beat prompt length ({r.apgr:.3f} against "
                f"{lengths[r.without]:.3f})."
            )
    return notes


def _how(data: Outcomes, settings: Settings, train: Outcomes | None) -> str:
    way = (
        f"{settings.folds} folds over questions"
        if train is None
        else f"trained on up to {len(train.prompts):,} other prompts"
    )
    return (
        f"{len(data.prompts):,} prompts; {way}, seed {settings.seed}; a weak call costs "
        f"{settings.price_ratio:.1%} of a strong one; 95 % intervals by bootstrap over prompts. "
        "A scorer 'as it is' may have seen these prompts in its training."
    )
