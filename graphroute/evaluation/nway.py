"""Routing among many models: what a router gains between mixing fixed models and the oracle.

Without looking at a prompt one can already reach every mix of two models; the upper hull of
(cost, quality) of the single models is that frontier. An oracle that knows every outcome has a
frontier far above it. A router that sends prompt i to `argmax p[i, m] − λ·cost[i, m]` has one for
λ from 0 to ∞. With areas taken over the cost range of the hull, where log-cost is the axis so that
a cheap model and a dear one both count:

    gain = (area(router) − area(hull)) / (area(oracle) − area(hull))

0: no better than mixing models at random; 1: the oracle; below 0: worse than not routing at all.
(Q. J. Hu et al., RouterBench, 2024, take the area under the hull of cost and quality likewise.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphroute.ir.problem import Floats

_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frontier:
    """quality[k] at cost_usd[k] per prompt, costs ascending, each quality the best so far."""

    cost_usd: Floats
    quality: Floats

    def at(self, cost_usd: Floats) -> Floats:
        """Best quality for at most that cost, mixing neighbouring points."""
        return np.interp(cost_usd, self.cost_usd, self.quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a router reaches between mixing fixed models (0) and the oracle (1)."""

    gain: float
    area_router: float
    area_fixed: float
    area_oracle: float


def hull(cost_usd: Floats, quality: Floats) -> Frontier:
    """Upper concave hull of points, from the cheapest to the best."""
    order = np.lexsort((-quality, cost_usd))
    kept: list[tuple[float, float]] = []
    for x, y in zip(cost_usd[order].tolist(), quality[order].tolist(), strict=True):
        if kept and y <= max(q for _, q in kept):
            continue
        while len(kept) > 1 and _is_below(kept[-2], kept[-1], (x, y)):
            kept.pop()
        kept.append((x, y))
    return Frontier(cost_usd=np.array([x for x, _ in kept]), quality=np.array([y for _, y in kept]))


def _is_below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def fixed(correct: Floats, cost_usd: Floats) -> Frontier:
    """The hull of the single models."""
    return hull(cost_usd.mean(0), correct.mean(0))


def routed(predicted: Floats, expected_usd: Floats, correct: Floats, cost_usd: Floats) -> Frontier:
    """The hull of the points a router reaches, choosing by predicted quality and expected cost."""
    n = np.arange(len(predicted))
    spread = max(float(expected_usd.max()), 1e-12)
    low = max(float(expected_usd[expected_usd > 0].min(initial=spread)), 1e-12)
    prices = np.concatenate(([0.0], np.geomspace(1e-4 / spread, 10 / low, _STEPS)))
    points = []
    for price in prices:
        # Equal values go to the cheaper model.
        chosen = np.argmax(predicted - (price + 1e-9 / spread) * expected_usd, axis=1)
        points.append((cost_usd[n, chosen].mean(), correct[n, chosen].mean()))
    reached = np.array(points)
    return hull(reached[:, 0], reached[:, 1])


def gain(predicted: Floats, expected_usd: Floats, correct: Floats, cost_usd: Floats) -> Gain:
    """The gain of a router's predictions; see the module's docstring.

    predicted[n, m]: probability of a right answer; expected_usd[n, m]: cost known beforehand
    correct[n, m], cost_usd[n, m]: what came out
    """
    base = fixed(correct, cost_usd)
    router = routed(predicted, expected_usd, correct, cost_usd)
    oracle = routed(correct, cost_usd, correct, cost_usd)
    low, high = base.cost_usd[0], base.cost_usd[-1]
    grid = np.geomspace(max(low, 1e-12), max(high, low * (1 + 1e-9), 2e-12), 400)
    span = np.log(grid[-1] / grid[0])
    areas = [float(np.trapezoid(f.at(grid), np.log(grid)) / span) for f in (router, base, oracle)]
    room = areas[2] - areas[1]
    return Gain(
        gain=(areas[0] - areas[1]) / room if room > 0 else float("nan"),
        area_router=areas[0],
        area_fixed=areas[1],
        area_oracle=areas[2],
    )


def cost_at(frontier: Frontier, quality: float) -> float:
    """The smallest cost per prompt that reaches a quality; infinity where none does."""
    if frontier.quality[-1] < quality - 1e-12:
        return float("inf")
    return float(np.interp(quality, frontier.quality, frontier.cost_usd))
