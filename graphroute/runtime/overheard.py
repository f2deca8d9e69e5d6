"""The records of model calls made inside a piece of code, for whoever runs it.

A context variable holds the list, so calls from threads and tasks that carry the context on are
heard, too. Records can also be held back until more is known of what their calls were good for.

>>> with overhear() as calls:
...     note("a record")
>>> note("unheard")
>>> calls
['a record']
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_heard: ContextVar[tuple[list[Any], ...]] = ContextVar("graphroute_overheard", default=())
_holder: ContextVar[Held | None] = ContextVar("graphroute_held", default=None)


@contextmanager
def overhear() -> Iterator[list[Any]]:
    """A list that gets the record of each call which ends meanwhile."""
    calls: list[Any] = []
    token = _heard.set((*_heard.get(), calls))
    try:
        yield calls
    finally:
        _heard.reset(token)


def note(record: Any) -> None:
    """Tell those who listen of a finished call."""
    for calls in _heard.get():
        calls.append(record)


class Held:
    """Records that are held back; given out once, and what comes later is not held."""

    def __init__(self) -> None:
        self._records: list[Any] = []
        self._is_over = False
        self._lock = threading.Lock()

    def take(self, record: Any) -> bool:
        """Hold a record; False where that is over."""
        with self._lock:
            if not self._is_over:
                self._records.append(record)
            return not self._is_over

    def give(self) -> Sequence[Any]:
        """All of them, oldest first."""
        with self._lock:
            self._is_over = True
            return tuple(self._records)


@contextmanager
def holding() -> Iterator[Held]:
    """Hold back the records of calls which end meanwhile."""
    held = Held()
    token = _holder.set(held)
    try:
        yield held
    finally:
        _holder.reset(token)


def is_held(record: Any) -> bool:
    """Hand a record to whoever holds them back; False where nobody does."""
    holder = _holder.get()
    return holder is not None and holder.take(record)
