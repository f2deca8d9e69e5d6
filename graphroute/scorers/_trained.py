"""What all trained scorers share: from raw predictions per model to calibrated answers.

A family predicts `raw[n, m]`, how well each of the models it was trained on does on a prompt, on
any scale. Here that becomes, per model, a probability by Platt scaling on predictions for prompts
that were left out of the fit (J. Platt, Probabilistic Outputs for Support Vector Machines, 1999);
and from the probabilities

- `difficulty`: the d at which models of these abilities would have this mean success (`ir.quality`)
- `need`: how much a prompt needs the strong one of two models, what their router ranks by
- models that were not in the training: by their ability against the difficulty, so a router
  trained on one pair serves another pair without being trained again
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.ability import ability
from graphroute.ir.problem import Floats
from graphroute.ir.quality import OFFSET, SLOPE
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._folds import fold_of

Progress = Callable[[str, float], None]
_FOLDS = 4
_MANY = 4000
_OPTION = re.compile(r"^A[.)] ", re.MULTILINE)
_LOWEST, _HIGHEST = 0.01, 0.995


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Per model: P = σ(scale · raw + shift); and its ability in [0, 1]."""

    scale: Floats
    shift: Floats
    ability: Floats


class TrainedScorer:
    """Base of the trained families; a family gives `_fit_raw`, `_raw`, `_arrays`, `_restore`."""

    name = "trained"
    models: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._calibration: Calibration | None = None
        self._card: dict[str, Any] = {}
        self._pair = ("", "")

    # -- what a family gives

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        raise NotImplementedError

    def _raw(self, prompts: Sequence[str]) -> Floats:
        raise NotImplementedError

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        raise NotImplementedError

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        raise NotImplementedError

    def _settings(self) -> Mapping[str, object]:
        return {}

    def _blank(self) -> Self:
        """A scorer with the same options and nothing learned, for the folds."""
        return type(self)(**dict(self._settings()))

    # -- what a caller uses

    def success(self, prompts: Sequence[str], models: Sequence[str] | None = None) -> Floats:
        """success[n, m] in (0, 1); see `TrainableScorer.success`."""
        fitted = self._fitted()
        if not len(prompts):
            return np.zeros((0, len(self.models if models is None else models)))
        raw = self._raw(prompts)
        own = np.clip(_sigmoid(raw * fitted.scale + fitted.shift), _LOWEST, _HIGHEST)
        if models is None:
            return own
        out = np.empty((len(prompts), len(models)))
        difficulty: Floats | None = None
        for j, model in enumerate(models):
            if model in self.models:
                out[:, j] = own[:, self.models.index(model)]
                continue
            difficulty = self._difficulty(raw) if difficulty is None else difficulty
            out[:, j] = _sigmoid(SLOPE * (ability(model)[0] - difficulty) + OFFSET)
        return np.clip(out, _LOWEST, _HIGHEST)

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """Difficulty in [0, 1] of each prompt on the scale of `ir.quality`."""
        return self._difficulty(self._raw(prompts)).tolist() if len(prompts) else []

    def need(
        self, prompts: Sequence[str], strong: str | None = None, weak: str | None = None
    ) -> Floats:
        """How much each prompt needs the strong model, in [0, 1].

        strong, weak: any model names; without them `strong` and `weak` if trained on models called
            so, else the two models with the most labels

        For closed questions (answer options, or a question at the end) it is the gap between the
        two chances of being right, `(P(strong) − P(weak) + 1) / 2`. Outcomes to learn from are of
        that kind. Of an open request ("write …", "describe …") they say little about the strong
        model, whose gap there is the weak one's chance to fail, at half its weight.
        """
        both = self.success(prompts, (strong or self.strong, weak or self.weak))
        gap = both[:, 0] - both[:, 1]
        closed = np.fromiter(map(is_closed, prompts), np.bool_, len(prompts))
        return np.asarray((np.where(closed, gap, (1 - both[:, 1]) / 2) + 1) / 2)

    @property
    def strong(self) -> str:
        """The stronger model of the pair that `need` is about."""
        return self._pair[0]

    @property
    def weak(self) -> str:
        """The weaker one."""
        return self._pair[1]

    def fit(self, data: Outcomes, *, seed: int = 0, progress: Progress | None = None) -> Self:
        """Learn from outcomes, and calibrate on predictions for prompts that were left out."""
        check(data)
        tell = progress if progress is not None else _silent
        folds = np.array([fold_of(prompt, _FOLDS, seed) for prompt in data.prompts])
        raw = np.full(data.correct.shape, np.nan)
        # With many prompts one left-out part is enough to calibrate two numbers per model.
        used = 1 if len(data.prompts) > _MANY else _FOLDS
        for fold in range(used):
            inside = np.flatnonzero(folds != fold)
            outside = np.flatnonzero(folds == fold)
            if not len(inside) or not len(outside):
                continue
            # A model without a label outside this fold has nothing to be fitted on there.
            part = self._blank()
            part.models = data.models
            part._fit_raw(
                data.rows(inside), seed=seed + fold, progress=_share(tell, fold, used + 1)
            )
            raw[outside] = part._raw([data.prompts[i] for i in outside])
        self.models = data.models
        self._fit_raw(data, seed=seed, progress=_share(tell, used, used + 1))
        self._calibration = _calibrated(raw, data)
        self._pair = _pair_of(data, self._calibration.ability)
        self._card = {
            "date": datetime.now(UTC).date().isoformat(),
            "prompts": len(data.prompts),
            "labels": int(np.isfinite(data.correct).sum()),
            "seed": seed,
        }
        return self

    def save(self, folder: Path, **card: object) -> None:
        """Write weights and card; further facts (data, licence, metrics, limits) by name."""
        fitted = self._fitted()
        arrays = dict(self._arrays()) | {
            "scale": fitted.scale,
            "shift": fitted.shift,
            "ability": fitted.ability,
        }
        _store.write(
            folder,
            self.name,
            arrays,
            {
                **self._card,
                **card,
                "models": list(self.models),
                "pair": list(self._pair),
                "settings": dict(self._settings()),
            },
        )
        self._card |= card

    def load(self, folder: Path) -> Self:
        """Read what `save` wrote; a damaged or foreign file is an `InvalidValue`."""
        arrays, card = _store.read(folder, self.name)
        models = card.get("models")
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise InvalidValue(
                f"weights in {folder.name!r}: the card lists no models",
                path=str(folder),
                next_step="train again",
            )
        pair = card.get("pair")
        if not isinstance(pair, list) or len(pair) != 2 or not set(pair) <= set(models):
            raise InvalidValue(
                f"weights in {folder.name!r}: the card names no pair of its models",
                path=str(folder),
                next_step="train again",
            )
        self.models, self._pair = tuple(models), (pair[0], pair[1])
        values = [
            np.asarray(_store.array(arrays, name, ndim=1, folder=folder), dtype=np.float64)
            for name in ("scale", "shift", "ability")
        ]
        if any(len(value) != len(models) for value in values):
            raise InvalidValue(
                f"weights in {folder.name!r}: {len(models)} models on the card, not in the weights",
                path=str(folder),
                next_step="train again",
            )
        self._restore(arrays, folder)
        self._calibration = Calibration(scale=values[0], shift=values[1], ability=values[2])
        self._card = {k: v for k, v in card.items() if k not in ("format", "family", "models")}
        return self

    def describe(self) -> Mapping[str, object]:
        """Family, models, settings and the card, ready for JSON."""
        return {
            "family": self.name,
            "models": list(self.models),
            "is_trained": self._calibration is not None,
            "settings": dict(self._settings()),
            **{k: v for k, v in self._card.items() if k != "settings"},
        }

    # -- within

    def _fitted(self) -> Calibration:
        if self._calibration is None:
            raise InvalidValue(
                f"scorer {self.name!r} has not been trained",
                name=self.name,
                next_step=f"fit it, or load weights: graphroute train --scorer {self.name} …",
            )
        return self._calibration

    def _difficulty(self, raw: Floats) -> Floats:
        fitted = self._fitted()
        level = float(np.mean(fitted.ability))
        # The mean of the log-odds, not of the probabilities: one saturated model says little.
        odds = (raw * fitted.scale + fitted.shift).mean(1)
        return np.asarray(np.clip(level + (OFFSET - odds) / SLOPE, 0.0, 1.0))


