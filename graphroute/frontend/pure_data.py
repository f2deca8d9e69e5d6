"""Whether a value that code names is nothing but data, so that whatever reads it acts on nothing.

An object of a class of the user's may run the user's code for an operator, a loop, an f-string or
an attribute, and an iterator is used up by reading. So what a function finds in its globals, its
closure and its object counts as data only if all of it is known to be: what is not listed is not.
(What the state holds, and what models answer, only a run tells: that is taken for data.)
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import reprlib
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import EllipsisType, FunctionType, MappingProxyType, NoneType, NotImplementedType
from typing import Any, Final, is_typeddict
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from graphroute.frontend.attributes import MISSING, bases, derives, held, is_a, on_class
from graphroute.frontend.recognize import kind_of
from graphroute.frontend.versions import is_installed

_MOST: Final = 20_000
"""Values that are looked at; what holds more is not known to be data."""

_SIMPLE: Final = frozenset(
    {str, bytes, int, float, complex, bool, NoneType, EllipsisType, NotImplementedType, range,
     slice, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
     Decimal, Fraction, UUID, re.Pattern}
)  # fmt: skip
_HOLDS: Final = frozenset({tuple, list, set, frozenset, deque})
_MAPS: Final = frozenset({dict, OrderedDict, Counter, MappingProxyType})
_HANDED: Final = ("model", "prompt", "tool")
"""What a container may hold to be handed on: running it is looked at where it is run."""


def why_not_data(value: Any) -> str | None:
    """None where a value is data, else what of it is not.

    >>> why_not_data({"a": [1, 2.5, None], ("b",): {"c"}}) is None
    True
    >>> why_not_data([iter([])]), why_not_data({"es": object()})
    ('it holds a list_iterator', 'it holds a object')
    """
    todo, seen = [value], set[int]()
    while todo:
        one = todo.pop()
        if type(one) in _SIMPLE or id(one) in seen:
            continue
        seen.add(id(one))
        if len(seen) + len(todo) > _MOST:
            return "it is too large to be looked through"
        parts = _parts(one)
        if parts is None:
            what = "it is" if one is value else "it holds"
            return f"{what} a {type(one).__name__}"
        todo.extend(parts)
    return None


def _parts(value: Any) -> Iterable[Any] | None:
    """What a value holds; None where it is not known to be data."""
    cls = type(value)
    if cls in _HOLDS:
        return tuple(value)
    if cls in _MAPS:
        return (*value.keys(), *value.values())
    if is_a(value, type):
        is_known = is_typeddict(value) or derives(value, BaseModel, Enum)
        return () if is_known or (cls is type and is_installed(value)) else None
    if derives(cls, Enum, PurePath) or kind_of(value) in _HANDED:
        return () if _runs_nothing(cls) or kind_of(value) in _HANDED else None
    is_record = derives(cls, BaseModel, BaseMessage, Document) or (
        on_class(cls, "__dataclass_fields__") is not MISSING
        or (derives(cls, tuple) and on_class(cls, "_fields") is not MISSING)
    )
    if not is_record or not _runs_nothing(cls):
        return None
    own: Mapping[str, Any] = held(value)
    items = tuple.__iter__(value) if derives(cls, tuple) else ()
    return (*own.values(), *items)


def _runs_nothing(cls: Any) -> bool:
    """Whether no class of the user's in its order has code of the user's in it."""
    for base in bases(cls):
        if is_installed(base):
            continue
        for member in type.__getattribute__(base, "__dict__").values():
            inner = getattr(member, "fget", None) or getattr(member, "__func__", member)
            # Methods that dataclasses, enums and named tuples are given have no source file.
            if type(inner) is FunctionType and not _is_generated(inner):
                return False
    return True


def _is_generated(function: FunctionType) -> bool:
    # What guards the text of a dataclass against holding itself has a file, by version one of two.
    file = function.__code__.co_filename
    is_guard = file in (dataclasses.__file__, reprlib.__file__)
    return file.startswith("<") or is_guard or is_installed(function)
