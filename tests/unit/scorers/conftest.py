from __future__ import annotations

import numpy as np
import pytest

from graphroute.protocols import Outcomes


def made(n: int = 240, seed: int = 0, models: tuple[str, ...] = ("weak", "strong")) -> Outcomes:
    """Prompts of two kinds: sums, where all do well, and proofs, where only the last one does."""
    random = np.random.default_rng(seed)
    prompts, correct, tags = [], [], []
    for i in range(n):
        is_hard = bool(random.random() < 0.5)
        word = random.choice(["theorem", "lemma"] if is_hard else ["apples", "pears"])
        verb = "Prove the" if is_hard else "Add the"
        prompts.append(f"{verb} {word} number {i} with {random.integers(100)} steps.")
        chance = np.linspace(0.1, 0.9, len(models)) if is_hard else np.full(len(models), 0.9)
        correct.append((random.random(len(models)) < chance).astype(float))
        tags.append("hard" if is_hard else "easy")
    return Outcomes(
        prompts=tuple(prompts), models=models, correct=np.array(correct), tags=tuple(tags)
    )


@pytest.fixture
def data() -> Outcomes:
    return made()


@pytest.fixture
def many() -> Outcomes:
    return made(400, 1, tuple(f"m{i}" for i in range(9)))