def is_closed(prompt: str) -> bool:
    """Whether a prompt asks for one right answer rather than for a text.

    >>> is_closed("What is 2 + 2?"), is_closed("Write a poem.")
    (True, False)
    """
    end = prompt[-200:].rstrip()
    return end.endswith(("?", "Answer:", "]")) or _OPTION.search(prompt[:20_000]) is not None


def _pair_of(data: Outcomes, able: Floats) -> tuple[str, str]:
    """Strong and weak: the models called so, else the two with the most labels, by ability."""
    if {"strong", "weak"} <= set(data.models):
        return "strong", "weak"
    most = np.argsort(-np.isfinite(data.correct).sum(0), kind="stable")[:2]
    strong, weak = (
        sorted(most, key=lambda j: (-able[j], j))[0],
        sorted(most, key=lambda j: (able[j], -j))[0],
    )
    return data.models[int(strong)], data.models[int(weak)]


def check(data: Outcomes) -> None:
    """Refuse outcomes no scorer can learn from, saying what is wrong."""
    n, m = len(data.prompts), len(data.models)
    if not n or not m:
        raise InvalidValue(
            f"{n} prompts and {m} models to learn from", next_step="give at least one of each"
        )
    if data.correct.shape != (n, m):
        raise InvalidValue(
            f"outcomes of shape {data.correct.shape} for {n} prompts and {m} models",
            next_step="give correct[n, m]",
        )
    known = np.isfinite(data.correct)
    bad = known & ((data.correct < 0) | (data.correct > 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InvalidValue(
            f"model {data.models[column]!r} has quality {float(data.correct[row, column])!r} "
            f"on prompt {row + 1}",
            model=data.models[column],
            next_step="scale qualities to [0, 1]",
        )
    if lacking := [data.models[j] for j in np.flatnonzero(~known.any(0))]:
        raise InvalidValue(
            f"no outcome at all for {', '.join(map(repr, lacking))}",
            models=tuple(lacking),
            next_step="leave these models out or add their outcomes",
        )


def _calibrated(raw: Floats, data: Outcomes) -> Calibration:
    count = len(data.models)
    scale, shift, able = np.ones(count), np.zeros(count), np.zeros(count)
    for j, model in enumerate(data.models):
        known = np.isfinite(data.correct[:, j]) & np.isfinite(raw[:, j])
        scale[j], shift[j] = _platt(raw[known, j], data.correct[known, j])
        able[j], source = ability(model)
        if source == "default":
            # Unknown to the tables ("strong", "weak"): as able as its mean success on these
            # prompts says, if they are of middle difficulty.
            mean = float(np.clip(np.nanmean(data.correct[:, j]), 0.02, 0.98))
            able[j] = np.clip(0.5 + (math.log(mean / (1 - mean)) - OFFSET) / SLOPE, 0, 1)
    return Calibration(scale=scale, shift=shift, ability=able)


def _platt(raw: Floats, correct: Floats) -> tuple[float, float]:
    """Scale ≥ 0 and shift by Newton's method with a weak prior towards a flat answer."""
    mean = float(np.clip(correct.mean(), 0.01, 0.99)) if len(correct) else 0.5
    flat = math.log(mean / (1 - mean))
    if len(correct) < 20 or float(np.std(raw)) < 1e-9:
        return 0.0, flat
    centre, spread = float(raw.mean()), float(raw.std())
    x = (raw - centre) / spread
    a, b = 0.0, flat
    for _ in range(30):
        p = _sigmoid(a * x + b)
        weight = np.maximum(p * (1 - p), 1e-6)
        slope = np.array([((p - correct) * x).sum() + a, (p - correct).sum() + 1e-3 * (b - flat)])
        curve = np.array(
            [[(weight * x * x).sum() + 1.0, (weight * x).sum()], [(weight * x).sum(), weight.sum()]]
        )
        step = np.linalg.solve(curve + 1e-9 * np.eye(2), slope)
        a, b = a - float(step[0]), b - float(step[1])
        if float(np.abs(step).max()) < 1e-8:
            break
    # A prediction that ranks a model's prompts the wrong way round has learned nothing.
    a = max(a, 0.0) / spread
    return (a, b - a * centre) if a > 0 else (0.0, flat)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))


def _silent(_what: str, _share_done: float) -> None:
    return None


def _share(tell: Progress, part: int, parts: int) -> Progress:
    return lambda what, done: tell(what, (part + done) / parts)
