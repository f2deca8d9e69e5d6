"""How values of each kind are written into a canonical stream; `canonical` says what for.

`PLAIN` holds the exact types without parts. Every other class gets its rule once, when one of its
values is first met.
"""

from __future__ import annotations

import re
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, is_typeddict
from uuid import UUID
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.messages.base import TextAccessor
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, TypeAdapter

from graphroute.runtime.long_values import LONG, long_digest
from graphroute.runtime.said import KINDS, said, whole
from graphroute.runtime.unkeyable import Unkeyable

if TYPE_CHECKING:
    from graphroute.runtime.canonical import Writer

Rule = Callable[["Writer", Any], None]


def _raw(tag: bytes, raw: bytes) -> bytes:
    return b"%s%d:%s" % (tag, len(raw), raw)


def _text(value: str) -> bytes:
    if len(value) >= LONG:
        return b"h" + long_digest(value)
    return _raw(b"s", value.encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> bytes:
    return b"H" + long_digest(value) if len(value) >= LONG else _raw(b"b", value)


def _float(value: float) -> bytes:
    # NaNs differ in bits that no program means; they are one value here.
    return b"f" + (pack(">d", value) if value == value else b"nan")


def _told(kind: type, tell: Callable[[Any], str] = str) -> Callable[[Any], bytes]:
    tag = f"v{kind.__name__}:".encode()
    return lambda value: _raw(tag, tell(value).encode("utf-8", "surrogatepass"))


def _moment(value: Any) -> str:
    # isoformat leaves out which of two equal times at a change of clocks is meant, and the zone.
    zone = value.tzinfo
    if zone is not None and not isinstance(zone, (timezone, ZoneInfo)):
        raise Unkeyable(f"a time in a zone of type {type(zone).__name__}")
    return f"{value.isoformat()}|{value.fold}|{zone}"


PLAIN: Final[Mapping[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    # Hexadecimal: decimal digits of long numbers take quadratic time.
    int: lambda value: b"i%x;" % value if value >= 0 else b"i-%x;" % -value,
    float: _float,
    complex: lambda value: b"c" + _float(value.real) + _float(value.imag),
    str: _text,
    TextAccessor: _text,  # what `message.text` gives
    bytes: _bytes,
    bytearray: lambda value: _raw(b"B", bytes(value)),
    memoryview: lambda value: _bytes(bytes(value)),
    type(...): lambda _: b"E",
    Decimal: _told(Decimal, lambda value: repr(value.as_tuple())),
    Fraction: _told(Fraction),
    UUID: _told(UUID),
    date: _told(date, date.isoformat),
    datetime: _told(datetime, _moment),
    time: _told(time, _moment),
    timedelta: _told(timedelta, repr),
    timezone: _told(timezone, repr),
    ZoneInfo: _told(ZoneInfo, repr),
    range: _told(range, lambda value: repr((value.start, value.stop, value.step))),
    **{kind: _told(kind) for kind in (IPv4Address, IPv4Network, IPv6Address, IPv6Network)},
}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _list(writer: Writer, value: list[object]) -> None:
    writer.items("l", value, len(value))


def _tuple(writer: Writer, value: tuple[object, ...]) -> None:
    writer.items("t", value, len(value))


def _dict(writer: Writer, value: Mapping[Any, object]) -> None:
    writer.pairs("d", value)


def _set(writer: Writer, value: set[object]) -> None:
    writer.bag("S", value)


def _frozenset(writer: Writer, value: frozenset[object]) -> None:
    writer.bag("Z", value)


def _ordered(writer: Writer, value: OrderedDict[Any, object]) -> None:
    # Its order is part of its value, also for ==.
    writer.items("o", value.items(), len(value))


def _deque(writer: Writer, value: deque[object]) -> None:
    writer.tag("q", str(value.maxlen))
    writer.items("l", value, len(value))


def _default(writer: Writer, value: defaultdict[Any, object]) -> None:
    writer.tag("D")
    writer.write(value.default_factory)
    writer.pairs("d", value)


def _pattern(writer: Writer, value: re.Pattern[Any]) -> None:
    writer.items("re", (value.pattern, value.flags), 2)


def _path(writer: Writer, value: PurePath) -> None:
    writer.tag("p" + type(value).__name__, str(value))


def _enum(writer: Writer, value: Enum) -> None:
    writer.tag("e", f"{_name(type(value))}.{value.name}")
    writer.write(value.value)


def _slice(writer: Writer, value: slice) -> None:
    writer.items("sl", (value.start, value.stop, value.step), 3)


def _message(writer: Writer, value: BaseMessage) -> None:
    # A message given again is put together anew, so what its parts share is not kept.
    seen, writer.seen = writer.seen, None
    if writer.messages == "said":
        writer.fields("m", KINDS.get(value.type, value.type), said(value, writer.names))
    else:
        writer.fields("M", _name(type(value)), whole(value))
    writer.seen = seen


def _pydantic(writer: Writer, value: BaseModel) -> None:
    parts = dict(value.__dict__)
    for more in (value.__pydantic_extra__, value.__pydantic_private__):
        parts |= more or {}
    writer.fields("P", _name(type(value)), parts)
    if writer.is_exact:
        # `exclude_unset` tells what was given, and a dump the order of what came besides.
        given, extra = value.model_fields_set, value.__pydantic_extra__ or {}
        writer.items("ps", sorted(given), len(given))
        writer.items("px", extra, len(extra))


def _dataclass(writer: Writer, value: Any) -> None:
    found = {f.name: getattr(value, f.name) for f in fields(value) if hasattr(value, f.name)}
    writer.fields("C", _name(type(value)), found)


def _attrs(writer: Writer, value: Any) -> None:
    names = [attribute.name for attribute in type(value).__attrs_attrs__]
    writer.fields("C", _name(type(value)), {n: getattr(value, n) for n in names})


def _array(writer: Writer, value: Any) -> None:
    if value.dtype.hasobject:
        writer.tag("no", repr(value.shape))
        writer.items("l", value.ravel().tolist(), value.size)
        return
    kind = repr(value.dtype.descr) if value.dtype.fields else value.dtype.str
    writer.tag("n", f"{kind}{value.shape}")
    writer.out.append(_raw(b"b", value.tobytes()))


def _number(writer: Writer, value: Any) -> None:
    writer.tag("ns", repr(value.dtype.descr) if value.dtype.fields else value.dtype.str)
    writer.out.append(_raw(b"b", value.tobytes()))


def _class(writer: Writer, value: type) -> None:
    writer.tag("k", _name(value))
    has_schema = issubclass(value, BaseModel) if isinstance(value, type) else False
    if has_schema or is_typeddict(value) or is_dataclass(value):
        writer.write(schema_of(value))
    elif "<locals>" in value.__qualname__:
        raise Unkeyable(f"a class made inside a function, {value.__qualname__}")


_schemas: WeakKeyDictionary[type, object] = WeakKeyDictionary()


def schema_of(kind: type) -> object:
    """The JSON schema of a pydantic, TypedDict or dataclass class; `Unkeyable` if it has none."""
    if (known := _schemas.get(kind)) is not None:
        return known
    try:
        # pydantic takes no typing.TypedDict on Python 3.11; LangChain does, as a schema of answers.
        is_typed = is_typeddict(kind)
        found = convert_to_json_schema(kind) if is_typed else TypeAdapter(kind).json_schema()
    except Exception as fault:
        reason = str(fault).partition("\n")[0][:200]
        raise Unkeyable(f"class {_name(kind)} has no JSON schema ({reason})") from None
    _schemas[kind] = found
    return found


_EXACT: Final[Mapping[type, Rule]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    OrderedDict: _ordered,
    deque: _deque,
    defaultdict: _default,
    MappingProxyType: _dict,
    slice: _slice,
    re.Pattern: _pattern,
}
_rules: WeakKeyDictionary[type, Rule] = WeakKeyDictionary()


def rule_for(kind: type) -> Rule:
    """How values of this class are written; decided once per class."""
    if (exact := _EXACT.get(kind)) is not None:
        return exact
    if (known := _rules.get(kind)) is None:
        known = _rules[kind] = _decide(kind)
    return known


def _decide(kind: type) -> Rule:
    if issubclass(kind, Enum):
        return _enum
    if (numpy := sys.modules.get("numpy")) is not None:
        if kind is numpy.ndarray:
            return _array
        if issubclass(kind, numpy.generic):
            return _number
    if issubclass(kind, BaseMessage):
        return _message
    # A document is called a runnable by its base, and is none.
    if issubclass(kind, Runnable) and not issubclass(kind, Document):
        return partial(_refuse, "a runnable: what it does is no value")
    if issubclass(kind, BaseModel):
        return _pydantic
    if is_dataclass(kind):
        return _dataclass
    if hasattr(kind, "__attrs_attrs__"):
        return _attrs
    if issubclass(kind, type):
        return _class
    if issubclass(kind, PurePath):
        return _path
    for base, rule in _BASES:
        if issubclass(kind, base):
            return partial(_subclass, rule)
    return partial(_refuse, "")


_BASES: Final[tuple[tuple[type, Rule], ...]] = (
    (OrderedDict, _ordered),
    (defaultdict, _default),
    *((base, _EXACT[base]) for base in (dict, list, tuple, set, frozenset, deque)),
    *(
        (base, lambda writer, value, plain=plain: writer.out.append(plain(value)))
        for base, plain in PLAIN.items()
        if base in (str, int, float, bytes, bytearray)
    ),
)


def _subclass(rule: Rule, writer: Writer, value: Any) -> None:
    """A subclass of a built-in type: its class, what it was given besides, and the type's own."""
    writer.tag("u", _name(type(value)))
    rule(writer, value)
    if own := getattr(value, "__dict__", None):
        writer.fields("x", "", own)


def _refuse(why: str, _: Writer, value: object) -> None:
    name = type(value).__qualname__
    raise Unkeyable(f"{name} is {why}" if why else f"a {name} is no value")
