from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from graphroute.batching import immediate, window
from graphroute.ir.batch import Bundle, Flush, Gathering, Hold, Waiting
from graphroute.runtime.admission import IDLE_S, Admission, Arrival, Go, Place, Wait
from graphroute.runtime.gates import Gates, Lane, Outcome

ONE = Lane(model="llamacpp:one", most=1)
WIDE = Lane(model="llamacpp:wide", most=100)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _window(clock: Callable[[], float], gates: Gates | None = None, **options: Any) -> Admission:
    return Admission(window.build(**options), gates or Gates(), clock=clock)


def _arrival(lane: Lane = WIDE, **facts: Any) -> Arrival:
    return Arrival(lane=lane, messages=[HumanMessage("hi")], **facts)


def _is_going(place: Place) -> bool:
    return isinstance(place.poll(), Go)


def _waits(place: Place) -> Wait:
    found = place.poll()
    assert isinstance(found, Wait)
    return found


def test_the_immediate_policy_is_held_by_the_gates_only(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(4)]
    assert [_is_going(p) for p in places] == [True, False, False, False]
    woken: list[int] = []
    _waits(places[1]).when(lambda: woken.append(1))
    _waits(places[2]).when(lambda: woken.append(2))
    places[0].leave(Outcome())
    assert woken == [1]
    assert _is_going(places[1])
    assert not _is_going(places[2])


def test_a_window_holds_until_it_is_quiet(clock: Clock) -> None:
    admission = _window(clock)
    first = admission.enter(_arrival())
    assert _waits(first).patience_s == pytest.approx(0.002)
    clock.now_s += 0.0015
    second = admission.enter(_arrival())
    clock.now_s += 0.001
    assert not _is_going(first)
    clock.now_s += 0.001
    assert _is_going(first)
    assert _is_going(second)


def test_nobody_is_held_longer_than_the_hard_cap(clock: Clock) -> None:
    admission = _window(clock)
    first = admission.enter(_arrival())
    for _ in range(40):
        if _is_going(first):
            break
        clock.now_s += 0.001
        admission.enter(_arrival())
    assert clock.now_s - 100.0 == pytest.approx(0.020)


def test_the_last_sibling_lets_all_go_at_once(clock: Clock) -> None:
    admission = _window(clock)
    places = [admission.enter(_arrival(burst="r1/3", siblings=3)) for _ in range(3)]
    assert all(_is_going(p) for p in places)


def test_a_call_known_to_be_alone_is_not_held(clock: Clock) -> None:
    assert _is_going(_window(clock).enter(_arrival(burst="r1/1", siblings=1)))


def test_siblings_of_one_run_do_not_stand_for_those_of_another(clock: Clock) -> None:
    admission = _window(clock)
    a = admission.enter(_arrival(burst="r1", siblings=2))
    b = admission.enter(_arrival(burst="r2", siblings=2))
    assert not _is_going(a)
    admission.enter(_arrival(burst="r1", siblings=2))
    assert not _is_going(b)
    admission.enter(_arrival(burst="r2", siblings=2))
    assert _is_going(a)
    assert _is_going(b)


def test_calls_made_one_at_a_time_are_held_once(clock: Clock) -> None:
    admission = _window(clock)
    held = 0
    for _ in range(5):
        place = admission.enter(_arrival())
        if not _is_going(place):
            held += 1
            clock.now_s += 0.002
            assert _is_going(place)
        place.leave(Outcome())
    assert held == 1


def test_as_many_as_there_are_workers_go_without_waiting_for_quiet(clock: Clock) -> None:
    admission = _window(clock)
    places = [admission.enter(_arrival(burst="r", siblings=40)) for _ in range(6)]
    clock.now_s += 0.002
    assert all(_is_going(p) for p in places)
    for place in places:
        place.leave(Outcome())
    again = [admission.enter(_arrival(burst="r", siblings=40)) for _ in range(6)]
    assert all(_is_going(p) for p in again)


def test_groups_do_not_wait_for_one_another(clock: Clock) -> None:
    admission = _window(clock)
    a = admission.enter(_arrival(group="a"))
    clock.now_s += 0.0015
    admission.enter(_arrival(group="b"))
    clock.now_s += 0.0005
    assert _is_going(a)


def test_a_stream_is_not_gathered(clock: Clock) -> None:
    assert _is_going(_window(clock).enter(_arrival(may_gather=False, is_open_ended=True)))


