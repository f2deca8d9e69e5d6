"""What a class holds besides code: settings, objects, models that its methods use."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from enum import Enum
from types import (
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any, Final

from graphroute.frontend.attributes import MISSING, derives, held, is_a, on_class
from graphroute.frontend.recognize import kind_of
from graphroute.frontend.versions import is_installed

_CODE: Final = (
    staticmethod, classmethod, property, functools.cached_property, MemberDescriptorType,
    GetSetDescriptorType, MethodDescriptorType, WrapperDescriptorType,
)  # fmt: skip
"""What is followed as code, or is no more than a slot."""

_OF_ABC: Final = "_abc_impl"
"""Where `abc` remembers which classes it was asked about."""


def class_values(cls: type) -> Iterator[tuple[str, Any]]:
    """The values in a class's own dictionary by name, in the order of the names.

    >>> class Greeter:
    ...     word = "Hello"
    ...     def greet(self): return self.word
    >>> list(class_values(Greeter))
    [('word', 'Hello')]
    """
    for name, item in sorted(type.__getattribute__(cls, "__dict__").items()):
        kind = kind_of(item)
        is_value = kind not in ("function", "builtin")
        if kind == "other":
            # The members of an enum are in a dictionary of their own.
            is_value = not (name == _OF_ABC or _is_code(item) or derives(cls, Enum))
        if is_value and not name.startswith("__"):
            yield name, item


def _is_code(item: Any) -> bool:
    # Descriptors in C, such as those of a named tuple's fields, hold nothing to tell them by.
    is_bare = not held(item) and is_installed(type(item))
    return is_a(item, *_CODE) or (is_bare and on_class(type(item), "__get__") is not MISSING)
