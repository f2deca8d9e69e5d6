from __future__ import annotations

import numpy as np
import pytest

from graphroute.scorers._forms import FORMS, forms_of, needed, trust_of

CHOICE, PROBLEM, OPEN = "Which?\nA. x\nB. y\nAnswer:", "How many are left?", "Write a poem."


def need(prompt: str, gap: float, weak: float, trust: tuple[float, float, float]) -> float:
    return float(needed([prompt], np.array([gap]), np.array([weak]), np.array(trust))[0])


def test_forms_are_told_apart() -> None:
    assert forms_of([CHOICE, PROBLEM, OPEN]).tolist() == [0, 1, 2]
    assert len(FORMS) == 3


@pytest.mark.parametrize("trust", [0.0, 1.0])
def test_with_options_the_learned_gap_is_all(trust: float) -> None:
    assert need(CHOICE, 0.5, 0.4, (trust, 0, 0)) == 0.5


def test_a_longer_problem_needs_more_until_problems_were_trained_on() -> None:
    long = "She has twice as many as each of the others. " * 8 + PROBLEM
    untrained = [need(p, 0.3, 0.6, (1, 0, 0)) for p in (PROBLEM, long)]
    trained = [need(p, 0.3, 0.6, (1, 1, 0)) for p in (PROBLEM, long)]
    assert untrained[1] > untrained[0] + 0.1
    assert trained == pytest.approx([0.3, 0.3])


def test_of_an_open_request_the_weak_models_failure_counts_until_trained_on() -> None:
    untrained = [need(OPEN, gap, 0.4, (1, 0, 0)) for gap in (-0.2, 0.5)]
    assert untrained[0] == untrained[1] == pytest.approx(0.3)
    assert need(OPEN, 0.5, 0.4, (0, 0, 1)) == pytest.approx(0.5)


def test_signs_of_mathematics_raise_an_open_request() -> None:
    hard = "Write a program that finds the probability if 3 of 5 are drawn."
    assert need(hard, 0.3, 0.6, (0, 0, 0)) > need(OPEN, 0.3, 0.6, (0, 0, 0)) + 0.1


def test_trust_grows_with_prompts_of_a_form_and_with_their_share() -> None:
    few, many = (trust_of(np.array([0.0, n, 0.0]))[1] for n in (20.0, 2000.0))
    assert few < 0.2 < 0.7 < many
    assert trust_of(np.array([10_000.0, 500.0, 0.0]))[1] < trust_of(np.array([0.0, 500.0, 0.0]))[1]
