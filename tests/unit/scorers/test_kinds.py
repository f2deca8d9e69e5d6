from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.protocols import Outcomes
from graphroute.scorers import _kinds, lexical


def quiet(_done: float) -> None:
    return None


def specialists(n: int = 600, seed: int = 0) -> Outcomes:
    """Three models, each good at one of three kinds of work and bad at the others."""
    random = np.random.default_rng(seed)
    words = ("apples pears plums", "proof lemma theorem", "function loop array")
    kind = random.integers(0, 3, n)
    prompts = tuple(
        f"{' '.join(random.permutation(words[k].split()))} number {random.integers(999)}"
        for k in kind
    )
    chance = np.where(kind[:, None] == np.arange(3), 0.9, 0.4)
    return Outcomes(
        prompts=prompts,
        models=("a", "b", "c"),
        correct=(random.random((n, 3)) < chance).astype(float),
        tags=tuple("xyz"[k] for k in kind),
    )


def test_each_kind_is_told_from_its_words() -> None:
    kinds = _kinds.fit(specialists(), progress=quiet)
    assert kinds is not None
    found = kinds.of(["pears and apples", "a lemma for the theorem", "an array in a loop"])
    assert found.argmax(1).tolist() == [0, 1, 2]
    assert found.max(1) == pytest.approx([0.9] * 3, abs=0.12)


def test_without_tags_or_with_one_there_is_nothing_to_tell_apart() -> None:
    data = specialists(60)
    assert _kinds.fit(replace(data, tags=()), progress=quiet) is None
    assert _kinds.fit(replace(data, tags=("x",) * 60), progress=quiet) is None


def test_rare_kinds_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kinds, "MOST", 2)
    kinds = _kinds.fit(specialists(), progress=quiet)
    assert kinds is not None
    assert len(kinds.success) == 2


def test_a_scorer_learns_from_tags_and_never_sees_them_again(tmp_path: Path) -> None:
    data = specialists()
    scorer = lexical.untrained().fit(data)
    assert scorer._kinds is not None
    assert 0 < scorer._by_kind <= 1
    prompts = ["pears plums number 5", "theorem proof number 7"]
    assert scorer.success(prompts).argmax(1).tolist() == [0, 1]
    scorer.save(tmp_path)
    again = lexical.build(weights=tmp_path)
    assert again.success(prompts) == pytest.approx(scorer.success(prompts), abs=0.02)


def test_tags_that_say_nothing_get_no_say() -> None:
    data = specialists()
    noise = tuple(np.random.default_rng(5).permutation(list(data.tags)).tolist())
    scorer = lexical.untrained().fit(replace(data, tags=noise))
    assert scorer._by_kind < 0.2


def test_arrays_of_another_shape_are_refused(tmp_path: Path) -> None:
    kinds = _kinds.fit(specialists(), progress=quiet)
    assert kinds is not None
    arrays = dict(kinds.arrays())
    with pytest.raises(InvalidValue, match="kinds of work"):
        _kinds.Kinds.restored(arrays, tmp_path, models=5)
    assert _kinds.Kinds.restored({}, tmp_path, models=3) is None
