"""Exact label setting: extend partial assignments group by group, keep those nothing beats.

A label is (value, cost, time) of a partial assignment. It is dropped if another is at least as
good in all three, or if even the Lagrangian bound of what is left cannot lift it over the best
assignment known. (Kellerer, Pferschy, Pisinger, Knapsack Problems, 2004, ch. 11.5: multiple-choice
knapsack by dynamic programming with lists.)

One pair of prices bounds well what spends money and time as the optimum does, and badly what has
spent much of the one and little of the other. Every pair gives a bound, so labels and options have
to pass those of several pairs around the best one; that leaves a tenth of the labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from graphroute.ir.problem import Bools, Floats
from graphroute.solvers._choices import Choices, undominated
from graphroute.solvers._dual import Priced, limit
from graphroute.solvers._master import Options

MOST_LABELS = 40_000
MOST_TIMED_LABELS = 8_000
"""With time as well few labels dominate each other, and they are dearer to compare."""
FEW_LABELS = 1_200
"""What a short search may keep: it takes some twenty milliseconds at most."""
BEAM = 8
"""Above the limit one label in this many goes on."""
FACTORS = (1.0, 0.5, 0.8, 1.25, 2.0)
"""What the prices of the optimum are multiplied by, each by itself."""
PAIRWISE = 300
"""Up to this many labels are compared pair by pair when time counts too."""
BANDS = 32


def solve(
    choices: Choices,
    priced: Priced,
    budget: float | None,
    deadline: float | None,
    *,
    accept: float = 0.0,
    known: float = -np.inf,
    is_short: bool = False,
) -> tuple[Options | None, bool]:
    """Options better by more than `accept` (in value) than `priced` and than what is `known`, None
    where there are none; and whether the search was complete. An incomplete one keeps the most
    promising labels; a short one is that soon.
    """
    cap_c, cap_t = limit(budget), limit(deadline)
    floor = max(priced.value, known) + accept
    bounds = _Bounds.of(choices, priced, cap_c, cap_t)
    exists = bounds.options_above(floor)
    if not exists.any(axis=1).all():
        return None, True
    # Groups with few options left come first: the labels stay few while the bounds tighten.
    order = np.argsort(exists.sum(axis=1), kind="stable")
    rest = _after(bounds.best[:, order])
    cheap_rest = _after(np.where(exists, choices.cost, np.inf).min(axis=1)[order])
    quick_rest = _after(np.where(exists, choices.time, np.inf).min(axis=1)[order])
    is_complete = True
    most = FEW_LABELS if is_short else MOST_LABELS if deadline is None else MOST_TIMED_LABELS
    labels: Floats = np.zeros((1, 3))
    parents: list[np.ndarray[tuple[int, ...], np.dtype[np.intp]]] = []
    for k, g in enumerate(order):
        options = np.flatnonzero(exists[g])
        table = np.column_stack(
            [choices.value[g, options], choices.cost[g, options], choices.time[g, options]]
        )
        grown = (labels[:, None, :] + table[None, :, :]).reshape(-1, 3)
        came = np.column_stack(
            [
                np.repeat(np.arange(len(labels)), len(options)),
                np.tile(options, len(labels)),
            ]
        )
        keep = (grown[:, 1] + cheap_rest[k] <= cap_c) & (grown[:, 2] + quick_rest[k] <= cap_t)
        grown, came = grown[keep], came[keep]
        keep = bounds.reach(grown, rest[:, k]) > _above(floor)
        grown, came = grown[keep], came[keep]
        if not len(grown):
            return None, is_complete
        kept = _front(grown, has_time=deadline is not None)
        labels, came = grown[kept], came[kept]
        if len(labels) > most:
            is_complete = False
            hope = bounds.reach(labels, rest[:, k])
            best = np.sort(np.argsort(-hope, kind="stable")[: most // BEAM])
            labels, came = labels[best], came[best]
        parents.append(came)
    at = int(np.lexsort((labels[:, 1], -labels[:, 0]))[0])
    if labels[at, 0] <= max(priced.value, known):
        return None, is_complete
    found = np.zeros(len(order), dtype=np.intp)
    for k in range(len(order) - 1, -1, -1):
        found[order[k]] = parents[k][at, 1]
        at = int(parents[k][at, 0])
    return found, is_complete


def _above(floor: float) -> float:
    """What a bound must be greater than, so that rounding keeps no label alive."""
    return floor + 1e-12 * max(1.0, abs(floor)) if np.isfinite(floor) else floor


def _after(values: Floats) -> Floats:
    """Sums of what follows each column, the last axis being in order."""
    total: Floats = np.cumsum(values[..., ::-1], axis=-1)[..., ::-1] - values
    return total


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prices:
    """J pairs of prices, all different: lam[j] per USD, mu[j] per second; slack[j]: what the limits
    are worth at these. A limit that there is not has no price.
    """

    lam: Floats
    mu: Floats
    slack: Floats

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]], cap_c: float, cap_t: float) -> Prices:
        """These pairs, in order of their size."""
        lam, mu = np.array(sorted(set(pairs))).T
        # Where there is no limit the price is 0, and 0 · ∞ is to be 0.
        slack = lam * (cap_c if np.isfinite(cap_c) else 0.0)
        slack += mu * (cap_t if np.isfinite(cap_t) else 0.0)
        return cls(lam=lam, mu=mu, slack=slack)

    @classmethod
    def around(cls, priced: Priced, cap_c: float, cap_t: float) -> Prices:
        """The prices found and those around them."""
        pairs = [(priced.cost_price * a, priced.time_price * b) for a in FACTORS for b in FACTORS]
        return cls.of(pairs, cap_c, cap_t)

    def at(self, priced: Priced) -> int:
        """The number of the pair that was found."""
        here = (self.lam == priced.cost_price) & (self.mu == priced.time_price)
        return int(here.argmax())

    def scores(self, choices: Choices) -> Floats:
        """score[j, g, o]: value of an option less what it costs at these prices."""
        found: Floats = choices.value - self.lam[:, None, None] * choices.cost
        found -= self.mu[:, None, None] * choices.time
        return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Bounds:
    """Lagrangian bounds under several prices; best[j, g]: the largest score of a group."""

    prices: Prices
    score: Floats
    best: Floats

    @classmethod
    def of(cls, choices: Choices, priced: Priced, cap_c: float, cap_t: float) -> _Bounds:
        prices = Prices.around(priced, cap_c, cap_t)
        score = prices.scores(choices)
        return cls(prices=prices, score=score, best=score.max(axis=2))

    def options_above(self, floor: float) -> Bools:
        """options[g, o]: no bound rules out an assignment above `floor` with this option."""
        whole = self.best.sum(axis=1) + self.prices.slack
        with_it = whole[:, None, None] - (self.best[:, :, None] - self.score)
        found: Bools = (with_it > _above(floor)).all(axis=0) & np.isfinite(self.score[0])
        return found

    def reach(self, labels: Floats, rest: Floats) -> Floats:
        """The least bound of each label (value, cost, time) with the best of all that follows."""
        prices = self.prices
        bounds = labels[:, :1] - labels[:, 1:2] * prices.lam - labels[:, 2:] * prices.mu
        least: Floats = (bounds + (prices.slack + rest)).min(axis=1)
        return least


def _front(labels: Floats, *, has_time: bool) -> Options:
    """Rows that none beats in value, cost (and time)."""
    if has_time and len(labels) <= PAIRWISE:
        return np.array(
            undominated(np.column_stack([-labels[:, 0], labels[:, 1], labels[:, 2]])), dtype=np.intp
        )
    if has_time:
        return _banded(labels)
    order = np.lexsort((-labels[:, 0], labels[:, 1]))
    best = np.maximum.accumulate(labels[order, 0])
    before = np.concatenate([[-np.inf], best[:-1]])
    kept: Options = order[labels[order, 0] > before]
    return kept


def _banded(labels: Floats) -> Options:
    """Rows left when each is compared with those of lower cost in lower bands of time: most that
    are beaten are found, in time that grows only with the number of bands.
    """
    order = np.lexsort((-labels[:, 0], labels[:, 2], labels[:, 1]))
    value, time = labels[order, 0], labels[order, 2]
    edges = np.sort(time)[np.arange(1, BANDS) * len(time) // BANDS]
    band = np.searchsorted(edges, time, side="left")
    beaten = np.zeros(len(order), dtype=bool)
    best_below = np.full(len(order), -np.inf)
    for b in range(BANDS):
        here = band == b
        beaten[here] = best_below[here] >= value[here]
        best_below = np.maximum(best_below, np.maximum.accumulate(np.where(here, value, -np.inf)))
    kept: Options = order[~beaten]
    return kept
