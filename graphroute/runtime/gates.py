"""How many calls a server gets at once: one gate per model and one per provider's endpoint.

```
 local model   slots it has          ──► that many at once (and one more, see SPARE), fixed
 cloud model   AIMD                  ──► doubles until the first refusal, then +1 a round, ÷2
 any           Retry-After, resets   ──► nobody until then
```

Gates belong to the process, not to a graph: two graphs that use one server share what it can take.
Additive increase and multiplicative decrease is what lets callers who know nothing of one another
come to a fair share (Chiu and Jain 1989); it starts as TCP does, by doubling (RFC 5681, §3.1).

A gate decides and counts; it never sleeps, and time is told to it.

>>> gates = Gates()
>>> lane = Lane(model="llamacpp:tiny", most=1)
>>> first, second = gates.try_enter(lane, 0.0), gates.try_enter(lane, 0.0)
>>> isinstance(first, Ticket), second
(True, Full(until_s=None))
>>> gates.leave(first, Outcome(), 1.0)
>>> isinstance(gates.try_enter(lane, 1.0), Ticket)
True
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from langchain_core.messages import AIMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime import rate_headers
from graphroute.runtime.fallback import status_of

START = 64
"""Calls at once that a cloud model or endpoint gets before anything is known of its limits."""

LOCAL_SLOTS = 4
"""Calls at once for a local model whose slots nobody states; its server queues what is too much."""

SPARE = 1
"""Calls beyond a local server's slots, so that none stands idle while an answer travels back."""

STREAM_S = 5.0
"""A stream's reader may keep it open for ever; after this long nobody waits for its end."""

_BACK_OFF_S: Final = (0.5, 30.0)
"""First and longest pause after refusals that name none; it doubles in between."""

Verdict = Literal["answered", "refused", "overloaded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Where a call goes: a model, and the endpoint it shares with others.

    endpoint: what has a limit of its own for all models together; `""` if nothing has
    most: calls it gets at once; None: nobody knows
    adapts: it gets fewer after it refused some, and more while it refuses none
    """

    model: str
    endpoint: str = ""
    most: int | None = None
    adapts: bool = False

    @classmethod
    def of(cls, spec: ModelSpec) -> Lane:
        """The lane of a model: a local server by its slots, a cloud model by what it takes.

        >>> from graphroute.ir.catalog import Price
        >>> price = Price(in_usd=1.0, out_usd=1.0, source="user")
        >>> Lane.of(ModelSpec(name="openai:m", provider="openai", local=False, price=price))
        Lane(model='openai:m', endpoint='openai', most=None, adapts=True)
        """
        if spec.local:
            return cls(model=spec.name, most=(spec.slots or LOCAL_SLOTS) + SPARE)
        _, at, address = spec.name.partition("@")
        endpoint = address if at else spec.provider
        return cls(model=spec.name, endpoint=endpoint, most=spec.slots, adapts=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call ended, as far as a gate is concerned.

    refused: the model's rate limit; overloaded: the endpoint cannot take more; failed: anything
    else, which says nothing about how much it takes
    wait_s: seconds it asks to be left alone, None where it says nothing
    message: the answer, where there is one
    """

    verdict: Verdict = "answered"
    wait_s: float | None = None
    message: AIMessage | None = None

    @classmethod
    def of(cls, error: BaseException, *, now_s: float | None = None) -> Outcome:
        """The outcome of a call that raised; `now_s` in seconds since 1970 (default: now).

        >>> Outcome.of(KeyError("state")).verdict
        'failed'
        """
        verdict: Verdict = "failed"
        match status_of(error):
            case 429:
                verdict = "refused"
            case 503 | 529:
                verdict = "overloaded"
        if verdict == "failed":
            return cls(verdict=verdict)
        now = time.time() if now_s is None else now_s
        wait_s = rate_headers.retry_s(rate_headers.headers_of(error), now_s=now)
        return cls(verdict=verdict, wait_s=wait_s)

    @classmethod
    def answered(cls, message: AIMessage | None, *, now_s: float | None = None) -> Outcome:
        """The outcome of a call that was answered; headers count where the chat model keeps them.

        `ChatOpenAI(include_response_headers=True)` does.
        """
        headers = rate_headers.lowered(_headers(message))
        now = time.time() if now_s is None else now_s
        wait_s = rate_headers.pause_s(headers, now_s=now) if headers else None
        return cls(wait_s=wait_s or None, message=message)


def _headers(message: AIMessage | None) -> Mapping[str, str]:
    found = {} if message is None else message.response_metadata.get("headers")
    return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """No room now; `until_s`: when it is worth asking again, None for when somebody leaves."""

    until_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """Room for one call; ends by one `leave`."""

    lane: Lane
    started_s: float
    is_open_ended: bool
    gates: tuple[Gate, ...] = field(repr=False)


class Gate:
    """What one model or endpoint takes at once; not safe to share without a lock."""

    def __init__(self, *, most: int | None, adapts: bool) -> None:
        self.most, self.adapts = most, adapts
        self.limit = float(START if most is None else most)
        self._inside: set[Ticket] = set()
        self._is_starting = True
        self._full_s = float("-inf")
        self._cut_s = float("-inf")
        self._closed_until_s = float("-inf")
        self._refusals = 0

    def room(self, now_s: float) -> Full | None:
        """None where a call may enter now."""
        if now_s < self._closed_until_s:
            return Full(until_s=self._closed_until_s)
        streams = [t.started_s + STREAM_S for t in self._inside if t.is_open_ended]
        counted = len(self._inside) - sum(end_s <= now_s for end_s in streams)
        # A limit of 2.9 is two calls: the share of a call that is earned is not one yet.
        if counted < int(self.limit):
            return None
        self._full_s = now_s
        return Full(until_s=min((end_s for end_s in streams if end_s > now_s), default=None))

    def enter(self, ticket: Ticket) -> None:
        """Count a call, whether there is room or not."""
        self._inside.add(ticket)
        if len(self._inside) >= int(self.limit):
            self._full_s = ticket.started_s

    def leave(self, ticket: Ticket, outcome: Outcome, *, is_refusal: bool, now_s: float) -> None:
        """Stop counting a call, and learn from how it went."""
        inside = len(self._inside)
        self._inside.discard(ticket)
        if outcome.verdict == "answered":
            self._refusals = 0
            self._close(now_s, outcome.wait_s or 0.0)
            self._grow(ticket)
        elif is_refusal:
            self._shrink(ticket, inside)
            first_s, longest_s = _BACK_OFF_S
            unsaid_s = min(longest_s, first_s * 2 ** min(self._refusals, 10))
            # One burst that is refused is one refusal, however many calls it had.
            if ticket.started_s >= self._cut_s:
                self._refusals, self._cut_s = self._refusals + 1, now_s
                self._close(now_s, unsaid_s if outcome.wait_s is None else outcome.wait_s)
            elif outcome.wait_s is not None:
                self._close(now_s, outcome.wait_s)

    def _grow(self, ticket: Ticket) -> None:
        # Who never met the limit has not shown that more would be taken.
        if self.adapts and self._full_s >= ticket.started_s:
            self.limit += 1.0 if self._is_starting else 1.0 / self.limit
            if self.most is not None:
                self.limit = min(self.limit, self.most)

    def _shrink(self, ticket: Ticket, inside: int) -> None:
        if self.adapts and ticket.started_s >= self._cut_s:
            self.limit = max(1.0, min(self.limit, inside) / 2)
            self._is_starting = False

    def _close(self, now_s: float, wait_s: float) -> None:
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)

    @property
    def inside(self) -> int:
        """Calls that have entered and not left."""
        return len(self._inside)


