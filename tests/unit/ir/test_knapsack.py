"""Who gets the money beside the first answers: against every way to spend it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.ir.knapsack import FINE, VISITS, Ladder, Stage, asked, is_worth, ladder, of_visits


def stage(usd: float, chance: float = 0.5, gain: float = 1.0) -> Stage:
    return Stage(usd=usd, chance=chance, gain=gain)


def best(ladders: list[Ladder], room: float) -> float:
    """The most that can be gained, by trying every decision."""
    return going_on(ladders[0], ladders[1:], room) if ladders else 0.0


def going_on(ahead: Ladder, later: list[Ladder], room: float) -> float:
    stay = best(later, room)
    if not ahead:
        return stay
    first = ahead[0]
    ask = asking(ahead, later, room)
    return first.chance * max(stay, ask) + (1 - first.chance) * stay


def asking(ahead: Ladder, later: list[Ladder], room: float) -> float:
    first = ahead[0]
    if first.needs_usd > room:
        return -math.inf
    return first.gain + going_on(ahead[1:], later, room - first.usd)


stages = st.builds(
    Stage,
    usd=st.integers(0, FINE).map(float),
    chance=st.floats(0, 1),
    gain=st.floats(-0.2, 2),
    hold_usd=st.integers(0, FINE).map(float),
)
# The dearest is as dear as it can be, so that cells are USD and nothing is rounded.
problems = st.lists(st.lists(stages, min_size=1, max_size=3).map(tuple), max_size=3).map(
    lambda found: [(stage(FINE),), *found]
)


@settings(max_examples=200, deadline=None)
@given(ladders=problems, room=st.integers(0, 80))
def test_an_answer_is_asked_for_exactly_where_that_is_best(
    ladders: list[Ladder], room: int
) -> None:
    first, later = ladders[0], ladders[1:]
    ask, stay = asking(first, later, room), best(later, room)
    if abs(ask - stay) > 1e-9:
        assert is_worth(first, later, room) == (ask > stay)


@settings(max_examples=200, deadline=None)
@given(ladders=problems, room=st.integers(0, 80))
def test_what_is_asked_gains_as_much_as_can_be_gained(ladders: list[Ladder], room: int) -> None:
    gained = 0.0
    for each, shares in zip(ladders, asked(ladders, room), strict=True):
        reached = 1.0
        for one, share in zip(each, shares, strict=True):
            reached *= one.chance
            assert 0 <= share <= 1
            gained += reached * share * one.gain
    assert gained == pytest.approx(best(ladders, room), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(ladders=problems, room=st.floats(0, 60), more=st.floats(0, 20))
def test_more_money_is_never_worth_less(ladders: list[Ladder], room: float, more: float) -> None:
    def gained(usd: float) -> float:
        return sum(
            one.gain * share * math.prod(s.chance for s in each[: n + 1])
            for each, shares in zip(ladders, asked(ladders, usd), strict=True)
            for n, (one, share) in enumerate(zip(each, shares, strict=True))
        )

    assert gained(room + more) >= gained(room) - 1e-9


def test_two_that_exclude_each_other_leave_it_to_the_one_that_gains_more() -> None:
    little, much = (stage(1.0, 0.3, 0.5),), (stage(1.0, 0.9, 1.0),)
    # 0.5 now against 0.9 × 1.0 later, and the other way round.
    assert not is_worth(little, [much], 1.5)
    assert is_worth(much, [little], 1.5)
    assert asked([little, much], 1.5) == ((0.0,), (1.0,))
    # A later one that is rarely refused leaves it to the earlier one: 0.5 against 0.4 × 1.0.
    rare = (stage(1.0, 0.4, 1.0),)
    assert is_worth(little, [rare], 1.5)
    (first,), (second,) = asked([little, rare], 1.5)
    assert first == 1.0
    assert second == pytest.approx(0.7)


def test_a_stage_too_dear_for_what_is_there_is_not_asked() -> None:
    assert not is_worth((stage(2.0),), [], 1.99)
    assert is_worth((stage(2.0),), [], 2.0)
    assert asked([(stage(2.0),)], -1.0) == ((0.0,),)


def test_what_is_put_aside_has_to_be_there_and_comes_back() -> None:
    first = Stage(usd=1.0, chance=1.0, gain=1.0, hold_usd=1.5)
    assert not is_worth((first,), [], 1.4)
    assert is_worth((first,), [], 1.5)
    # After both first calls one of them has nothing to put aside for another any more.
    assert asked([(first,), (first,)], 2.4) == ((1.0,), (0.0,))
    assert asked([(first,), (first,)], 2.5) == ((1.0,), (1.0,))


def test_gains_of_a_ladder_add_up_to_the_whole() -> None:
    found = ladder(usd=[1.0, 2.0], reach=[0.4, 0.1], so_far=[0.5, 0.8, 0.9], weight=2.0)
    whole = sum(s.gain * often for s, often in zip(found, (0.4, 0.1), strict=True))
    assert whole == pytest.approx(2 * math.log(0.9 / 0.5))
    assert ladder(usd=[], reach=[], so_far=[], weight=1.0) == ()
    never = ladder(usd=[1.0], reach=[0.0], so_far=[0.5, 0.8], weight=1.0)
    assert (never[0].chance, never[0].gain, never[0].needs_usd) == (0.0, 0.0, 1.0)
    held = ladder(usd=[1.0], reach=[0.5], so_far=[0.5, 0.8], weight=1.0, hold_usd=[3.0])
    assert held[0].needs_usd == 3.0


@pytest.mark.parametrize("visits", [0.3, 1.0, 2.4, 50.0])
def test_visits_share_what_they_cost_and_gain(visits: float) -> None:
    ahead = (stage(3.0, 0.5, 0.8), stage(5.0, 0.2, 0.1))
    found = of_visits(ahead, visits)
    assert len(found) <= VISITS
    for part in ("usd", "gain"):
        expected = visits * sum(
            getattr(s, part) * math.prod(t.chance for t in ahead[: n + 1])
            for n, s in enumerate(ahead)
        )
        told = sum(
            getattr(s, part) * math.prod(t.chance for t in each[: n + 1])
            for each in found
            for n, s in enumerate(each)
        )
        assert told == pytest.approx(expected)


def test_a_node_that_is_not_visited_wants_nothing() -> None:
    assert of_visits((stage(1.0),), 0.0) == []
    assert of_visits((), 2.0) == []
