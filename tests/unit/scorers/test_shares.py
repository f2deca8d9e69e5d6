from __future__ import annotations

import numpy as np
import pytest

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.ir.quality import SLOPE
from graphroute.protocols import Outcomes
from graphroute.scorers.shares import SHARES, Share, fit_share, share_of


def outcomes(slope: float, kinds: int = 12, each: int = 120) -> tuple[Floats, Floats, list[str]]:
    """Difficulties, outcomes of three models and kinds, where departures count by `slope`."""
    random = np.random.default_rng(0)
    difficulty, correct, names = [], [], []
    for kind in range(kinds):
        usual = random.uniform(0.2, 0.8)
        d = np.clip(random.normal(usual, 0.1, each), 0, 1)
        lead = np.array([-0.5, 0.3, 1.2])[None, :] - slope * SLOPE * (d - d.mean())[:, None]
        difficulty.append(d)
        correct.append((random.random((each, 3)) < 1 / (1 + np.exp(-lead))).astype(float))
        names += [f"kind {kind}"] * each
    return np.concatenate(difficulty), np.concatenate(correct), names


@pytest.mark.parametrize("slope", [0.4, 1.0])
def test_the_slope_is_found_and_the_share_is_its_certain_part(slope: float) -> None:
    found = fit_share(*outcomes(slope))
    assert found.low <= slope <= found.high
    assert found.share == pytest.approx(found.low)
    assert 0 < found.share < slope
    assert (found.kinds, found.prompts) == (12, 1440)


def test_a_score_that_knows_nothing_or_the_opposite_has_no_share() -> None:
    difficulty, correct, names = outcomes(1.0)
    noise = np.random.default_rng(1).random(len(names))
    assert fit_share(noise, correct, names).share == 0
    wrong = fit_share(1 - difficulty, correct, names)
    assert wrong.share == 0
    assert wrong.slope < 0


def test_what_differs_only_between_kinds_counts_nothing() -> None:
    difficulty, correct, names = outcomes(0.0)
    assert fit_share(difficulty, correct, names).share < 0.1


def test_missing_outcomes_small_kinds_and_models_always_right_are_left_out() -> None:
    difficulty, correct, names = outcomes(1.0)
    correct = np.column_stack((correct, np.ones(len(correct))))
    correct[::2, 0] = np.nan
    names[:100] = [f"single {i}" for i in range(100)]
    found = fit_share(difficulty, correct, names)
    assert found.share > 0.5
    assert found.kinds == 11


def test_nothing_to_measure_is_no_share() -> None:
    none = Share(share=0.0, slope=0.0, low=0.0, high=0.0, between=0.0, kinds=0, prompts=0)
    assert fit_share(np.zeros(0), np.zeros((0, 2)), []) == none
    assert fit_share(np.full(50, 0.5), np.zeros((50, 2)), ["a"] * 50) == none
    with pytest.raises(InvalidValue, match="3 difficulties and 2 rows for 3 kinds"):
        fit_share(np.zeros(3), np.zeros((2, 1)), ["a", "b", "c"])


def test_only_measured_scorers_have_a_share() -> None:
    assert share_of(registry.build("scorers", "lexical")) == SHARES["lexical"] > 0
    assert share_of(registry.build("scorers", "random")) == 0
    assert share_of(registry.build("scorers", "length")) == 0

    trained = registry.load("scorers", "lexical").untrained()
    assert share_of(trained) == 0
    trained.fit(
        Outcomes(
            prompts=tuple(f"prompt {i}" for i in range(40)),
            models=("a", "b"),
            correct=np.random.default_rng(0).integers(0, 2, (40, 2)).astype(float),
        )
    )
    assert share_of(trained) == 0

    class Own:
        name = "own"
        share = 0.3

    assert share_of(Own()) == 0.3
    Own.share = 7.0
    assert share_of(Own()) == 0
