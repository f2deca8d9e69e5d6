"""Every batch policy that discovery finds lets each call go, in a bounded time, once."""

from __future__ import annotations

import inspect
import random
from typing import Any, get_args

import pytest

from graphroute import registry
from graphroute.ir.batch import Flush, Gathering, Hold, Means, Waiting
from graphroute.protocols import BatchPolicy
from graphroute.runtime.admission import Admission, Arrival, Go, Place, Work
from graphroute.runtime.gates import Gates, Lane, Outcome

NAMES = registry.names("batching")
LONGEST_S = 60.0
"""No policy may hold a call longer than this, whatever its options."""


def built() -> list[Any]:
    return [
        pytest.param(registry.build("batching", name, **options), id=f"{name}-{number}")
        for name in NAMES
        for number, options in enumerate(registry.load("batching", name).EXAMPLES)
    ]


every = pytest.mark.parametrize("policy", built())


def _call(number: int, **facts: Any) -> Waiting:
    values: dict[str, Any] = {"arrived_s": 0.0, "prompt": f"Text {number % 3}: {number}"}
    return Waiting(number=number, in_tokens=9, **values | facts)


def test_the_family_is_complete() -> None:
    assert {"immediate", "window", "prefix", "pack", "deferred"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_says_what_it_needs(name: str) -> None:
    module = registry.load("batching", name)
    assert all(isinstance(need, str) for need in module.REQUIRES)
    assert module.EXAMPLES
    assert module.__doc__
    parameters = inspect.signature(module.build).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters)


@every
def test_it_has_its_name(policy: BatchPolicy) -> None:
    assert isinstance(policy, BatchPolicy)
    assert policy.name in NAMES


@every
@pytest.mark.parametrize("seed", range(20))
def test_each_call_goes_once_and_soon(policy: BatchPolicy, seed: int) -> None:
    """Asked again whenever a hold is over, with nobody else ever coming."""
    draw = random.Random(seed)
    calls = tuple(
        _call(
            number,
            arrived_s=number * 0.0005,
            template=draw.choice(("", "t1", "t2")),
            can_defer=draw.random() < 0.3,
        )
        for number in range(draw.randint(1, 40))
    )
    now_s, gone = calls[-1].arrived_s, []
    began_s = now_s
    while waiting := tuple(call for call in calls if call.number not in gone):
        said = policy.gather(
            Gathering(
                waiting=waiting,
                now_s=now_s,
                active=draw.randint(0, 5),
                left=draw.choice((None, 0, 9)),
                peak=draw.randint(0, 9),
            )
        )
        if isinstance(said, Hold):
            assert said.until_s > now_s, "a hold that is over already would be asked for ever"
            now_s = said.until_s
        else:
            assert isinstance(said, Flush)
            assert said.bundles, "a flush of nobody would be asked for ever"
            gone += [number for bundle in said.bundles for number in bundle.numbers]
        assert now_s - began_s < LONGEST_S
    assert sorted(gone) == [call.number for call in calls]


@every
@pytest.mark.parametrize("most", [1, 2, 4, 16, 100])
def test_who_goes_along_is_of_one_template_and_no_more_than_told(
    policy: BatchPolicy, most: int
) -> None:
    calls = [_call(n, template=("t1", "t2", "")[n % 3]) for n in range(40)]
    for first in calls[:3]:
        others = [call for call in calls if call is not first]
        numbers = policy.along(first, others, most=most)
        assert len(set(numbers)) == len(numbers) < max(2, most)
        alike = {call.number for call in others if call.template == first.template}
        assert set(numbers) <= (alike if first.template else set())


@every
def test_calls_alone_go_each_by_itself(policy: BatchPolicy) -> None:
    calls = tuple(_call(n, template="t1") for n in range(9))
    said = policy.gather(Gathering(waiting=calls, now_s=100.0, left=0))
    assert isinstance(said, Flush)
    assert all(len(each.numbers) == 1 for each in said.bundles if each.how == "alone")


@every
def test_only_what_may_be_deferred_is(policy: BatchPolicy) -> None:
    calls = tuple(_call(number, can_defer=number % 2 == 0) for number in range(10))
    said = policy.gather(Gathering(waiting=calls, now_s=100.0, left=0))
    assert isinstance(said, Flush)
    deferred = [n for bundle in said.bundles if bundle.how == "deferred" for n in bundle.numbers]
    assert all(calls[number].can_defer for number in deferred)


@every
@pytest.mark.parametrize("seed", range(10))
def test_the_next_is_one_of_those_in_line(policy: BatchPolicy, seed: int) -> None:
    draw = random.Random(seed)
    text = "A long beginning that some of them share. " * 200
    made = [_call(n, prompt=text[: draw.randint(0, 9000)] + str(n)) for n in range(30)]
    queue, running, warm = made[:20], made[20:24], made[24:]
    chosen = policy.pick(queue, running=running, warm=warm, now_s=1.0)
    assert chosen is None or chosen in {call.number for call in queue}
    # Where nothing runs nobody can be waited for.
    assert policy.pick(queue, running=(), warm=(), now_s=1.0) is not None


@every
def test_nobody_starves_in_line(policy: BatchPolicy) -> None:
    """One with a prompt of its own, among ever new ones that share theirs."""
    odd = _call(0, prompt="quite another prompt")
    queue = [odd, *(_call(n, prompt="the same beginning") for n in range(1, 4))]
    for turn in range(4, 200):
        chosen = policy.pick(queue, running=(), warm=[_call(999, prompt="the same")], now_s=1.0)
        if chosen == 0:
            return
        index = next(i for i, call in enumerate(queue) if call.number == chosen)
        queue = [
            _call(c.number, prompt=c.prompt, passed_over=c.passed_over + (i < index))
            for i, c in enumerate(queue)
            if i != index
        ]
        queue.append(_call(turn, prompt="the same beginning"))
    raise AssertionError("it was never chosen")


@every
@pytest.mark.parametrize("slots", [1, 3])
def test_all_come_through_admission(policy: BatchPolicy, slots: int) -> None:
    class Clock:
        now_s = 0.0

        def __call__(self) -> float:
            return self.now_s

    clock = Clock()
    admission, lane = Admission(policy, Gates(), clock=clock), Lane(model="m", most=slots)
    places: list[Place] = [admission.enter(Arrival(lane=lane)) for _ in range(50)]
    going: list[Place] = []
    for _ in range(10_000):
        for place in list(places):
            said = place.poll()
            assert not isinstance(said, Work)
            if isinstance(said, Go):
                places.remove(place)
                going.append(place)
        assert len(going) <= slots
        if going:
            going.pop(0).leave(Outcome())
        if not places and not going:
            return
        clock.now_s += 0.001
    raise AssertionError(f"{len(places)} never came through")


@every
def test_what_it_works_with_is_what_it_says(policy: BatchPolicy) -> None:
    means = getattr(policy, "means")  # noqa: B009 - no part of the protocol, which leaves it open
    assert means <= set(get_args(Means))
    calls = [_call(number, template="t", can_defer=True) for number in range(1, 9)]
    said = policy.gather(Gathering(waiting=tuple(calls), now_s=LONGEST_S))
    assert isinstance(said, Flush)
    assert ("batches" in means) == any(bundle.how == "deferred" for bundle in said.bundles)
    assert ("packs" in means) == bool(policy.along(calls[0], calls[1:], most=4))
