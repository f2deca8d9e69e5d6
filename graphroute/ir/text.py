"""What two texts have in common at their ends, and the models of a sequence in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def in_turn(names: Sequence[str]) -> str:
    """The models of a sequence, one that is asked several times running named once.

    >>> in_turn(("small", "small", "big"))
    '2 × small, then big'
    """
    runs = [(name, len(list(same))) for name, same in groupby(names)]
    return ", then ".join(f"{n} × {name}" if n > 1 else name for name, n in runs)


def common_prefix(first: str, second: str) -> int:
    """Characters that two texts have in common at their start.

    >>> common_prefix("abcd", "abxd"), common_prefix("", "a")
    (2, 0)
    """
    # Slices are compared in C; a loop over characters would be a hundred times slower.
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(first: str, second: str) -> int:
    """Characters that two texts have in common at their end.

    >>> common_suffix("abcd", "bxcd"), common_suffix("a", "")
    (2, 0)
    """
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        ends = len(first) - middle, len(second) - middle
        if first[ends[0] : len(first) - low] == second[ends[1] : len(second) - low]:
            low = middle
        else:
            high = middle - 1
    return low
