"""Where results, known read-sets and the past of each node are kept, on the backend of the cache.

| entry | key | holds |
|---|---|---|
| result | code, model, values of what was read | the returned value, what it cost |
| read-sets | code, model | which parts of the state such nodes have read, the latest first |
| past | graph and node | digests of the last versions and inputs, to say why a key missed |
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from graphroute.protocols import Cache
from graphroute.runtime import stored
from graphroute.runtime.node_cache.copies import copied, is_copyable
from graphroute.runtime.node_cache.misses import MAX_VERSIONS, Past, Trace
from graphroute.runtime.node_cache.reads import Read
from graphroute.runtime.parsed import Parsed

logger = logging.getLogger(__name__)

MAX_READ_SETS: Final = 16
"""Read-sets tried for one node; a node that reads differently with each input has no more."""

_MAX_KNOWN: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One result.

    body: what `results.load` needs, which changes it
    reads: what was read, with its digests; ties: objects that two parts of it share
    cost_nano, took_s: of the computation, with the model calls in it
    """

    body: Mapping[str, Any]
    reads: tuple[tuple[str, str, str], ...]
    cost_nano: int
    took_s: float
    ties: tuple[str, ...] = ()


def dump_entry(entry: Entry) -> bytes:
    """An entry as bytes; `Unstorable` for a value that cannot be given back as it was."""
    return stored.pack(
        "node",
        {
            "body": dict(entry.body),
            "reads": [list(part) for part in entry.reads],
            "cost_nano": entry.cost_nano,
            "took_s": entry.took_s,
            "ties": list(entry.ties),
        },
    )


def load_entry(raw: bytes, *, key: str = "") -> Entry | None:
    """The entry in bytes; None, and a warning, where they are damaged."""
    try:
        found = stored.unpack("node", raw)
        body = found["body"]
        if not {"value", "passed", "shared", "ids"} <= body.keys():
            raise stored.DamagedEntry("parts of it are missing")
        return Entry(
            body=body,
            reads=tuple((str(k), str(n), str(d)) for k, n, d in found["reads"]),
            cost_nano=int(found["cost_nano"]),
            took_s=float(found["took_s"]),
            ties=tuple(map(str, found.get("ties", ()))),
        )
    except (stored.DamagedEntry, LookupError, TypeError, ValueError, AttributeError) as fault:
        logger.warning("cached node output %.16s is not used: %s", key or "?", fault)
        return None


class Shelf:
    """The node cache's part of a backend; safe to share between threads."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._parsed = Parsed[Entry]()
        self._known: OrderedDict[str, tuple[tuple[Read, ...], ...]] = OrderedDict()

    # Results.

    def entry(self, key: str) -> tuple[Entry, str] | None:
        """The entry of a key and who had it; a damaged one is forgotten."""
        if (found := self._cache.find(key)) is None:
            return None
        raw, source = found.value, self._cache.name
        if (known := self._parsed.get(key, raw)) is not None:
            return replace(known, body=copied(known.body)), source
        if (entry := load_entry(raw, key=key)) is None:
            self.drop(key)
            return None
        if is_copyable(entry.body):
            self._parsed.put(key, raw, replace(entry, body=copied(entry.body)))
        return entry, source

    def put(self, key: str, raw: bytes, *, tags: Mapping[str, str]) -> None:
        """Keep bytes under a key."""
        self._cache.put(key, raw, tags=tags)

    def drop(self, key: str) -> None:
        """Forget a damaged entry."""
        self._cache.delete(key)

    # Read-sets.

    def read_sets(self, base: str, *, afresh: bool = False) -> tuple[tuple[Read, ...], ...]:
        """What nodes of this code and model have read; `afresh`: as other processes know it."""
        with self._lock:
            known = self._known.get(base)
            if known is not None and not afresh:
                self._known.move_to_end(base)
                return known
        kept = self._load("reads", base)
        found = tuple(tuple((k, n) for k, n in one) for one in kept or ())
        with self._lock:
            merged = tuple(dict.fromkeys((*self._known.get(base, ()), *found)))[:MAX_READ_SETS]
            self._remember(base, merged)
        return merged

    def add_reads(self, base: str, reads: tuple[Read, ...], *, tags: Mapping[str, str]) -> None:
        """Note a read-set as the latest."""
        known = self.read_sets(base)
        if known and known[0] == reads:
            return
        is_new = reads not in known
        merged = tuple(dict.fromkeys((reads, *known)))[:MAX_READ_SETS]
        with self._lock:
            self._remember(base, merged)
        if is_new:
            self._save("reads", base, [[list(part) for part in one] for one in merged], tags)

    def _remember(self, base: str, known: tuple[tuple[Read, ...], ...]) -> None:
        self._known[base] = known
        self._known.move_to_end(base)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    # The past of a node.

    def past(self, place: str) -> Past:
        """What is known of earlier visits of the node at `place`, in this process or another."""
        return Past.of(self._load("past", place))

    def note(
        self, place: str, trace: Trace, volatile: frozenset[str], *, tags: Mapping[str, str]
    ) -> None:
        """Add one visit to the past; `volatile`: parts of its code that the node itself changes."""
        with self._lock:
            past = self.past(place).with_trace(trace, volatile, limit=MAX_VERSIONS)
            self._save("past", place, past.as_json(), tags)

    def _load(self, kind: str, name: str) -> Any:
        key = _key(kind, name)
        if (found := self._cache.find(key)) is None:
            return None
        try:
            return stored.unpack(kind, found.value)
        except stored.DamagedEntry as fault:
            logger.warning("cache entry %.16s is not used: %s", key, fault)
            self.drop(key)
            return None

    def _save(self, kind: str, name: str, value: Any, tags: Mapping[str, str]) -> None:
        self.put(_key(kind, name), stored.pack(kind, value), tags={**tags, "kind": kind})


def _key(kind: str, name: str) -> str:
    return hashlib.sha256(f"graphroute.{kind}/1\n{name}".encode()).hexdigest()
