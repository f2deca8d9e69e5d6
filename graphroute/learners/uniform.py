"""Any other model with the same chance: what an experiment is worth that knows nothing.

It spends the same share of the budget, but also on models that are known to be bad, so it is here
to compare with and for audits in which every model must be asked now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from random import Random
from typing import Final

from graphroute.errors import InvalidValue
from graphroute.ir.learning import Look

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[Mapping[str, object], ...]] = ({}, {"seed": 3, "rate": 0.5})


def build(*, seed: int = 0, rate: float = 0.1) -> Uniform:
    """rate: share of calls, in [0, 1], that it wants for another model."""
    if not 0 <= rate <= 1:
        raise InvalidValue(f"uniform rate={rate!r}", value=rate, next_step="use a share in [0, 1]")
    return Uniform(seed, rate)


class Uniform:
    """Challenges a share of the calls, with any of the other models.

    >>> from graphroute.ir.learning import Arm
    >>> arms = tuple(Arm(model=m, good=1.0, bad=1.0, cost_usd=0.0) for m in "abc")
    >>> look = Look(node="draft", arms=arms, weight=1.0, shadow_price=0.0)
    >>> sorted({build(seed=s, rate=1.0).challenger(look) for s in range(20)})
    ['b', 'c']
    """

    name = "uniform"

    def __init__(self, seed: int, rate: float) -> None:
        self._random, self._rate = Random(f"uniform {seed}"), rate
        self._lock = threading.Lock()

    def challenger(self, look: Look) -> str | None:
        """Another model than the first, or None."""
        with self._lock:
            if len(look.arms) < 2 or self._random.random() >= self._rate:
                return None
            return self._random.choice(look.arms[1:]).model
