"""How many of a model's answers are good that it was so sure of: a curve over the score.

    P(good | score) = σ(shift + slope · logit(score))

Platt's form on the score's log-odds (J. Platt, Probabilistic Outputs for Support Vector Machines,
1999): `slope` 1 and `shift` 0 is a model that knows how sure it may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_EDGE: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Gives the chance in (0, 1) of a good answer for a score in [0, 1]; slope ≥ 0.

    >>> honest = Curve(shift=0.0, slope=1.0)
    >>> round(honest(0.7), 3), honest(0.2) < honest(0.9)
    (0.7, True)
    """

    shift: float
    slope: float

    def __call__(self, score: float) -> float:
        """The chance; scores next to 0 and 1 count as 0.0001 and 0.9999."""
        return 1 / (1 + math.exp(-(self.shift + self.slope * log_odds(score))))


def log_odds(score: float) -> float:
    """Of a score in [0, 1], kept finite.

    >>> log_odds(0.5), log_odds(1.0) < 10
    (0.0, True)
    """
    inside = min(max(score, _EDGE), 1 - _EDGE)
    return math.log(inside / (1 - inside))


USUAL: Final = Curve(shift=0.1, slope=0.3)
"""For a model of which nothing is known: fitted to answers of small models to questions of four
kinds (`benchmarks/sureness.py`). It is flat, for how sure a model is in general differs more from
model to model and step to step than between its right and wrong answers."""

_RIGHT: Final = (0.20, 0.32, 0.49, 0.59, 0.70, 0.80, 0.86, 0.92, 0.95, 0.97, 0.99)
_WRONG: Final = (0.19, 0.27, 0.34, 0.44, 0.57, 0.65, 0.75, 0.86, 0.88, 0.90, 0.96)
"""Scores of right and wrong answers there, by tenths of the answers from the lowest on."""


def usual_rates(at_least: float) -> tuple[float, float]:
    """Shares in [0, 1] of right and of wrong answers that have a chance of `at_least`, as `USUAL`
    has it.

    >>> [round(share, 2) for share in usual_rates(0.5)]
    [0.84, 0.72]
    """
    return _above(_RIGHT, at_least), _above(_WRONG, at_least)


def _above(tenths: tuple[float, ...], at_least: float) -> float:
    """The share of scores from the first that is chance enough; straight lines between tenths."""
    chances = [USUAL(score) for score in tenths]
    if at_least <= chances[0]:
        return 1.0
    for i, (low, high) in enumerate(pairwise(chances)):
        if at_least <= high:
            return 1 - (i + (at_least - low) / (high - low)) / (len(tenths) - 1)
    return 0.0
