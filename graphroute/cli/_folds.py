"""The folds of an evaluation: the same question never stands on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphroute.scorers._folds import fold_of, stem

__all__ = ["folds_of", "stem"]


def folds_of(prompts: Sequence[str], folds: int, seed: int) -> Any:
    """fold[n] of each prompt; never the folds a scorer makes within itself."""
    import numpy as np

    return np.array([fold_of(prompt, folds, seed + 7919) for prompt in prompts])


def topics_of(prompts: Sequence[str], seed: int) -> Any:
    """topics[n, d]: what each prompt is about, without a look at any outcome."""
    from graphroute.scorers._topics import Topics

    topics = Topics.fit(prompts, seed=seed, progress=lambda _what, _done: None)
    return topics.vectors(prompts)
