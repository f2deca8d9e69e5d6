"""Join what a node's own records, its prompt's text and its place in the graph say, by evidence.

Each source gives log-odds of a good answer. Their weights are fitted by logistic regression, none
negative, and kept only where they beat the best single source on prompts left out, by more than one
standard error; otherwise that source stands alone. So a weak text score cannot hurt: it gets the
weight it has earned, which may be none. (Stacking: D. H. Wolpert, Stacked Generalization, 1992;
non-negative weights: L. Breiman, Stacked Regressions, 1996.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats

_FOLDS = 5
_LEAST = 40
_PENALTY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """log-odds = shift + Σ weight · source; `gain`: log-loss saved over the best single source."""

    sources: tuple[str, ...]
    weights: tuple[float, ...]
    shift: float
    gain: float
    labels: int

    def success(self, log_odds: Floats) -> Floats:
        """Probability in (0, 1) for log_odds[n, k] of the sources."""
        return _sigmoid(log_odds @ np.array(self.weights) + self.shift)


def fit_blend(sources: tuple[str, ...], log_odds: Floats, correct: Floats, *, seed: int) -> Blend:
    """The blend of log_odds[n, k] that predicts correct[n] best on rows left out.

    The first source is the one to be trusted where there are too few labels to tell (< 40).
    """
    n, k = log_odds.shape
    if len(sources) != k or len(correct) != n or not n:
        raise InvalidValue(
            f"{k} columns for {len(sources)} sources, {n} rows for {len(correct)} labels",
            next_step="give log_odds[n, k] and correct[n]",
        )
    alone = tuple(1.0 if j == 0 else 0.0 for j in range(k))
    if n < _LEAST:
        return Blend(sources=sources, weights=alone, shift=0.0, gain=0.0, labels=n)
    fold = np.random.default_rng(seed).permutation(n) % _FOLDS
    losses = np.zeros((n, k + 1))
    for part in range(_FOLDS):
        inside, outside = fold != part, fold == part
        for j in range(k):
            weights, shift = _fit(log_odds[inside][:, [j]], correct[inside])
            losses[outside, j] = _loss(
                log_odds[outside][:, [j]] @ weights + shift, correct[outside]
            )
        weights, shift = _fit(log_odds[inside], correct[inside])
        losses[outside, k] = _loss(log_odds[outside] @ weights + shift, correct[outside])
    best = int(np.argmin(losses[:, :k].mean(0)))
    saved = losses[:, best] - losses[:, k]
    # One standard error: a gain that chance explains is no reason to listen to more sources.
    if saved.mean() > saved.std() / np.sqrt(n):
        weights, shift = _fit(log_odds, correct)
        gain = float(saved.mean())
    else:
        single, shift = _fit(log_odds[:, [best]], correct)
        weights, gain = np.zeros(k), 0.0
        weights[best] = single[0]
    return Blend(
        sources=sources,
        weights=tuple(float(w) for w in weights),
        shift=float(shift),
        gain=gain,
        labels=n,
    )


def _fit(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Non-negative weights drawn towards 1/k, and a free shift, by projected Newton steps."""
    n, k = x.shape
    weights, shift = np.full(k, 1.0 / k), 0.0
    prior = weights.copy()
    for _ in range(60):
        p = _sigmoid(x @ weights + shift)
        v = np.maximum(p * (1 - p), 1e-6)
        gradient = x.T @ (p - y) + _PENALTY * (weights - prior)
        # Coordinates held at zero and pushed further down leave the step.
        free = (weights > 0) | (gradient < 0)
        a = np.column_stack((x[:, free], np.ones(n)))
        g = np.append(gradient[free], (p - y).sum())
        h = (a * v[:, None]).T @ a + np.diag(np.append(np.full(int(free.sum()), _PENALTY), 1e-6))
        step = np.linalg.solve(h, g)
        new = weights.copy()
        new[free] -= step[:-1]
        new = np.maximum(new, 0.0)
        moved = float(np.abs(new - weights).max(initial=0.0)) + abs(float(step[-1]))
        weights, shift = new, shift - float(step[-1])
        if moved < 1e-8:
            break
    return weights, shift


def _loss(log_odds: Floats, y: Floats) -> Floats:
    return np.asarray(np.logaddexp(0, log_odds) - y * log_odds)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))))
