"""Are the prompts that come to a node still of the kind they were? One number for each prompt.

The first `REFERENCE` prompts of a node say what is usual there: mean and deviation of each trait
(`ir.features`). Of every later prompt the mean square of its traits' deviations, in usual ones, is
how unlike them it is: about 1 as long as nothing changes, more when prompts become others in any
direction, even where their length and difficulty stay. A trait counts `CLIP` deviations at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

REFERENCE: Final = 100
CLIP: Final = 3.0
FLOOR: Final = 0.05
"""Smallest deviation of a trait that counts as usual."""


class Kind:
    """The prompts of one node.

    >>> kind = Kind()
    >>> values = [kind.unlike((0.5 + 0.1 * (n % 3), 1.0)) for n in range(REFERENCE + 1)]
    >>> values[REFERENCE - 1] is None, values[REFERENCE] < 1, kind.unlike((0.5, 2.0)) > 4
    (True, True, True)
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was usual: the next prompts say what is."""
        self._seen: list[Sequence[float]] = []
        self._usual: tuple[tuple[float, float], ...] = ()

    def unlike(self, traits: Sequence[float]) -> float | None:
        """How unlike the first prompts this one is; None for these themselves."""
        if not self._usual:
            self._seen.append(traits)
            if len(self._seen) >= REFERENCE:
                self._usual = tuple(map(_usual, zip(*self._seen, strict=True)))
                self._seen = []
            return None
        squares = (
            min(((value - mean) / deviation) ** 2, CLIP**2)
            for value, (mean, deviation) in zip(traits, self._usual, strict=True)
        )
        return sum(squares) / len(self._usual)


def _usual(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    square = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, max(math.sqrt(square), FLOOR)