class Gates:
    """All gates of the process; safe to share between threads, event loops and graphs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[tuple[str, str], Gate] = {}
        self._heard: deque[weakref.WeakMethod[Callable[[], None]]] = deque()

    def room(self, lane: Lane, now_s: float) -> Full | None:
        """None where a call of this lane may enter now."""
        with self._lock:
            return _room(self._of(lane), now_s)

    def try_enter(
        self, lane: Lane, now_s: float, *, is_open_ended: bool = False, must: bool = False
    ) -> Ticket | Full:
        """Room for a call on every gate of its lane, or on none.

        is_open_ended: a stream; must: count the call even where there is no room
        """
        with self._lock:
            gates = self._of(lane)
            if not must and (full := _room(gates, now_s)) is not None:
                return full
            ticket = Ticket(lane, now_s, is_open_ended, gates)
            for gate in gates:
                gate.enter(ticket)
            return ticket

    def leave(self, ticket: Ticket, outcome: Outcome, now_s: float) -> None:
        """Give the room back; those who wait for some are asked in turn."""
        with self._lock:
            own, *endpoint = ticket.gates
            # A server of this machine has no other gate that could take its "busy" (503).
            refusals = ("refused",) if endpoint else ("refused", "overloaded")
            own.leave(ticket, outcome, is_refusal=outcome.verdict in refusals, now_s=now_s)
            for gate in endpoint:
                gate.leave(ticket, outcome, is_refusal=outcome.verdict == "overloaded", now_s=now_s)
            self._heard.rotate(-1)  # so that no graph is always first
            listeners = [method() for method in self._heard]
            if None in listeners:
                self._heard = deque(m for m in self._heard if m() is not None)
        for wake in listeners:
            if wake is not None:
                wake()

    def on_room(self, wake: Callable[[], None]) -> None:
        """Call the method `wake` whenever somebody leaves; its object is not kept alive."""
        with self._lock:
            self._heard.append(weakref.WeakMethod(wake))

    def limits(self) -> Mapping[str, float]:
        """Calls at once that each model and endpoint is held to now, by name."""
        with self._lock:
            return {name: gate.limit for (_, name), gate in sorted(self._gates.items())}

    def _of(self, lane: Lane) -> tuple[Gate, ...]:
        own = self._gate("model", lane.model, most=lane.most, adapts=lane.adapts)
        if not lane.endpoint:
            return (own,)
        return own, self._gate("endpoint", lane.endpoint, most=None, adapts=True)

    def _gate(self, kind: str, name: str, *, most: int | None, adapts: bool) -> Gate:
        gate = self._gates.get((kind, name))
        if gate is None or (most is not None and gate.most != most):
            # Another server under an old name; who is inside leaves by the old gate.
            gate = self._gates[kind, name] = Gate(most=most, adapts=adapts)
        return gate


def _room(gates: tuple[Gate, ...], now_s: float) -> Full | None:
    full = [found for gate in gates if (found := gate.room(now_s)) is not None]
    if not full:
        return None
    # One that is closed for a time: another's room helps nobody before that.
    return Full(until_s=max((f.until_s for f in full if f.until_s is not None), default=None))


_shared: Gates | None = None
_shared_lock = threading.Lock()


def shared() -> Gates:
    """The gates that all optimized graphs of this process use."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Gates()
        return _shared
