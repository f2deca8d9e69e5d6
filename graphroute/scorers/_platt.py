"""From raw predictions per model to probabilities, by Platt scaling; and how able each model is.

(J. Platt, Probabilistic Outputs for Support Vector Machines, 1999.) The predictions are of prompts
that were left out of the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from graphroute.ir.ability import ability
from graphroute.ir.problem import Floats
from graphroute.ir.quality import OFFSET, SLOPE
from graphroute.protocols import Outcomes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Per model: P = σ(scale · raw + shift); and its ability in [0, 1]."""

    scale: Floats
    shift: Floats
    ability: Floats

    def chances(self, raw: Floats) -> Floats:
        """P[n, m] for raw[n, m]."""
        return sigmoid(raw * self.scale + self.shift)


def abilities(data: Outcomes) -> Floats:
    """Ability[m] in [0, 1] of the models of the outcomes."""
    found = np.zeros(len(data.models))
    for j, model in enumerate(data.models):
        found[j], source = ability(model)
        if source == "default":
            # Unknown to the tables ("strong", "weak"): as able as its mean success on these
            # prompts says, if they are of middle difficulty.
            mean = float(np.clip(np.nanmean(data.correct[:, j]), 0.02, 0.98))
            found[j] = np.clip(0.5 + (math.log(mean / (1 - mean)) - OFFSET) / SLOPE, 0, 1)
    return found


def calibrated(raw: Floats, data: Outcomes, able: Floats) -> Calibration:
    """Scale and shift from raw[n, m], NaN where a prompt was not left out; able[m] as given."""
    scale, shift = np.ones(len(able)), np.zeros(len(able))
    for j in range(len(able)):
        known = np.isfinite(data.correct[:, j]) & np.isfinite(raw[:, j])
        scale[j], shift[j] = _platt(raw[known, j], data.correct[known, j])
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
        p = sigmoid(a * x + b)
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


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^−x)."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))
