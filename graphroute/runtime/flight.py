"""One computation for equal keys that are wanted at the same time (single-flight).

```
 join("k") ─► leader    computes, then done(value) / failed(error) / abandoned()
 join("k") ─► follower  waits by when_over(), then reads value or error, or joins again
```

Nothing blocks here: whoever waits does so in its own way, a thread or a task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One computation that is under way, as one of its callers sees it.

    is_leader: this caller is to compute the value and to say how it went
    """

    def __init__(self, shared: _Shared[T], *, is_leader: bool) -> None:
        self._shared, self.is_leader = shared, is_leader

    @property
    def is_over(self) -> bool:
        """Whether the leader has ended; then `value` or `error` tells how, unless it gave up."""
        return self._shared.is_over

    @property
    def value(self) -> T | None:
        """What the leader computed; None while under way, and where it did not."""
        return self._shared.value

    @property
    def error(self) -> BaseException | None:
        """What the leader's computation failed with, for every caller alike; None if nothing."""
        return self._shared.error

    @property
    def is_held(self) -> bool:
        """Whether the leader's caller may keep it from ending for long (a stream being read)."""
        return self._shared.is_held

    def hold(self) -> None:
        """Say so; those who wait are woken, to think about waiting on."""
        if self.is_leader:
            self._shared.hold()

    def done(self, value: T) -> None:
        """Give the value to all who wait. Only the leader's first word counts."""
        if self.is_leader:
            self._shared.end(value=value)

    def failed(self, error: BaseException) -> None:
        """Give the error to all who wait; it is kept for nobody who comes later."""
        if self.is_leader:
            self._shared.end(error=error)

    def abandoned(self) -> None:
        """The leader was cancelled or thought better of it: one of those who wait takes over."""
        if self.is_leader:
            self._shared.end()

    def when_over(self, wake: Callable[[], object]) -> None:
        """Call `wake` once, from any thread, when the leader is held up, ends or has ended."""
        self._shared.when_over(wake)


class _Shared(Generic[T]):
    def __init__(self, leave: Callable[[], object]) -> None:
        self._lock, self._leave = threading.Lock(), leave
        self._waiting: list[Callable[[], object]] = []
        self.is_over = self.is_held = False
        self.value: T | None = None
        self.error: BaseException | None = None

    def end(self, *, value: T | None = None, error: BaseException | None = None) -> None:
        with self._lock:
            if self.is_over:
                return
            self.value, self.error, self.is_over = value, error, True
            waiting, self._waiting = self._waiting, []
        self._leave()
        for wake in waiting:
            wake()

    def hold(self) -> None:
        with self._lock:
            self.is_held = True
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def when_over(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if not self.is_over:
                self._waiting.append(wake)
                return
        wake()


class Flights(Generic[T]):
    """The computations under way by key; safe to share between threads and event loops.

    >>> flights = Flights[str]()
    >>> first, second = flights.join("k"), flights.join("k")
    >>> first.is_leader, second.is_leader
    (True, False)
    >>> first.done("computed once")
    >>> second.value, flights.join("k").is_leader
    ('computed once', True)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Shared[T]] = {}

    def join(self, key: str) -> Flight[T]:
        """Take part in the computation of `key`: as its leader if none is under way."""
        with self._lock:
            if (shared := self._open.get(key)) is not None:
                return Flight(shared, is_leader=False)
            shared = self._open[key] = _Shared(lambda: self._leave(key))
            return Flight(shared, is_leader=True)

    def _leave(self, key: str) -> None:
        with self._lock:
            self._open.pop(key, None)
