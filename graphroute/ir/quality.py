"""From difficulty and ability to the probability of a good answer.

The one-parameter logistic (Rasch) model of item response theory: `P(good) = σ(SLOPE · (ability −
difficulty) + OFFSET)`, with both on the scale [0, 1]. (G. Rasch, Probabilistic Models for Some
Intelligence and Attainment Tests, 1960.)
"""

from __future__ import annotations

import math

SLOPE = 6.0
"""How fast success falls as a step gets harder than the model is able; per unit of difficulty."""

OFFSET = 1.0
"""Log-odds of success where difficulty equals ability."""

Q_MIN = 0.01
Q_MAX = 0.995


def success(difficulty: float, ability: float) -> float:
    """Probability in [Q_MIN, Q_MAX] that a model of this ability answers such a step well.

    >>> round(success(0.5, 0.5), 3)
    0.731
    >>> success(0.2, 0.9) > success(0.9, 0.9) > success(0.9, 0.2)
    True
    """
    p = 1 / (1 + math.exp(-(SLOPE * (ability - difficulty) + OFFSET)))
    return min(max(p, Q_MIN), Q_MAX)


def ability_for(quality: float, difficulty: float = 0.5) -> float:
    """The ability at which `success(difficulty, ability)` is `quality`; in [0, 1], clipped.

    >>> round(success(0.5, ability_for(0.8)), 3)
    0.8
    """
    q = min(max(quality, Q_MIN), Q_MAX)
    return min(max(difficulty + (math.log(q / (1 - q)) - OFFSET) / SLOPE, 0.0), 1.0)
