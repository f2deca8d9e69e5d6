"""What a prompt's departure from its node's usual difficulty is worth.

At a node whose profile is known, a text score can only say how this prompt departs from the node's
usual one. `fit_share` measures what such departures have been worth on kinds of work that the
scorer had not seen, with the certainty that this has; `runtime.leaning` counts them by that share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.ir.quality import SLOPE
from graphroute.scorers import _store

_LEAST_PROMPTS = 25

SHARES: Final[dict[str, float]] = {"lexical": 0.93, "mf": 0.73}
"""Shares of the weights that ship, by `benchmarks/blending.py`; other scorers have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How far a prompt's departure from its kind's usual difficulty counts.

    share: in [0, 1], what counts; slope, low, high: mean over kinds of work with its 95 % interval;
        between: standard deviation of the slope from kind to kind
    """

    share: float
    slope: float
    low: float
    high: float
    between: float
    kinds: int
    prompts: int


def fit_share(difficulty: Floats, correct: Floats, kinds: Sequence[str]) -> Share:
    """What departures of difficulty[n] say about correct[n, m] within each kind of work.

    Within a kind, P(m right on q) = σ(a[m] − slope · SLOPE · (d(q) − mean d)), with a level of its
    own for each model and the standard error by prompts (one hard prompt is hard for all models).
    Over the kinds, the random-effects mean (R. DerSimonian, N. Laird, Meta-Analysis in Clinical
    Trials, 1986). The share is the lower end of its interval: what is not certain does not count.
    The difficulties must come from a scorer that was not fitted on these kinds; kinds of fewer than
    25 prompts tell nothing and are left out.
    """
    found = []
    names = np.asarray(kinds)
    if difficulty.shape != names.shape or correct.shape[:1] != names.shape:
        raise InvalidValue(
            f"{len(difficulty)} difficulties and {len(correct)} rows for {len(names)} kinds",
            next_step="give difficulty[n], correct[n, m] and kinds[n]",
        )
    count = 0
    for kind in sorted(set(names.tolist())):
        rows = np.flatnonzero(names == kind)
        away = -SLOPE * (difficulty[rows] - difficulty[rows].mean())
        if len(rows) < _LEAST_PROMPTS or float(away.std()) < 1e-9:
            continue
        slope = _slope_within(away, correct[rows])
        if slope is not None:
            found.append(slope)
            count += len(rows)
    if not found:
        return Share(share=0.0, slope=0.0, low=0.0, high=0.0, between=0.0, kinds=0, prompts=0)
    slopes, errors = np.array(found).T
    mean, error, between = _random_effects(slopes, errors)
    return Share(
        share=min(max(mean - 1.96 * error, 0.0), 1.0),
        slope=mean,
        low=mean - 1.96 * error,
        high=mean + 1.96 * error,
        between=between,
        kinds=len(found),
        prompts=count,
    )


def share_of(scorer: object) -> float:
    """The share that a prompt scorer has earned: its own `share`, else that of shipped weights.

    The same family with other weights has none until somebody measures it and sets `share`.

    >>> share_of(object())
    0.0
    """
    own = getattr(scorer, "share", None)
    if isinstance(own, (int, float)) and 0 <= own <= 1:
        return float(own)
    name = str(getattr(scorer, "name", ""))
    return SHARES[name] if name in SHARES and _ships(name, scorer) else 0.0


def _ships(name: str, scorer: object) -> bool:
    """Whether the scorer has the weights that ship, by their checksum."""
    describe = getattr(scorer, "describe", None)
    if not callable(describe):
        return False
    shipped = _store.read_card(Path(__file__).parent / "_weights" / name)
    return bool(describe().get("sha256") == shipped.get("sha256"))


def _slope_within(away: Floats, correct: Floats) -> tuple[float, float] | None:
    """Slope and its standard error by prompts; None where nobody is sometimes right."""
    known = np.isfinite(correct)
    mean = np.where(known, correct, 0).sum(0) / np.maximum(known.sum(0), 1)
    kept = (known.sum(0) >= _LEAST_PROMPTS) & (mean > 0.02) & (mean < 0.98)
    if not kept.any():
        return None
    y, known = np.where(known, correct, 0.0)[:, kept], known[:, kept]
    level, slope = np.log(mean[kept] / (1 - mean[kept])), 0.0
    for _ in range(50):
        p = _sigmoid(level + slope * away[:, None])
        v = np.where(known, np.maximum(p * (1 - p), 1e-6), 0.0)
        level = level - np.where(known, p - y, 0).sum(0) / v.sum(0)
        # What each model's own level does not explain of the departures.
        centred = away[:, None] - (v * away[:, None]).sum(0) / v.sum(0)
        score = np.where(known, (p - y) * centred, 0.0)
        curve = float((v * centred**2).sum())
        step = float(score.sum()) / curve
        slope -= float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-7:
            break
    return slope, float(np.sqrt((score.sum(1) ** 2).sum())) / curve


def _random_effects(slopes: Floats, errors: Floats) -> tuple[float, float, float]:
    """Mean, its standard error, and the standard deviation between kinds."""
    weight = 1 / np.maximum(errors, 1e-6) ** 2
    mean = float((weight * slopes).sum() / weight.sum())
    spread = float((weight * (slopes - mean) ** 2).sum()) - (len(slopes) - 1)
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(0.0, spread / scale) if scale > 0 else 0.0
    weight = 1 / (np.maximum(errors, 1e-6) ** 2 + between)
    mean = float((weight * slopes).sum() / weight.sum())
    return mean, float(weight.sum() ** -0.5), float(np.sqrt(between))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))
