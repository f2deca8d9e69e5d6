"""Money that calls beside one hold, give back, or try for while it looks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import Budget
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.course import Course
from graphroute.runtime.later import Later
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.router import CallFacts
from graphroute.runtime.till import Taken, Till
from tests.unit.runtime.situations import assignment_for, policy_for, spec_for

OWN = spec_for("scripted:own", price=10.0, max_output_tokens=1000)
CALL = CallFacts(node="work", own=OWN, in_tokens=10, in_fixed=10, out_cap=None)
LIMIT_NANO = 12_000_000


def till_on(ledger: Ledger) -> Till:
    policy = policy_for(
        assignment_for("work", OWN.name),
        chats={OWN.name: ScriptedChat(name="own")},
        specs=(OWN,),
        budget=Budget(per_run_usd=LIMIT_NANO / 1e9),
    )
    return Till(
        ledger=ledger,
        course=Course(policy.plan),
        policy=policy,
        node="work",
        assignment=policy.plan.assignments[0],
        turn=None,
        attempts=[],
    )


def taken_in_the_end(till: Till, order: Sequence[ModelSpec] = (OWN,), *, tries: int = 3) -> Taken:
    for _ in range(tries):
        try:
            taken = till.take(order, CALL)
        except Later:
            continue
        assert taken is not None, "it took what others held for spent"
        return taken
    raise AssertionError("it never stopped waiting")


def test_money_given_back_while_a_call_looks_is_looked_for_again() -> None:
    class Quick(Ledger):
        """A call beside the first one comes before it, and has ended when that is refused."""

        is_beside = True

        def reserve(self, amount_nano: int) -> Reservation | None:
            if not self.is_beside:
                return super().reserve(amount_nano)
            self.is_beside = False
            beside = super().reserve(LIMIT_NANO - 1_000)
            found = super().reserve(amount_nano)
            assert beside is not None
            assert found is None
            self.settle(beside, 100)
            return found

    assert taken_in_the_end(till_on(Quick(limit_nano=LIMIT_NANO))).spec is OWN


def test_a_call_does_not_wait_for_ever_for_money_that_is_spent() -> None:
    ledger = Ledger(limit_nano=LIMIT_NANO)
    beside = ledger.reserve(LIMIT_NANO - 1_000)
    assert beside is not None
    ledger.settle(beside, LIMIT_NANO - 1_000)
    assert till_on(ledger).take([OWN], CALL) is None


def test_a_call_waits_while_another_only_tries_for_the_money(tmp_path: Path) -> None:
    is_trying, may_end = threading.Event(), threading.Event()

    class Slow(PeriodLedger):
        def reserve(self, amount_nano: int) -> int | None:
            if not is_trying.is_set():
                is_trying.set()
                may_end.wait(30)
                return None
            return super().reserve(amount_nano)

    periods = Slow(tmp_path / "ledger.sqlite3", day_nano=LIMIT_NANO)
    ledger = Ledger(limit_nano=LIMIT_NANO, periods=periods)
    beside = threading.Thread(target=ledger.reserve, args=(LIMIT_NANO,))
    beside.start()
    assert is_trying.wait(30)
    taken: list[Taken] = []
    looking = threading.Thread(target=lambda: taken.append(taken_in_the_end(till_on(ledger))))
    looking.start()
    may_end.set()
    for thread in (beside, looking):
        thread.join(30)
    assert [each.spec for each in taken] == [OWN]
    periods.close()


@pytest.mark.parametrize("spent", [0, 100])
def test_a_waiting_call_is_woken_by_the_end_it_waits_for(spent: int) -> None:
    ledger = Ledger(limit_nano=LIMIT_NANO)
    beside = ledger.reserve(LIMIT_NANO - 1_000)
    assert beside is not None
    with pytest.raises(Later) as raised:
        till_on(ledger).take([OWN], CALL)
    woken: list[bool] = []
    assert raised.value.when is not None
    raised.value.when(lambda: woken.append(True))
    assert not woken
    ledger.settle(beside, spent)
    assert woken == [True]
