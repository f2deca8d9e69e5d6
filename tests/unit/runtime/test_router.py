from __future__ import annotations

from typing import Any

import pytest

from graphroute.ir.catalog import Catalog
from graphroute.ir.hints import RouteHints
from graphroute.runtime.leaning import Lean
from graphroute.runtime.router import (
    UNKNOWN_OUT_LIMIT,
    CallFacts,
    Ranking,
    nano,
    rank,
    share,
    stake,
)
from tests.unit.runtime.situations import spec_for

OWN = spec_for("own", price=10.0)
CHEAP = spec_for("cheap", price=1.0)
LOCAL = spec_for("local", local=True, price=0.0)


def facts(**values: Any) -> CallFacts:
    return CallFacts(
        **{
            "node": "draft",
            "own": OWN,
            "in_tokens": 100,
            "in_fixed": 200,
            "out_cap": None,
            **values,
        }
    )


def ranked(call: CallFacts | None = None, **values: Any) -> Ranking:
    return rank(
        call or facts(),
        **{
            "planned": ("cheap", "local"),
            "must_stay": False,
            "hints": RouteHints(),
            "catalog": Catalog(models=(CHEAP, LOCAL, OWN)),
            "shadow_price": 0.0,
            "keeps_own": False,
            "is_down": lambda name: False,
            **values,
        },
    )


def names(ranking: Ranking) -> list[str]:
    return [spec.name for spec in ranking.order]


def test_plan_then_fallbacks_then_the_graphs_own_model() -> None:
    assert names(ranked()) == ["cheap", "local", "own"]
    assert names(ranked(keeps_own=True)) == ["own"]


@pytest.mark.parametrize(
    ("values", "order", "reason"),
    [
        ({"must_stay": True}, ["local"], "private"),
        ({"hints": RouteHints(models=("local", "own"))}, ["local", "own"], "not among"),
        ({"hints": RouteHints(pin="own")}, ["own"], None),
        ({"is_down": lambda name: name == "cheap"}, ["local", "own"], "did not answer"),
        ({"planned": ("gone",)}, ["own"], "not in the pool"),
    ],
)
def test_obstacles_keep_a_model_out_with_a_reason(
    values: dict[str, Any], order: list[str], reason: str | None
) -> None:
    ranking = ranked(**values)
    assert names(ranking) == order
    if reason is not None:
        assert any(reason in attempt.reason for attempt in ranking.passed_over)


def test_a_model_that_lacks_a_capability_is_passed_over_but_the_own_model_is_trusted() -> None:
    call = facts(needs=frozenset({"vision"}))
    ranking = ranked(call)
    assert names(ranking) == ["own"]
    assert ranking.passed_over[0].reason == "lacks vision"


def test_without_an_assignment_the_price_decides() -> None:
    able = spec_for("able", price=5.0, ability=0.9)
    catalog = Catalog(models=(able, spec_for("weak", price=0.1, ability=0.1)))
    assert names(ranked(planned=None, catalog=catalog))[0] == "able"
    dear = ranked(planned=None, catalog=catalog, shadow_price=1e9)
    assert names(dear)[0] == "weak"


def test_a_stake_without_a_limit_is_the_worst_case_and_caps_nothing() -> None:
    call = facts(out_cap=50, sent_cap=50)
    found = stake(CHEAP, call, out_expected=10, share_nano=None, available_nano=None)
    assert found is not None
    assert (found.amount_nano, found.cap_tokens) == (nano(250 * 1.0), None)


def test_a_stake_is_cut_to_the_fair_share_by_a_cap_on_the_answer() -> None:
    call = facts(in_fixed=100)
    found = stake(CHEAP, call, out_expected=10, share_nano=nano(400), available_nano=nano(9000))
    assert found is not None
    assert found.amount_nano == nano(400)
    assert found.cap_tokens == 300


def test_a_stake_below_twice_the_expected_answer_is_refused() -> None:
    call = facts(in_fixed=100)
    assert (
        stake(CHEAP, call, out_expected=500, share_nano=nano(50), available_nano=nano(600)) is None
    )
    held = stake(CHEAP, call, out_expected=500, share_nano=nano(50), available_nano=nano(1100))
    assert held is not None
    assert held.cap_tokens == 1000


