from __future__ import annotations

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import lexical
from graphroute.scorers.blending import fit_blend
from graphroute.scorers.joining import Joined

HARD, EASY = "Prove the theorem number 1 with 5 steps.", "Add the apples number 1 with 5 steps."


def loss(p: Floats, truth: tuple[float, float]) -> float:
    return float(np.abs(p[:, 0] - truth).max())


def labels(n: int, seed: int = 5) -> tuple[list[str], list[float]]:
    """A model that is good at proofs and bad at sums, against its name and the others."""
    random = np.random.default_rng(seed)
    hard = random.random(n) < 0.5
    prompts = [
        f"{'Prove the theorem' if h else 'Add the apples'} number {i} with 5 steps."
        for i, h in enumerate(hard)
    ]
    return prompts, (random.random(n) < np.where(hard, 0.8, 0.3)).astype(float).tolist()


def test_more_labels_bring_a_new_model_closer_to_the_truth(many: Outcomes) -> None:
    joined = Joined(lexical.untrained().fit(many))
    misses = []
    for count in (0, 20, 2000):
        joined.join("corp:new", *labels(count)) if count else joined.join("corp:new")
        misses.append(loss(joined.success([HARD, EASY], ("corp:new",)), (0.8, 0.3)))
    assert misses[2] < 0.12
    assert misses[0] > misses[1] > misses[2]


def test_without_labels_the_ability_decides(many: Outcomes) -> None:
    joined = Joined(lexical.untrained().fit(many))
    joined.join("openai:gpt-5")
    joined.join("ollama:llama3.2:1b")
    able, weak = joined.success([HARD], ("openai:gpt-5", "ollama:llama3.2:1b"))[0]
    assert able > weak
    assert joined.models[-2:] == ("openai:gpt-5", "ollama:llama3.2:1b")


def test_the_trained_models_answers_do_not_change(many: Outcomes) -> None:
    scorer = lexical.untrained().fit(many)
    joined = Joined(scorer)
    joined.join("corp:new", *labels(50))
    assert joined.success([HARD])[:, :9] == pytest.approx(scorer.success([HARD]))


def test_bad_labels_and_known_models_are_refused(many: Outcomes) -> None:
    joined = Joined(lexical.untrained().fit(many))
    with pytest.raises(InvalidValue, match="was trained on"):
        joined.join("m0")
    for correct in ([2.0], [float("nan")], [0.5, 0.5]):
        with pytest.raises(InvalidValue, match="outcomes of 'x'"):
            joined.join("x", ["p"], correct)


def sources(n: int, seed: int) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    truth = random.normal(0, 1.5, n)
    correct = (random.random(n) < 1 / (1 + np.exp(-truth))).astype(float)
    return truth, random.normal(0, 1.5, n), correct


def test_a_text_score_that_knows_nothing_gets_no_weight() -> None:
    profile, noise, correct = sources(600, 0)
    blend = fit_blend(
        ("profile", "text"),
        np.column_stack((profile, noise)),
        correct,
        seed=0,
    )
    assert blend.weights[0] == pytest.approx(1.0, abs=0.35)
    assert blend.weights[1] < 0.1


def test_two_sources_that_each_know_something_are_joined() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1.5, (2, 3000))
    correct = (random.random(3000) < 1 / (1 + np.exp(-a - b))).astype(float)
    blend = fit_blend(("a", "b"), np.column_stack((a, b)), correct, seed=0)
    assert blend.weights == pytest.approx((1.0, 1.0), abs=0.2)
    assert blend.gain > 0.05


def test_with_few_labels_the_first_source_stands_alone() -> None:
    blend = fit_blend(("profile", "text"), np.zeros((10, 2)), np.ones(10), seed=0)
    assert blend.weights == (1.0, 0.0)
    with pytest.raises(InvalidValue, match="columns"):
        fit_blend(("one",), np.zeros((10, 2)), np.ones(10), seed=0)
