from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import InvalidValue
from graphroute.runtime.ledger import Ledger, Reservation


def test_a_reservation_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    ledger = Ledger(limit_nano=10)
    assert ledger.reserve(11) is None
    assert (ledger.spent_nano, ledger.reserved_nano, ledger.available_nano) == (0, 0, 10)


def test_a_reservation_ends_once() -> None:
    ledger = Ledger(limit_nano=10)
    reservation = ledger.reserve(10)
    assert reservation is not None
    ledger.settle(reservation, 4)
    ledger.settle(reservation, 4)
    ledger.release(reservation)
    assert (ledger.spent_nano, ledger.reserved_nano) == (4, 0)


def test_free_calls_pass_when_everything_is_spent() -> None:
    ledger = Ledger(limit_nano=0)
    assert ledger.reserve(0) is not None
    assert ledger.reserve(1) is None


def test_a_call_dearer_than_reserved_stops_the_next_one() -> None:
    ledger = Ledger(limit_nano=10)
    reservation = ledger.reserve(5)
    assert reservation is not None
    ledger.settle(reservation, 12)
    assert ledger.available_nano == 0
    assert ledger.reserve(1) is None


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(InvalidValue, match="reserve"):
        Ledger(limit_nano=None).reserve(-1)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1), st.booleans()), max_size=60))
def test_money_is_conserved_and_never_overdrawn(
    calls: list[tuple[int, float, bool]],
) -> None:
    ledger, spent = Ledger(limit_nano=200), 0
    held: list[tuple[Reservation, int]] = []
    for amount, part, is_held in calls:
        reservation = ledger.reserve(amount)
        if reservation is None:
            assert amount > 200 - spent - sum(r.amount_nano for r, _ in held)
            continue
        if is_held:
            held.append((reservation, round(amount * part)))
        else:
            ledger.settle(reservation, round(amount * part))
            spent += round(amount * part)
        assert ledger.spent_nano == spent
        assert ledger.spent_nano + ledger.reserved_nano <= 200
    for reservation, cost in held:
        ledger.settle(reservation, cost)
        spent += cost
    assert (ledger.spent_nano, ledger.reserved_nano) == (spent, 0)


def test_threads_together_never_pass_the_limit() -> None:
    ledger = Ledger(limit_nano=1_000)
    granted: list[int] = []
    gate = threading.Barrier(16)

    def work() -> None:
        gate.wait()
        for _ in range(500):
            reservation = ledger.reserve(3)
            if reservation is not None:
                ledger.settle(reservation, 2)
                granted.append(2)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.spent_nano == sum(granted) <= 1_000
    # The last call needs 3 free, so between 1 and 2 nano-dollars stay.
    assert ledger.spent_nano >= 998
