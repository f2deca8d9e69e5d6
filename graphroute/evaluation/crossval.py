"""Predictions for prompts that a scorer has not seen: by folds over questions, or by transfer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.evaluation.tagged import TagTable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes, TrainableScorer

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """success[n, m] for the models of the outcomes, each row by a fit that did not see it."""

    success: Floats
    labels: int


def cross_validated(
    make: Callable[[], TrainableScorer],
    data: Outcomes,
    fold: NDArray[np.int64],
    *,
    limit: int | None = None,
    extra: Outcomes | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Predictions:
    """Fit on all folds but one and predict that one, for each fold.

    fold[n]: equal for prompts of one question; limit: train on that many prompts at most
    extra: further outcomes of the same models to train on, whose questions are not in `data`
    """
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise InvalidValue("fewer than two folds", next_step="give more prompts or more folds")
    out = np.full(data.correct.shape, np.nan)
    used = 0
    for k, number in enumerate(numbers):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if limit is not None:
            inside = np.random.default_rng(seed + k).permutation(inside)[:limit]
        part = data.rows(np.sort(inside))
        scorer = make().fit(joined(part, extra) if extra is not None else part, seed=seed)
        out[outside] = scorer.success([data.prompts[i] for i in outside], data.models)
        used = max(used, len(inside))
        if progress is not None:
            progress(f"fold {k + 1} of {len(numbers)}", (k + 1) / len(numbers))
    return Predictions(success=out, labels=used)


def tag_table(
    data: Outcomes, fold: NDArray[np.int64], *, limit: int | None = None, seed: int = 0
) -> Predictions:
    """The same for the table of tags."""
    out = np.full(data.correct.shape, np.nan)
    used = 0
    for k, number in enumerate(np.unique(fold)):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if limit is not None:
            inside = np.random.default_rng(seed + k).permutation(inside)[:limit]
        table = TagTable().fit(data.rows(np.sort(inside)))
        out[outside] = table.success([data.tags[i] for i in outside])
        used = max(used, len(inside))
    return Predictions(success=out, labels=used)


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
