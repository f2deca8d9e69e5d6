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
              ─► Answered(message)        somebody's errand brought the answer: done
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
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from langchain_core.messages import AIMessage, BaseMessage

from graphroute.ir.batch import Bundle, Flush, Gathering, Waiting
from graphroute.protocols import BatchPolicy
from graphroute.runtime import tokens
from graphroute.runtime.gates import Full, Gates, Lane, Outcome, Ticket
from graphroute.runtime.later import Wake
from graphroute.runtime.packer import Packable, Packer, Part
from graphroute.runtime.packing import Pack
from graphroute.runtime.request import Request

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

IDLE_S = 1.0
"""A waiting call looks again this often even if nobody wakes it."""

GRACE_S = 0.005
"""How much later than the first of its group another call looks whether the group is due."""

_MAX_GROUPS: Final = 1024
_MAX_BURSTS: Final = 256
_WARM: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """A call whose money is there.

    lane: the model it goes to; group: what calls must have in common to be gathered: the scope (a
        run, or the process), the node, the model and the parameters
    messages, in_tokens: the prompt, and an estimate of its length
    burst: names the superstep of a run; siblings: calls of the group it makes in all, with this one
    may_gather: False for a stream and under `stream_mode="messages"`: it goes in line at once
    is_open_ended: a stream, which its reader may keep open
    packable: what is to be known to have it share a prompt; None: it may not
    can_defer: its answer may take hours
    """

    lane: Lane
    group: Hashable = ()
    messages: Sequence[BaseMessage] = ()
    in_tokens: int = 1
    burst: Hashable = ()
    siblings: int | None = None
    may_gather: bool = True
    is_open_ended: bool = False
    packable: Packable | None = None
    can_defer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not yet. Poll again when woken, or after `patience_s` seconds at the latest.

    when: registers a wake-up that is called once, from any thread; at once if it is over already
    """

    patience_s: float
    when: Callable[[Wake], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Go:
    """Make the call now, and say `place.leave(…)` when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer is here; the place is left already."""

    message: AIMessage


class Errand:
    """One call for several: make it as `request` and `messages` say, and tell how it went.

    The first of them makes it, without its own callbacks: each gets its part of the answer as its
    own. `answered` takes the answer as JSON text; `failed` any exception, a cancellation too. What
    is told first counts.
    """

    def __init__(self, admission: Admission, unit: _Unit, pack: Pack) -> None:
        self._admission, self._unit, self.pack = admission, unit, pack
        self.is_over = False

    @property
    def messages(self) -> tuple[BaseMessage, ...]:
        """The prompt of all."""
        return self.pack.messages

    def request(self, base: Request) -> Request:
        """A member's wishes, changed to those of the whole."""
        return self.pack.request(base)

    def answered(self, message: AIMessage) -> None:
        """Give each its part; who has none that is valid is asked alone."""
        self._admission._errand_ended(self, self._unit, Outcome.answered(message))

    def failed(self, error: BaseException) -> None:
        """Each is asked alone; if the caller was cancelled, another calls for the rest."""
        outcome = Outcome.of(error)
        self._admission._errand_ended(
            self, self._unit, outcome, is_cancelled=not isinstance(error, Exception)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Make this call for several, then poll again."""

    errand: Errand


class Place:
    """One call's place; belongs to one caller, though others' polls may change it."""

    def __init__(self, admission: Admission, arrival: Arrival, waiting: Waiting) -> None:
        self.arrival, self.waiting = arrival, waiting
        self._admission = admission
        self.unit: _Unit | None = None
        self.part: AIMessage | None = None
        self.checks: tuple[int, AIMessage] | None = None
        self.is_over = False
        self.version = 0
        self.wakes: list[Wake] = []

    def poll(self) -> Go | Wait | Packed | Answered:
        """What to do now. Once it said `Go` it says so until the place is left."""
        return self._admission._poll(self)

    def insist(self) -> None:
        """The caller cannot wait: the next poll says `Go`, whether there is room or not."""
        self._admission._insist(self)

    def leave(self, outcome: Outcome) -> None:
        """The call that `Go` allowed has ended. A second end does nothing."""
        self._admission._leave(self, outcome)

    def cancel(self) -> None:
        """The caller has gone, wherever it was; does nothing after the end."""
        self._admission._leave(self, Outcome(verdict="failed"))


@dataclass(slots=True, eq=False)
class _Unit:
    """What takes one slot; its first member makes the call. `number` stays with it."""

    members: list[Place]
    number: int
    ticket: Ticket | None = None
    errand: Errand | None = None
    packed: tuple[Place, ...] = ()

    @property
    def leader(self) -> Place:
        return self.members[0]


@dataclass(slots=True, eq=False)
class _Group:
    key: Hashable
    waiting: list[Place] = field(default_factory=list)
    active: int = 0
    peak: int = 0
    bursts: OrderedDict[Hashable, int] = field(default_factory=OrderedDict)
    until_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Line:
    """Who waits for a slot of one lane, by number."""

    lane: Lane
    queue: list[_Unit] = field(default_factory=list)
    running: dict[_Unit, Waiting] = field(default_factory=dict)
    warm: deque[Waiting] = field(default_factory=lambda: deque(maxlen=_WARM))
    until_s: float | None = None


class Admission:
    """Lets calls in; shared by all runs of an optimized graph, and safe between threads and loops.

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy, self.packer, self._gates, self._clock = policy, packer, gates, clock
        self._lock = threading.Lock()
        self._count = 0
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()
        self._lines: dict[Lane, _Line] = {}
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
                can_defer=arrival.can_defer,
            )
            place = Place(self, arrival, waiting)
            group = self._group(arrival.group)
            if arrival.siblings is not None:
                group.bursts[arrival.burst] = group.bursts.get(arrival.burst, 0) + 1
                while len(group.bursts) > _MAX_BURSTS:
                    group.bursts.popitem(last=False)
            if arrival.may_gather:
                group.waiting.append(place)
                self._flush(group, now_s)
            else:
                self._line_up(group, [place])
            return place

    # -- what a place asks for

    def _poll(self, place: Place) -> Go | Wait | Packed | Answered:
        with self._locked():
            now_s = self._clock()
            group = self._group(place.arrival.group)
            if place.unit is None and not place.is_over and now_s >= group.until_s:
                self._flush(group, now_s)
            line = self._line(place.arrival.lane)
            if place.unit is not None and place.unit.ticket is None:
                self._admit(line, now_s)
            if place.part is not None:
                return Answered(message=place.part)
            if place.is_over:
                return Go()
            unit = place.unit
            if unit is not None and unit.ticket is not None and unit.leader is place:
                return self._granted(unit, group)
            return Wait(
                patience_s=self._patience_s(place, group, line, now_s), when=self._waker(place)
            )

    def _granted(self, unit: _Unit, group: _Group) -> Go | Packed:
        """What the one who has the slot is to do with it."""
        if unit.errand is not None:
            return Packed(errand=unit.errand)
        if len(unit.members) > 1:
            calls = [place.arrival for place in unit.members]
            pack = self._or_none(lambda packer: packer.pack(calls, number=unit.number))
            if pack is not None:
                unit.errand, unit.packed = Errand(self, unit, pack), tuple(unit.members)
                return Packed(errand=unit.errand)
            rest, unit.members = unit.members[1:], unit.members[:1]
            group.active -= len(rest)
            for place in rest:
                self._line_up(group, [place])
        return Go()

    def _patience_s(self, place: Place, group: _Group, line: _Line, now_s: float) -> float:
        if place.unit is not None:
            until_s = line.until_s
        elif group.waiting[0] is place:
            until_s = group.until_s
        else:
            until_s = group.until_s + GRACE_S
        return IDLE_S if until_s is None else min(IDLE_S, max(0.0, until_s - now_s))

    def _insist(self, place: Place) -> None:
        with self._locked():
            now_s, unit = self._clock(), place.unit
            if place.is_over or (unit is not None and unit.ticket and unit.leader is place):
                return
            self._withdraw(place)
            group, line = self._group(place.arrival.group), self._line(place.arrival.lane)
            alone = place.unit = _Unit([place], place.waiting.number)
            group.active += 1
            self._grant(line, alone, now_s, must=True)

    def _leave(self, place: Place, outcome: Outcome) -> None:
        ticket = None
        with self._locked():
            now_s, unit = self._clock(), place.unit
            if place.is_over:
                return
            place.is_over = True
            if unit is None or unit.ticket is None or unit.leader is not place:
                self._withdraw(place)
            else:
                ticket = self._end(unit, group=self._group(place.arrival.group))
                if unit.errand is not None:
                    unit.errand.is_over = True
                # Its caller went before the call for all of them was made, or while it was.
                self._hand_on(unit.members[1:])
            checks = place.checks
        if ticket is not None:
            # Outside the lock: this wakes every graph that waits for room, this one too.
            self._gates.leave(ticket, outcome, now_s)
        if checks is not None and outcome.message is not None and self.packer is not None:
            size, packed = checks
            self.packer.compare(place.arrival, size, packed, outcome.message)

    def _errand_ended(
        self, errand: Errand, unit: _Unit, outcome: Outcome, *, is_cancelled: bool = False
    ) -> None:
        with self._locked():
            now_s = self._clock()
            if errand.is_over:
                return
            errand.is_over = True
            members, leader = list(unit.members), unit.leader
            group = self._group(leader.arrival.group)
            ticket = self._end(unit, group=group)
            if is_cancelled:
                leader.is_over = True
                self._hand_on(members[1:])
            else:
                self._deal_out(errand, unit, members, group, outcome.message)
        if ticket is not None:
            self._gates.leave(ticket, outcome, now_s)

    def _deal_out(
        self,
        errand: Errand,
        unit: _Unit,
        members: Sequence[Place],
        group: _Group,
        message: AIMessage | None,
    ) -> None:
        """Each member's part, and those in line again that have none or are to be compared."""
        parts = self._parts(errand, unit, message)
        for place in members:
            part = parts.get(place, Part(answer=None))
            if part.answer is not None and not part.is_check:
                place.part, place.is_over, place.unit = part.answer, True, None
                self._wake(place)
                continue
            if part.answer is not None:
                place.checks = len(errand.pack.items), part.answer
            self._line_up(group, [place])
            self._wake(place)

    def _parts(self, errand: Errand, unit: _Unit, message: AIMessage | None) -> dict[Place, Part]:
        if message is None:
            return {}
        calls = [place.arrival for place in unit.packed]
        parts = self._or_none(
            lambda packer: packer.unpack(errand.pack, message, calls, number=unit.number)
        )
        return dict(zip(unit.packed, parts or (), strict=False))

    def _hand_on(self, rest: Sequence[Place]) -> None:
        """The next of the members makes the call for those that are left."""
        if rest:
            self._line_up(self._group(rest[0].arrival.group), rest)
            self._wake(rest[0])

    # -- gathering

    def _flush(self, group: _Group, now_s: float) -> None:
        """Let the policy say who of the group goes on."""
        if not group.waiting:
            return
        try:
            said = self.policy.gather(self._seen(group, now_s))
            if not isinstance(said, Flush):
                group.until_s = said.until_s
                return
            bundles = said.bundles
        except Exception:
            # A policy of somebody else's may be wrong; the graph works all the same.
            self._report("a batch policy failed; calls go on one by one")
            bundles = tuple(Bundle(numbers=(p.waiting.number,)) for p in group.waiting)
        here = len(group.waiting) + group.active
        group.peak = max(here, group.peak - 1)
        by_number = {place.waiting.number: place for place in group.waiting}
        found = [[by_number.pop(n) for n in bundle.numbers if n in by_number] for bundle in bundles]
        group.waiting = [p for p in group.waiting if p.waiting.number in by_number]
        for bundle, members in zip(bundles, found, strict=True):
            for together in [members] if bundle.how == "packed" else [[m] for m in members]:
                self._line_up(group, together)
        if group.waiting:
            group.until_s = now_s + GRACE_S

    def _seen(self, group: _Group, now_s: float) -> Gathering:
        left: int | None = 0
        for burst in {p.arrival.burst: p.arrival.siblings for p in group.waiting}.items():
            if burst[1] is None or left is None:
                left = None
            else:
                left += max(0, burst[1] - group.bursts.get(burst[0], 0))
        return Gathering(
            waiting=tuple(place.waiting for place in group.waiting),
            now_s=now_s,
            active=group.active,
            left=left,
            peak=group.peak,
            pack=self._limits(group),
        )

    def _template(self, arrival: Arrival) -> str:
        if arrival.packable is None or not arrival.may_gather:
            return ""
        return self._or_none(lambda packer: packer.learn(arrival)) or ""

    def _limits(self, group: _Group) -> Mapping[str, int]:
        """Sizes of packs, where the policy packs at all."""
        kinds: dict[str, list[Arrival]] = {}
        for place in group.waiting:
            if place.waiting.template:
                kinds.setdefault(place.waiting.template, []).append(place.arrival)
        if not kinds:
            return {}
        return self._or_none(lambda packer: packer.limits(kinds)) or {}

    def _or_none(self, ask: Callable[[Packer], Result]) -> Result | None:
        if self.packer is None:
            return None
        try:
            return ask(self.packer)
        except Exception:
            # Whatever is wrong with packing, the calls can be made alone.
            self._report("packing failed; calls go on one by one")
            return None

    # -- the line of a lane

    def _line_up(self, group: _Group, members: Sequence[Place]) -> None:
        unit = _Unit(list(members), members[0].waiting.number)
        line = self._line(unit.leader.arrival.lane)
        for place in members:
            place.unit = unit
        group.active += len(members)
        insort(line.queue, unit, key=lambda u: u.number)
        self._admit(line, self._clock())

    def _admit(self, line: _Line, now_s: float) -> None:
        """Grant slots as long as there are any and somebody is to have one."""
        line.until_s = None
        while line.queue:
            full = self._gates.room(line.lane, now_s)
            if full is not None:
                line.until_s = full.until_s
                return
            index = self._pick(line, now_s)
            if index is None:
                return
            unit = line.queue[index]
            if not self._grant(line, unit, now_s):
                return
            del line.queue[index]
            for earlier in line.queue[:index]:
                first = earlier.leader
                first.waiting = replace(first.waiting, passed_over=first.waiting.passed_over + 1)

    def _pick(self, line: _Line, now_s: float) -> int | None:
        waiting = [unit.leader.waiting for unit in line.queue]
        if len(waiting) == 1 and not line.running:
            return 0
        try:
            number = self.policy.pick(
                waiting,
                running=tuple(line.running.values()),
                warm=tuple(line.warm),
                now_s=now_s,
            )
        except Exception:
            self._report("a batch policy failed; calls go in order of arrival")
            return 0
        if number is None:
            return None if line.running else 0
        return next((i for i, w in enumerate(waiting) if w.number == number), 0)

    def _grant(self, line: _Line, unit: _Unit, now_s: float, *, must: bool = False) -> bool:
        arrival = unit.leader.arrival
        ticket = self._gates.try_enter(
            line.lane, now_s, is_open_ended=arrival.is_open_ended, must=must
        )
        if isinstance(ticket, Full):
            line.until_s = ticket.until_s
            return False
        unit.ticket = ticket
        line.running[unit] = replace(unit.leader.waiting, arrived_s=now_s)
        self._wake(unit.leader)
        return True

    def _end(self, unit: _Unit, *, group: _Group) -> Ticket | None:
        """The unit's call is over; gives back its ticket, for the gates."""
        line = self._line(unit.leader.arrival.lane)
        if (sent := line.running.pop(unit, None)) is not None:
            line.warm.append(sent)
        group.active -= len(unit.members)
        ticket, unit.ticket = unit.ticket, None
        return ticket

    def _withdraw(self, place: Place) -> None:
        """Take a place out of its group or its line, where it has no slot yet."""
        group, unit = self._group(place.arrival.group), place.unit
        if unit is None:
            was_first = bool(group.waiting) and group.waiting[0] is place
            group.waiting = [p for p in group.waiting if p is not place]
            if was_first and group.waiting:
                self._wake(group.waiting[0])
            return
        unit.members.remove(place)
        group.active -= 1
        if not unit.members:
            line = self._line(place.arrival.lane)
            line.queue = [u for u in line.queue if u is not unit]

    # -- keeping

    def _group(self, key: Hashable) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key)
            if len(self._groups) > _MAX_GROUPS:
                idle = [k for k, g in self._groups.items() if not g.waiting and not g.active]
                for old in idle[: _MAX_GROUPS // 4]:
                    if old != key:
                        del self._groups[old]
        return group

    def _line(self, lane: Lane) -> _Line:
        if (line := self._lines.get(lane)) is None:
            line = self._lines[lane] = _Line(lane)
        return line

    def _on_room(self) -> None:
        with self._locked():
            now_s = self._clock()
            for line in self._lines.values():
                if line.queue:
                    self._admit(line, now_s)

    def _wake(self, place: Place) -> None:
        place.version += 1
        self._woken.append(place)

    def _waker(self, place: Place) -> Callable[[Wake], None]:
        seen = place.version

        def when(wake: Wake) -> None:
            with self._lock:
                if place.version == seen:
                    place.wakes.append(wake)
                    return
            wake()

        return when

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

    def _report(self, what: str) -> None:
        if not self._is_reported:
            self._is_reported = True
            logger.warning("%s (policy %r)", what, self.policy.name, exc_info=True)
