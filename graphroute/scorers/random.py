"""Baseline: numbers drawn by the prompt's hash, so APGR 0.5 in expectation and no two runs differ.

A router that does not beat it has learned nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({}, {"seed": 1})


class RandomScorer:
    """Uniform in [0, 1), the same for the same prompt and seed."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """A number in [0, 1) that has nothing to do with the prompt's meaning.

        >>> one, same, other = build().difficulty(["a", "a", "b"])
        >>> one == same, one == other
        (True, False)
        """
        return [self._draw(prompt) for prompt in prompts]

    def _draw(self, prompt: str) -> float:
        key = f"{self._seed}|{prompt}".encode("utf-8", "replace")
        return int.from_bytes(hashlib.sha256(key).digest()[:7], "big") / 2**56


def build(seed: int = 0) -> RandomScorer:
    """The baseline; `seed` gives another one."""
    return RandomScorer(seed)
