"""The state a node is given, by the digests of its parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from graphroute.ir.node_cache import Tracing
from graphroute.runtime.canonical import Messages, exact
from graphroute.runtime.node_cache.reads import (
    ALL,
    NAMES,
    Read,
    Reads,
    TracedObject,
    TracedState,
    field_names,
)
from graphroute.runtime.node_cache.results import objects_in

_MISSING: Final = object()


class State:
    """One visit's state. A part that has no canonical digest raises `Unkeyable`.

    messages: whether messages count by what was said or by all their fields
    """

    def __init__(self, value: Any, *, messages: Messages) -> None:
        self.value, self._messages = value, messages
        self._digests: dict[Read, str] = {}
        self._inside: dict[Read, tuple[object, ...]] = {}

    def digest(self, part: Read) -> str:
        """The digest of a part; taken once, before the node runs and may change what it reads."""
        found = self._digests.get(part)
        if found is None:
            found = self._digests[part] = self._digest(part)
        return found

    def _digest(self, part: Read) -> str:
        if part == ALL and _is_plain(self.value):
            # Put together from its keys, so that what is digested already counts.
            parts: list[Read] = [("key", key) for key in self.value]
            return _hash("\n".join(("all", self.key("", parts))))
        value = self.part(part)
        if value is _MISSING:
            return "missing"
        found = exact(value, messages=self._messages)
        self._inside[part] = found.objects
        return found.digest

    def part(self, part: Read) -> Any:
        """The value of a part."""
        kind, name = part
        if kind == "key":
            return self.value.get(name, _MISSING) if isinstance(self.value, dict) else _MISSING
        if kind == "attribute":
            return getattr(self.value, name, _MISSING)
        if kind == "names":
            return list(map(repr, self.value)) if isinstance(self.value, dict) else _MISSING
        return self.value

    def key(self, base: str, reads: Iterable[Read]) -> str:
        """The key of a result that hangs on these parts."""
        parts = list(reads)
        each = (f"{kind} {name!r} {self.digest((kind, name))}" for kind, name in parts)
        return _hash("\n".join((base, *each, *self.ties(parts))))

    def ties(self, reads: Iterable[Read]) -> tuple[str, ...]:
        """Which objects are in two of these parts; those twice in one count in its digest."""
        first: dict[int, str] = {}
        found = []
        for part in reads:
            self.digest(part)
            place = "{} {!r}".format(*part)
            for number, item in enumerate(self._inside.get(part, ())):
                here = f"{place} {number}"
                if (there := first.setdefault(id(item), here)) != here:
                    found.append(f"{here} is {there}")
        return tuple(found)

    def traced(self, tracing: Tracing) -> tuple[Any, Reads]:
        """What to give the node, and where its reads are written down."""
        reads = Reads()
        if tracing == "items" and type(self.value) is dict:
            return TracedState(self.value, reads), reads
        if tracing == "attributes" and not isinstance(self.value, dict):
            return TracedObject(self.value, reads), reads
        reads.add(ALL)
        return self.value, reads

    def prepare(self, tracing: Tracing) -> None:
        """Take the digests of all parts that may be read, before the node can change them.

        A part without one is left out; it matters only if it is read.
        """
        parts: list[Read] = []
        if tracing == "items" and type(self.value) is dict:
            parts = [NAMES, *(("key", key) for key in self.value if type(key) is str)]
        elif tracing == "attributes" and not isinstance(self.value, dict):
            parts = [("attribute", name) for name in sorted(field_names(self.value))]
        for part in (*parts, ALL):
            with suppress(TypeError):
                self.digest(part)

    def is_unchanged(self, reads: Iterable[Read]) -> bool:
        """Whether what was read still is what it was before the node ran."""
        parts = tuple(reads)
        try:
            fresh = State(self.value, messages=self._messages)
            return fresh.key("", parts) == self.key("", parts)
        except TypeError:
            return False

    def objects(self, reads: Iterable[Read]) -> list[Any]:
        """The objects in what was read that can change, in an order that equal states share."""
        if ALL in (parts := list(reads)):
            return objects_in(self.value)
        return [item for part in parts for item in objects_in(self.part(part))]


def _is_plain(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
