"""What every learner and drift detector owes, found by discovery."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from graphroute import registry
from graphroute.ir.learning import Arm, Look
from graphroute.protocols import DriftDetector, Learner

CASES = [
    (name, options)
    for name in registry.names("learners")
    for options in registry.load("learners", name).EXAMPLES
]
BUILT = [(name, options, registry.build("learners", name, **options)) for name, options in CASES]
LEARNERS = [pytest.param(n, o, id=f"{n}-{o}") for n, o, b in BUILT if isinstance(b, Learner)]
DETECTORS = [pytest.param(n, o, id=f"{n}-{o}") for n, o, b in BUILT if isinstance(b, DriftDetector)]


def build(name: str, options: Mapping[str, object]) -> Any:
    return registry.build("learners", name, **options)


def look_of(random: Random) -> Look:
    arms = tuple(
        Arm(
            model=f"m{k}",
            good=random.uniform(0, 50),
            bad=random.uniform(0, 50),
            cost_usd=random.choice([0.0, random.uniform(0, 0.1)]),
        )
        for k in range(random.randint(1, 6))
    )
    floor = random.choice([None, random.random()])
    price = random.choice([0.0, random.uniform(0, 100)])
    return Look(node="n", arms=arms, weight=random.random(), shadow_price=price, floor=floor)


def test_each_plugin_is_one_of_the_two_kinds() -> None:
    for name, _, built in BUILT:
        assert isinstance(built, Learner) != isinstance(built, DriftDetector), name
        assert getattr(built, "name", None) == name
    assert {"thompson", "uniform", "page_hinkley", "adwin"} <= set(registry.names("learners"))


@pytest.mark.parametrize(("name", "options"), LEARNERS)
def test_a_learner_names_another_arm_or_none(name: str, options: Mapping[str, object]) -> None:
    learner = build(name, options)
    random = Random(f"looks {name}")
    for _ in range(500):
        look = look_of(random)
        chosen = learner.challenger(look)
        assert chosen is None or chosen in {arm.model for arm in look.arms[1:]}


@pytest.mark.parametrize(("name", "options"), LEARNERS)
def test_the_same_seed_gives_the_same_choices_whatever_else_draws(
    name: str, options: Mapping[str, object]
) -> None:
    chosen = []
    for _ in range(2):
        Random().random()
        learner, random = build(name, options), Random(5)
        chosen.append([learner.challenger(look_of(random)) for _ in range(100)])
    assert chosen[0] == chosen[1]
    assert any(chosen[0])


@pytest.mark.parametrize(("name", "options"), DETECTORS)
def test_a_detector_finds_a_drop_of_quality_and_which_way_it_goes(
    name: str, options: Mapping[str, object]
) -> None:
    found = 0
    for seed in range(20):
        random, detector = Random(f"{name} {seed}"), build(name, options)
        early = [detector.update(float(random.random() < 0.9)) for _ in range(1000)]
        assert not any(early)
        for n in range(300):
            shift = detector.update(float(random.random() < 0.4))
            if shift is not None:
                assert shift.before > 0.75
                assert shift.after < shift.before
                assert 0 < shift.since <= 1000 + n + 1
                found += n < 150
                break
    assert found >= 19


@pytest.mark.parametrize(("name", "options"), DETECTORS)
def test_a_detector_says_nothing_of_a_stream_that_stays(
    name: str, options: Mapping[str, object]
) -> None:
    for value in (0.0, 1.0, -3.5):
        detector = build(name, options)
        assert not any(detector.update(value) for _ in range(2000))
