"""The folds of an evaluation: the same question never stands on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphroute.scorers._folds import fold_of


def folds_of(prompts: Sequence[str], folds: int, seed: int) -> Any:
    """fold[n] of each prompt; never the folds a scorer makes within itself."""
    import numpy as np

    return np.array([fold_of(prompt, folds, seed + 7919) for prompt in prompts])
