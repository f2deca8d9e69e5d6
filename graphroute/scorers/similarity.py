"""Similarity-weighted ranking: ask the past prompts that look like this one.

RouteLLM's SW ranking (I. Ong et al., RouteLLM, 2024, §4.2): a Bradley–Terry model of the models'
strengths, fitted for each prompt anew with past prompts weighted by `γ^(cos)`. Here N-way: wins of
one model over another among the weighted prompts make a matrix, whose strengths come from a few
steps of the minorization-maximization algorithm (D. R. Hunter, MM Algorithms for Generalized
Bradley–Terry Models, 2004); the weighted mean success sets their level. Exact search by one matrix
product, up to 100,000 prompts; new outcomes are simply added, without training.
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
from graphroute.protocols import Outcomes
from graphroute.scorers import _embed, _store
from graphroute.scorers._topics import Topics
from graphroute.scorers._trained import Progress, TrainedScorer, check

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ()
MOST: Final = 100_000
_BATCH = 64
_PRIOR = 8.0
_ROUNDS = 8


class SimilarityScorer(TrainedScorer):
    """Outcomes of similar prompts.

    sharpness: log γ; 0 weighs all alike, larger looks only at the nearest
    embedding: `"lexical"` (topics of the words), `"wordllama"` or `"ollama:MODEL"`
    """

    name = "similarity"

    def __init__(self, *, sharpness: float = 6.0, embedding: str = "lexical") -> None:
        super().__init__()
        if not 0 <= sharpness <= 200:
            raise InvalidValue(f"sharpness={sharpness!r}", next_step="use 0 ≤ sharpness ≤ 200")
        self._sharpness, self._embedding = float(sharpness), embedding
        self._topics: Topics | None = None
        self._vectors = np.zeros((0, 0), np.float32)
        self._correct = np.zeros((0, 0))

    def _settings(self) -> Mapping[str, object]:
        return {"sharpness": self._sharpness, "embedding": self._embedding}

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        if len(data.prompts) > MOST:
            raise InvalidValue(
                f"{len(data.prompts):,} prompts to search in",
                limit=MOST,
                next_step=f"train on at most {MOST:,}: --limit {MOST}",
            )
        if self._embedding == "lexical":
            self._topics = Topics.fit(data.prompts, seed=seed, progress=progress)
        self._vectors = self._embed(data.prompts)
        self._correct = data.correct

    def add(self, data: Outcomes) -> None:
        """Remember further outcomes of the same models; they count from the next prompt on."""
        check(data)
        self._fitted()
        if data.models != self.models:
            raise InvalidValue(
                f"outcomes of {', '.join(data.models)}",
                next_step=f"give those of {', '.join(self.models)}, NaN where not asked",
            )
        if len(self._vectors) + len(data.prompts) > MOST:
            raise InvalidValue(
                f"more than {MOST:,} prompts", limit=MOST, next_step="train anew on recent ones"
            )
        self._vectors = np.concatenate((self._vectors, self._embed(data.prompts)))
        self._correct = np.concatenate((self._correct, data.correct))

    def _embed(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        if self._topics is not None:
            return self._topics.vectors(prompts)
        return _embed.named(self._embedding)(prompts).astype(np.float32)

    def _raw(self, prompts: Sequence[str]) -> Floats:
        known = np.isfinite(self._correct)
        right = np.where(known, self._correct, 0.0)
        wrong = np.where(known, 1 - self._correct, 0.0)
        overall = (right.sum(0) + 1) / (known.sum(0) + 2)
        out = np.empty((len(prompts), self._correct.shape[1]))
        for start in range(0, len(prompts), _BATCH):
            near = self._embed(prompts[start : start + _BATCH]) @ self._vectors.T
            weights = np.exp(self._sharpness * (near.astype(np.float64) - 1))
            # As many prompts' worth of evidence as the weights amount to, so that a prompt
            # without neighbours gets the overall answer.
            weights *= (weights.sum(1) / np.maximum((weights**2).sum(1), 1e-300))[:, None] / (
                np.maximum(weights.sum(1), 1e-300)[:, None]
            )
            total = weights @ known
            mean = (weights @ right + _PRIOR * overall) / (total + _PRIOR)
            for i, row in enumerate(weights):
                wins = (right * row[:, None]).T @ wrong
                strength = _strengths(wins, overall)
                level = float(np.mean(np.log(mean[i] / (1 - mean[i]))))
                out[start + i] = level + strength - strength.mean()
        return out

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        topics = self._topics.arrays() if self._topics is not None else {}
        return {
            **topics,
            "vectors": self._vectors.astype(np.float16),
            # NaN would be refused on reading: 255 stands for "not asked".
            "correct": np.where(
                np.isfinite(self._correct), np.rint(self._correct * 200), 255
            ).astype(np.uint8),
        }

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        self._embedding = str(self._card.get("settings", {}).get("embedding", self._embedding))
        vectors = _store.array(arrays, "vectors", ndim=2, folder=folder)
        correct = _store.array(arrays, "correct", ndim=2, folder=folder)
        if correct.shape != (len(vectors), len(self.models)) or correct.dtype != np.uint8:
            raise InvalidValue(
                f"weights in {folder.name!r}: outcomes of another shape than the prompts",
                path=str(folder),
                next_step="train again with this version",
            )
        self._topics = Topics.restored(arrays, folder) if self._embedding == "lexical" else None
        self._vectors = vectors.astype(np.float32)
        self._correct = np.where(correct == 255, np.nan, correct / 200.0)


def _strengths(wins: Floats, overall: Floats) -> Floats:
    """Log strengths from wins[m, m] (row right, column wrong), shrunk towards the overall ones."""
    base = np.log(overall / (1 - overall))
    # A prior of a few games between every two models, decided as their overall success says.
    prior = 1 / (1 + np.exp(base[None, :] - base[:, None])) * (_PRIOR / 4)
    played = wins + wins.T + prior + prior.T
    np.fill_diagonal(played, 0.0)
    won = (wins + prior).sum(1) - np.diag(wins + prior)
    strength = np.exp(base - base.mean())
    if len(base) == 1:
        return base
    for _ in range(_ROUNDS):
        strength = won / (played / (strength[:, None] + strength[None, :])).sum(1)
        strength /= math.exp(float(np.log(strength).mean()))
    return np.asarray(np.log(strength))


def untrained(*, sharpness: float = 6.0, embedding: str = "lexical") -> SimilarityScorer:
    """A scorer to be fitted."""
    return SimilarityScorer(sharpness=sharpness, embedding=embedding)


def build(weights: str | Path | None = None) -> SimilarityScorer:
    """The scorer with the weights in the folder `weights`; none ship, since they hold outcomes."""
    scorer = SimilarityScorer()
    return scorer.load(Path(weights)) if weights is not None else scorer
