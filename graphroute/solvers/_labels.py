"""Exact label setting: extend partial assignments group by group, keep those nothing beats.

A label is (value, cost, time) of a partial assignment. It is dropped if another is at least as
good in all three, or if even the Lagrangian bound of what is left cannot lift it over the best
assignment known. (Kellerer, Pferschy, Pisinger, Knapsack Problems, 2004, ch. 11.5: multiple-choice
knapsack by dynamic programming with lists.)
"""

from __future__ import annotations

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.solvers._choices import Choices, undominated
from graphroute.solvers._dual import Priced, limit
from graphroute.solvers._master import Options

MOST_LABELS = 40_000
MOST_TIMED_LABELS = 8_000
"""With time as well few labels dominate each other, and they are dearer to compare."""
BEAM = 8
"""Above the limit one label in this many goes on."""
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
) -> tuple[Options | None, bool]:
    """Options better by more than `accept` (in value) than `priced` and than what is `known`, None
    where there are none; and whether the search was complete. An incomplete one keeps the most
    promising labels.
    """
    cap_c, cap_t = limit(budget), limit(deadline)
    lam, mu = priced.cost_price, priced.time_price
    exists = np.isfinite(choices.value)
    reduced = np.where(exists, choices.value - lam * choices.cost - mu * choices.time, -np.inf)
    # Groups whose choice matters most come first, so that the bound bites early.
    spread = reduced.max(axis=1) - np.where(exists, reduced, np.inf).min(axis=1)
    order = np.argsort(-spread, kind="stable")
    rest = np.concatenate([np.cumsum(reduced.max(axis=1)[order][::-1])[::-1][1:], [0.0]])
    cheap = np.where(exists, choices.cost, np.inf).min(axis=1)[order]
    quick = np.where(exists, choices.time, np.inf).min(axis=1)[order]
    cheap_rest = np.concatenate([np.cumsum(cheap[::-1])[::-1][1:], [0.0]])
    quick_rest = np.concatenate([np.cumsum(quick[::-1])[::-1][1:], [0.0]])
    floor = max(priced.value, known) + accept
    is_complete = True
    most = MOST_LABELS if deadline is None else MOST_TIMED_LABELS
    slack = (lam * cap_c if lam else 0.0) + (mu * cap_t if mu else 0.0)
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
        reach = grown[:, 0] - lam * grown[:, 1] - mu * grown[:, 2] + slack + rest[k]
        keep = (grown[:, 1] + cheap_rest[k] <= cap_c) & (grown[:, 2] + quick_rest[k] <= cap_t)
        keep &= reach > floor + 1e-12 * max(1.0, abs(floor)) if np.isfinite(floor) else True
        grown, came = grown[keep], came[keep]
        if not len(grown):
            return None, is_complete
        kept = _front(grown, has_time=deadline is not None)
        labels, came = grown[kept], came[kept]
        if len(labels) > most:
            is_complete = False
            hope = labels[:, 0] - lam * labels[:, 1] - mu * labels[:, 2]
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