def test_bounds_grow_by_what_earlier_calls_of_the_node_have_cost_over_theirs() -> None:
    call = facts(out_cap=10, sent_cap=10)
    plain = stake(CHEAP, call, out_expected=5, share_nano=None, available_nano=None)
    grown = stake(CHEAP, call, out_expected=5, share_nano=None, available_nano=None, excess=3.0)
    assert plain is not None
    assert grown is not None
    assert grown.amount_nano == 3 * plain.amount_nano


def test_a_limit_that_the_call_does_not_carry_is_sent_along() -> None:
    hinted = stake(CHEAP, facts(out_cap=50), out_expected=5, share_nano=None, available_nano=None)
    carried = stake(
        CHEAP, facts(out_cap=50, sent_cap=50), out_expected=5, share_nano=None, available_nano=None
    )
    assert (hinted and hinted.cap_tokens, carried and carried.cap_tokens) == (50, None)
    unlimited = stake(
        CHEAP, facts(), out_expected=5, share_nano=nano(1e6), available_nano=nano(1e6)
    )
    assert unlimited is not None
    assert unlimited.cap_tokens == UNKNOWN_OUT_LIMIT


def test_a_cap_larger_than_the_models_room_is_cut_to_it() -> None:
    small = spec_for("small", max_output_tokens=400)
    found = stake(
        small,
        facts(out_cap=64_000, sent_cap=64_000),
        out_expected=5,
        share_nano=nano(1e6),
        available_nano=nano(1e6),
    )
    assert found is not None
    assert found.cap_tokens == 400


def test_a_cap_is_no_need_for_so_long_an_answer() -> None:
    tiny = spec_for("tiny", context_tokens=8192)
    catalog = Catalog(models=(tiny,))
    call = facts(out_cap=64_000, sent_cap=64_000)
    assert names(ranked(call, planned=("tiny",), catalog=catalog)) == ["tiny", "own"]


def test_a_free_model_stakes_nothing_whatever_is_left() -> None:
    found = stake(LOCAL, facts(), out_expected=10, share_nano=0, available_nano=0)
    assert found is not None
    assert found.amount_nano == 0


def test_shares_divide_what_is_left_by_what_is_expected() -> None:
    assert share(available_nano=90, expected_nano=1, expected_left_nano=3) == 30
    assert share(available_nano=90, expected_nano=0, expected_left_nano=0) == 45
    assert share(available_nano=90, expected_nano=9, expected_left_nano=3) == 90


STRONG = spec_for("strong", price=10.0, ability=0.9)
WEAK = spec_for("weak", price=1.0, ability=0.4)


def leaning(departure: float, **values: Any) -> list[str]:
    """Order of two models that the plan put weak first at a price of 300 per USD."""
    lean = Lean(
        **{
            "qualities": {"weak": 0.6, "strong": 0.9},
            "weight": 1.0,
            "out_tokens": 100.0,
            "departure": departure,
            "share": 0.8,
            **values,
        }
    )
    found = ranked(
        facts(own=WEAK, in_tokens=100),
        planned=("weak", "strong"),
        catalog=Catalog(models=(STRONG, WEAK)),
        shadow_price=300.0,
        lean=lean,
    )
    return names(found)


def test_a_prompt_harder_than_usual_goes_to_the_better_model_and_an_easy_one_stays() -> None:
    assert leaning(0.0) == ["weak", "strong"]
    assert leaning(-0.3) == ["weak", "strong"]
    assert leaning(0.3) == ["strong", "weak"]


def test_a_text_score_without_a_share_moves_nothing() -> None:
    assert leaning(1.0, share=0.0) == ["weak", "strong"]


def test_the_plans_choice_is_left_only_for_what_the_text_adds() -> None:
    # By its quality and price alone `strong` would be first; the plan had other reasons.
    assert leaning(0.0, qualities={"weak": 0.1, "strong": 0.9}) == ["weak", "strong"]


def test_an_order_with_a_model_of_unknown_quality_is_left_alone() -> None:
    assert leaning(1.0, qualities={"weak": 0.6}) == ["weak", "strong"]
