"""A scorer fitted to one's own prompts: another difficulty for each, out of its own and its traits.

    d'(q) = slope · d(q) + Σ_k weight_k · trait_k(q) + shift,    cut off at 0 and 1

The scorer itself stays as it is; what `scorers.adapting` found out is ten numbers beside it. They
were fitted so that departures count in full (`scorers.shares`): the share is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.features import TRAITS
from graphroute.ir.problem import Floats
from graphroute.protocols import PromptScorer
from graphroute.scorers import _store
from graphroute.scorers.traits import Traits

FAMILY: Final = "adapted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """What to make of a scorer's difficulty and a prompt's traits; see the module docstring.

    >>> same = Adaptation(slope=1.0)
    >>> same.difficulty(np.array([0.2]), np.zeros((1, TRAITS))).tolist()
    [0.2]
    """

    slope: float
    weights: tuple[float, ...] = (0.0,) * TRAITS
    shift: float = 0.0

    def difficulty(self, base: Floats, traits: Floats) -> Floats:
        """Difficulty[n] in [0, 1] for base[n] and traits[n, TRAITS]."""
        found = self.slope * base + traits @ np.array(self.weights) + self.shift
        return np.asarray(np.clip(found, 0.0, 1.0))

    @property
    def reads_traits(self) -> bool:
        """Whether anything but the scorer's own difficulty counts."""
        return any(self.weights)


class AdaptedScorer:
    """A prompt scorer and what was made of it; `version` is its number in the store, from 1."""

    share = 1.0

    def __init__(self, base: PromptScorer, adaptation: Adaptation, *, version: int) -> None:
        self.base, self.adaptation, self.version = base, adaptation, version
        self.name = base.name
        self._traits = Traits(base)

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """Difficulty in [0, 1] of each prompt."""
        if not prompts:
            return []
        rows = [self._traits.of(prompt) for prompt in prompts]
        base = np.array([row.difficulty for row in rows])
        found = self.adaptation.difficulty(base, np.array([row.traits for row in rows]))
        return [float(value) for value in found]

    def describe(self) -> Mapping[str, object]:
        """What it is made of, ready for JSON."""
        made = self.adaptation
        return {
            "family": self.name,
            "version": self.version,
            "slope": made.slope,
            "weights": list(made.weights),
            "shift": made.shift,
        }


def save(folder: Path, adaptation: Adaptation, *, tag: str, **card: object) -> str:
    """Write it, with a card that says what it is of; the checksum of its weights."""
    made = adaptation
    arrays = {"numbers": np.array([made.slope, *made.weights, made.shift])}
    _store.write(folder, FAMILY, arrays, {**card, "tag": tag})
    return str(_store.read_card(folder)["sha256"])


def load(folder: Path, *, tag: str, sha256: str) -> Adaptation:
    """What `save` wrote; `InvalidValue` where it is damaged, of another scorer, or not that one.

    sha256: of the weights, as it was noted elsewhere when they were written
    """
    arrays, card = _store.read(folder, FAMILY)
    numbers = _store.array(arrays, "numbers", ndim=1, folder=folder)
    if card.get("tag") != tag or card.get("sha256") != sha256 or len(numbers) != TRAITS + 2:
        raise InvalidValue(
            f"weights in {folder.name!r} are not those that were promoted",
            path=str(folder),
            next_step="graphroute profile undo",
        )
    slope, *weights, shift = (float(value) for value in numbers)
    return Adaptation(slope=slope, weights=tuple(weights), shift=shift)
