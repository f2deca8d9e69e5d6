"""The default prompt scorer: a linear model on hashed words and word pairs, in NumPy alone.

Fitting is one ridge regression per model, all at once; with many models the weights are kept as
their best approximation of low rank (A. J. Izenman, Reduced-Rank Regression for the Multivariate
Linear Model, 1975), so that a prompt costs one gather of a few hundred short rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.ir.quality import OFFSET, SLOPE
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._ridge import apply, solve
from graphroute.scorers._rows import rows_of
from graphroute.scorers._table import Table
from graphroute.scorers._trained import Progress, TrainedScorer

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({},)
SHIPPED: Final = Path(__file__).parent / "_weights" / "lexical"


class LexicalScorer(TrainedScorer):
    """Difficulty and success from the words of a prompt.

    penalty: of the ridge regression, > 0
    rank: how many directions the models' weights may differ in, ≥ 1
    """

    name = "lexical"

    def __init__(self, *, penalty: float = 10.0, rank: int = 6) -> None:
        super().__init__()
        if not penalty > 0 or rank < 1:
            raise InvalidValue(
                f"penalty={penalty!r}, rank={rank!r}", next_step="use a penalty > 0 and a rank ≥ 1"
            )
        self._penalty, self._rank = float(penalty), int(rank)
        self._table: Table | None = None
        self._mix = np.zeros((0, 0))
        self._mean = np.zeros(0)
        self._short: tuple[Table, float] | None = None

    def _settings(self) -> Mapping[str, object]:
        return {"penalty": self._penalty, "rank": self._rank}

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        del seed  # The solution of a ridge regression does not depend on chance.
        count = len(data.prompts)
        read = rows_of(data.prompts, lambda done: progress("reading prompts", 0.2 * done / count))
        known = np.isfinite(data.correct)
        mean = np.where(known, data.correct, 0).sum(0) / np.maximum(known.sum(0), 1)
        weights = solve(
            read.rows,
            (data.correct - mean).astype(np.float32),
            penalty=self._penalty,
            progress=lambda done: progress("fitting", 0.2 + 0.8 * done),
        )
        mix = np.eye(len(mean))
        if len(mean) > self._rank:
            mix = _directions(apply(read.rows, weights).astype(np.float64), known, self._rank)
            weights = weights @ mix.T.astype(np.float32)
        size = read.rows.size
        self._table = read.table(weights[:size], weights[size:])
        self._mean, self._mix, self._short = mean, mix, None

    def _raw(self, prompts: Sequence[str]) -> Floats:
        return np.asarray(self._known().vectors(prompts) @ self._mix + self._mean)

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """Difficulty in [0, 1]: linear in the vector, so it has a table of its own, the fastest."""
        if self._short is None:
            fitted = self._fitted()
            column = -(self._mix @ fitted.scale) / (len(self.models) * SLOPE)
            odds = float((self._mean * fitted.scale + fitted.shift).mean())
            constant = float(fitted.ability.mean()) + (OFFSET - odds) / SLOPE
            self._short = self._known().mixed(column[:, None]), constant
        table, constant = self._short
        found = [float(table.one(prompt)[0]) + constant for prompt in prompts]
        return [min(max(value, 0.0), 1.0) for value in found]

    def _known(self) -> Table:
        if self._table is None:
            self._fitted()  # says that it has not been trained
            raise AssertionError("a trained scorer has a table")
        return self._table

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return {**self._known().arrays(), "mix": self._mix, "mean": self._mean}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        table = Table.restored(arrays, folder)
        mix = _store.array(arrays, "mix", ndim=2, folder=folder)
        mean = _store.array(arrays, "mean", ndim=1, folder=folder)
        if mix.shape != (len(table.offset), len(self.models)) or len(mean) != len(self.models):
            raise InvalidValue(
                f"weights in {folder.name!r}: not made for {len(self.models)} models",
                path=str(folder),
                next_step="train again with this version",
            )
        self._table, self._mix, self._mean, self._short = table, mix, mean, None


def _directions(predicted: Floats, known: NDArray[np.bool_], rank: int) -> Floats:
    """directions[rank, m], orthonormal: the largest of predicted[n, m], one of them kept exact.

    What tells two models apart is small beside what is hard for all, and would be cut off; so the
    difference of the two models with the most labels comes first.
    """
    most = np.argsort(-known.sum(0), kind="stable")[:2]
    gap = np.zeros((len(known.T), 1))
    gap[most, 0] = (1 / math.sqrt(2), -1 / math.sqrt(2))
    rest = predicted - (predicted @ gap) @ gap.T
    others = np.linalg.eigh(rest.T @ rest)[1][:, ::-1][:, : max(rank - 1, 0)]
    basis, _ = np.linalg.qr(np.concatenate((gap, others), axis=1))
    return np.asarray(basis.T)


def untrained(*, penalty: float = 10.0, rank: int = 6) -> LexicalScorer:
    """A scorer to be fitted."""
    return LexicalScorer(penalty=penalty, rank=rank)


def build(weights: str | Path | None = None) -> LexicalScorer:
    """The scorer with the weights that ship with graphroute, or those in the folder `weights`.

    >>> easy, hard = build().difficulty(["Say hello.", "Prove that x^n + y^n = z^n has no root."])
    >>> bool(0 <= easy < hard <= 1)
    True
    """
    return LexicalScorer().load(Path(weights) if weights is not None else SHIPPED)
