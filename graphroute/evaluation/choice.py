"""Which prompts to label first: at random, or the ones that teach most.

Active choice here is k-center greedy on the prompts' features (O. Sener, S. Savarese, Active
Learning for Convolutional Neural Networks: A Core-Set Approach, 2018): each next prompt is the one
furthest from all chosen ones. It needs no labels and no model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes


def drawn(data: Outcomes, count: int, *, seed: int = 0) -> Outcomes:
    """`count` prompts of `data` at random, all of them where there are fewer."""
    if count < 1:
        raise InvalidValue(f"{count} prompts to draw", value=count, next_step="draw at least one")
    order = np.random.default_rng(seed).permutation(len(data.prompts))[:count]
    return taken(data, np.sort(order))


def spread(points: Floats, count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Numbers of `count` rows of points[n, d] that lie far from one another, the first by chance.

    >>> sorted(spread(np.array([[0.0], [0.1], [5.0], [9.0]]), 3).tolist())[1:]
    [2, 3]
    """
    n = len(points)
    chosen = [int(np.random.default_rng(seed).integers(n))]
    square = (points**2).sum(1)
    nearest = np.full(n, np.inf)
    while len(chosen) < min(count, n):
        last = points[chosen[-1]]
        nearest = np.minimum(nearest, square - 2 * points @ last + last @ last)
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen, dtype=np.int64)


def taken(data: Outcomes, rows: NDArray[np.int64]) -> Outcomes:
    """The outcomes of the prompts with these numbers."""
    return Outcomes(
        prompts=tuple(data.prompts[i] for i in rows),
        models=data.models,
        correct=data.correct[rows],
        tags=tuple(data.tags[i] for i in rows) if data.tags else (),
        ids=tuple(data.ids[i] for i in rows) if data.ids else (),
    )
