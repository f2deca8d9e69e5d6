"""ADWIN: the newest values are compared with those before them, at every cut of a window.

It assumes nothing of the values but that they are bounded, and bounds its false alarms by itself
(A. Bifet and R. Gavaldà, Learning from time-changing data with adaptive windowing, SDM 2007). The
implementation is river's (`pip install 'graphroute[learn]'`; importing it takes a second or more).
It is slower to find a change than `page_hinkley`, and less often very late with small ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphroute.errors import InvalidValue
from graphroute.ir.learning import Shift

REQUIRES: Final[tuple[str, ...]] = ("river",)
EXTRA: Final = "learn"
FOR_AMOUNTS: Final[Mapping[str, object]] = {}
EXAMPLES: Final[tuple[Mapping[str, object], ...]] = ({}, {"delta": 1e-4})


def build(*, delta: float = 1e-6) -> Adwin:
    """delta: bound on the chance that one test is a false alarm, in (0, 1)."""
    if not 0 < delta < 1:
        raise InvalidValue(
            f"adwin delta={delta!r}", value=delta, next_step="use a chance in (0, 1)"
        )
    from river.drift import ADWIN

    return Adwin(ADWIN(delta=delta))  # type: ignore[no-untyped-call]  # river has no types


class Adwin:
    """One stream.

    >>> detector = build()
    >>> stream = [1.0, 1.0, 1.0, 0.0] * 50 + [0.0, 0.0, 0.0, 1.0] * 50
    >>> found = [shift for x in stream if (shift := detector.update(x))]
    >>> found[0].before > found[0].after
    True
    """

    name = "adwin"

    def __init__(self, window: Any) -> None:
        self._window = window

    def update(self, value: float) -> Shift | None:
        """Take one value; the shift, where this one shows it."""
        total, width = float(self._window.total), int(self._window.width)
        self._window.update(value)
        if not self._window.drift_detected:
            return None
        kept = int(self._window.width)
        old = (total + value - float(self._window.total)) / max(1, width + 1 - kept)
        return Shift(before=old, after=float(self._window.estimation), since=kept)
