"""From difficulty and ability to the probability of a good answer.

The one-parameter logistic (Rasch) model of item response theory: `P(good) = σ(SLOPE · (ability −
difficulty) + OFFSET)`, with both on the scale [0, 1]. (G. Rasch, Probabilistic Models for Some
Intelligence and Attainment Tests, 1960.)

The constants are those of a *step*, whose prompts differ among themselves. Recorded outcomes of
66 models on five kinds of work put the models' abilities 8.2 question-level log-odds apart per
unit (`ir.ability`), and the questions of one kind of work 1.5 to 2.1 log-odds around their mean.
Averaging a logistic curve over such a spread flattens it by `√(1 + 1.7² · 0.346) ≈ 1.4`, and
8.2 / 1.4 ≈ 6. On that scale grade-school sums lie at 0.22, tool calls at 0.37, the output of short
programs at 0.50, MMLU-Pro at 0.56 and competition mathematics at 0.72.
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
