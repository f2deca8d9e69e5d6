"""Who waits for a slot of one model's server, and who has one."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from graphroute.ir.batch import Waiting
from graphroute.runtime.gates import Full, Gates, Lane, Ticket
from graphroute.runtime.place import Unit

_WARM: Final = 8
"""Calls that are remembered after their end: what they began with may still be cached."""

Pick = Callable[[list[Waiting], tuple[Waiting, ...], tuple[Waiting, ...]], int | None]
"""The policy's choice among those in line, given who runs and who ran."""

Along = Callable[[Unit, list[Unit]], Sequence[Unit]]
"""Who of those in line goes along with the one that was chosen."""


class Line:
    """One lane's; not safe to share without a lock.

    until_s: when it is worth looking again, None for when somebody leaves
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.until_s: float | None = None
        self.queue: list[Unit] = []
        self._running: dict[Unit, Waiting] = {}
        self._warm: deque[Waiting] = deque(maxlen=_WARM)

    def add(self, unit: Unit) -> None:
        """Whoever came first stands first, also on coming back."""
        insort(self.queue, unit, key=lambda each: each.number)

    def remove(self, unit: Unit) -> None:
        """It waits no more."""
        self.queue = [each for each in self.queue if each is not unit]

    def admit(self, gates: Gates, pick: Pick, along: Along, now_s: float) -> list[Unit]:
        """Give slots away as long as there are any and somebody is to have one."""
        self.until_s = None
        granted: list[Unit] = []
        while self.queue:
            if (full := gates.room(self.lane, now_s)) is not None:
                self.until_s = full.until_s
                break
            index = self._index(pick)
            if index is None or not self.grant(self.queue[index], gates, now_s):
                break
            unit = self.queue.pop(index)
            for earlier in self.queue[:index]:
                first = earlier.leader
                first.waiting = replace(first.waiting, passed_over=first.waiting.passed_over + 1)
            self._join(unit, along(unit, self.queue))
            granted.append(unit)
        return granted

    def _join(self, unit: Unit, others: Sequence[Unit]) -> None:
        for other in others:
            self.remove(other)
            for place in other.members:
                place.unit = unit
                unit.members.append(place)

    def _index(self, pick: Pick) -> int | None:
        if len(self.queue) == 1 and not self._running:
            return 0
        waiting = [unit.leader.waiting for unit in self.queue]
        number = pick(waiting, tuple(self._running.values()), tuple(self._warm))
        if number is None:
            return None if self._running else 0
        return next((i for i, each in enumerate(waiting) if each.number == number), 0)

    def grant(self, unit: Unit, gates: Gates, now_s: float, *, must: bool = False) -> bool:
        """Give one unit a slot; False where another was quicker. `must`: even where none is."""
        is_open_ended = unit.leader.arrival.is_open_ended
        ticket = gates.try_enter(self.lane, now_s, is_open_ended=is_open_ended, must=must)
        if isinstance(ticket, Full):
            self.until_s = ticket.until_s
            return False
        unit.ticket = ticket
        # From now on what matters is since when it runs.
        self._running[unit] = replace(unit.leader.waiting, arrived_s=now_s)
        return True

    def end(self, unit: Unit) -> Ticket | None:
        """The unit's call is over; its ticket, to be given back."""
        if (ran := self._running.pop(unit, None)) is not None:
            self._warm.append(ran)
        ticket, unit.ticket = unit.ticket, None
        return ticket
