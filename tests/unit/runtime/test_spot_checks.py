"""How often a check that can change nothing is paid for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from graphroute.ir.record import CHECK
from graphroute.runtime.spot_checks import FIRST, SHARE, SpotChecks
from tests.unit.calls import call


def test_the_first_answers_of_each_model_are_judged_then_a_small_share_of_the_money() -> None:
    checks = SpotChecks()
    assert [checks.is_due("draft", "m") for _ in range(FIRST)] == [True] * FIRST
    checks.note(call(why=CHECK, cost_nano=50))
    assert not checks.is_due("draft", "m")
    assert checks.is_due("draft", "new")
    assert checks.is_due("other", "m")
    checks.note(call(cost_nano=int(50 / SHARE) - 1))
    assert not checks.is_due("draft", "m")
    checks.note(call(cost_nano=1))
    assert checks.is_due("draft", "m")


def test_threads_do_not_take_the_first_ones_twice() -> None:
    checks = SpotChecks()
    checks.note(call(why=CHECK, cost_nano=1))
    with ThreadPoolExecutor(8) as pool:
        due = list(pool.map(lambda _: checks.is_due("draft", "m"), range(10 * FIRST)))
    assert sum(due) == FIRST
