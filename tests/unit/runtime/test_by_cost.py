"""Which model is worth its price for a real prompt."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from graphroute.ir.plan import Assignment
from graphroute.runtime.by_cost import by_cost
from tests.unit.passes.graphs import triage
from tests.unit.planning.pool import plan

PLANNED = {"dear": 0.004, "cheap": 0.001}
GAIN = math.log(0.9) - math.log(0.6)
"""What the dear model adds to a call's quality: worth it below a price of GAIN / 0.003 per USD."""


@pytest.fixture(scope="module")
def step() -> Assignment:
    found = plan(triage()).assignment("classify")
    assert found is not None
    return replace(
        found,
        kind="single",
        model="dear",
        fallbacks=("cheap",),
        qualities=(0.9, 0.6),
        weight=1.0,
        expected_visits=1.0,
        expected_calls=1.0,
    )


def order(
    a: Assignment,
    models: tuple[str, ...] = ("dear", "cheap"),
    *,
    times: float = 1.0,
    was: float = 0.0,
    now: float = 0.0,
    spare: float = math.inf,
) -> tuple[str, ...]:
    """The order where the prompt makes calls `times` as dear, at λ `was` and `now`."""
    return by_cost(
        models,
        a,
        planned=PLANNED.get,
        real=lambda name: PLANNED[name] * times,
        planned_price=was,
        shadow_price=now,
        spare_usd=spare,
    )


def test_without_a_price_and_at_the_planned_cost_the_plan_stands(step: Assignment) -> None:
    assert order(step) == ("dear", "cheap")
    for price in (1.0, 50.0, 1e6):
        assert order(step, was=price, now=price) == ("dear", "cheap")
        assert order(step, ("cheap", "dear"), was=price, now=price)[0] == "cheap"


@pytest.mark.parametrize("side", [0.9, 1.1])
def test_a_price_that_rose_takes_what_is_not_worth_it_any_more(
    step: Assignment, side: float
) -> None:
    price = side * GAIN / 0.003
    assert order(step, now=price)[0] == ("dear" if side < 1 else "cheap")
    # Half the prompt is worth twice the price.
    assert order(step, now=2 * price, times=0.5)[0] == ("dear" if side < 1 else "cheap")


def test_a_shorter_prompt_wins_the_better_model_only_into_spare_money(step: Assignment) -> None:
    price = 2 * GAIN / 0.003
    asked = {"was": price, "now": price, "times": 0.3}
    assert order(step, ("cheap", "dear"), **asked)[0] == "dear"
    assert order(step, ("cheap", "dear"), spare=0.0008, **asked)[0] == "cheap"
    assert order(step, ("cheap", "dear"), spare=0.001, **asked)[0] == "dear"
    assert order(step, ("cheap", "dear"), spare=-1.0, **asked)[0] == "cheap"


def test_sequences_and_unknown_models_are_left_as_planned(step: Assignment) -> None:
    loop = replace(step, kind="iterations", then=("cheap",))
    assert order(loop, now=1e9) == ("dear", "cheap")
    assert order(step, ("dear", "other"), now=1e9) == ("dear", "other")
    unpriced = by_cost(
        ("dear", "cheap"),
        step,
        planned=lambda _: None,
        real=PLANNED.get,
        planned_price=0.0,
        shadow_price=1e9,
    )
    assert unpriced == ("dear", "cheap")
