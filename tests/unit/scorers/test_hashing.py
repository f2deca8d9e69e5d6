from __future__ import annotations

import numpy as np
import pytest

from graphroute.scorers._hashing import BUCKETS, HEAD, PLAIN, TAIL, features, seen, words_of


def test_words_and_pairs_do_not_depend_on_place_case_or_space() -> None:
    one, other = set(seen("alpha beta")[0].tolist()), set(seen("x\n  ALPHA\tBeta y")[0].tolist())
    assert len(one) == 3
    assert one < other


def test_order_matters_to_pairs_only() -> None:
    one, other = set(seen("alpha beta")[0].tolist()), set(seen("beta alpha")[0].tolist())
    assert len(one & other) == 2
    assert len(one ^ other) == 2


def test_buckets_are_distinct_sorted_and_in_range() -> None:
    buckets, plain = seen("the cat and the dog and the bird, 12 + 34 = 46?")
    assert (np.diff(buckets) > 0).all()
    assert buckets.min() >= 0
    assert buckets.max() < BUCKETS
    assert plain.shape == (len(PLAIN),)


def test_a_long_prompt_is_read_at_both_ends_only() -> None:
    prompt = "a" * HEAD + " middle " * 5000 + "z" * TAIL
    other = "a" * HEAD + " centre " * 5000 + "z" * TAIL
    assert (seen(prompt)[0] == seen(other)[0]).all()


@pytest.mark.parametrize("prompt", ["", " ", "\x00", "\ud800", "日本語", "😀" * 5000, "?"])
def test_any_text_has_finite_features(prompt: str) -> None:
    buckets, plain = seen(prompt)
    assert np.isfinite(plain).all()
    assert buckets.dtype == np.int64
    assert (words_of(prompt) >= 0).all()


def test_a_batch_is_its_prompts_end_to_end() -> None:
    prompts = ["one two", "", "three"]
    buckets, bounds, plain = features(prompts)
    for i, prompt in enumerate(prompts):
        single, single_plain = seen(prompt)
        assert (buckets[bounds[i] : bounds[i + 1]] == single).all()
        assert (plain[i] == single_plain).all()
