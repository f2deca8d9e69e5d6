"""Predictions for prompts that a scorer has not seen: by folds over questions, or by transfer.

Both are splits: outcomes to learn from, and rows to predict. What each split predicts is kept
(`cells`), so that an evaluation that was cut off goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.evaluation.cells import Cells, name_of
from graphroute.evaluation.tagged import TagTable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes, PromptScorer, TrainableScorer

Progress = Callable[[str, float], None]
Stems = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Outcomes to learn from, and the rows of the suite to predict, none of which is in them."""

    train: Outcomes
    rows: NDArray[np.int64]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """value[n, k], each row by a fit that did not see it; labels: prompts learned from at most."""

    value: Floats
    labels: int


def by_folds(
    data: Outcomes, fold: NDArray[np.int64], *, limit: int | None = None, seed: int = 0
) -> tuple[Split, ...]:
    """All folds but one to learn from, that one to predict, for each fold.

    fold[n]: equal for prompts of one question; limit: learn from that many prompts at most
    """
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise InvalidValue(
            f"{len(data.prompts)} prompts make fewer than two folds",
            next_step="give more prompts with different questions",
        )
    found = []
    for k, number in enumerate(numbers):
        inside = np.flatnonzero(fold != number)
        if limit is not None:
            inside = np.random.default_rng(seed + k).permutation(inside)[:limit]
        rows = np.flatnonzero(fold == number)
        found.append(Split(train=data.rows(np.sort(inside)), rows=rows, seed=seed))
    return tuple(found)


def by_transfer(
    train: Outcomes, data: Outcomes, stem: Stems, *, limit: int | None = None, seed: int = 0
) -> tuple[Split, ...]:
    """Other outcomes to learn from, without the questions of `data`, all of which are predicted.

    stem: what two prompts of one question have in common
    """
    asked = {stem(prompt) for prompt in data.prompts}
    inside = np.array([i for i, p in enumerate(train.prompts) if stem(p) not in asked], np.int64)
    if not len(inside):
        raise InvalidValue(
            f"all {len(train.prompts)} questions to train on are also questions to predict",
            next_step="train on other files",
        )
    if limit is not None:
        inside = np.sort(np.random.default_rng(seed).permutation(inside)[:limit])
    rows = np.arange(len(data.prompts))
    return (Split(train=train.rows(inside), rows=rows, seed=seed),)


def learned(
    make: Callable[[], TrainableScorer],
    data: Outcomes,
    splits: Sequence[Split],
    *,
    models: Sequence[str] | None = None,
    cells: Cells | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Fit on each split and predict its rows: the need for the strong model, value[n, 1].

    models: predict the success of each of these instead, value[n, m]
    """
    kept = cells if cells is not None else Cells(None)
    out = np.full((len(data.prompts), 1 if models is None else len(models)), np.nan)
    for k, split in enumerate(splits):
        prompts = [data.prompts[i] for i in split.rows]
        name = name_of(make(), split.train, prompts, models=models, seed=split.seed)

        def fitted(k: int = k, split: Split = split, prompts: Sequence[str] = prompts) -> Floats:
            tell = None if progress is None else _part(progress, k, len(splits))
            scorer = make().fit(split.train, seed=split.seed, progress=tell)
            if models is not None:
                return scorer.success(prompts, models)
            return need_of(scorer, prompts)[:, None]

        out[split.rows] = kept.of(name, fitted)
        if progress is not None:
            progress(f"part {k + 1} of {len(splits)}", (k + 1) / len(splits))
    return Predictions(value=out, labels=max(len(s.train.prompts) for s in splits))


def need_of(scorer: PromptScorer, prompts: Sequence[str]) -> Floats:
    """How much each prompt needs the strong model: as `graphroute score` gives it."""
    need = getattr(scorer, "need", None)
    if need is not None:
        return np.asarray(need(prompts), dtype=np.float64)
    if isinstance(scorer, TrainableScorer) and {"weak", "strong"} <= set(scorer.models):
        both = scorer.success(prompts, ("weak", "strong"))
        return np.asarray(both[:, 1] - both[:, 0])
    return np.asarray(scorer.difficulty(prompts), dtype=np.float64)


def tag_table(data: Outcomes, splits: Sequence[Split]) -> Predictions:
    """Success value[n, m] of the models of `data` by the table of tags."""
    out = np.full(data.correct.shape, np.nan)
    for split in splits:
        columns = [split.train.models.index(model) for model in data.models]
        table = TagTable().fit(split.train)
        out[split.rows] = table.success([data.tags[i] for i in split.rows])[:, columns]
    return Predictions(value=out, labels=max(len(s.train.prompts) for s in splits))


def joined(one: Outcomes, other: Outcomes) -> Outcomes:
    """Both sets of prompts; a model that one of them lacks has NaN there."""
    models = one.models + tuple(m for m in other.models if m not in one.models)
    correct = np.full((len(one.prompts) + len(other.prompts), len(models)), np.nan)
    correct[: len(one.prompts), : len(one.models)] = one.correct
    columns = [models.index(model) for model in other.models]
    correct[len(one.prompts) :, columns] = other.correct
    return Outcomes(
        prompts=one.prompts + other.prompts,
        models=models,
        correct=correct,
        tags=(one.tags or ("",) * len(one.prompts)) + (other.tags or ("",) * len(other.prompts)),
        ids=(one.ids or ("",) * len(one.prompts)) + (other.ids or ("",) * len(other.prompts)),
    )


def _part(progress: Progress, k: int, parts: int) -> Progress:
    return lambda what, done: progress(f"part {k + 1}, {what}", (k + done) / parts)
