from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.scorers import _gap, lexical


def pairs(n: int = 1200, seed: int = 0) -> tuple[list[str], Floats]:
    """The strong model adds most where a problem is full of numbers; words say nothing."""
    random = np.random.default_rng(seed)
    count = random.integers(0, 12, n)
    prompts = [
        f"{random.choice(['ann', 'bob'])} has {' and '.join(map(str, random.integers(9, 99, c)))}?"
        for c in count
    ]
    weak = (random.random(n) < 0.95 - 0.07 * count).astype(float)
    strong = (random.random(n) < 0.95).astype(float)
    return prompts, np.column_stack((weak, strong))


def found() -> _gap.Gap:
    return _gap.fit(*pairs(), seed=0, progress=lambda _done: None)


def test_what_the_strong_model_adds_is_learned_from_looks() -> None:
    few, many = found().added(["ann has 12?", "ann has " + " and ".join(["12"] * 11) + "?"])
    assert many > few + 0.2


def test_the_sum_is_brought_to_scale_on_prompts_left_out() -> None:
    prompts, pair = pairs(seed=1)
    outcome = pair[:, 1] - pair[:, 0]
    gap = found()
    scaled = gap.scaled(gap.added(prompts), outcome)
    said = scaled.of(prompts, np.zeros(len(prompts)))
    high = said > np.median(said)
    assert said[high].mean() == pytest.approx(outcome[high].mean(), abs=0.08)
    assert said[~high].mean() == pytest.approx(outcome[~high].mean(), abs=0.08)
    assert np.abs(said).max() <= 1


def test_it_comes_back_from_arrays_and_foreign_ones_are_refused(tmp_path: Path) -> None:
    gap = found()
    arrays = dict(gap.arrays())
    back = _gap.Gap.restored(arrays, tmp_path, trained=gap.trained)
    assert back is not None
    asked = pairs(50, 2)[0]
    assert back.added(asked) == pytest.approx(gap.added(asked), abs=1e-3)
    assert _gap.Gap.restored({}, tmp_path, trained=gap.trained) is None
    arrays["gap_scale"] = arrays["gap_scale"][:3]
    with pytest.raises(InvalidValue, match="looks of prompts"):
        _gap.Gap.restored(arrays, tmp_path, trained=gap.trained)


def test_looks_count_only_for_the_pair_they_were_learned_of() -> None:
    scorer = lexical.build()
    prompt = ["How many of the 12 cakes are left if each of 3 children eats 2?"]
    own = scorer.need(prompt)
    assert own != pytest.approx(0.5)
    assert own == pytest.approx(scorer.need(prompt, scorer.strong, scorer.weak))
    swapped = scorer.need(prompt, scorer.weak, scorer.strong)
    assert swapped[0] != pytest.approx(own[0])
