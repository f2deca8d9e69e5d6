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
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from graphroute.runtime.canonical_kinds import PLAIN, rule_for
from graphroute.runtime.unkeyable import Unkeyable

VERSION: Final = b"graphroute.value/2\n"
"""Part of every digest: a change of how values are written makes old keys unfindable."""

MAX_DEPTH: Final = 100

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
    """Collects the parts of one stream."""

    def __init__(self, *, messages: Messages, names: Mapping[str, str], depth: int = 0) -> None:
        self.out: list[bytes] = []
        self.messages, self.names = messages, names
        self._depth = depth

    def write(self, value: object) -> None:
        """Add `value`."""
        kind = type(value)
        if (plain := PLAIN.get(kind)) is not None:
            self.out.append(plain(value))
            return
        if self._depth >= MAX_DEPTH:
            raise Unkeyable(f"nested deeper than {MAX_DEPTH} levels, or it contains itself")
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
        """Add keys and values, whose order does not count."""
        self.tag(tag, len(values))
        for raw, key in sorted(((self._alone(key), key) for key in values), key=_first):
            self.out.append(raw)
            try:
                self.write(values[key])
            except Unkeyable as fault:
                raise fault.inside(f"[{key!r}]") from None

    def fields(self, tag: str, name: str, values: Mapping[str, object]) -> None:
        """Add an object by the name of its class and its fields."""
        self.tag(tag, name)
        for field in sorted(values):
            self.tag(".", field)
            try:
                self.write(values[field])
            except Unkeyable as fault:
                raise fault.inside(f".{field}") from None
        self.tag("/")

    def bag(self, tag: str, values: Iterable[object]) -> None:
        """Add values whose order does not count."""
        parts = sorted(map(self._alone, values))
        self.tag(tag, len(parts))
        self.out.extend(parts)

    def _alone(self, value: object) -> bytes:
        if (plain := PLAIN.get(type(value))) is not None:
            return plain(value)
        writer = Writer(messages=self.messages, names=self.names, depth=self._depth)
        writer.write(value)
        return b"".join(writer.out)


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]
