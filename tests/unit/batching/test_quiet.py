from __future__ import annotations

from typing import Any

import pytest

from graphroute.batching._quiet import Quiet
from graphroute.errors import InvalidValue
from graphroute.ir.batch import Gathering, Hold, Waiting


def _group(*arrived_s: float, now_s: float, **facts: Any) -> Gathering:
    waiting = tuple(
        Waiting(number=n, arrived_s=at, prompt="", in_tokens=1) for n, at in enumerate(arrived_s)
    )
    return Gathering(waiting=waiting, now_s=now_s, **facts)


def test_each_arrival_prolongs_the_wait_up_to_the_cap() -> None:
    rule = Quiet(quiet_s=2.0, max_wait_s=5.0)
    assert rule.until(_group(0.0, now_s=0.0)) == Hold(until_s=2.0)
    assert rule.until(_group(0.0, 1.5, now_s=1.5)) == Hold(until_s=3.5)
    assert rule.until(_group(0.0, 1.5, 3.4, 4.9, now_s=4.9)) == Hold(until_s=5.0)
    assert rule.until(_group(0.0, 1.5, 3.4, 4.9, now_s=5.0)) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"left": 0},
        {"peak": 3},  # two wait, one is active: all that were ever there
        {"peak": 3, "left": 7},
    ],
)
def test_who_cannot_be_joined_by_anybody_does_not_wait(facts: dict[str, int]) -> None:
    assert Quiet().until(_group(0.0, 0.0, now_s=0.0, active=1, **facts)) is None


@pytest.mark.parametrize("facts", [{"peak": 4}, {"peak": 2}, {"left": 5}, {}])
def test_who_may_be_joined_waits(facts: dict[str, int]) -> None:
    assert Quiet().until(_group(0.0, 0.0, now_s=0.0, active=1, **facts)) is not None


def test_one_alone_waits_while_others_are_known_to_come() -> None:
    assert Quiet().until(_group(0.0, now_s=0.0, peak=1, left=3)) is not None
    assert Quiet().until(_group(0.0, now_s=0.0, peak=1)) is None


def test_a_full_group_goes() -> None:
    assert Quiet(size=2).until(_group(0.0, 0.0, now_s=0.0)) is None


@pytest.mark.parametrize(
    "options", [{"quiet_s": -1.0}, {"max_wait_s": float("inf")}, {"size": 0}, {"size": True}]
)
def test_what_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidValue, match="use a finite number"):
        Quiet(**options)  # type: ignore[arg-type]
