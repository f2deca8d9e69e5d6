"""Ridge regression on sparse binary rows with a few dense columns, many targets, missing labels.

Solves `(Φᵀ M Φ + λI) w = Φᵀ M y` for each target by conjugate gradients; M leaves out the rows
without a label. (M. R. Hestenes, E. Stiefel, Methods of Conjugate Gradients, 1952.) Only two
products with Φ are needed, and both are gathers and segment sums, so NumPy alone is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from graphroute.scorers._hashing import Ints

Singles = NDArray[np.float32]
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Φ: row i has `value[b]` for each of its buckets b, scaled to length 1, then dense columns.

    buckets: of all rows end to end; bounds[n + 1]: where each row's begin; dense[n, d];
    value[size]: how much a bucket counts, ≥ 0
    """

    buckets: Ints
    bounds: Ints
    dense: Singles
    value: Singles

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def size(self) -> int:
        """How many buckets there are."""
        return len(self.value)

    def counting(self) -> tuple[Rows, Ints]:
        """The same without the buckets that count nothing, and the numbers of those kept.

        Most buckets of a hash table are empty or of one prompt; leaving them out makes every
        product with Φ several times cheaper.
        """
        kept = np.flatnonzero(self.value > 0)
        place = np.cumsum(self.value > 0) - 1
        is_kept = self.value[self.buckets] > 0
        before = np.concatenate(([0], np.cumsum(is_kept)))
        rows = Rows(
            buckets=place[self.buckets[is_kept]],
            bounds=before[self.bounds],
            dense=self.dense,
            value=self.value[kept],
        )
        return rows, kept

    def take(self, rows: Ints) -> Rows:
        """The rows with these numbers, in this order."""
        sizes = self.bounds[rows + 1] - self.bounds[rows]
        bounds = np.concatenate(([0], np.cumsum(sizes)))
        at = np.repeat(self.bounds[rows] - bounds[:-1], sizes) + np.arange(bounds[-1])
        return Rows(
            buckets=self.buckets[at], bounds=bounds, dense=self.dense[rows], value=self.value
        )

    def words_only(self) -> Rows:
        """The same rows without dense columns."""
        return replace(self, dense=np.zeros((len(self), 0), np.float32))

    @property
    def scale(self) -> Singles:
        """What makes each row's buckets a vector of length 1; 1 for rows without any."""
        squares = np.bincount(
            np.repeat(np.arange(len(self)), np.diff(self.bounds)),
            weights=self.value[self.buckets].astype(np.float64) ** 2,
            minlength=len(self),
        )
        return np.asarray(1 / np.sqrt(np.where(squares > 0, squares, 1)), dtype=np.float32)


def value_of(rows: Rows) -> Singles:
    """How much each bucket counts: rare ones more, those of a single row nothing.

    `√(1 + ln((n + 1) / (df + 1)))`, the square root of the usual inverse document frequency: its
    full weight was worse in cross-validation, and so was none. (K. Spärck Jones, A Statistical
    Interpretation of Term Specificity, 1972.)
    """
    seen_in = np.bincount(rows.buckets, minlength=rows.size)
    rare = np.sqrt(1 + np.log((len(rows) + 1) / (seen_in + 1)))
    return np.where(seen_in > 1, rare, 0).astype(np.float32)


def apply(rows: Rows, weights: Singles, scale: Singles | None = None) -> Singles:
    """Φ w: values[n, m] of the rows under weights[size + d, m]."""
    out = rows.dense @ weights[rows.size :]
    table = weights[: rows.size] * rows.value[:, None]
    scale = rows.scale if scale is None else scale
    sums = np.zeros((len(rows), weights.shape[1]), np.float32)
    for low, high in _chunks(rows.bounds):
        start, stop = rows.bounds[low], rows.bounds[high]
        sizes = np.diff(rows.bounds[low : high + 1])
        filled = np.flatnonzero(sizes) + low
        if len(filled):
            picked = table[rows.buckets[start:stop]]
            sums[filled] = np.add.reduceat(picked, rows.bounds[filled] - start, axis=0)
    return np.asarray(out + sums * scale[:, None], dtype=np.float32)


class Transposed:
    """`apply` gives Φᵀ r, from the pairs (row, bucket) in the order of the buckets."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._scale = rows, rows.scale[:, None]
        of_row = np.repeat(np.arange(len(rows)), np.diff(rows.bounds))
        order = np.argsort(rows.buckets, kind="stable")
        self._of_row = of_row[order]
        self._buckets, starts = np.unique(rows.buckets[order], return_index=True)
        self._bounds = np.append(starts, len(order))

    def apply(self, residual: Singles) -> Singles:
        """Φᵀ r for residual[n, m]."""
        out = np.zeros((self._rows.size + self._rows.dense.shape[1], residual.shape[1]), np.float32)
        scaled = residual * self._scale
        for low, high in _chunks(self._bounds):
            start, stop = self._bounds[low], self._bounds[high]
            picked = scaled[self._of_row[start:stop]]
            out[self._buckets[low:high]] = np.add.reduceat(
                picked, self._bounds[low:high] - start, axis=0
            )
        out[: self._rows.size] *= self._rows.value[:, None]
        out[self._rows.size :] = self._rows.dense.T @ residual
        return out


def _chunks(bounds: Ints) -> list[tuple[int, int]]:
    """Ranges of rows with about `_CHUNK` entries each, so that no step needs much memory."""
    cuts = np.searchsorted(bounds, np.arange(0, bounds[-1], _CHUNK), side="right") - 1
    edges = np.unique(np.append(cuts, len(bounds) - 1)).tolist()
    return list(pairwise(edges))


def solve(
    rows: Rows,
    targets: Singles,
    *,
    penalty: float,
    iterations: int = 20,
    tolerance: float = 1e-2,
    progress: Callable[[float], None] | None = None,
) -> Singles:
    """Weights[size + d, m] for targets[n, m]; NaN where a row has no label for a target."""
    known = np.isfinite(targets)
    mask = known.astype(np.float32)
    transposed, scale = Transposed(rows), rows.scale
    residual = transposed.apply(np.where(known, targets, 0).astype(np.float32))
    weights = np.zeros_like(residual)
    direction = residual.copy()
    size = (residual**2).sum(0)
    goal = size * tolerance**2
    for step in range(iterations):
        image = transposed.apply(apply(rows, direction, scale) * mask) + penalty * direction
        curve = (direction * image).sum(0)
        # Targets that have converged stand still; dividing by their tiny curve would undo them.
        rate = np.where(size > goal, size / np.maximum(curve, 1e-30), 0).astype(np.float32)
        weights += rate * direction
        residual -= rate * image
        new = (residual**2).sum(0)
        direction = residual + (new / np.maximum(size, 1e-30)).astype(np.float32) * direction
        size = new
        if progress is not None:
            progress((step + 1) / iterations)
        if (size <= goal).all():
            break
    return weights
