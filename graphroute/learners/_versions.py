"""Has a provider put another model behind a name? From what its replies say of who answered.

Replies of one name come from one version, or, where a provider spreads its load, from several that
come and go. So versions among the first `SETTLED` answers are how it is, and a later one is news
once it gives `MANY` of the last `LAST` answers. One that has not after `LONG` answers is another
that comes and goes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

SETTLED: Final = 20
LAST: Final = 10
MANY: Final = 5
LONG: Final = 100
MOST: Final = 32
"""Versions of one name that are remembered: behind more there is no one model, nothing is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """Another version answers: what came most before, and what comes now.

    since: answers ago that it came first; share: of the latest answers that are its, in (0, 1]
    """

    was: str
    now: str
    since: int
    share: float


class Versions:
    """The versions that answered under one name, in order.

    >>> seen = Versions()
    >>> found = [seen.update(name) for name in ["v1"] * 30 + ["v2"] * 10]
    >>> [(n, each.was, each.now, each.since) for n, each in enumerate(found) if each]
    [(34, 'v1', 'v2', 5)]
    """

    def __init__(self) -> None:
        self._count = 0
        self._first: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._last: deque[str] = deque(maxlen=LAST)

    def update(self, version: str) -> Replaced | None:
        """Take who gave the next answer; what has changed, where this one shows it."""
        self._count += 1
        self._last.append(version)
        first = self._first.setdefault(version, self._count)
        if len(self._first) > MOST:
            return None
        if version in self._known or self._count <= SETTLED or self._count - first > LONG:
            self._known[version] = self._known.get(version, 0) + 1
            return None
        if self._last.count(version) < MANY:
            return None
        share = self._last.count(version) / len(self._last)
        was = max(self._known, key=lambda name: self._known[name])
        self._known = {version: MANY}
        return Replaced(was=was, now=version, since=self._count - first + 1, share=share)
