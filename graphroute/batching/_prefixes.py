"""How much of its start a prompt shares with others."""

from __future__ import annotations

from collections.abc import Iterable

from graphroute.ir.batch import Waiting
from graphroute.ir.text import common_prefix


def shared_chars(prompt: str, others: Iterable[Waiting]) -> int:
    """Characters at the start that some other prompt has too.

    >>> ran = Waiting(number=1, arrived_s=0.0, prompt="abc", in_tokens=1)
    >>> shared_chars("abd", [ran]), shared_chars("abd", [])
    (2, 0)
    """
    return max((common_prefix(prompt, other.prompt) for other in others), default=0)
