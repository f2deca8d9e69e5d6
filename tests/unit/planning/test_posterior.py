from __future__ import annotations

import numpy as np
import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.evidence import Evidence
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.quality import success
from graphroute.planning.posterior import Known, Weighed, weigh


def catalog(**abilities: float) -> Catalog:
    free = Price(in_usd=0.0, out_usd=0.0, source="test")
    return Catalog(
        models=tuple(
            ModelSpec(name=name, provider="test", local=True, price=free, ability=able)
            for name, able in abilities.items()
        )
    )


POOL = catalog(strong=0.8, weak=0.4)


def profile(difficulty: float = 0.5, width: float = 0.22) -> Profile:
    score = StepScore(
        difficulty=difficulty, low=difficulty - width, high=difficulty + width, reason="answering"
    )
    node = NodeProfile(node="n", score=score, visits=1, visits_p95=1, visits_max=1)
    return Profile(nodes=(node,), scorer="test")


def weighed(known: Known, **values: float) -> Weighed:
    return weigh(profile(**values), POOL, known)


def quality(known: Known, model: str = "weak", **values: float) -> float:
    return weighed(known, **values).qualities["n", model]


def test_without_outcomes_a_quality_is_the_mean_over_the_interval() -> None:
    found = weighed({})
    draws = np.random.default_rng(0).normal(0.5, 0.22 / 1.6449, 200_000)
    for name, able in (("strong", 0.8), ("weak", 0.4)):
        expected = np.mean([success(float(d), able) for d in draws[:20_000]])
        assert found.qualities["n", name] == pytest.approx(expected, abs=0.005)
    assert found.profile == profile()


def test_a_step_whose_difficulty_is_stated_keeps_its_quality_and_its_difficulty() -> None:
    assert weighed({}, width=0.0).qualities == {}
    found = weighed({("n", "weak"): Evidence(good=8, bad=2)}, width=0.0)
    assert found.profile.node("n").score == profile(width=0.0).node("n").score
    assert found.profile.node("n").judged == 10
    prior = success(0.5, 0.4)
    assert found.qualities["n", "weak"] == pytest.approx((32 * prior + 8) / 42, abs=1e-3)
    assert found.qualities["n", "strong"] == pytest.approx(success(0.5, 0.8), abs=1e-3)


def test_few_outcomes_shift_a_little_and_many_speak_for_themselves() -> None:
    prior = quality({})
    few = quality({("n", "weak"): Evidence(good=5, bad=0)})
    many = quality({("n", "weak"): Evidence(good=1900, bad=100)})
    assert prior < few < 0.9
    assert many == pytest.approx(0.95, abs=0.01)


def test_outcomes_of_one_model_say_how_hard_the_step_is_for_the_others() -> None:
    before = weighed({})
    after = weighed({("n", "weak"): Evidence(good=2, bad=58)})
    assert after.qualities["n", "strong"] < before.qualities["n", "strong"]
    easy = weighed({("n", "weak"): Evidence(good=58, bad=2)})
    assert easy.qualities["n", "strong"] > before.qualities["n", "strong"]
    score = easy.profile.node("n").score
    assert score.difficulty < 0.4
    assert score.reason == "answering, 60 judged answers"


def test_the_interval_narrows_as_outcomes_come_in() -> None:
    widths = []
    for count in (0, 4, 40, 400):
        known: Known = {("n", m): Evidence(good=count / 2, bad=count / 2) for m in POOL.names}
        score = weighed(known).profile.node("n").score
        assert 0 <= score.low <= score.difficulty <= score.high <= 1
        widths.append(score.high - score.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 2


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        truth = float(random.normal(0.5, 0.22 / 1.6449))
        known: dict[tuple[str, str], float | Evidence] = {}
        for name, able in (("strong", 0.8), ("weak", 0.4)):
            p = success(truth, able)
            good = int(random.binomial(20, random.beta(32 * p, 32 * (1 - p))))
            known["n", name] = Evidence(good=good, bad=20 - good)
        score = weighed(known).profile.node("n").score
        inside += score.low <= truth <= score.high
    # 90 % of 400: two standard errors are 12.
    assert abs(inside - 360) <= 18


def test_a_model_that_has_left_the_pool_still_tells_of_the_step() -> None:
    gone = {("n", "openai:gpt-4o-mini"): Evidence(good=1, bad=59)}
    assert quality(gone, "strong") < quality({}, "strong")
    assert ("n", "openai:gpt-4o-mini") not in weighed(gone).qualities


def test_a_plain_quality_is_taken_as_it_is() -> None:
    assert quality({("n", "weak"): 0.123}) == 0.123
    assert weighed({("n", "weak"): 0.9}, width=0.0).qualities == {("n", "weak"): 0.9}
    with pytest.raises(InvalidValue, match="quality 2 of model 'weak' at node 'n'"):
        weighed({("n", "weak"): 2})


def test_an_empty_pool_and_an_empty_profile_have_no_qualities() -> None:
    assert weigh(profile(), Catalog(models=()), {}).qualities == {}
    assert weigh(Profile(nodes=(), scorer="none"), POOL, {}).qualities == {}
