"""Sums of many days as one for each node × model, old answers counting less.

An answer counts half after `half_life` newer ones of the same model at the same node, and half
after `half_life_days`. Within a part the order is not known, so all of its n answers get the mean
of the weights they would have had, `(1 − r^n) / (n (1 − r))` with `r = 2^(−1/half_life)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphroute.ir.learned import Part, Sums


def fold(
    parts: Iterable[Part], *, today: int, half_life: float, half_life_days: float
) -> Mapping[tuple[str, str], Sums]:
    """Weighted sums by (node, model).

    today: days since the epoch; parts of later days count as of today

    >>> day = Part(graph="g", day=0, runs=("a",), sums=(Sums(node="n", model="m", good=4.0),))
    >>> fold([day], today=60, half_life=1e9, half_life_days=60)["n", "m"].good
    2.0
    """
    found: dict[tuple[str, str], Sums] = {}
    newer: dict[tuple[str, str], float] = {}
    for part in sorted(parts, key=lambda p: -p.day):
        age = 2 ** (-max(0, today - part.day) / half_life_days)
        for each in part.sums:
            key = (each.node, each.model)
            ahead = newer.get(key, 0.0)
            weight = age * mean_weight(each.answers, ahead, half_life)
            newer[key] = ahead + each.answers
            nothing = Sums(node=each.node, model=each.model)
            found[key] = found.get(key, nothing).joined(each, weight)
    return found


def mean_weight(answers: float, newer: float, half_life: float) -> float:
    """Mean weight in (0, 1] of so many answers that so many newer ones have followed.

    >>> mean_weight(1, 0, 100), round(mean_weight(1, 100, 100), 3), mean_weight(0, 0, 100)
    (1.0, 0.5, 1.0)
    """
    start = 2 ** (-newer / half_life)
    if answers <= 1:
        return float(start)
    rate = 2 ** (-1 / half_life)
    return float(start * (1 - rate**answers) / (answers * (1 - rate)))
