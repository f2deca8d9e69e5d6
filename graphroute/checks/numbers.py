"""Is it the right number?"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from graphroute.checks.reading import text_of
from graphroute.checks.text import failed, passed
from graphroute.errors import InvalidValue
from graphroute.ir.verdict import Verdict

_NUMBER: Final = re.compile(
    r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?"
)


@dataclass(frozen=True, slots=True)
class NumberIs:
    """The last number of the reply is `expected`, up to `tolerance`.

    expected: a number, or a function of the messages that gives it
    tolerance: the larger of this share of the number and this much is allowed, ≥ 0

    >>> NumberIs(1200)([], "3 boxes of 400 make 1,200.").passed
    True
    >>> NumberIs(0.5, tolerance=0.01)([], "about 0.52").reason
    'its last number is 0.52, not 0.5'
    """

    expected: float | Callable[[Sequence[Any]], float]
    tolerance: float = 1e-6
    is_quick: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.tolerance, (int, float)) and 0 <= self.tolerance < math.inf):
            raise InvalidValue(
                f"tolerance={self.tolerance!r}", value=self.tolerance, next_step="use a number ≥ 0"
            )

    def __call__(self, messages: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        wanted = self.expected(messages) if callable(self.expected) else self.expected
        found = numbers_in(text_of(reply))
        if not found:
            return failed("it has no number")
        last = found[-1]
        if math.isclose(last, wanted, rel_tol=self.tolerance, abs_tol=self.tolerance):
            return passed()
        return failed(f"its last number is {last:g}, not {wanted:g}")


def numbers_in(text: str) -> list[float]:
    """The numbers of a text in their order, thousands set apart by commas or not.

    >>> numbers_in("1,200 or -3.5e2, not v2 or 1.2.3")
    [1200.0, -350.0, 1.2]
    """
    found = []
    for match in _NUMBER.finditer(text):
        digits = match.group().replace(",", "").replace("−", "-")
        if any(character.isdigit() for character in digits):
            found.append(float(digits))
    return found
