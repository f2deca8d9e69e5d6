"""Calls that could share something, while they are gathered: who waits, who is still to come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Final

from graphroute.ir.batch import Bundle, Gathering, How
from graphroute.runtime.place import Arrival, Place

_MAX_BURSTS: Final = 256
_MAX_GROUPS: Final = 1024


class Group:
    """One group; not safe to share without a lock.

    waiting: in order of arrival; active: calls released and not ended; peak: most calls that were
        there at once lately; until_s: when the policy is to be asked again
    """

    def __init__(self) -> None:
        self.waiting: list[Place] = []
        self.active = 0
        self.peak = 0
        self.until_s = 0.0
        self._came: OrderedDict[Hashable, int] = OrderedDict()

    def add(self, place: Place) -> None:
        """One more waits."""
        self.waiting.append(place)

    def count(self, arrival: Arrival) -> None:
        """One more has come, whether it waits here or not."""
        if arrival.siblings is not None:
            self._came[arrival.burst] = self._came.get(arrival.burst, 0) + 1
            if len(self._came) > _MAX_BURSTS:
                self._came.popitem(last=False)

    def remove(self, place: Place) -> bool:
        """One waits no more; whether another is the first now."""
        was_first = bool(self.waiting) and self.waiting[0] is place
        self.waiting = [each for each in self.waiting if each is not place]
        return was_first and bool(self.waiting)

    def seen(self, now_s: float) -> Gathering:
        """The group as a policy sees it."""
        return Gathering(
            waiting=tuple(place.waiting for place in self.waiting),
            now_s=now_s,
            active=self.active,
            left=self._left(),
            peak=self.peak,
        )

    def _left(self) -> int | None:
        """How many are to come still; None where one that waits does not know of its siblings."""
        bursts = {place.arrival.burst: place.arrival.siblings for place in self.waiting}
        known = [
            (siblings, self._came.get(burst, 0))
            for burst, siblings in bursts.items()
            if siblings is not None
        ]
        if len(known) < len(bursts):
            return None
        return sum(max(0, siblings - came) for siblings, came in known)

    def alone(self) -> tuple[Bundle, ...]:
        """Everybody by itself."""
        return tuple(Bundle(numbers=(place.waiting.number,)) for place in self.waiting)

    def release(self, bundles: Sequence[Bundle]) -> list[tuple[How, list[Place]]]:
        """Take out whoever is named, in that order."""
        here = len(self.waiting) + self.active
        # Workers that were there once may be gone; so the figure wears off.
        self.peak = max(here, self.peak - 1)
        by_number = {place.waiting.number: place for place in self.waiting}
        released: list[tuple[How, list[Place]]] = []
        for bundle in bundles:
            members = [by_number.pop(n) for n in bundle.numbers if n in by_number]
            released.append((bundle.how, members))
        self.waiting = [p for p in self.waiting if p.waiting.number in by_number]
        return released


class Groups:
    """Groups by what their calls have in common; those long idle are forgotten."""

    def __init__(self) -> None:
        self._groups: OrderedDict[Hashable, Group] = OrderedDict()

    def of(self, arrival: Arrival) -> Group:
        """The group of a call, made if there is none."""
        key = arrival.group
        if (group := self._groups.get(key)) is None:
            if len(self._groups) >= _MAX_GROUPS:
                idle = [k for k, g in self._groups.items() if not (g.waiting or g.active)]
                for old in idle[: _MAX_GROUPS // 4]:
                    del self._groups[old]
            group = self._groups[key] = Group()
        return group
