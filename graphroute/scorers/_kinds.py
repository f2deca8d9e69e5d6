"""Which kind of work a prompt belongs to, told from its words, and who does that kind well.

The label of a prompt (its task, its domain) says more about which of many models suits it than its
words can learn one by one. Labels are there in training only. So a softmax over the labels is
learned from the words (multinomial logistic regression by accelerated gradients: Y. Nesterov, A
Method of Solving a Convex Programming Problem, 1983), and a prompt gets the success of each kind,
weighed by how likely it is of that kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._hashing import PLAIN, Ints, features, seen
from graphroute.scorers._ridge import Rows, Singles, Transposed, apply

MOST: Final = 32
BITS: Final = 14
_BUCKETS = 1 << BITS
_LEAST = 20
_PENALTY = 0.02
_STEPS = 100
_RATE = 8.0
_PRIOR = 2.0
_DENSE = 0.2
_REST = "other"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """weights[_BUCKETS + plain + 1, k]: log-odds of the kinds; centre, scale of the plain features;
    success[k, m]: mean success of each kind, held a little towards that of all.
    """

    weights: Singles
    centre: Floats
    scale: Floats
    success: Floats

    def one(self, prompt: str) -> Floats:
        """Mean success[m] of the kinds the prompt may be of."""
        buckets, plain = seen(prompt)
        row = np.unique(buckets % _BUCKETS)
        odds = np.append((plain - self.centre) / self.scale, 1.0) @ self.weights[_BUCKETS:]
        if len(row):
            odds = odds + self.weights.take(row, axis=0).sum(0) / np.sqrt(len(row))
        chance = np.exp(odds - odds.max())
        return np.asarray(chance @ self.success / chance.sum())

    def of(self, prompts: Sequence[str]) -> Floats:
        """The same of prompts, [n, m]."""
        return np.array([self.one(prompt) for prompt in prompts]).reshape(-1, self.success.shape[1])

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Plain arrays to be stored, the weights in eight bits a number."""
        step = np.maximum(np.abs(self.weights).max(0), 1e-12) / 127
        return {
            "kinds": np.rint(self.weights / step).astype(np.int8),
            "kinds_step": step,
            "kinds_centre": self.centre,
            "kinds_scale": self.scale,
            "kinds_success": self.success,
        }

    @classmethod
    def restored(
        cls, arrays: Mapping[str, NDArray[Any]], folder: Path, *, models: int
    ) -> Kinds | None:
        """From stored arrays; None where there are none; `InvalidValue` if they do not fit."""
        if "kinds" not in arrays:
            return None
        ndims = {"": 2, "_step": 1, "_centre": 1, "_scale": 1, "_success": 2}
        found = {
            end: _store.array(arrays, f"kinds{end}", ndim=ndim, folder=folder).astype(np.float64)
            for end, ndim in ndims.items()
        }
        count, plain = len(found["_step"]), (len(PLAIN),)
        if (
            found[""].shape != (_BUCKETS + len(PLAIN) + 1, count)
            or found["_success"].shape != (count, models)
            or (found["_centre"].shape, found["_scale"].shape) != (plain, plain)
            or (found["_scale"] <= 0).any()
        ):
            raise InvalidValue(
                f"weights in {folder.name!r}: kinds of work of another shape than expected",
                path=str(folder),
                next_step="train again with this version",
            )
        return cls(
            weights=(found[""] * found["_step"]).astype(np.float32),
            centre=found["_centre"],
            scale=found["_scale"],
            success=found["_success"],
        )


def fit(data: Outcomes, *, progress: Callable[[float], None]) -> Kinds | None:
    """Kinds by the tags of the outcomes; None where there are fewer than two to tell apart."""
    names = _named(data)
    if len(set(names)) < 2:
        return None
    kinds = sorted(set(names))
    label = np.searchsorted(kinds, names)
    rows, centre, scale = _rows(data.prompts)
    weights = _descend(rows, np.eye(len(kinds), dtype=np.float32)[label], progress)
    known = np.isfinite(data.correct)
    right = np.where(known, data.correct, 0.0)
    overall = right.sum(0) / np.maximum(known.sum(0), 1)
    is_of = np.eye(len(kinds))[label].T
    success = (is_of @ right + _PRIOR * overall) / (is_of @ known + _PRIOR)
    return Kinds(weights=weights, centre=centre, scale=scale, success=success)


def _named(data: Outcomes) -> list[str]:
    """Each prompt's tag, where it is one of the `MOST` with the most outcomes; else one for all."""
    if not data.tags:
        return []
    outcomes: Counter[str] = Counter()
    for tag, count in zip(data.tags, np.isfinite(data.correct).sum(1).tolist(), strict=True):
        outcomes[tag] += count
    prompts = Counter(data.tags)
    often = [tag for tag, _ in outcomes.most_common() if prompts[tag] >= _LEAST][: MOST - 1]
    return [tag if tag in often else _REST for tag in data.tags]


def _rows(prompts: Sequence[str]) -> tuple[Rows, Floats, Floats]:
    buckets, bounds, plain = features(prompts)
    parts = [np.unique(buckets[low:high] % _BUCKETS) for low, high in pairwise(bounds)]
    sizes = [len(part) for part in parts]
    centre, scale = plain.mean(0), (plain.std(0) + 1e-2) / _DENSE
    ones = np.ones((len(plain), 1))
    flat: Ints = np.concatenate(parts)
    rows = Rows(
        buckets=flat,
        bounds=np.concatenate(([0], np.cumsum(sizes))),
        dense=np.concatenate(((plain - centre) / scale, ones), axis=1).astype(np.float32),
        value=np.ones(_BUCKETS, np.float32),
    )
    return rows, centre, scale


def _descend(rows: Rows, is_of: Singles, progress: Callable[[float], None]) -> Singles:
    """weights[_BUCKETS + plain + 1, k] by gradients with momentum, on the mean loss."""
    transposed, scale, n = Transposed(rows), rows.scale, len(rows)
    weights = np.zeros((rows.size + rows.dense.shape[1], is_of.shape[1]), np.float32)
    ahead, rate, best, pace = weights, _RATE, np.inf, 0
    for step in range(_STEPS):
        odds = apply(rows, ahead, scale)
        chance = np.exp(odds - odds.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)
        loss = -float(np.log(np.maximum((chance * is_of).sum(1), 1e-9)).mean())
        if loss > best:
            # Too fast for these rows: slower, and without the momentum that led here.
            ahead, rate, best, pace = weights, rate / 2, np.inf, 0
            continue
        pull = (transposed.apply(chance - is_of) + _PENALTY * ahead) / n
        before, weights, best = weights, ahead - rate * pull, loss
        ahead, pace = weights + pace / (pace + 3) * (weights - before), pace + 1
        progress((step + 1) / _STEPS)
    return weights
