"""RouteLLM's yardsticks for a router between a weak and a strong model.

The router gives each prompt a number; prompts at or above a threshold go to the strong model. Over
all thresholds that is a curve of quality against the share of strong calls. Of that curve:

- PGR: the share of the gap between weak and strong that is recovered at a point
- APGR: its mean over the share of strong calls, here from 11 points at the deciles as RouteLLM's
  `evaluate.py` has it, and exactly from all points
- CPT(x): the smallest share of strong calls that recovers x of the gap

(I. Ong et al., RouteLLM: Learning to Route LLMs with Preference Data, 2024, §2.) Random routing has
APGR 0.5. Prompts with equal numbers are one step in RouteLLM's deciles and an average over their
order in the exact curve, so a router of few values gains nothing from the order of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """quality[k] where a share[k] of the prompts goes to the strong model; shares ascend."""

    share: Floats
    quality: Floats
    weak: float
    strong: float

    @property
    def apgr(self) -> float:
        """Average performance gap recovered; NaN where the models do equally well."""
        gap = self.strong - self.weak
        if not gap:
            return float("nan")
        # RouteLLM takes the flat areas over the curve's own span of shares.
        span = self.share[-1] - self.share[0]
        area = float(np.trapezoid(self.quality, self.share))
        return (area - self.weak * span) / (gap * span) if span else float("nan")

    def pgr(self, share: float) -> float:
        """Performance gap recovered with that share of strong calls; NaN where there is no gap."""
        gap = self.strong - self.weak
        reached = float(np.interp(share, self.share, self.quality))
        return (reached - self.weak) / gap if gap else float("nan")

    def cpt(self, part: float) -> float:
        """Smallest share of strong calls that recovers `part` of the gap, by interpolation.

        As RouteLLM has it: `numpy.interp` over the points sorted by share, which takes quality to
        rise with them.
        """
        return float(
            np.interp(self.weak + part * (self.strong - self.weak), self.quality, self.share)
        )

    def share_for(self, part: float) -> float:
        """The first share at which `part` of the gap is recovered, for curves that also fall."""
        goal = self.weak + part * (self.strong - self.weak)
        reached = np.flatnonzero(self.quality >= goal - 1e-12)
        if not len(reached):
            return 1.0
        k = int(reached[0])
        if k == 0 or self.quality[k] == self.quality[k - 1]:
            return float(self.share[k])
        low, high = self.quality[k - 1], self.quality[k]
        step = (goal - low) / (high - low)
        return float(self.share[k - 1] + step * (self.share[k] - self.share[k - 1]))


def decile_curve(score: Floats, weak: Floats, strong: Floats, points: int = 10) -> Curve:
    """The curve through `points + 1` thresholds at equal quantiles of the score, as RouteLLM's.

    Scores that repeat make thresholds that coincide; RouteLLM stops with an error there, here the
    points simply coincide too.
    """
    score, weak, strong = _checked(score, weak, strong)
    thresholds = np.quantile(score, np.linspace(0, 1, points + 1))
    share, quality = np.empty(points + 1), np.empty(points + 1)
    for k, threshold in enumerate(thresholds):
        chosen = score > threshold if k == points else score >= threshold
        share[k], quality[k] = chosen.mean(), np.where(chosen, strong, weak).mean()
    order = np.argsort(share, kind="stable")
    return Curve(
        share=share[order],
        quality=quality[order],
        weak=float(weak.mean()),
        strong=float(strong.mean()),
    )


def exact_curve(score: Floats, weak: Floats, strong: Floats) -> Curve:
    """The curve through every threshold, ties broken evenly (a straight line across them)."""
    score, weak, strong = _checked(score, weak, strong)
    values, group = np.unique(-score, return_inverse=True)
    counts = np.bincount(group, minlength=len(values))
    gains = np.bincount(group, weights=strong - weak, minlength=len(values))
    share = np.concatenate(([0.0], np.cumsum(counts) / len(score)))
    quality = weak.mean() + np.concatenate(([0.0], np.cumsum(gains) / len(score)))
    return Curve(share=share, quality=quality, weak=float(weak.mean()), strong=float(strong.mean()))


def best_curve(weak: Floats, strong: Floats) -> Curve:
    """The curve of a router that knows the outcomes: nobody can do better."""
    return exact_curve(strong - weak, weak, strong)


def interval(
    measure: Callable[[Floats, Floats, Floats], float],
    score: Floats,
    weak: Floats,
    strong: Floats,
    *,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile bootstrap interval over prompts.

    (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13.)
    """
    random = np.random.default_rng(seed)
    n = len(score)
    values = []
    for _ in range(resamples):
        drawn = random.integers(0, n, n)
        value = measure(score[drawn], weak[drawn], strong[drawn])
        if np.isfinite(value):
            values.append(value)
    if not values:
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _checked(score: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats, Floats]:
    if not len(score) or not len(score) == len(weak) == len(strong):
        raise InvalidValue(
            f"{len(score)} scores for {len(weak)} weak and {len(strong)} strong outcomes",
            next_step="give one of each per prompt, at least one",
        )
    if not (np.isfinite(score).all() and np.isfinite(weak).all() and np.isfinite(strong).all()):
        raise InvalidValue(
            "scores or outcomes that are not finite", next_step="leave these prompts out"
        )
    return score, weak, strong
