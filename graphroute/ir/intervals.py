"""Intervals that several reports state the same way."""

from __future__ import annotations

import math
from typing import Final

Z90: Final = 1.644854
Z95: Final = 1.959964
"""Standard errors to either side that hold 90 and 95 % of a normal distribution."""


def wilson(share: float, weight: float, *, z: float = Z95) -> tuple[float, float]:
    """Score interval of a share in [0, 1] seen over `weight` > 0 observations, within [0, 1].

    Holds with few observations, and with none or all of them good (E. B. Wilson, Probable
    Inference, JASA 22, 1927).

    >>> low, high = wilson(0.8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    scale = 1 + z**2 / weight
    middle = (share + z**2 / (2 * weight)) / scale
    spread = share * (1 - share) / weight + z**2 / (4 * weight**2)
    half = z * math.sqrt(max(0.0, spread)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
