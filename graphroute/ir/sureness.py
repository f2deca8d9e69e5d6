"""How many of a model's answers are good that it was so sure of: a curve over the score.

    P(good | score) = σ(shift + slope · logit(score))

Platt's form on the score's log-odds (J. Platt, Probabilistic Outputs for Support Vector Machines,
1999): `slope` 1 and `shift` 0 is a model that knows how sure it may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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


USUAL: Final = Curve(shift=-1.0, slope=0.6)
"""For a model of which nothing is known: fitted to answers of small models to questions of four
kinds (`benchmarks/sureness.py`)."""
