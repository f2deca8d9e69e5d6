"""Page–Hinkley on standardized values: has the mean of a stream moved, and when did it begin?

With z = (x − mean so far) / standard deviation so far, the two sums

    up ← max(0, up + z − s)        down ← max(0, down − z − s)        s = slack + 1/√n

stay near 0 as long as nothing changes and grow with every value after a shift of more than s
standard deviations (1/√n of them, after n values, is how far the mean itself may be off); at
`threshold` the mean has moved, and it began where the sum was last 0.
(E. S. Page, Continuous inspection schemes, Biometrika 41, 1954; D. V. Hinkley, Inference about the
change-point from cumulative sum tests, Biometrika 58, 1971.) river's `PageHinkley` is the same test
on raw values with fixed units; here one threshold serves probabilities, dollars and seconds, and
the moment of the change comes with it.

The values are cut off at `CLIP` deviations, so that one answer of an hour is no change, and the
deviation has a floor, so that a stream of equal values does not make the first other one a shock.
The defaults are chosen by simulation (benchmarks/detectors.py; "Drift" in docs/learning.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from graphroute.errors import InvalidValue
from graphroute.ir.learning import Shift

REQUIRES: Final[tuple[str, ...]] = ()
FOR_AMOUNTS: Final[Mapping[str, object]] = {"threshold": 30.0, "slack": 0.6}
"""Options for money, tokens, seconds and lengths: they are skewed and come in clusters, so they
give more false alarms; and a change of less than half their usual spread is of no interest."""

EXAMPLES: Final[tuple[Mapping[str, object], ...]] = ({}, {"threshold": 16.0, "slack": 0.5})

CLIP: Final = 3.0
FLOOR: Final = 0.1
"""Smallest standard deviation: of a probability, and of a logarithm (10 %)."""

PRIOR: Final = 5.0
"""Values that the floor of the deviation counts as."""


def build(*, threshold: float = 20.0, slack: float = 0.35, warm_up: int = 40) -> PageHinkley:
    """threshold, slack: in standard deviations; warm_up: values before the first alarm."""
    if not (threshold > 0 and slack >= 0 and warm_up >= 2):
        raise InvalidValue(
            f"page_hinkley threshold={threshold!r}, slack={slack!r}, warm_up={warm_up!r}",
            value=threshold,
            next_step="use threshold > 0, slack ≥ 0, warm_up ≥ 2",
        )
    return PageHinkley(threshold, slack, warm_up)


class PageHinkley:
    """One stream; begins anew after each alarm.

    >>> detector = build()
    >>> stream = [1.0, 1.0, 1.0, 0.0] * 50 + [0.0, 0.0, 0.0, 1.0] * 20
    >>> found = [(n, shift) for n, x in enumerate(stream) if (shift := detector.update(x))]
    >>> n, shift = found[0]
    >>> 200 < n < 230, shift.before > 0.7, shift.after < 0.5
    (True, True, True)
    """

    name = "page_hinkley"

    def __init__(self, threshold: float, slack: float, warm_up: int) -> None:
        self._threshold, self._slack, self._warm_up = threshold, slack, warm_up
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._mean = self._spread = 0.0
        # Per direction: the sum, and number and total of the values since it was last 0.
        self._sums = {sign: [0.0, 0.0, 0.0] for sign in (1.0, -1.0)}

    def update(self, value: float) -> Shift | None:
        """Take one value; the shift, where this one shows it."""
        if self._count >= 2:
            deviation = math.sqrt((self._spread + PRIOR * FLOOR**2) / (self._count + PRIOR))
            z = min(max((value - self._mean) / max(deviation, FLOOR), -CLIP), CLIP)
            slack = self._slack + 1 / math.sqrt(self._count)
            for sign, sums in self._sums.items():
                sums[0] += sign * z - slack
                sums[1] += 1
                sums[2] += value
                if sums[0] <= 0:
                    sums[:] = [0.0, 0.0, 0.0]
        self._count += 1
        step = value - self._mean
        self._mean += step / self._count
        self._spread += step * (value - self._mean)
        if self._count < self._warm_up:
            return None
        for grown, since, total in self._sums.values():
            if grown > self._threshold:
                old = self._count - since
                before = (self._mean * self._count - total) / max(old, 1.0)
                shift = Shift(before=before, after=total / since, since=int(since))
                self._begin()
                return shift
        return None
