"""Prompt vectors from the data itself: the leading directions of the hashed words (LSA).

(S. Deerwester et al., Indexing by Latent Semantic Analysis, 1990, by the randomized range finder of
N. Halko, P. G. Martinsson, J. A. Tropp, Finding Structure with Randomness, 2011.) The products with
the sparse matrix are those of the ridge regression, so this too is NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphroute.scorers._hashing import PLAIN
from graphroute.scorers._ridge import Transposed, apply
from graphroute.scorers._rows import rows_of
from graphroute.scorers._table import Table
from graphroute.scorers._trained import Progress

DIMENSIONS = 64
_EXTRA = 8


class Topics:
    """Maps prompts to vectors[n, 64] of length 1."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def fit(cls, prompts: Sequence[str], *, seed: int, progress: Progress) -> Topics:
        """The leading directions of these prompts' words."""
        count = len(prompts)
        read = rows_of(prompts, lambda done: progress("reading prompts", 0.3 * done / count))
        rows = read.rows.words_only()
        transposed = Transposed(rows)
        size = min(DIMENSIONS, max(count - 1, 1))
        draw = np.random.default_rng(seed).standard_normal((count, size + _EXTRA))
        basis = draw.astype(np.float32)
        for step in range(3):
            basis, _ = np.linalg.qr(apply(rows, transposed.apply(basis)))
            progress("finding topics", 0.3 + 0.2 * step)
        inner = transposed.apply(np.ascontiguousarray(basis[:, : size + _EXTRA]))
        left, _, _ = np.linalg.svd(inner, full_matrices=False)
        directions = np.zeros((rows.size, DIMENSIONS), np.float32)
        kept = min(size, left.shape[1])
        directions[:, :kept] = left[:, :kept]
        return cls(read.table(directions, np.zeros((len(PLAIN), DIMENSIONS), np.float32)))

    def vectors(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """vectors[n, 64] of length 1; 0 for prompts without a known word."""
        found = self._table.vectors(prompts)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(length, 1e-9), dtype=np.float32)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Plain arrays to be stored."""
        return self._table.arrays()

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]], folder: Path) -> Topics:
        """From stored arrays."""
        return cls(Table.restored(arrays, folder))