def test_another_looks_when_the_first_does_not(clock: Clock) -> None:
    admission = _window(clock)
    first, second = admission.enter(_arrival()), admission.enter(_arrival())
    patience_s = _waits(second).patience_s
    assert 0.002 < patience_s < 0.02
    clock.now_s += patience_s
    assert _is_going(second)
    assert _is_going(first)


def test_a_gathered_call_that_goes_away_holds_nobody(clock: Clock) -> None:
    admission = _window(clock)
    first, second = admission.enter(_arrival()), admission.enter(_arrival())
    woken: list[str] = []
    _waits(second).when(lambda: woken.append("second"))
    first.cancel()
    assert woken == ["second"]
    clock.now_s += 0.002
    assert _is_going(second)


def test_one_in_line_that_goes_away_makes_room(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(3)]
    places[1].cancel()
    places[0].leave(Outcome())
    assert _is_going(places[2])


def test_one_that_was_let_in_and_goes_away_gives_its_slot_on(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(2)]
    places[0].cancel()  # granted, never polled
    assert _is_going(places[1])
    for place in places:
        place.cancel()
        place.leave(Outcome())
    assert _is_going(admission.enter(_arrival(ONE)))


def test_a_call_that_cannot_wait_goes(clock: Clock) -> None:
    admission = _window(clock)
    gathered = admission.enter(_arrival(ONE))
    gathered.insist()
    assert _is_going(gathered)
    in_line = [admission.enter(_arrival(ONE, may_gather=False)) for _ in range(3)]
    in_line[-1].insist()
    assert _is_going(in_line[-1])
    for place in (gathered, *in_line):
        place.leave(Outcome())
    assert _is_going(admission.enter(_arrival(ONE, may_gather=False)))


def test_a_wake_up_asked_for_too_late_comes_at_once(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(2)]
    wait = _waits(places[-1])
    places[0].leave(Outcome())
    woken: list[bool] = []
    wait.when(lambda: woken.append(True))
    assert woken == [True]


def test_a_closed_gate_says_when_to_look_again(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    first = admission.enter(_arrival(ONE))
    first.leave(Outcome(verdict="refused", wait_s=0.25))
    second = admission.enter(_arrival(ONE))
    assert _waits(second).patience_s == pytest.approx(0.25)
    clock.now_s += 0.25
    assert _is_going(second)


def test_two_graphs_share_a_server(clock: Clock) -> None:
    gates = Gates()
    one, other = (Admission(immediate.build(), gates, clock=clock) for _ in range(2))
    inside = [one.enter(_arrival(ONE)) for _ in range(1)]
    waiting = other.enter(_arrival(ONE))
    woken: list[bool] = []
    _waits(waiting).when(lambda: woken.append(True))
    inside[0].leave(Outcome())
    assert woken == [True]
    assert _is_going(waiting)


def test_of_two_graphs_none_is_always_first(clock: Clock) -> None:
    gates = Gates()
    admissions = [Admission(immediate.build(), gates, clock=clock) for _ in range(2)]
    inside = [admissions[0].enter(_arrival(ONE)) for _ in range(1)]
    lines = [[a.enter(_arrival(ONE)) for _ in range(20)] for a in admissions]
    served = [0, 0]
    for _ in range(20):
        inside.pop(0).leave(Outcome())
        for number, line in enumerate(lines):
            while line and _is_going(line[0]):
                served[number] += 1
                inside.append(line.pop(0))
    assert served == [10, 10]


class Faulty:
    """A policy of somebody else's."""

    name = "faulty"

    def __init__(self, gathers: Callable[[Gathering], Any]) -> None:
        self._gathers = gathers

    def gather(self, group: Gathering) -> Flush | Hold:
        return self._gathers(group)  # type: ignore[no-any-return]

    def pick(self, queue: Any, **_: Any) -> int | None:
        raise RuntimeError("no order")

    def along(self, first: Any, queue: Any, *, most: int) -> list[int]:
        raise RuntimeError("no idea")


def _raise(_: Gathering) -> Flush:
    raise RuntimeError("no idea")


@pytest.mark.parametrize(
    "gathers",
    [
        _raise,
        lambda g: None,
        lambda g: Flush(bundles=(Bundle(numbers=(10**6,)), *_alone(g))),
        lambda g: Flush(bundles=(*_alone(g), *_alone(g))),
    ],
)
def test_a_faulty_policy_breaks_nothing(
    gathers: Callable[[Gathering], Any], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    admission = Admission(Faulty(gathers), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(5)]
    for place in places:
        assert _is_going(place)
        place.leave(Outcome())
    assert len(caplog.records) <= 1


def _alone(group: Gathering) -> tuple[Bundle, ...]:
    return tuple(Bundle(numbers=(w.number,)) for w in group.waiting)


def test_nobody_starves_where_a_policy_takes_the_last_first(clock: Clock) -> None:
    seen: list[int] = []

    class Last:
        name = "last"

        def gather(self, group: Gathering) -> Flush:
            return Flush(bundles=_alone(group))

        def pick(self, queue: Sequence[Waiting], **_: Any) -> int:
            seen.append(queue[0].passed_over)
            return queue[-1].number

        def along(self, first: Any, queue: Any, *, most: int) -> list[int]:
            return []

    admission = Admission(Last(), Gates(), clock=clock)
    inside = [admission.enter(_arrival(ONE)) for _ in range(1)]
    waiting = [admission.enter(_arrival(ONE)) for _ in range(4)]
    for place in (*inside, *reversed(waiting)):
        place.leave(Outcome())
    assert max(seen) > 0  # a policy can see who was passed over


# -- real threads and loops, no injected clock


def _call(admission: Admission, arrival: Arrival, work: Callable[[], Any]) -> None:
    place = admission.enter(arrival)
    try:
        while isinstance(found := place.poll(), Wait):
            woken = threading.Event()
            found.when(woken.set)
            woken.wait(found.patience_s)
        work()
        place.leave(Outcome())
    finally:
        place.cancel()


async def _acall(admission: Admission, arrival: Arrival, work: Callable[[], Any]) -> None:
    loop, place = asyncio.get_running_loop(), admission.enter(arrival)
    try:
        while isinstance(found := place.poll(), Wait):
            woken = asyncio.Event()
            found.when(lambda woken=woken: loop.call_soon_threadsafe(woken.set))  # type: ignore[misc]
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), found.patience_s)
        await asyncio.sleep(0)
        work()
        place.leave(Outcome())
    finally:
        place.cancel()


