"""One visit of a cacheable node, from the question "is its result known?" to its record.

Nothing waits and nothing of the user's runs here; `running` drives it, in a thread or a task:

```
 look() ─► Found   give it again
        ─► Wait    an equal visit computes it, in this process or another: look again after that
        ─► None    run the node, then keep(value): others get it; or leave()
```
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from graphroute.ir.cache import PRIVATE
from graphroute.ir.node_cache import CacheableNode, CodeKey, NodeRecord, Unclear
from graphroute.ir.plan import Assignment
from graphroute.ir.record import CallRecord
from graphroute.runtime.flight import Flight, Flights
from graphroute.runtime.lease import Leases
from graphroute.runtime.near_miss import facet_tag
from graphroute.runtime.node_cache import asked, results
from graphroute.runtime.node_cache.misses import Trace, facets, why_missed
from graphroute.runtime.node_cache.reads import ALL, Read, Reads
from graphroute.runtime.node_cache.shelf import Entry, Shelf, dump_entry, load_entry
from graphroute.runtime.node_cache.state import State
from graphroute.runtime.unkeyable import Unkeyable

if TYPE_CHECKING:
    from graphroute.runtime.run_handle import RunHandle

logger = logging.getLogger(__name__)

VERSION: Final = "graphroute.node/1"

MAX_WAIT_S: Final = 600.0
"""How long a visit waits for an equal one; then it runs the node itself."""

POLL_S: Final = 0.02
"""Seconds between looks at what another process computes."""

_leading: ContextVar[frozenset[str]] = ContextVar("graphroute_leading", default=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A known result, fit for this visit."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again when woken, or after `patience_s` seconds at the latest.

    when: registers a wake-up that is called once, from any thread
    """

    patience_s: float
    when: Callable[[Callable[[], object]], object] = field(default=lambda _: None, repr=False)


