"""Fit a scorer to judged answers of one's own, and find out on later ones whether that is better.

What is fitted is what the router does with a difficulty (`runtime.leaning`):

    logit P(good) = level(node, model) − SLOPE · (d'(q) − mean d' of the node)

with d' linear in the scorer's difficulty and the prompt's traits (`scorers.adapted`), by logistic
regression with ridge penalties: the slope is drawn to the share that counts already, the traits'
weights to nothing. How strongly, cross-validation over runs says, and it may say that no trait
counts at all.

Whether it is better is told by answers that came later and were not fitted on: the mean log-loss
saved per answer, with an interval that counts each run as one (its answers are not independent).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.features import TRAITS
from graphroute.ir.problem import Floats, Ints
from graphroute.ir.quality import SLOPE
from graphroute.scorers.adapted import Adaptation

PENALTIES: Final = (math.inf, 300.0, 100.0, 30.0)
"""Of a trait's weight, in units of its spread; infinite: the slope alone is fitted."""

SLOPE_PENALTY: Final = 1.0
PRIOR: Final = 2.0
"""Answers that the mean over all nodes and models is worth at each of them."""

_FOLDS: Final = 5
_SPREAD: Final = 0.02
"""Smallest standard deviation of a trait within nodes that its weight is measured in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Judged answers: difficulty[n] of the unchanged scorer, traits[n, TRAITS], score[n] in [0, 1].

    weight[n]: how much each counts; node[n], cell[n] (node and model), run[n]: numbers from 0
    """

    difficulty: Floats
    traits: Floats
    score: Floats
    weight: Floats
    node: Ints
    cell: Ints
    run: Ints

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.bool_] | slice) -> Judged:
        """Those that the mask or slice keeps."""
        return Judged(
            difficulty=self.difficulty[rows],
            traits=self.traits[rows],
            score=self.score[rows],
            weight=self.weight[rows],
            node=self.node[rows],
            cell=self.cell[rows],
            run=self.run[rows],
        )


def judged(
    *,
    difficulty: Sequence[float],
    traits: Sequence[Sequence[float]],
    score: Sequence[float],
    weight: Sequence[float],
    nodes: Sequence[Hashable],
    cells: Sequence[Hashable],
    runs: Sequence[Hashable],
) -> Judged:
    """Judged answers from lists of equal length; what is equal gets one number."""
    return Judged(
        difficulty=np.array(difficulty, dtype=np.float64),
        traits=np.array(traits, dtype=np.float64).reshape(len(traits), TRAITS),
        score=np.array(score, dtype=np.float64),
        weight=np.array(weight, dtype=np.float64),
        node=_numbers(nodes),
        cell=_numbers(cells),
        run=_numbers(runs),
    )


