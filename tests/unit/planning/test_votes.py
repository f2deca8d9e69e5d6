"""What several answers of one model are worth: against drawing them one by one."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from graphroute.ir.problem import Floats
from graphroute.planning.retries import WEIGHTS, by_hardness
from graphroute.planning.votes import ballots, sampled, votes

DRAWS = 40_000


def drawn(p: float, k: int, need: int, stubborn: float, common: float) -> dict[str, float]:
    """Shares of what comes out, at one chance `p` of a right answer."""
    chance = random.Random(7)
    seen: Counter[str] = Counter()
    for _ in range(DRAWS):
        is_stuck = chance.random() < stubborn
        said: list[str] = []
        while True:
            seen[f"asked{len(said)}"] += 1
            if is_stuck and said:
                said.append(said[0])
            elif chance.random() < p:
                said.append("right")
            elif is_stuck or chance.random() < common:
                said.append("mistake")
            else:
                said.append(f"other{len(said)}")
            word, most = Counter(said).most_common(1)[0]
            if most >= need:
                seen["right" if word == "right" else "wrong"] += 1
                break
            if most + k - len(said) < need:
                seen["split"] += 1
                seen["first"] += word == "right"  # of equals the first, as Counter has them
                break
    return {name: count / DRAWS for name, count in seen.items()}


@pytest.mark.parametrize(
    ("p", "k", "need", "stubborn", "common"),
    [
        (0.6, 3, 2, 0.0, 0.0),
        (0.6, 3, 2, 0.5, 0.7),
        (0.3, 4, 3, 0.2, 0.5),
        (0.5, 5, 4, 0.3, 0.9),
        (0.8, 2, 2, 0.0, 0.4),
    ],
)
def test_shares_are_those_of_answers_drawn_one_by_one(
    p: float, k: int, need: int, stubborn: float, common: float
) -> None:
    found = votes(np.full((1, len(WEIGHTS)), p), k, need, stubborn, common)
    seen = drawn(p, k, need, stubborn, common)

    def mean(table: Floats) -> float:
        return float(table[0] @ WEIGHTS)

    for name, table in (
        ("right", found.right),
        ("wrong", found.wrong),
        ("split", found.split),
        ("first", found.first),
    ):
        assert mean(table) == pytest.approx(seen.get(name, 0.0), abs=0.01), name
    for n in range(k):
        assert found.asked[0, n] == pytest.approx(seen.get(f"asked{n}", 0.0), abs=0.01)
    assert mean(found.right + found.wrong + found.split) == pytest.approx(1)


def test_a_model_that_never_changes_its_mind_gains_nothing_and_is_never_escalated() -> None:
    success = by_hardness(np.array([0.6, 0.9]))
    found = sampled(ballots([0, 1], 3), success, need=2, stubborn=1.0)
    assert np.exp(found.log_quality) == pytest.approx([0.6, 0.9], abs=1e-6)
    assert found.shares.tolist() == [[1.0, 1.0, 0.0, 0.0]] * 2


def test_what_is_counted_is_the_model_behind_and_no_gain_of_the_majority() -> None:
    same = by_hardness(np.array([0.6, 0.6]))
    alike = sampled(ballots([0, 1], 3), same, need=2, stubborn=0.0)
    better = sampled(ballots([0, 1], 3), by_hardness(np.array([0.6, 0.9])), need=2, stubborn=0.0)
    # Another model that is no better gets some right that the first got wrong, and no more.
    assert 0.6 < np.exp(alike.log_quality[0]) < 0.64
    assert np.exp(better.log_quality[0]) > 0.7
    assert better.shares[0, 3] == pytest.approx(alike.shares[0, 3])


def test_it_is_asked_less_often_the_more_its_answers_have_in_common() -> None:
    success = by_hardness(np.array([0.6, 0.9]))
    asked = [
        sampled(ballots([0, 1], 3), success, need=2, common=common).shares[0] for common in (0, 0.9)
    ]
    assert (asked[0][2:] > asked[1][2:]).all()