class Visit:
    """State of one visit; not shared between threads.

    place: the node's path in the graph; is_fresh: look nothing up, but keep what is computed
    turns: which of several processes computes a result; None where none shares it
    """

    def __init__(
        self,
        node: CacheableNode,
        *,
        code: CodeKey,
        place: str,
        graph: str,
        handle: RunHandle,
        config: Mapping[str, Any],
        state: Any,
        shelf: Shelf,
        flights: Flights[bytes],
        turns: Leases | None,
        volatile: frozenset[str],
        is_fresh: bool,
    ) -> None:
        self.node, self.place, self.handle, self.config = node, place, handle, config
        self.volatile, self.is_fresh = volatile, is_fresh
        self._shelf, self._flights, self._turns = shelf, flights, turns
        self._past_key = f"{graph}\n{place}"
        self.code = code
        self.assignment: Assignment | None = handle.course.assignment(place)
        self._model = asked.model_of(self.assignment)
        whole = node.reads_config or self.code.reads_config
        self._context = asked.context_of(config, whole=whole)
        self.state = State(state, messages="whole" if self.code.needs_whole_messages else "said")
        self._base = self._base_of(self.code)
        self._flight: Flight[bytes] | None = None
        self._key = ""
        self._has_turn = False
        self.is_kept = False
        self.why = ""

    def _base_of(self, code: CodeKey) -> str:
        text = "\n".join((VERSION, code.digest, self._model, self._context))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def tags(self) -> dict[str, str]:
        """What the visit's entries are found by."""
        tags = {"node": self.place, "kind": "node"}
        if self._model and self.assignment is not None:
            tags["model"] = self.assignment.model
        if self.handle.policy.is_private(self.place) or self.handle.is_private_inside(self.place):
            tags[PRIVATE] = "1"
        return tags

    # Looking.

    def look(self) -> Found | Wait | None:
        """The known result, or what to wait for; None where this visit is to run the node."""
        flight = self._flight
        if flight is not None and not flight.is_leader:
            if not flight.is_over:
                return Wait(patience_s=MAX_WAIT_S, when=flight.when_over)
            self._flight = None
            if (found := self._landed(flight)) is not None or flight.error is not None:
                return found
            flight = None
        if (found := self.find()) is not None:
            self.give_way()
            return found
        if flight is None:
            if (flight := self._join()) is None:
                return None
            if not flight.is_leader:
                return Wait(patience_s=MAX_WAIT_S, when=flight.when_over)
            # Another may have landed between looking and joining.
            if (found := self.find()) is not None:
                self.give_way()
                return found
        return self._take_turn()

    def _take_turn(self) -> Found | Wait | None:
        """Wait while another process computes the result."""
        if self._turns is None or self._has_turn:
            return None
        if not self._turns.take(self._key):
            return Wait(patience_s=POLL_S)
        self._has_turn = True
        # It may have been kept, and the turn given back, since the last look.
        if (found := self.find()) is not None:
            self.give_way()
        return found

    def find(self) -> Found | None:
        """The known result; None where the node has to run."""
        if self.is_fresh:
            return None
        tried = self._shelf.read_sets(self._base)
        found = self._among(tried)
        if found is None:
            # Another process may have read other parts meanwhile.
            more = self._shelf.read_sets(self._base, afresh=True)
            found = self._among([reads for reads in more if reads not in tried])
        return found

    def _among(self, read_sets: Sequence[tuple[Read, ...]]) -> Found | None:
        for reads in read_sets:
            try:
                key = self.state.key(self._base, reads)
            except TypeError:  # a part that has no digest
                continue
            if (kept := self._shelf.entry(key)) is None:
                continue
            if (found := self._given(*kept)) is not None:
                return found
            self._shelf.drop(key)
        return None

    def _given(self, entry: Entry, source: str) -> Found | None:
        reads: list[Read] = [(kind, name) for kind, name, _ in entry.reads]  # type: ignore[misc]
        try:
            value = results.load(entry.body, lambda: self.state.objects(reads))
        except (LookupError, TypeError, ValueError, AttributeError) as fault:
            logger.warning("cached output of node %r is not used: %s", self.place, fault)
            return None
        names = ", ".join(_told(kind, name) for kind, name, _ in entry.reads) or "nothing of it"
        self._record(
            "hit", f"unchanged: {names} ({source})", nano=entry.cost_nano, took_s=entry.took_s
        )
        return Found(value=value)

    # Equal visits at the same time.

    def _join(self) -> Flight[bytes] | None:
        """Take part in the computation; None where equal visits cannot be told."""
        if self.is_fresh:
            return None
        known = self._shelf.read_sets(self._base)
        reads: tuple[Read, ...] = known[0] if known else (ALL,)
        try:
            key = self.state.key(self._base, reads)
        except TypeError:
            return None
        if key in _leading.get():
            return None  # a node that runs itself must not wait for itself
        self._flight = self._flights.join(key)
        self._key = key
        return self._flight

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Around the node's function: visits inside know which results are under way."""
        flight = self._flight
        if flight is None or not flight.is_leader:
            yield
            return
        token = _leading.set(_leading.get() | {self._key})
        try:
            yield
        finally:
            _leading.reset(token)

    def _landed(self, flight: Flight[bytes]) -> Found | None:
        """The leader's result, if it is this visit's too."""
        if flight.value is None or (entry := load_entry(flight.value)) is None:
            return None
        try:
            for kind, name, was in entry.reads:
                if self.state.digest((kind, name)) != was:  # type: ignore[arg-type]
                    return None
            parts: list[Read] = [(kind, name) for kind, name, _ in entry.reads]  # type: ignore[misc]
            if self.state.ties(parts) != entry.ties:
                return None
        except TypeError:
            return None
        return self._given(entry, "an equal visit at the same time")

    def give_way(self) -> None:
        """The result is known by now: those who wait look again."""
        self._end(lambda flight: flight.abandoned())

    def leave(self, *, error: BaseException | None = None) -> None:
        """Nothing comes of this visit for others: at an error each goes its own way."""
        if error is not None and not isinstance(error, Exception):
            self.give_way()  # cancelled: one of those who wait takes over
        else:
            failure = error or LookupError("not kept")
            self._end(lambda flight: flight.failed(failure))

    def _end(self, tell: Callable[[Flight[bytes]], None]) -> None:
        flight, self._flight = self._flight, None
        if self._has_turn and self._turns is not None:
            self._has_turn = False
            self._turns.release(self._key)
        if flight is not None:
            tell(flight)

    # Keeping.

    def begin(self) -> tuple[Any, Reads]:
        """What to run the node on; digests are taken first, since a node may change its state."""
        self.why = self.why or self._why()
        self.state.prepare(self.node.caching.tracing)
        return self.state.traced(self.node.caching.tracing)

    def _why(self) -> str:
        past = self._shelf.past(self._past_key)
        return why_missed(self._trace(self.code, ()), past, self._digest_of)

    def _digest_of(self, kind: str, name: str) -> str:
        try:
            return self.state.digest((kind, name))  # type: ignore[arg-type]
        except TypeError:
            return ""

    def _trace(self, code: CodeKey, reads: tuple[tuple[str, str, str], ...]) -> Trace:
        return Trace(code=code.parts, model=self._model, context=self._context, reads=reads)

    def keep(
        self, value: Any, reads: tuple[Read, ...], calls: Sequence[CallRecord], *, took_s: float
    ) -> frozenset[str]:
        """Keep a result if it may be; parts of its code that the node was seen to change."""
        changed: frozenset[str] = frozenset()
        try:
            changed = self.node.code.changed_since(self.code)
            why = self._why_not(value, reads, calls, changed)
            raw = None if why else self._entry(value, reads, calls, took_s)
        except (Unkeyable, Unclear) as fault:
            raw, why = None, str(fault)
        if raw is None:
            self._record("computed", f"{self.why}; not kept: {why}")
            self.leave()
            return changed
        self._store(raw, reads, changed)
        self._record("computed", self.why, is_kept=True)
        self.is_kept = True
        self._end(lambda flight: flight.done(raw))
        return changed

    def _why_not(
        self,
        value: Any,
        reads: tuple[Read, ...],
        calls: Sequence[CallRecord],
        changed: frozenset[str],
    ) -> str | None:
        policy = self.handle.policy
        # What the code imports when it runs is followed now, and may do what no result tells.
        if obstacles := self.node.code.now(self.volatile | changed).obstacles:
            return obstacles[0]
        if changed and self.node.caching.asked == "auto":
            return f"it changed {', '.join(sorted(changed))}"
        why = (
            results.why_not_kept(value)
            or asked.why_not_alone(self.config)
            or asked.why_not_by_plan(calls, self.assignment, keeps_own=policy.keeps_own)
        )
        if why is None and not self.state.is_unchanged(reads):
            why = "it changed its state in place, or a part of that has no canonical form"
        return why

    def _entry(
        self, value: Any, reads: tuple[Read, ...], calls: Sequence[CallRecord], took_s: float
    ) -> bytes:
        entry = Entry(
            body=results.dump(value, self.state.objects(reads)),
            reads=tuple((*part, self.state.digest(part)) for part in reads),
            cost_nano=sum(call.cost_nano for call in calls),
            took_s=took_s,
            ties=self.state.ties(reads),
        )
        return dump_entry(entry)

    def _store(self, raw: bytes, reads: tuple[Read, ...], changed: frozenset[str]) -> None:
        code = self.node.code.now(self.volatile | changed) if changed else self.code
        base = self._base_of(code) if changed else self._base
        parts = tuple((*part, self.state.digest(part)) for part in reads)
        trace, tags = self._trace(code, parts), self.tags
        self._shelf.put(self.state.key(base, reads), raw, tags=tags | facet_tag(facets(trace)))
        self._shelf.add_reads(base, reads, tags=tags)
        self._shelf.note(self._past_key, trace, self.volatile | changed, tags=tags)

    def _record(
        self,
        outcome: Any,
        why: str,
        *,
        is_kept: bool = False,
        nano: int = 0,
        took_s: float = 0.0,
    ) -> None:
        step = (self.config.get("metadata") or {}).get("langgraph_step")
        self.handle.policy.record_node(
            NodeRecord(
                run_id=self.handle.run_id,
                node=self.place,
                step=step if isinstance(step, int) else None,
                outcome=outcome,
                why=why,
                is_kept=is_kept,
                saved_nano=nano,
                saved_s=took_s,
            )
        )


def _told(kind: str, name: str) -> str:
    return {"all": "the state", "names": "which keys there are"}.get(kind, name)
