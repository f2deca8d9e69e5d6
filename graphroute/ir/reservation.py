"""What has to be there before a call is made: its worst case with a short answer.

A call costs what its prompt and answer turn out to have; what is put aside for it is a bound.
"""

from __future__ import annotations

import math
from typing import Final

MIN_OUT_TOKENS: Final = 64
"""A budget never cuts an answer shorter than this; the next model is asked instead."""

PROMPT_BOUND: Final = 2.1
"""Tokens that plain English may have at most, as a multiple of those it is expected to have."""


def short_answer(limit_tokens: float, out_expected: float) -> int:
    """Tokens of the shortest answer that a budget may cut a call to.

    limit_tokens: the longest that the call may have; out_expected: of the usual answer

    >>> short_answer(1000, 100), short_answer(1000, 10), short_answer(40, 100)
    (200, 64, 40)
    """
    return math.ceil(min(limit_tokens, max(MIN_OUT_TOKENS, math.ceil(2 * out_expected))))
