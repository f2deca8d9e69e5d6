"""Boosted trees with many outputs and missing labels, in NumPy alone.

Gradient boosting (J. H. Friedman, Greedy Function Approximation, 2001) on squared error. All nodes
of a level ask the same question, so a tree of depth k is k comparisons and one look-up, and a
prompt passes all trees at once (oblivious trees: A. Dorogush et al., CatBoost, 2018). With many
outputs the questions are chosen on a few random projections of the residuals (L. Iosipoi,
A. Vakhrushev, SketchBoost, 2022); the leaves then hold a value for every output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.scorers import _store

DEPTH: Final = 3
_COUNT = 200
_RATE = 0.05
_BINS = 24
_RANDOM = 2
_ROWS, _COLUMNS = 0.6, 0.3
_SHRINK = 40.0
_POWERS = 1 << np.arange(DEPTH)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """features[T, DEPTH], cuts[T, DEPTH]: the questions `x[feature] > cut`; leaves[T, 2^DEPTH, m]:
    what an answer to all of them adds to each output.
    """

    features: NDArray[np.int64]
    cuts: Floats
    leaves: Floats

    def one(self, x: Floats) -> Floats:
        """The outputs[m] for one x[d]."""
        count = len(self.features)
        answers = x.take(self.features.ravel()).reshape(count, DEPTH) > self.cuts
        at = answers @ _POWERS + np.arange(count) * (1 << DEPTH)
        flat = self.leaves.reshape(count << DEPTH, -1)
        return np.asarray(np.add.reduce(flat.take(at, axis=0), axis=0))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Plain arrays to be stored."""
        return {
            "tree_features": self.features.astype(np.uint16),
            "tree_cuts": self.cuts.astype(np.float32),
            "tree_leaves": self.leaves.astype(np.float16),
        }

    @classmethod
    def restored(
        cls, arrays: Mapping[str, NDArray[Any]], folder: Path, *, inputs: int, outputs: int
    ) -> Trees:
        """From stored arrays, for x[inputs]; `InvalidValue` if they do not fit."""
        features = _store.array(arrays, "tree_features", ndim=2, folder=folder)
        cuts = _store.array(arrays, "tree_cuts", ndim=2, folder=folder)
        leaves = _store.array(arrays, "tree_leaves", ndim=3, folder=folder)
        shape = (len(features), DEPTH)
        if (
            features.dtype != np.uint16
            or (features.shape, cuts.shape) != (shape, shape)
            or leaves.shape != (len(features), 1 << DEPTH, outputs)
            or int(features.max(initial=0)) >= inputs
        ):
            raise InvalidValue(
                f"weights in {folder.name!r}: trees of another shape than expected",
                path=str(folder),
                next_step="train again with this version",
            )
        return cls(
            features=features.astype(np.int64),
            cuts=cuts.astype(np.float64),
            leaves=leaves.astype(np.float64),
        )


def fit(
    x: NDArray[np.float32],
    y: Floats,
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Trees:
    """Trees for y[n, m], each output taken from its mean; NaN where a row has no label."""
    random = np.random.default_rng(seed)
    n, d = x.shape
    cuts = _cuts(x)
    bins = np.stack([np.searchsorted(cuts[j], x[:, j]) for j in range(d)], 1).astype(np.int64)
    known = np.isfinite(y)
    residual = np.where(known, y, 0.0).astype(np.float32)
    weight = known.astype(np.float32)
    pair = np.argsort(-known.sum(0), kind="stable")[:2]
    found = []
    for number in range(_COUNT):
        rows = np.flatnonzero(random.random(n) < _ROWS) if n > 200 else np.arange(n)
        columns = np.sort(random.choice(d, max(1, int(_COLUMNS * d)), replace=False))
        pull = _sketch(residual[rows], weight[rows], pair, random)
        questions, leaf = _grow(bins[rows][:, columns], pull)
        chosen = columns[[j for j, _ in questions]]
        leaf_of = np.zeros(n, np.int64)
        for level, (j, (_, cut)) in enumerate(zip(chosen, questions, strict=True)):
            leaf_of += (bins[:, j] > cut).astype(np.int64) << level
        is_in = np.zeros((1 << DEPTH, len(rows)), np.float32)
        is_in[leaf, np.arange(len(rows))] = 1
        values = _RATE * (is_in @ residual[rows]) / (is_in @ weight[rows] + _SHRINK)
        residual -= values[leaf_of] * weight
        found.append((chosen, cuts[chosen, [cut for _, cut in questions]], values))
        if progress is not None:
            progress((number + 1) / _COUNT)
    return Trees(
        features=np.array([f for f, _, _ in found]),
        cuts=np.array([c for _, c, _ in found]).astype(np.float64),
        leaves=np.array([v for _, _, v in found]).astype(np.float16).astype(np.float64),
    )


def _cuts(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """cuts[d, _BINS] of each column at its quantiles, then numbers that nothing is above."""
    quantiles = np.quantile(x, np.linspace(0, 1, _BINS + 1)[1:-1], axis=0)
    out = np.full((x.shape[1], _BINS), np.finfo(np.float32).max, np.float32)
    for j in range(x.shape[1]):
        values = np.unique(quantiles[:, j].astype(np.float32))
        values = values[values < x[:, j].max()]
        out[j, : len(values)] = values
    return out


def _sketch(
    residual: NDArray[np.float32],
    weight: NDArray[np.float32],
    pair: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """A few projections of residuals[n, m], a row with few labels as large as one with many.

    What all outputs share; what tells the two with the most labels apart; and, of more outputs,
    what tells them apart in random ways.
    """
    m = residual.shape[1]
    if m == 1:
        return residual
    both = weight[:, pair[0]] * weight[:, pair[1]]
    gap = (residual[:, pair[0]] - residual[:, pair[1]]) * both / math.sqrt(2)
    draw = np.ones((m, 1 + (_RANDOM if m > 2 else 0)), np.float32)
    draw[:, 1:] = random.standard_normal((m, draw.shape[1] - 1))
    draw[:, 1:] -= draw[:, 1:].mean(0)
    size = np.sqrt(np.maximum(weight @ draw**2, 1e-6))
    return np.column_stack((residual @ draw / size, gap)).astype(np.float32)


def _grow(
    bins: NDArray[np.int64], pull: NDArray[np.float32]
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """The questions (column, cut) of one tree, level by level, and leaf[n] of its rows."""
    n, d = bins.shape
    at = bins + np.arange(d) * _BINS
    leaf = np.zeros(n, np.int64)
    questions = []
    for level in range(DEPTH):
        nodes = 1 << level
        flat = (at + (leaf * (d * _BINS))[:, None]).ravel()
        shape = (nodes, d, _BINS)
        counts = np.bincount(flat, minlength=nodes * d * _BINS).reshape(shape).cumsum(2)
        score = np.zeros((d, _BINS))
        for k in range(pull.shape[1]):
            sums = (
                np.bincount(flat, weights=np.repeat(pull[:, k], d), minlength=nodes * d * _BINS)
                .reshape(shape)
                .cumsum(2)
            )
            all_sum, all_count = sums[:, :, -1:], counts[:, :, -1:]
            left = sums**2 / (counts + _SHRINK)
            right = (all_sum - sums) ** 2 / (all_count - counts + _SHRINK)
            score += (left + right - all_sum**2 / (all_count + _SHRINK)).sum(0)
        column, cut = np.unravel_index(int(np.argmax(score)), score.shape)
        questions.append((int(column), int(cut)))
        leaf = leaf + ((bins[:, column] > cut).astype(np.int64) << level)
    return questions, leaf
