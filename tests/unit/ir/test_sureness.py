"""Curves over how sure a model was."""

from __future__ import annotations

import pytest

from graphroute.ir.sureness import USUAL, Curve


def test_the_usual_chance_rises_with_the_score_and_stays_inside() -> None:
    chances = [USUAL(score / 100) for score in range(101)]
    assert chances == sorted(chances)
    assert 0 < chances[0] < chances[-1] < 1


def test_a_slope_of_one_takes_a_model_at_its_word() -> None:
    honest = Curve(shift=0.0, slope=1.0)
    assert [honest(s) for s in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])
