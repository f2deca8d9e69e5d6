"""Matrix factorization: every model and every prompt a vector, their product the success.

    δ(M, q) = v_Mᵀ (Wᵀ φ(q) + c) + b_M,      P(M right on q) = σ(δ(M, q))

RouteLLM's router of that name (I. Ong et al., RouteLLM, 2024, §4.2: a bilinear score of model and
prompt, P(M₁ beats M₂) = σ(δ(M₁, q) − δ(M₂, q))), for any number of models. Two losses together:
pointwise on right or wrong, pairwise on pairs of models of which one was right. φ is a hashed bag
of words whose W is learned, or a fixed embedding (`scorers/_embed.py`). Torch trains, NumPy runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import _embed, _mf_fit, _store
from graphroute.scorers._table import Table
from graphroute.scorers._trained import Progress, TrainedScorer

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({},)
SHIPPED: Final = Path(__file__).parent / "_weights" / "mf"


class MatrixFactorization(TrainedScorer):
    """Bilinear scores of models and prompts.

    dim: length of the vectors, 1 to 256
    pairwise: weight of the pairwise loss beside the pointwise one, ≥ 0
    embedding: `"lexical"`, `"wordllama"` or `"ollama:MODEL"`
    penalty: on the squares of all weights but the biases, > 0
    """

    name = "mf"

    def __init__(
        self,
        *,
        dim: int = 8,
        pairwise: float = 0.1,
        embedding: str = "lexical",
        penalty: float = 12.0,
    ) -> None:
        super().__init__()
        if not 1 <= dim <= 256 or pairwise < 0 or penalty <= 0:
            raise InvalidValue(
                f"dim={dim!r}, pairwise={pairwise!r}, penalty={penalty!r}",
                next_step="use 1 ≤ dim ≤ 256, pairwise ≥ 0 and penalty > 0",
            )
        self._dim, self._pairwise = int(dim), float(pairwise)
        self._embedding, self._penalty = embedding, float(penalty)
        self._table: Table | None = None
        self._matrix = np.zeros((0, 0))
        self._models = np.zeros((0, 0))
        self._bias = np.zeros(0)

    def _settings(self) -> Mapping[str, object]:
        return {
            "dim": self._dim,
            "pairwise": self._pairwise,
            "embedding": self._embedding,
            "penalty": self._penalty,
        }

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        task = _mf_fit.Task(
            data=data,
            dim=self._dim,
            pairwise=self._pairwise,
            penalty=self._penalty,
            seed=seed,
            progress=progress,
        )
        if self._embedding == "lexical":
            self._table, self._models, self._bias = _mf_fit.on_words(task)
        else:
            vectors = _embed.named(self._embedding)(data.prompts)
            self._matrix, self._models, self._bias = _mf_fit.on_vectors(task, vectors)

    def vectors(self, prompts: Sequence[str]) -> Floats:
        """x[n, dim]: the prompts' vectors."""
        if self._embedding != "lexical":
            found = _embed.named(self._embedding)(prompts)
            if found.shape[1] != len(self._matrix):
                raise InvalidValue(
                    f"embedding {self._embedding!r} has {found.shape[1]} numbers, trained on "
                    f"{len(self._matrix)}",
                    next_step="use the embedding the weights were trained with",
                )
            return np.asarray(found @ self._matrix)
        if self._table is None:
            self._fitted()
            raise AssertionError("a trained scorer has a table")
        return self._table.vectors(prompts)

    def _raw(self, prompts: Sequence[str]) -> Floats:
        return np.asarray(self.vectors(prompts) @ self._models + self._bias)

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        words = self._table.arrays() if self._table is not None else {"matrix": self._matrix}
        return {**words, "vectors": self._models, "bias": self._bias}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        settings = self._card.get("settings", {})
        self._embedding = str(settings.get("embedding", self._embedding))
        vectors = _store.array(arrays, "vectors", ndim=2, folder=folder)
        bias = _store.array(arrays, "bias", ndim=1, folder=folder)
        if self._embedding == "lexical":
            self._table = Table.restored(arrays, folder)
            dim = len(self._table.offset)
        else:
            self._table = None
            self._matrix = _store.array(arrays, "matrix", ndim=2, folder=folder)
            dim = self._matrix.shape[1]
        if vectors.shape != (dim, len(self.models)) or len(bias) != len(self.models):
            raise InvalidValue(
                f"weights in {folder.name!r}: not made for {len(self.models)} models",
                path=str(folder),
                next_step="train again with this version",
            )
        self._dim, self._models, self._bias = dim, vectors, bias


def untrained(
    *, dim: int = 8, pairwise: float = 0.1, embedding: str = "lexical", penalty: float = 12.0
) -> MatrixFactorization:
    """A scorer to be fitted."""
    return MatrixFactorization(dim=dim, pairwise=pairwise, embedding=embedding, penalty=penalty)


def build(weights: str | Path | None = None) -> MatrixFactorization:
    """The scorer with the weights that ship with graphroute, or those in the folder `weights`."""
    return MatrixFactorization().load(Path(weights) if weights is not None else SHIPPED)
