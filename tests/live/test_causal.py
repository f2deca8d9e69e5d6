"""The causal scorer asks a real llama.cpp server for the probabilities of the label tokens.

What a model of 135 million parameters thinks of difficulty is near chance (docs/scorers.md); what
is tested here is that its opinion is read right, alone and through calibration.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from graphroute.errors import ProviderUnavailable
from graphroute.protocols import Outcomes
from graphroute.scorers import causal

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]

PROMPTS = (
    "Say hello.",
    "What is the capital of France?",
    "Prove that there are infinitely many primes of the form 4n + 3.",
    "Write a compiler for a small language, with a garbage collector.",
)


@pytest.fixture(scope="module")
def scorer(openai_url: str) -> causal.CausalScorer:
    return causal.build(model="tiny", base_url=openai_url)


def test_the_labels_are_among_the_first_tokens_of_a_real_model(
    scorer: causal.CausalScorer,
) -> None:
    found = scorer._asked(causal._ASK.format(prompt=PROMPTS[2]))
    labels = {token.strip(): value for token, value in found.items() if token.strip().isdigit()}
    # 0.5 would stand for "no label seen" as well; here the labels themselves are looked at.
    assert len(set(labels) & set("12345")) >= 3
    assert all(value <= 0 for value in labels.values())
    mass = sum(math.exp(value) for value in found.values())
    assert 0 < mass <= 1.001


def test_opinions_of_a_real_model_are_bounded_and_the_same_twice(
    scorer: causal.CausalScorer,
) -> None:
    first, again = scorer.difficulty(PROMPTS), scorer.difficulty(PROMPTS)
    assert first == pytest.approx(again, abs=0.02)
    assert all(0 < value < 1 for value in first)
    assert len({round(value, 6) for value in first}) > 1


def test_calibration_on_a_real_model_keeps_what_it_has_learned(
    openai_url: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    prompts = tuple(f"{PROMPTS[i % 4]} ({i})" for i in range(24))
    right = (random.random((24, 2)) < (0.4, 0.8)).astype(float)
    data = Outcomes(prompts=prompts, models=("weak", "strong"), correct=right)
    fitted = causal.untrained(model="tiny", base_url=openai_url).fit(data, seed=0)
    success = fitted.success(PROMPTS)
    assert ((success > 0) & (success < 1)).all()
    # So small a judge must end near what each model does on average, whatever it says.
    assert success.mean(0) == pytest.approx(right.mean(0), abs=0.2)
    fitted.save(tmp_path / "w")
    again = causal.build(weights=tmp_path / "w")
    assert again.success(PROMPTS) == pytest.approx(success, abs=0.02)
    elsewhere = causal.build(weights=tmp_path / "w", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9"):
        elsewhere.success(PROMPTS)
