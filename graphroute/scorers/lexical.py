"""The default prompt scorer: a linear model on hashed words and word pairs, in NumPy alone.

Fitting is one ridge regression per model, all at once; with many models the weights are kept as
their best approximation of low rank (A. J. Izenman, Reduced-Rank Regression for the Multivariate
Linear Model, 1975), so that a prompt costs one gather of a few hundred short rows. Weights ship in
eight bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._hashing import BUCKETS, PLAIN, features, seen
from graphroute.scorers._ridge import Rows, apply, solve, value_of
from graphroute.scorers._trained import Progress, TrainedScorer

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({},)
SHIPPED: Final = Path(__file__).parent / "_weights" / "lexical"
_DENSE_SCALE = 0.15


class LexicalScorer(TrainedScorer):
    """Difficulty and success from the words of a prompt.

    penalty: of the ridge regression, > 0
    rank: how many directions the models' weights may differ in, ≥ 1
    """

    name = "lexical"

    def __init__(self, *, penalty: float = 12.0, rank: int = 6) -> None:
        super().__init__()
        if not penalty > 0 or rank < 1:
            raise InvalidValue(
                f"penalty={penalty!r}, rank={rank!r}", next_step="use a penalty > 0 and a rank ≥ 1"
            )
        self._penalty, self._rank = float(penalty), int(rank)
        self._table = np.zeros((BUCKETS, 2), np.float32)
        self._dense = np.zeros((len(PLAIN), 1))
        self._centre = np.zeros(len(PLAIN))
        self._mix = np.zeros((1, 0))
        self._mean = np.zeros(0)

    def _settings(self) -> Mapping[str, object]:
        return {"penalty": self._penalty, "rank": self._rank}

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        del seed  # The solution of a ridge regression does not depend on chance.
        count = len(data.prompts)
        buckets, bounds, plain = features(
            data.prompts, lambda done: progress("reading prompts", 0.2 * done / count)
        )
        centre, spread = plain.mean(0), plain.std(0) + 1e-6
        dense = ((plain - centre) / spread * _DENSE_SCALE).astype(np.float32)
        flat = np.ones(BUCKETS, np.float32)
        rows = Rows(buckets=buckets, bounds=bounds, dense=dense, value=flat)
        rows = replace(rows, value=value_of(rows))
        known = np.isfinite(data.correct)
        mean = np.where(known, data.correct, 0).sum(0) / np.maximum(known.sum(0), 1)
        weights = solve(
            rows,
            (data.correct - mean).astype(np.float32),
            penalty=self._penalty,
            progress=lambda done: progress("fitting", 0.2 + 0.8 * done),
        )
        mix = np.eye(len(mean))
        if len(mean) > self._rank:
            _, _, directions = np.linalg.svd(_gram_root(apply(rows, weights)), full_matrices=False)
            mix = directions[: self._rank].astype(np.float64)
            weights = weights @ mix.T.astype(np.float32)
        self._mean, self._mix, self._centre = mean, mix, centre
        self._dense = weights[BUCKETS:] * (_DENSE_SCALE / spread)[:, None]
        # The last column finds the length of a prompt's vector in the same gather.
        self._table = np.column_stack((weights[:BUCKETS] * rows.value[:, None], rows.value**2))

    def _raw(self, prompts: Sequence[str]) -> Floats:
        latent = np.empty((len(prompts), self._mix.shape[0]))
        for i, prompt in enumerate(prompts):
            buckets, plain = seen(prompt)
            sums = self._table.take(buckets, axis=0).sum(0)
            length = math.sqrt(sums[-1]) if sums[-1] > 0 else 1.0
            latent[i] = sums[:-1] / length + (plain - self._centre) @ self._dense
        return np.asarray(latent @ self._mix + self._mean)

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        step = np.maximum(np.abs(self._table).max(0), 1e-12) / 127
        return {
            "table": np.rint(self._table / step).astype(np.int8),
            "step": step,
            "dense": self._dense,
            "centre": self._centre,
            "mix": self._mix,
            "mean": self._mean,
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        shapes = {"table": 2, "step": 1, "dense": 2, "centre": 1, "mix": 2, "mean": 1}
        found = {
            name: _store.array(arrays, name, ndim=ndim, folder=folder)
            for name, ndim in shapes.items()
        }
        rank = found["mix"].shape[0]
        expected = {
            "table": (BUCKETS, rank + 1),
            "step": (rank + 1,),
            "dense": (len(PLAIN), rank),
            "centre": (len(PLAIN),),
            "mix": (rank, len(self.models)),
            "mean": (len(self.models),),
        }
        if wrong := [name for name in shapes if found[name].shape != expected[name]]:
            raise InvalidValue(
                f"weights in {folder.name!r}: {', '.join(wrong)} of another shape than "
                f"{len(self.models)} models need",
                path=str(folder),
                next_step="train again with this version",
            )
        self._table = (found["table"] * found["step"]).astype(np.float32)
        self._dense, self._centre = found["dense"], found["centre"]
        self._mix, self._mean = found["mix"], found["mean"]


def untrained(*, penalty: float = 12.0, rank: int = 6) -> LexicalScorer:
    """A scorer to be fitted."""
    return LexicalScorer(penalty=penalty, rank=rank)


def build(
    weights: str | Path | None = None, *, penalty: float = 12.0, rank: int = 6
) -> LexicalScorer:
    """The scorer with the weights that ship with graphroute, or those in the folder `weights`.

    >>> easy, hard = build().difficulty(["Say hello.", "Prove that x^n + y^n = z^n has no root."])
    >>> bool(0 <= easy < hard <= 1)
    True
    """
    scorer = LexicalScorer(penalty=penalty, rank=rank)
    return scorer.load(Path(weights) if weights is not None else SHIPPED)


def _gram_root(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """An m × m matrix with the same right singular vectors as values[n, m], for large n."""
    return np.linalg.cholesky(
        (values.T @ values).astype(np.float64) + 1e-6 * np.eye(values.shape[1])
    ).T.astype(np.float32)
