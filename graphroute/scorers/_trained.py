"""What all trained scorers share: from raw predictions per model to calibrated answers.

A family predicts `raw[n, m]`, how well each of the models it was trained on does on a prompt, on
any scale. Here that becomes, per model, a probability (`_platt`), with many models told by the kind
of work (`_kinds`) which of them it suits; and from the probabilities

- `difficulty`: the d at which models of these abilities would have this mean success (`ir.quality`)
- `need`: how much a prompt needs the strong one of two models, what their router ranks by; of the
  pair it was trained for, also by what the prompt looks like (`_gap`, `_forms`)
- models that were not in the training: by their ability against the difficulty, so a router
  trained on one pair serves another pair without being trained again
"""

from __future__ import annotations

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
from graphroute.scorers import _gap, _kinds, _store
from graphroute.scorers._folds import fold_of
from graphroute.scorers._forms import FORMS, forms_of, needed, trust_of
from graphroute.scorers._gap import Gap
from graphroute.scorers._kinds import Kinds
from graphroute.scorers._platt import Calibration, abilities, calibrated, sigmoid

Progress = Callable[[str, float], None]
_FOLDS = 4
_OWN = 104_729
_MANY = 4000
_LOWEST, _HIGHEST = 0.01, 0.995


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LeftOut:
    """Of prompts left out of a fit, NaN for others: raw[n, m] of the family, kinds[n, m] by the
    kinds of work, looks[n] of the pair by the looks.
    """

    raw: Floats
    kinds: Floats
    looks: Floats

    @classmethod
    def none(cls, data: Outcomes) -> _LeftOut:
        shape = data.correct.shape
        return cls(
            raw=np.full(shape, np.nan),
            kinds=np.full(shape, np.nan),
            looks=np.full(shape[0], np.nan),
        )