def _numbers(keys: Sequence[Hashable]) -> Ints:
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(key, len(first)) for key in keys], dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Log-loss saved per answer on later answers, with its interval; answers and runs behind it."""

    mean: float
    low: float
    high: float
    answers: int
    runs: int


def adapted(data: Judged, *, share: float) -> Adaptation:
    """What these answers say the difficulty should be made of.

    share: what departures of the unchanged scorer count now, in [0, 1]
    """
    losses = [sum(_left_out(data, share, penalty)) for penalty in PENALTIES]
    return _fitted(data, share=share, penalty=PENALTIES[int(np.argmin(losses))])


def gain(seen: Judged, later: Judged, *, old: Adaptation, new: Adaptation, risk: float) -> Gain:
    """What `new` saves over `old` on later answers, both knowing what was seen.

    risk: chance that the gain is less than `low` says, on one side

    >>> rng = np.random.default_rng(0)
    >>> hard = rng.uniform(0.2, 0.8, 4000)
    >>> good = (rng.random(4000) < 1 / (1 + np.exp(6.0 * (hard - 0.5)))).astype(float)
    >>> none = np.zeros(4000, int)
    >>> data = Judged(difficulty=hard, traits=np.zeros((4000, TRAITS)), score=good,
    ...     weight=np.ones(4000), node=none, cell=none, run=np.arange(4000))
    >>> early = np.arange(4000) < 2000
    >>> found = gain(data.take(early), data.take(~early), old=Adaptation(slope=0.0),
    ...     new=adapted(data.take(early), share=0.0), risk=0.025)
    >>> 0 < found.low < found.mean < found.high
    True
    """
    saved = _loss(seen, later, old) - _loss(seen, later, new)
    runs = np.unique(later.run, return_inverse=True)[1]
    by_run = np.bincount(runs, weights=later.weight * saved)
    counts = np.bincount(runs, weights=later.weight)
    total = float(counts.sum())
    mean = float(by_run.sum()) / total
    many = len(counts)
    # Of a ratio of sums over runs, each run being one draw.
    error = math.sqrt(many / max(many - 1, 1) * float(((by_run - mean * counts) ** 2).sum()))
    half = -NormalDist().inv_cdf(risk) * error / total
    return Gain(mean=mean, low=mean - half, high=mean + half, answers=len(later), runs=many)


def log_odds(seen: Judged, later: Judged, made: Adaptation) -> Floats:
    """Log-odds[n] of a good answer for later prompts, as the router counts them."""
    levels = _levels(seen, int(max(seen.cell.max(), later.cell.max())) + 1)
    known = made.difficulty(seen.difficulty, seen.traits)
    nodes = int(max(seen.node.max(), later.node.max())) + 1
    usual = _means(known, seen.node, seen.weight, nodes)
    hard = made.difficulty(later.difficulty, later.traits)
    # At a node never seen before nothing is usual, and nothing departs from it.
    away = np.where(np.isfinite(usual[later.node]), hard - usual[later.node], 0.0)
    return np.asarray(levels[later.cell] - SLOPE * away)


def _loss(seen: Judged, later: Judged, made: Adaptation) -> Floats:
    odds = log_odds(seen, later, made)
    return np.asarray(np.logaddexp(0, odds) - later.score * odds)


def _left_out(data: Judged, share: float, penalty: float) -> Sequence[float]:
    """Loss on each fold of runs of what the others fitted."""
    found = []
    for fold in range(_FOLDS):
        out = data.run % _FOLDS == fold
        if out.all() or not out.any():
            continue
        rest, here = data.take(~out), data.take(out)
        made = _fitted(rest, share=share, penalty=penalty)
        found.append(float((here.weight * _loss(rest, here, made)).sum()))
    return found


def _fitted(data: Judged, *, share: float, penalty: float) -> Adaptation:
    nodes = int(data.node.max()) + 1
    base = data.difficulty - _means(data.difficulty, data.node, data.weight, nodes)[data.node]
    away = data.traits.copy()
    for k in range(TRAITS):
        away[:, k] -= _means(data.traits[:, k], data.node, data.weight, nodes)[data.node]
    spread = away.std(0)
    used = np.flatnonzero(spread > _SPREAD) if math.isfinite(penalty) else np.zeros(0, np.intp)
    x = np.column_stack((-SLOPE * base, -away[:, used] / spread[used]))
    prior = np.append(share, np.zeros(len(used)))
    strength = np.append(SLOPE_PENALTY, np.full(len(used), penalty))
    levels = _levels(data, int(data.cell.max()) + 1)[data.cell]
    beta = _map(x, levels, data, prior, strength)
    if beta[0] < 0:
        # A difficulty that ranks the wrong way round has learned nothing here.
        beta = np.append(0.0, _map(x[:, 1:], levels, data, prior[1:], strength[1:]))
    weights = np.zeros(TRAITS)
    weights[used] = beta[1:] / (spread[used] * SLOPE)
    level = float(data.difficulty.mean() * (1 - beta[0]) - data.traits.mean(0) @ weights)
    return Adaptation(slope=float(beta[0]), weights=tuple(weights.tolist()), shift=level)


def _map(x: Floats, offset: Floats, data: Judged, prior: Floats, strength: Floats) -> Floats:
    """The most probable coefficients, by Newton's method."""
    beta = prior.copy()
    for _ in range(30 if len(beta) else 0):
        p = 1 / (1 + np.exp(-np.clip(offset + x @ beta, -30, 30)))
        slope = x.T @ (data.weight * (p - data.score)) + strength * (beta - prior)
        curve = (x * (data.weight * np.maximum(p * (1 - p), 1e-4))[:, None]).T @ x
        step = np.clip(np.linalg.solve(curve + np.diag(strength), slope), -2.0, 2.0)
        beta = beta - step
        if float(np.abs(step).max()) < 1e-7:
            break
    return beta


def _levels(data: Judged, cells: int) -> Floats:
    """Log-odds of a good answer by cell, drawn to the mean of all."""
    overall = float((data.weight * data.score).sum() / data.weight.sum())
    good = np.bincount(data.cell, weights=data.weight * data.score, minlength=cells)
    every = np.bincount(data.cell, weights=data.weight, minlength=cells)
    p = np.clip((good + PRIOR * overall) / (every + PRIOR), 0.01, 0.99)
    return np.asarray(np.log(p / (1 - p)))


def _means(values: Floats, group: Ints, weight: Floats, groups: int) -> Floats:
    """Mean by group, NaN for one without any."""
    sums = np.bincount(group, weights=weight * values, minlength=groups)
    every = np.bincount(group, weights=weight, minlength=groups)
    return np.where(every > 0, sums / np.maximum(every, 1e-12), np.nan)