class Inside:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.total = threading.Lock(), 0, 0, 0

    def __call__(self) -> None:
        with self.lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
        time.sleep(0)  # lets another thread in, waits for nothing
        with self.lock:
            self.now -= 1


@pytest.mark.parametrize("workers", [1, 4, 64])
@pytest.mark.parametrize("siblings", [None, 100])
def test_threads_come_through_at_any_concurrency(workers: int, siblings: int | None) -> None:
    admission, work = _window(time.monotonic), Inside()
    lane = Lane(model="m", most=3)
    with ThreadPoolExecutor(workers) as pool:
        done = [
            pool.submit(_call, admission, _arrival(lane, burst="b", siblings=siblings), work)
            for _ in range(100)
        ]
        for future in done:
            future.result(timeout=30)
    assert work.total == 100
    assert work.most <= 3


async def test_tasks_come_through_and_a_cancelled_one_takes_none_along() -> None:
    admission, work = _window(time.monotonic), Inside()
    lane = Lane(model="m", most=2)
    tasks = [asyncio.create_task(_acall(admission, _arrival(lane), work)) for _ in range(100)]
    await asyncio.sleep(0)
    chosen = random.Random(0).sample(range(100), 30)
    for number in chosen:
        tasks[number].cancel()
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    assert sum(isinstance(e, asyncio.CancelledError) for e in ended) == 30
    assert [e for e in ended if e is not None and not isinstance(e, asyncio.CancelledError)] == []
    assert work.total == 70


async def test_threads_and_loops_mix() -> None:
    admission, work = _window(time.monotonic), Inside()
    lane = Lane(model="m", most=1)
    with ThreadPoolExecutor(8) as pool:
        loop = asyncio.get_running_loop()
        threads = [
            loop.run_in_executor(pool, _call, admission, _arrival(lane), work) for _ in range(30)
        ]
        tasks = [asyncio.create_task(_acall(admission, _arrival(lane), work)) for _ in range(30)]
        await asyncio.wait_for(asyncio.gather(*threads, *tasks), 30)
    assert work.total == 60


def test_a_waiting_call_looks_again_even_if_nobody_wakes_it(clock: Clock) -> None:
    admission = Admission(immediate.build(), Gates(), clock=clock)
    places = [admission.enter(_arrival(ONE)) for _ in range(2)]
    assert _waits(places[-1]).patience_s == IDLE_S
