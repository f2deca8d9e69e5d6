"""Between the money and the call: calls that belong together are gathered, and wait for a slot.

```
 enter(arrival) ─► gathered with its group ──flush──► in line for its model ──slot──► granted
                   by the batch policy                in the policy's order           by the gates
                        │ stream, "messages" mode          ▲
                        └──────── at once ─────────────────┘

 place.poll() ─► Wait(patience_s, when)   not yet: poll again when woken, or after patience_s
              ─► Go                       call now, then place.leave(Outcome.answered(message))
                                          or place.leave(Outcome.of(error))
              ─► Packed(errand)           make this one call for several, tell errand.answered(…)
                                          or errand.failed(…), then poll again
              ─► Work(run)                call run(), off the event loop, then poll again
              ─► Answered(message)        somebody's errand, or a batch, brought the answer: done
 place.cancel() ─► whatever it was about to do, it will not; harmless after the end
```

Nothing here waits, sleeps or starts a thread. Whoever waits does so in its own way (an event of a
thread, a future of a loop) and polls again; the first of a group polls when the group is due, the
others a moment later, so that a first one whose loop is blocked holds nobody up. A call that cannot
wait (a sync call on a running event loop) says `place.insist()` and may go at once.

Each call's end is its own: a call that fails or is cancelled takes no other with it. If it was
making one call for several, another of them makes it; what does not come back valid is asked alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from langchain_core.messages import AIMessage

from graphroute.ir.batch import Flush, Waiting
from graphroute.protocols import BatchPolicy
from graphroute.runtime import packing, tokens
from graphroute.runtime.deferral import Deferrable, Deferral, Job
from graphroute.runtime.gates import Gates, Lane, Outcome
from graphroute.runtime.group import Group, Groups
from graphroute.runtime.later import Wake
from graphroute.runtime.line import Line
from graphroute.runtime.packer import Packer, Part
from graphroute.runtime.place import (
    Answered,
    Arrival,
    Errand,
    Go,
    Packed,
    Place,
    Said,
    Unit,
    Wait,
    Work,
)

__all__ = ["Admission", "Answered", "Arrival", "Errand", "Go", "Packed", "Place", "Wait", "Work"]

logger = logging.getLogger(__name__)

IDLE_S: Final = 1.0
"""A waiting call looks again this often even if nobody wakes it."""

GRACE_S: Final = 0.005
"""How much later than the first of its group another call looks whether the group is due."""

T = TypeVar("T")


class Admission:
    """Lets calls in; shared by all runs of an optimized graph, and safe between threads and loops.

    packer: packs calls, for a policy that wants some packed; None: none is
    deferral: hands calls in as batches, for a policy that wants some deferred; None: none is

    >>> from graphroute.batching import immediate
    >>> admission = Admission(immediate.build(), Gates())
    >>> place = admission.enter(Arrival(lane=Lane(model="m", most=1)))
    >>> place.poll()
    Go()
    >>> place.leave(Outcome())
    """

    def __init__(
        self,
        policy: BatchPolicy,
        gates: Gates,
        *,
        packer: Packer | None = None,
        deferral: Deferral | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy, self.packer, self.deferral = policy, packer, deferral
        self._gates, self._clock = gates, clock
        self._lock = threading.Lock()
        self._count = 0
        self._groups = Groups()
        self._lines: dict[Lane, Line] = {}
        self._woken: list[Place] = []
        self._is_reported = False
        gates.on_room(self._on_room)

    def enter(self, arrival: Arrival) -> Place:
        """A place for a call; poll it."""
        with self._locked():
            now_s = self._clock()
            self._count += 1
            waiting = Waiting(
                number=self._count,
                arrived_s=now_s,
                prompt=tokens.text_of(arrival.messages),
                in_tokens=arrival.in_tokens,
                template=self._template(arrival),
                can_defer=arrival.deferrable is not None and self.deferral is not None,
            )
            place, group = Place(self, arrival, waiting), self._groups.of(arrival)
            group.count(arrival)
            if arrival.may_gather:
                group.add(place)
                self._flush(group, now_s)
            else:
                self._line_up([place])
            return place

    # -- what places and errands ask

    def poll(self, place: Place) -> Said:
        """See `Place.poll`."""
        with self._locked():
            now_s, group = self._clock(), self._groups.of(place.arrival)
            if place.unit is None and not place.is_over and now_s >= group.until_s:
                self._flush(group, now_s)
            if place.unit is not None and place.unit.is_in_line and not place.is_over:
                self._admit(self._line(place), now_s)
            if place.answer is not None:
                return place.answer
            unit = place.unit
            if place.is_over:
                return Go()
            if unit is not None and unit.job is not None:
                return self._deferred(place, unit, unit.job, now_s)
            if unit is not None and unit.ticket is not None and unit.is_led_by(place):
                return self._granted(unit)
            return Wait(patience_s=self._patience_s(place, now_s), when=self._waker(place))

    def insist(self, place: Place) -> None:
        """See `Place.insist`."""
        with self._locked():
            unit = place.unit
            if place.is_over or (unit is not None and unit.ticket and unit.is_led_by(place)):
                return
            self._withdraw(place)
            place.unit = alone = Unit([place], place.waiting.number)
            self._groups.of(place.arrival).active += 1
            self._line(place).grant(alone, self._gates, self._clock(), must=True)

    def leave(self, place: Place, outcome: Outcome) -> None:
        """See `Place.leave`."""
        ticket = None
        with self._locked():
            now_s, unit = self._clock(), place.unit
            if place.is_over:
                return
            place.is_over = True
            if unit is None or unit.ticket is None or not unit.is_led_by(place):
                self._withdraw(place)
            else:
                ticket = self._line(place).end(unit)
                self._groups.of(place.arrival).active -= len(unit.members)
                if unit.errand is not None:
                    unit.errand.is_over = True
                # It went before the call for all of them was made, or in the middle of it.
                self._line_up(unit.members[1:])
        if ticket is not None:
            # Outside the lock: this wakes every graph that waits for room, this one too.
            self._gates.leave(ticket, outcome, now_s)
        if place.checks is not None and outcome.message is not None and self.packer is not None:
            size, packed = place.checks
            self.packer.compare(place.arrival, size, packed, outcome.message)

    def errand_begins(self, errand: Errand) -> None:
        """See `Errand.begin`."""
        with self._lock:
            members = list(errand.unit.members)
        # Outside the lock: this may wait for the file of the budgets.
        for place in members:
            place.arrival.begin()
        with self._lock:
            errand.has_begun = True
            for place in errand.unit.members:
                place.is_begun = True

    def errand_ended(self, errand: Errand, outcome: Outcome, *, is_cancelled: bool) -> None:
        """See `Errand.answered` and `Errand.failed`."""
        with self._locked():
            now_s, unit = self._clock(), errand.unit
            if errand.is_over:
                return
            errand.is_over = True
            members, leader = list(unit.members), unit.leader
            ticket = self._line(leader).end(unit)
            self._groups.of(leader.arrival).active -= len(members)
            if is_cancelled:
                leader.is_over = True
                for place in members[1:]:
                    # Broken off, the provider has read the prompt and may bill it.
                    place.share = AIMessage("") if errand.has_begun else place.share
                self._line_up(members[1:])
            else:
                if outcome.verdict == "failed" and errand.has_begun:
                    calls = [place.arrival for place in unit.packed]
                    self._or_none(lambda packer: packer.failed(calls))
                self._deal_out(errand, members, outcome.message)
        if ticket is not None:
            self._gates.leave(ticket, outcome, now_s)

    # -- from the group into the line

    def _flush(self, group: Group, now_s: float) -> None:
        """Let the policy say who of the group goes on."""
        if not group.waiting:
            return
        try:
            said = self.policy.gather(group.seen(now_s))
            if not isinstance(said, Flush):
                group.until_s = said.until_s
                return
            bundles = said.bundles
        except Exception:
            # A policy of somebody else's may be wrong; the graph works all the same.
            self._report("a batch policy failed; calls go on one by one")
            bundles = group.alone()
        released = group.release(bundles)
        for how, members in released:
            if how == "deferred":
                self._defer(members)
        self._line_up([each for how, members in released if how == "alone" for each in members])
        group.until_s = now_s + GRACE_S

    def _line_up(self, places: Sequence[Place]) -> None:
        """Put each in line by itself, and only then let in: who is in line may go together."""
        for place in places:
            place.unit, place.is_begun = Unit([place], place.waiting.number), False
            self._groups.of(place.arrival).active += 1
            self._line(place).add(place.unit)
        for line in {self._line(place) for place in places}:
            self._admit(line, self._clock())

    def _withdraw(self, place: Place) -> None:
        """Take a place out of its group or unit, where it makes no call."""
        group, unit = self._groups.of(place.arrival), place.unit
        if unit is None:
            if group.remove(place):
                self._wake(group.waiting[0])
            return
        unit.members.remove(place)
        group.active -= 1
        if not unit.members:
            self._line(place).remove(unit)
            if unit.job is not None:
                unit.job.abandon()

    # -- from the line to the call

    def _admit(self, line: Line, now_s: float) -> None:
        def pick(
            queue: list[Waiting], running: tuple[Waiting, ...], warm: tuple[Waiting, ...]
        ) -> int | None:
            try:
                return self.policy.pick(queue, running=running, warm=warm, now_s=now_s)
            except Exception:
                self._report("a batch policy failed; calls go in order of arrival")
                return queue[0].number

        for unit in line.admit(self._gates, pick, self._along, now_s):
            self._wake(unit.leader)

    def _along(self, unit: Unit, queue: Sequence[Unit]) -> Sequence[Unit]:
        """Who of those in line shares the prompt of one that has a slot now."""
        first = unit.leader
        if self.packer is None or not first.waiting.template:
            return ()
        alike = [each for each in queue if each.leader.waiting.template == first.waiting.template]
        calls = [first.arrival, *(each.leader.arrival for each in alike)]
        most = self._or_none(lambda packer: packer.size(first.waiting.template, calls).size) or 1
        if most < 2:
            return ()
        try:
            waiting = [each.leader.waiting for each in queue]
            numbers = set(self.policy.along(first.waiting, waiting, most=most))
        except Exception:
            self._report("a batch policy failed; calls go on one by one")
            return ()
        return [each for each in alike if each.number in numbers][: most - 1]

    def _granted(self, unit: Unit) -> Go | Packed:
        """What the one who has the slot is to do with it."""
        if unit.errand is None and len(unit.members) > 1:
            calls = [place.arrival for place in unit.members]
            pack = self._or_none(lambda packer: packer.pack(calls, number=unit.number))
            if pack is not None:
                unit.errand, unit.packed = Errand(self, unit, pack), tuple(unit.members)
            else:
                rest, unit.members = unit.members[1:], unit.members[:1]
                self._groups.of(unit.leader.arrival).active -= len(rest)
                self._line_up(rest)
        return Go() if unit.errand is None else Packed(errand=unit.errand)

    def _deal_out(
        self, errand: Errand, members: Sequence[Place], message: AIMessage | None
    ) -> None:
        """Each member's part; who has none, or is to be compared, is in line again, alone."""
        parts, spent = self._parts(errand, message), _shares(errand, message)
        for place in members:
            part = parts.get(place, Part(answer=None))
            if part.answer is not None and not part.is_check:
                place.answer, place.is_over = Answered(message=part.answer), True
            else:
                if part.answer is not None:
                    place.checks = len(errand.pack.items), part.answer
                place.share = spent.get(place)
                place.waiting = replace(place.waiting, template="")
                self._line_up([place])
            self._wake(place)

    def _parts(self, errand: Errand, message: AIMessage | None) -> dict[Place, Part]:
        if message is None:
            return {}
        unit, calls = errand.unit, [place.arrival for place in errand.unit.packed]
        parts = self._or_none(
            lambda packer: packer.unpack(errand.pack, message, calls, number=unit.number)
        )
        return dict(zip(unit.packed, parts or (), strict=False))

    # -- batches of the provider's

    def _defer(self, members: Sequence[Place]) -> None:
        """Hand these in together; those of different services, or of none, by themselves."""
        kinds: dict[str, list[tuple[Place, Deferrable]]] = {}
        for place in members:
            if (call := place.arrival.deferrable) is None or self.deferral is None:
                self._line_up([place])
            else:
                kinds.setdefault(call.service.name, []).append((place, call))
        for calls in kinds.values():
            places = [place for place, _ in calls]
            unit = Unit(places, places[0].waiting.number, packed=tuple(places))
            unit.job = self.deferral.job([call for _, call in calls]) if self.deferral else None
            for place in places:
                place.unit = unit
            self._groups.of(places[0].arrival).active += len(places)

    def _deferred(self, place: Place, unit: Unit, job: Job, now_s: float) -> Said:
        """The next step, for whoever looks first once it is due."""
        due_s = job.next_s - now_s
        if due_s > 0 or unit.is_busy:
            grace_s = 0.0 if unit.is_led_by(place) and not unit.is_busy else IDLE_S
            return Wait(patience_s=max(0.0, due_s) + grace_s, when=self._waker(place))
        unit.is_busy = True

        def run() -> None:
            try:
                job.step()
            finally:
                self._stepped(unit, job)

        return Work(run=run)

    def _stepped(self, unit: Unit, job: Job) -> None:
        with self._locked():
            unit.is_busy = False
            for index, place in enumerate(unit.packed):
                if place.unit is not unit or place.is_over or index not in job.results:
                    continue
                unit.members.remove(place)
                self._groups.of(place.arrival).active -= 1
                if (message := job.results[index]) is None:
                    self._line_up([place])
                else:
                    place.answer = Answered(message=message, price_share=job.price_share)
                    place.is_over = True
                self._wake(place)
            if unit.members and not job.is_over:
                self._wake(unit.leader)

    # -- packing, as long as nothing is wrong with it

    def _template(self, arrival: Arrival) -> str:
        if arrival.packable is None or not arrival.may_gather:
            return ""
        return self._or_none(lambda packer: packer.learn(arrival)) or ""

    def _or_none(self, ask: Callable[[Packer], T]) -> T | None:
        if self.packer is None:
            return None
        try:
            return ask(self.packer)
        except Exception:
            self._report("packing failed; calls go on one by one")
            return None

    # -- waiting and waking

    def _patience_s(self, place: Place, now_s: float) -> float:
        if place.unit is not None:
            until_s = self._line(place).until_s
        else:
            group = self._groups.of(place.arrival)
            until_s = group.until_s + (0.0 if group.waiting[0] is place else GRACE_S)
        return IDLE_S if until_s is None else min(IDLE_S, max(0.0, until_s - now_s))

    def _waker(self, place: Place) -> Callable[[Wake], None]:
        seen = place.version

        def when(wake: Wake) -> None:
            with self._lock:
                if place.version == seen:
                    place.wakes.append(wake)
                    return
            wake()

        return when

    def _wake(self, place: Place) -> None:
        place.version += 1
        self._woken.append(place)

    def _on_room(self) -> None:
        with self._locked():
            now_s = self._clock()
            for line in self._lines.values():
                if line.queue:
                    self._admit(line, now_s)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; afterwards, without it, wake those for whom something has changed."""
        wakes: list[Wake] = []
        try:
            with self._lock:
                try:
                    yield
                finally:
                    for place in self._woken:
                        wakes += place.wakes
                        place.wakes = []
                    self._woken.clear()
        finally:
            for wake in wakes:
                wake()

    def _line(self, place: Place) -> Line:
        lane = place.arrival.lane
        if (line := self._lines.get(lane)) is None:
            line = self._lines[lane] = Line(lane)
        return line

    def _report(self, what: str) -> None:
        if not self._is_reported:
            self._is_reported = True
            logger.warning("%s (policy %r)", what, self.policy.name, exc_info=True)


def _shares(errand: Errand, message: AIMessage | None) -> dict[Place, AIMessage]:
    """Each one's share of the tokens of an answer, whether its own part of it is of use or not."""
    if message is None:
        return {}
    usages = packing.split_usage(message, [len(item) for item in errand.pack.items])
    bare = (AIMessage("", usage_metadata=usage) for usage in usages)
    return dict(zip(errand.unit.packed, bare, strict=False))
