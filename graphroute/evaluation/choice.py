"""Which prompts to label first: at random, or chosen so that few stand for all.

The choice is kernel herding (Y. Chen, M. Welling, A. Smola, Super-Samples from Kernel Herding,
2010) on the prompts' topics, a Gaussian kernel by random Fourier features; it needs no labels.
Measured on MMLU with 1,500 labels it is as good as chance and no better (docs/evaluation.md), and
k-center, which takes the prompts furthest from one another, was far worse: it takes the odd ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes

_FEATURES = 600


def drawn(data: Outcomes, count: int, *, seed: int = 0) -> Outcomes:
    """`count` prompts of `data` at random, all of them where there are fewer."""
    if count < 1:
        raise InvalidValue(f"{count} prompts to draw", value=count, next_step="draw at least one")
    order = np.random.default_rng(seed).permutation(len(data.prompts))[:count]
    return data.rows(np.sort(order))


def even(points: Floats | NDArray[np.float32], count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Numbers of `count` rows of points[n, d] that together look like all of them.

    >>> line = np.linspace(0, 1, 101)[:, None]
    >>> abs(float(line[even(line, 10)].mean()) - 0.5) < 0.05
    True
    """
    random = np.random.default_rng(seed)
    draw = random.normal(0, 3, (points.shape[1], _FEATURES))
    shift = random.uniform(0, 2 * np.pi, _FEATURES)
    seen_as = np.cos(points @ draw + shift).astype(np.float32)
    mean = seen_as.mean(0)
    wanted = mean.copy()
    is_free = np.ones(len(points), np.bool_)
    chosen = []
    for _ in range(min(count, len(points))):
        best = int(np.argmax(np.where(is_free, seen_as @ wanted, -np.inf)))
        chosen.append(best)
        is_free[best] = False
        wanted += mean - seen_as[best]
    return np.array(chosen, dtype=np.int64)
