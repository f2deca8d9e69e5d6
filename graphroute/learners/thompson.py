"""Thompson sampling under a budget: draw what each model may be worth, ask the best of the draws.

Each model's quality q is drawn from its Beta posterior; the model with the largest

    weight · log q − shadow price · cost

is asked; where the objective is the cost, the cheapest of which the draw reaches the quality that
the plan keeps. The shadow price is the Lagrange multiplier of the budget in the plan, so choosing
call by call in this way is solving the plan's knapsack with the drawn qualities, as long as the
multiplier stays (S. Agrawal and N. R. Devanur, Bandits with concave rewards and convex knapsacks,
EC 2014).
A model of which little is known is drawn far up now and then, and so gets asked until it is known.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from random import Random
from typing import Final

from graphroute.ir.learning import Look

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[Mapping[str, object], ...]] = ({}, {"seed": 7})

_LEAST: Final = 1e-3


def build(*, seed: int = 0) -> Thompson:
    """The learner; the same seed gives the same draws."""
    return Thompson(seed)


class Thompson:
    """Challenges the plan's choice where a draw beats it.

    >>> from graphroute.ir.learning import Arm
    >>> known = Arm(model="old", good=90.0, bad=10.0, cost_usd=0.01)
    >>> new = Arm(model="new", good=1.0, bad=1.0, cost_usd=0.01)
    >>> look = Look(node="draft", arms=(known, new), weight=1.0, shadow_price=0.0)
    >>> learner = build(seed=1)
    >>> drawn = [learner.challenger(look) for _ in range(1000)]
    >>> 50 < drawn.count("new") < 200
    True
    """

    name = "thompson"

    def __init__(self, seed: int) -> None:
        self._random = Random(f"thompson {seed}")
        self._lock = threading.Lock()

    def challenger(self, look: Look) -> str | None:
        """The model whose draw is best; None where that is the plan's choice, the first."""
        with self._lock:
            drawn = [self._draw(arm.good, arm.bad) for arm in look.arms]
        if look.floor is not None:
            worth = [
                -arm.cost_usd if not k or drawn[k] >= look.floor else -math.inf
                for k, arm in enumerate(look.arms)
            ]
        else:
            worth = [
                look.weight * math.log(max(_LEAST, q)) - look.shadow_price * arm.cost_usd
                for q, arm in zip(drawn, look.arms, strict=True)
            ]
        best = max(range(len(worth)), key=lambda k: (worth[k], -k), default=0)
        return look.arms[best].model if best else None

    def _draw(self, good: float, bad: float) -> float:
        return self._random.betavariate(max(good, _LEAST), max(bad, _LEAST))
