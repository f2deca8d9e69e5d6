"""The records of model calls made inside a piece of code, for whoever runs it.

A context variable holds the list, so calls from threads and tasks that carry the context on are
heard, too.

>>> with overhear() as calls:
...     note("a record")
>>> note("unheard")
>>> calls
['a record']
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_heard: ContextVar[tuple[list[Any], ...]] = ContextVar("graphroute_overheard", default=())


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
