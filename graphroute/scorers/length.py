"""Baseline: longer prompts are harder. Free, and better than many a trained router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({},)
_HALF = 600


class LengthScorer:
    """`n / (n + 600)` for n characters: 0 for nothing, 0.5 at about 150 tokens, below 1 always."""

    name = "length"

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """Difficulty in [0, 1) that rises with the length.

        >>> build().difficulty(["", "x" * 600])
        [0.0, 0.5]
        """
        return [len(prompt) / (len(prompt) + _HALF) for prompt in prompts]


def build() -> LengthScorer:
    """The baseline; it has no options."""
    return LengthScorer()
