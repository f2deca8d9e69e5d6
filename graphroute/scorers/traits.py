"""The features of a prompt that records keep, so that its scorer can learn from them later."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Final

from graphroute.ir.features import Features
from graphroute.protocols import PromptScorer
from graphroute.scorers._hashing import seen

PROBES: Final = (
    "Say hello.",
    "Prove that x^n + y^n = z^n has no root for n > 2.",
    "def f(x):\n    return x * 2\n\nprint(f(21))",
    "Which of these is a mammal?\nA) shark\nB) whale\nC) trout",
)
"""Prompts whose features tell one scorer with its weights from any other."""


class Traits:
    """Features of prompts under one scorer, which stays as it is.

    >>> from graphroute.scorers import length
    >>> traits = Traits(length.build())
    >>> features = traits.of("What is 2 + 2?")
    >>> len(features.traits), features.tag == traits.tag == Traits(length.build()).tag
    (8, True)
    """

    def __init__(self, base: PromptScorer) -> None:
        self._base = base

    @cached_property
    def tag(self) -> str:
        """Eight hex digits that change with the scorer, its weights, and what is counted."""
        found = [(self._difficulty(probe), *seen(probe)[1].tolist()) for probe in PROBES]
        # Sums of floats may end differently on another machine.
        text = "\n".join(" ".join(f"{value:.3f}" for value in row) for row in found)
        return hashlib.sha256(f"{self._base.name}\n{text}".encode()).hexdigest()[:8]

    def of(self, prompt: str) -> Features:
        """The features of a prompt."""
        counts = tuple(seen(prompt)[1].tolist())
        return Features(tag=self.tag, difficulty=self._difficulty(prompt), traits=counts)

    def packed(self, prompt: str) -> str:
        """The same as a record keeps them; `""` of a prompt without text."""
        return self.of(prompt).pack() if prompt else ""

    def _difficulty(self, prompt: str) -> float:
        return float(self._base.difficulty([prompt])[0])
