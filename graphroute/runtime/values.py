"""Python values as JSON and back, exactly, without running anything that the JSON names.

A pickle, or LangChain's own `load`, builds whatever object the text asks for. Here the text can ask
for a fixed list of types and, by name, for data classes that the program itself has imported
already: their fields are put in place; no constructor, validator or import runs.

```
plain JSON    None, True, 7, 0.5, "text", [1, 2], {"name": …}     as they are
{"$": tag}    tuples, sets, bytes, dates, NaN, other keys than text, messages, documents, arrays,
              enums, dataclasses, pydantic objects                by their tag
```

A value is either given back equal and of the same type, or refused when it is written
(`Unstorable`). Two names for one list become two lists.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import isfinite
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID

from graphroute.runtime.unkeyable import Unkeyable
from graphroute.runtime.value_objects import put_together, taken_apart

MAX_DEPTH: Final = 100
TAG: Final = "$"


class Unstorable(Unkeyable):
    """A value that could not be given back as it was; it is not kept."""


def to_json(value: Any, depth: int = 0) -> Any:
    """`value` as something `json.dumps` takes; `Unstorable` says what cannot be kept, and where.

    >>> to_json({"pair": (1, b"raw")})
    {'pair': {'$': 'tuple', 'v': [1, {'$': 'bytes', 'v': 'cmF3'}]}}
    >>> to_json({"log": [print]})
    Traceback (most recent call last):
        ...
    graphroute.runtime.values.Unstorable: ['log'][0]: a builtin_function_or_method cannot be kept
    """
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    if kind is float:
        return value if isfinite(value) else {TAG: "float", "v": repr(value)}
    if (scalar := _SCALARS.get(kind)) is not None:
        return {TAG: scalar[0], "v": scalar[1](value)}
    if depth > MAX_DEPTH:
        raise Unstorable(f"nested deeper than {MAX_DEPTH} levels, or it contains itself")
    if kind is list:
        return _items(value, depth)
    if kind is dict:
        return _mapping(value, depth)
    if kind in _PARTED:
        return {TAG: kind.__name__, "v": _items(value, depth)}
    if (apart := taken_apart(value)) is None:
        raise Unstorable(f"a {kind.__qualname__} cannot be kept")
    return {TAG: apart[0]} | {name: _at(f".{name}", v, depth) for name, v in apart[1].items()}


def from_json(data: Any) -> Any:
    """The value that `to_json` was given; `ValueError` for what it cannot have written.

    >>> from_json(to_json({1: {2.5, None}, "t": (b"x", float("inf"))}))
    {1: {2.5, None}, 't': (b'x', inf)}
    """
    if isinstance(data, list):
        return [from_json(item) for item in data]
    if not isinstance(data, dict):
        return data
    if (tag := data.get(TAG)) is None:
        return {key: from_json(value) for key, value in data.items()}
    try:
        if (read := _READ.get(tag)) is not None:
            return read(data["v"])
        return put_together(tag, {k: from_json(v) for k, v in data.items() if k != TAG})
    except (LookupError, TypeError, AttributeError, ArithmeticError) as fault:
        raise ValueError(f"not a {tag!r}: {type(fault).__name__}: {fault}") from fault


def _items(values: Iterable[Any], depth: int) -> list[Any]:
    return [_at(f"[{number}]", value, depth) for number, value in enumerate(values)]


def _mapping(values: Mapping[Any, Any], depth: int) -> Any:
    if all(type(key) is str for key in values) and TAG not in values:
        return {key: _at(f"[{key!r}]", value, depth) for key, value in values.items()}
    pairs = [
        [_at("key ", key, depth), _at(f"[{key!r}]", value, depth)] for key, value in values.items()
    ]
    return {TAG: "dict", "v": pairs}


def _at(step: str, value: Any, depth: int) -> Any:
    try:
        return to_json(value, depth + 1)
    except Unkeyable as fault:
        raise Unstorable(fault.why, path=step + fault.path) from None


_PLAIN: Final = frozenset((bool, int, str))
_PARTED: Final = frozenset((tuple, set, frozenset))


def _whole_minutes(value: timezone) -> float:
    if value.tzname(None) != str(timezone(offset := value.utcoffset(None))):
        raise Unstorable("a time zone with a name of its own")
    return offset.total_seconds()


def _moment(value: datetime | time) -> list[Any]:
    zone = value.tzinfo
    if zone is not None and type(zone) is not timezone:
        raise Unstorable(f"a time in a zone of type {type(zone).__name__}")
    return [value.isoformat(), value.fold]


def _blob(value: bytes | bytearray) -> str:
    return b64encode(value).decode("ascii")


_SCALARS: Final[Mapping[type, tuple[str, Callable[[Any], Any]]]] = {
    bytes: ("bytes", _blob),
    bytearray: ("bytearray", _blob),
    complex: ("complex", lambda value: [repr(value.real), repr(value.imag)]),
    Decimal: ("Decimal", str),
    UUID: ("UUID", str),
    date: ("date", date.isoformat),
    datetime: ("datetime", _moment),
    time: ("time", _moment),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    timezone: ("timezone", _whole_minutes),
    type(Path()): ("Path", str),
    PurePosixPath: ("PurePosixPath", str),
    PureWindowsPath: ("PureWindowsPath", str),
}
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "float": float,
    "tuple": lambda data: tuple(map(from_json, data)),
    "set": lambda data: set(map(from_json, data)),
    "frozenset": lambda data: frozenset(map(from_json, data)),
    "dict": lambda data: {from_json(key): from_json(value) for key, value in data},
    "bytes": lambda data: b64decode(data, validate=True),
    "bytearray": lambda data: bytearray(b64decode(data, validate=True)),
    "complex": lambda data: complex(float(data[0]), float(data[1])),
    "Decimal": Decimal,
    "UUID": UUID,
    "date": date.fromisoformat,
    "datetime": lambda data: datetime.fromisoformat(data[0]).replace(fold=data[1]),
    "time": lambda data: time.fromisoformat(data[0]).replace(fold=data[1]),
    "timedelta": lambda data: timedelta(*data),
    "timezone": lambda data: timezone(timedelta(seconds=data)),
    "Path": Path,
    "PurePosixPath": PurePosixPath,
    "PureWindowsPath": PureWindowsPath,
}
