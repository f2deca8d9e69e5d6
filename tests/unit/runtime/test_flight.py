from __future__ import annotations

import threading

from graphroute.runtime.flight import Flight, Flights


def test_followers_get_the_leaders_value() -> None:
    flights = Flights[int]()
    leader, follower = flights.join("k"), flights.join("k")
    woken: list[str] = []
    follower.when_over(lambda: woken.append("follower"))
    assert not follower.is_over
    leader.done(7)
    assert woken == ["follower"]
    assert (follower.is_over, follower.value, follower.error) == (True, 7, None)


def test_an_error_is_shared_once_and_not_kept() -> None:
    flights = Flights[int]()
    leader, follower = flights.join("k"), flights.join("k")
    fault = ValueError("no")
    leader.failed(fault)
    assert follower.error is fault
    assert flights.join("k").is_leader


def test_one_follower_takes_over_from_a_leader_that_gave_up() -> None:
    flights = Flights[int]()
    leader = flights.join("k")
    followers = [flights.join("k") for _ in range(3)]
    leader.abandoned()
    assert all(f.is_over and f.value is None and f.error is None for f in followers)
    again = [flights.join("k") for _ in followers]
    assert [f.is_leader for f in again] == [True, False, False]


def test_only_the_leaders_first_word_counts() -> None:
    flights = Flights[int]()
    leader, follower = flights.join("k"), flights.join("k")
    follower.done(1)
    assert not leader.is_over
    leader.done(2)
    leader.failed(ValueError("too late"))
    assert (follower.value, follower.error) == (2, None)


def test_a_late_wake_up_comes_at_once() -> None:
    flights = Flights[int]()
    leader, follower = flights.join("k"), flights.join("k")
    leader.done(1)
    woken: list[int] = []
    follower.when_over(lambda: woken.append(1))
    assert woken == [1]


def test_who_waits_is_told_that_it_may_take_long() -> None:
    flights = Flights[int]()
    leader, follower = flights.join("k"), flights.join("k")
    woken: list[int] = []
    follower.when_over(lambda: woken.append(1))
    leader.hold()
    assert (woken, follower.is_held, follower.is_over) == ([1], True, False)
    leader.done(3)
    assert follower.value == 3


def test_keys_do_not_meet() -> None:
    flights = Flights[int]()
    assert flights.join("a").is_leader
    assert flights.join("b").is_leader


def test_64_threads_compute_once() -> None:
    flights = Flights[int]()
    start, computed = threading.Barrier(64), []
    joined = threading.Barrier(64)
    values: list[int | None] = []

    def call() -> None:
        start.wait()
        flight: Flight[int] = flights.join("k")
        joined.wait()
        if flight.is_leader:
            computed.append(1)
            flight.done(42)
        over = threading.Event()
        flight.when_over(over.set)
        assert over.wait(30)
        values.append(flight.value)

    threads = [threading.Thread(target=call) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    assert values == [42] * 64
