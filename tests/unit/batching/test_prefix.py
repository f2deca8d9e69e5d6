from __future__ import annotations

from collections.abc import Sequence

from graphroute.batching import prefix
from graphroute.ir.batch import Waiting

LONG = "This is what all of them begin with, word for word. " * 100
"""Some 1,300 tokens."""


def _call(number: int, prompt: str, *, since_s: float = 0.0, passed_over: int = 0) -> Waiting:
    return Waiting(
        number=number, arrived_s=since_s, prompt=prompt, in_tokens=9, passed_over=passed_over
    )


def _order(prompts: Sequence[str]) -> list[int]:
    """The order in which one slot serves these."""
    policy, warm = prefix.build(), list[Waiting]()
    queue, taken = [_call(n, p) for n, p in enumerate(prompts)], []
    while queue:
        chosen = policy.pick(queue, running=(), warm=warm[-8:], now_s=0.0)
        call = next(each for each in queue if each.number == chosen)
        queue.remove(call)
        warm.append(call)
        taken.append(call.number)
    return taken


def test_what_begins_alike_goes_together() -> None:
    prompts = [f"{'AB'[n % 2] * 500} item {n}" for n in range(8)]
    assert _order(prompts) == [0, 2, 4, 6, 1, 3, 5, 7]


def test_among_equals_who_came_first_goes_first() -> None:
    assert _order([f"same {n}" for n in range(5)]) == [0, 1, 2, 3, 4]
    assert _order(["a", "b", "c"]) == [0, 1, 2]


def test_nobody_is_passed_over_for_ever() -> None:
    policy, queue = prefix.build(max_passed=2), [_call(0, "odd", passed_over=2), _call(1, "same")]
    assert policy.pick(queue, running=(), warm=[_call(9, "same")], now_s=0.0) == 0


def test_a_long_beginning_is_brought_into_the_cache_by_one() -> None:
    policy, queue = prefix.build(), [_call(n, f"{LONG}{n}") for n in (1, 2)]
    first = _call(0, f"{LONG}0", since_s=10.0)
    assert policy.pick(queue, running=[first], warm=(), now_s=10.5) is None
    assert policy.pick(queue, running=(), warm=[first], now_s=11.0) == 1
    # One that takes long to answer does not hold the others up for that long.
    assert policy.pick(queue, running=[first], warm=(), now_s=13.1) == 1


def test_others_do_not_wait_for_it() -> None:
    policy, first = prefix.build(), _call(0, f"{LONG}0", since_s=10.0)
    queue = [_call(1, f"{LONG}1"), _call(2, "something short")]
    assert policy.pick(queue, running=[first], warm=(), now_s=10.5) == 2


def test_a_short_beginning_is_not_worth_waiting_for() -> None:
    policy, first = prefix.build(), _call(0, "short 0", since_s=10.0)
    assert policy.pick([_call(1, "short 1")], running=[first], warm=(), now_s=10.0) == 1
