"""What two texts have in common at their ends."""

from __future__ import annotations


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