class TrainedScorer:
    """Base of the trained families; a family gives `_fit_raw`, `_raw`, `_arrays`, `_restore`."""

    name = "trained"
    models: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._calibration: Calibration | None = None
        self._card: dict[str, Any] = {}
        self._pair = ("", "")
        self._forms = np.zeros(len(FORMS))
        self._gap: Gap | None = None
        self._kinds: Kinds | None = None
        self._by_kind = 0.0

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
        own = fitted.chances(raw)
        if self._kinds is not None:
            own = own + self._by_kind * _apart(self._kinds.of(prompts) - own)
        own = np.clip(own, _LOWEST, _HIGHEST)
        if models is None:
            return own
        out = np.empty((len(prompts), len(models)))
        difficulty: Floats | None = None
        for j, model in enumerate(models):
            if model in self.models:
                out[:, j] = own[:, self.models.index(model)]
                continue
            difficulty = self._difficulty(raw) if difficulty is None else difficulty
            out[:, j] = sigmoid(SLOPE * (ability(model)[0] - difficulty) + OFFSET)
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

        It is the gap between the two chances of being right, on the scale `(gap + 1) / 2`, as far
        as prompts of that form were learned from; of other forms see `_forms`.
        """
        pair = (strong or self.strong, weak or self.weak)
        both = self.success(prompts, pair)
        gap = both[:, 0] - both[:, 1]
        if self._gap is not None and pair == self._pair:
            gap = self._gap.of(prompts, gap)
        if pair[0] == pair[1]:
            return np.full(len(prompts), 0.5)
        gap = needed(prompts, gap, both[:, 1], trust_of(self._forms))
        return np.asarray((gap + 1) / 2)

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
        able = abilities(data)
        self.models, self._pair = data.models, _pair_of(data, able)
        out = self._left_out(data, seed=seed, progress=_share(tell, 0.0, 0.6))
        self._fit_raw(data, seed=seed, progress=_share(tell, 0.6, 0.9))
        self._calibration = calibrated(out.raw, data, able)
        pairs = self._pairs(data)
        self._forms = np.bincount(
            forms_of([data.prompts[i] for i in pairs]), minlength=len(FORMS)
        ).astype(np.float64)
        own = self._calibration.chances(out.raw)
        self._fit_kinds(data, own, out, _share(tell, 0.9, 0.95))
        self._fit_gap(data, own, out, seed, _share(tell, 0.95, 1.0))
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
            "forms": self._forms,
        }
        if self._gap is not None:
            arrays |= self._gap.arrays()
        if self._kinds is not None:
            arrays |= {**self._kinds.arrays(), "kinds_share": np.array([self._by_kind])}
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
        self._card = {k: v for k, v in card.items() if k not in ("format", "family", "models")}
        self._restore(arrays, folder)
        self._restore_rest(arrays, folder)
        self._calibration = Calibration(scale=values[0], shift=values[1], ability=values[2])
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

    def _pairs(self, data: Outcomes) -> NDArray[np.int64]:
        """Numbers of the prompts that both models of the pair answered."""
        columns = [self.models.index(model) for model in self._pair]
        return np.flatnonzero(np.isfinite(data.correct[:, columns]).all(1))

    def _left_out(self, data: Outcomes, *, seed: int, progress: Progress) -> _LeftOut:
        """What fits that did not see them say of prompts."""
        # Other folds than those of an evaluation with the same seed, of which one would be empty.
        folds = np.array([fold_of(prompt, _FOLDS, seed + _OWN) for prompt in data.prompts])
        found = _LeftOut.none(data)
        # With many prompts one left-out part is enough to calibrate a few numbers per model.
        used = 1 if len(data.prompts) > _MANY else _FOLDS
        for fold in range(used):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if not len(inside) or not len(outside):
                continue
            tell = _share(progress, fold / used, (fold + 1) / used)
            # A model without a label outside this fold has nothing to be fitted on there.
            part, rest = self._blank(), data.rows(inside)
            part.models, part._pair = self.models, self._pair
            part._fit_raw(rest, seed=seed + fold, progress=_share(tell, 0.0, 0.8))
            asked = [data.prompts[i] for i in outside]
            found.raw[outside] = part._raw(asked)
            if len(self.models) > 2 and (kinds := _kinds.fit(rest, progress=_silenced)) is not None:
                found.kinds[outside] = kinds.of(asked)
            if (gap := part._gap_of(rest, seed + fold)) is not None:
                found.looks[outside] = gap.added(asked)
        return found

    def _gap_of(self, data: Outcomes, seed: int) -> Gap | None:
        pairs = self._pairs(data)
        if len(pairs) < _gap.LEAST:
            return None
        columns = [self.models.index(model) for model in reversed(self._pair)]
        prompts = [data.prompts[i] for i in pairs]
        return _gap.fit(prompts, data.correct[pairs][:, columns], seed=seed, progress=_silenced)

    def _fit_kinds(self, data: Outcomes, own: Floats, out: _LeftOut, tell: Progress) -> None:
        """The kinds of work, and how far they count for what tells models apart."""
        usable = np.isfinite(out.kinds).all(1)
        self._kinds, self._by_kind = None, 0.0
        if not usable.any():
            return
        known = np.isfinite(data.correct[usable])
        off = _apart(out.kinds[usable] - own[usable], known)
        wanted = _apart(data.correct[usable] - own[usable], known)
        share = float((off * wanted).sum()) / max(float((off**2).sum()), 1e-12)
        if share > 0:
            self._kinds = _kinds.fit(data, progress=lambda done: tell("telling kinds apart", done))
            self._by_kind = min(share, 1.0)

    def _fit_gap(
        self, data: Outcomes, own: Floats, out: _LeftOut, seed: int, tell: Progress
    ) -> None:
        """What the looks of a prompt say of the pair, on the scale of prompts left out."""
        tell("looking at prompts", 0.0)
        self._gap = self._gap_of(data, seed)
        strong, weak = (self.models.index(model) for model in self._pair)
        outcome = data.correct[:, strong] - data.correct[:, weak]
        usable = np.isfinite(outcome) & np.isfinite(out.looks)
        if self._gap is None or not usable.any():
            self._gap = None
            return
        total = own[:, strong] - own[:, weak] + out.looks
        self._gap = self._gap.scaled(total[usable], outcome[usable])

    def _restore_rest(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        # Weights of an earlier version do not tell which forms of prompt they have seen.
        arrays = {"forms": np.zeros(len(FORMS)), **arrays}
        forms = _store.array(arrays, "forms", ndim=1, folder=folder).astype(np.float64)
        if len(forms) != len(FORMS):
            raise InvalidValue(
                f"weights in {folder.name!r}: {len(forms)} forms of prompt, not {len(FORMS)}",
                path=str(folder),
                next_step="train again with this version",
            )
        self._forms = forms
        self._gap = Gap.restored(arrays, folder, trained=forms)
        self._kinds = Kinds.restored(arrays, folder, models=len(self.models))
        if self._kinds is not None:
            self._by_kind = float(_store.array(arrays, "kinds_share", ndim=1, folder=folder).mean())

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


def _apart(values: Floats, known: NDArray[np.bool_] | None = None) -> Floats:
    """values[n, m] less each prompt's mean over the models that are known there, 0 elsewhere."""
    if known is None:
        return np.asarray(values - values.mean(1, keepdims=True))
    values = np.where(known, values, 0.0)
    mean = values.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    return np.asarray((values - mean) * known)


def _silenced(_done: float) -> None:
    return None


def _silent(_what: str, _share_done: float) -> None:
    return None


def _share(tell: Progress, low: float, high: float) -> Progress:
    return lambda what, done: tell(what, low + (high - low) * done)
