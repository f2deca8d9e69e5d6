"""One canonical, typed digest of a Python value: equal values give equal digests, in any process.

A value is written as a stream of tagged, length-prefixed parts, and the stream is hashed; so no two
different values share a stream. A long text stands in it by a digest of its own, which is taken
once (`long_values`). The order of dictionaries and sets does not count, the type does
(`1`, `True` and `1.0` differ, as do `0.0` and `-0.0`; every NaN is the same).

| value | by |
|---|---|
| numbers, text, bytes, dates, `Decimal`, `UUID`, paths, enums | type and value |
| lists, tuples, named tuples, sets, dictionaries, their subclasses | type and items |
| dataclasses, attrs and pydantic objects | class name and fields |
| pydantic, TypedDict and dataclass *classes* | class name and JSON schema |
| NumPy arrays and scalars | dtype, shape, bytes |
| LangChain messages | what was said: role, name, content, tool calls; no ids, usage or metadata |

What has no canonical form (functions, models, open files, values that contain themselves) is an
`Unkeyable`, which says where in the value it is.

`exact` tells more apart, all that code handed the value may see of it: the order of a dictionary,
which fields of a pydantic object were given, and whether two places hold one object or two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from graphroute.runtime.canonical_kinds import PLAIN, rule_for
from graphroute.runtime.unkeyable import Unkeyable

VERSION: Final = b"graphroute.value/2\n"
"""Part of every digest: a change of how values are written makes old keys unfindable."""

EXACT: Final = b"graphroute.exact-value/1\n"
"""The same for `exact`."""

MAX_DEPTH: Final = 100

_UNCHANGING: Final = (tuple, frozenset)
"""Besides `PLAIN`: of two equal ones nobody can change one and not the other."""

Messages = Literal["said", "whole"]
"""Whether a message counts by what was said in it, or by all its fields, ids and usage too."""


def digest(value: object, *, messages: Messages = "said") -> str:
    """SHA-256 (64 hex digits) of `value`; `Unkeyable` where a part has no canonical form.

    >>> digest({"a": 1, "b": {2, 3}}) == digest({"b": {3, 2}, "a": 1})
    True
    >>> digest(1) == digest(True)
    False
    >>> digest({"steps": [len]})
    Traceback (most recent call last):
        ...
    graphroute.runtime.unkeyable.Unkeyable: ['steps'][0]: a builtin_function_or_method is no value
    """
    return hashlib.sha256(canonical(value, messages=messages)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """A digest by `exact`, and the objects in the value that can change, in one order."""

    digest: str
    objects: tuple[object, ...] = field(repr=False)


def exact(value: object, *, messages: Messages = "said") -> Exact:
    """SHA-256 of all that code may tell of `value`; `Unkeyable` as for `digest`.

    The inside of sets, keys and messages counts by value alone, and so does the order of a set,
    which no two processes share.

    >>> exact({"a": 1, "b": 2}).digest == exact({"b": 2, "a": 1}).digest
    False
    >>> one = [1]
    >>> exact([one, one]).digest == exact([[1], [1]]).digest
    False
    """
    writer = Writer(messages=messages, names={}, is_exact=True)
    writer.seen = {}
    writer.write(value)
    return Exact(
        digest=hashlib.sha256(b"".join((EXACT, *writer.out))).hexdigest(),
        objects=tuple(item for _, item in writer.seen.values()),
    )


def canonical(
    value: object, *, messages: Messages = "said", names: Mapping[str, str] | None = None
) -> bytes:
    """The stream that `digest` hashes.

    names: what to write for the ids of tool calls, which models make up anew each time
    """
    writer = Writer(messages=messages, names=names or {})
    writer.write(value)
    return b"".join((VERSION, *writer.out))


class Writer:
    """Collects the parts of one stream.

    is_exact: the order of dictionaries counts
    seen: objects that were written, by id, each with its number and kept alive, so that no other
        gets its id; None where only values count
    """

    def __init__(
        self,
        *,
        messages: Messages,
        names: Mapping[str, str],
        depth: int = 0,
        is_exact: bool = False,
    ) -> None:
        self.out: list[bytes] = []
        self.messages, self.names, self.is_exact = messages, names, is_exact
        self.seen: dict[int, tuple[int, object]] | None = None
        self._depth = depth

    def write(self, value: object) -> None:
        """Add `value`."""
        kind = type(value)
        if (plain := PLAIN.get(kind)) is not None:
            self.out.append(plain(value))
            return
        if self._depth >= MAX_DEPTH:
            raise Unkeyable(f"nested deeper than {MAX_DEPTH} levels, or it contains itself")
        if self.seen is not None and not isinstance(value, _UNCHANGING):
            number = len(self.seen)
            first, _ = self.seen.setdefault(id(value), (number, value))
            if first != number:
                # Its parts follow again: what contains itself is found by its depth.
                self.tag("=", first)
        self._depth += 1
        rule_for(kind)(self, value)
        self._depth -= 1

    def tag(self, tag: str, text: str | int = "") -> None:
        """Add a mark that tells kinds of values apart, with a name or a count."""
        raw = str(text).encode("utf-8", "surrogatepass")
        self.out.append(b"%s%d:%s" % (tag.encode(), len(raw), raw))

    def items(self, tag: str, values: Iterable[object], count: int) -> None:
        """Add `count` values whose order counts."""
        self.tag(tag, count)
        for number, value in enumerate(values):
            try:
                self.write(value)
            except Unkeyable as fault:
                raise fault.inside(f"[{number}]") from None

    def pairs(self, tag: str, values: Mapping[Any, object]) -> None:
        """Add keys and values, whose order does not count, but for an exact stream."""
        self.tag(tag, len(values))
        keys = [(self._alone(key), key) for key in values]
        for raw, key in keys if self.is_exact else sorted(keys, key=_first):
            self.out.append(raw)
            try:
                self.write(values[key])
            except Unkeyable as fault:
                raise fault.inside(f"[{key!r}]") from None

    def fields(self, tag: str, name: str, values: Mapping[str, object]) -> None:
        """Add an object by the name of its class and its fields."""
        self.tag(tag, name)
        for part in sorted(values):
            self.tag(".", part)
            try:
                self.write(values[part])
            except Unkeyable as fault:
                raise fault.inside(f".{part}") from None
        self.tag("/")

    def bag(self, tag: str, values: Iterable[object]) -> None:
        """Add values whose order does not count."""
        parts = sorted(map(self._alone, values))
        self.tag(tag, len(parts))
        self.out.extend(parts)

    def _alone(self, value: object) -> bytes:
        if (plain := PLAIN.get(type(value))) is not None:
            return plain(value)
        writer = Writer(
            messages=self.messages, names=self.names, depth=self._depth, is_exact=self.is_exact
        )
        writer.write(value)
        return b"".join(writer.out)


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]
