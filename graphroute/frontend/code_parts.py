"""The functions in what code names: behind calls, attributes, properties and defaults."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import (
    BuiltinMethodType,
    FunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from graphroute.frontend.attributes import is_a, on_class
from graphroute.frontend.recognize import kind_of
from graphroute.frontend.versions import is_installed


def call_of(value: Any) -> FunctionType | None:
    """The `__call__` of an object of a user's class."""
    if kind_of(value) != "other" or is_installed(type(value)):
        return None
    call = on_class(type(value), "__call__")
    return call if type(call) is FunctionType else None


def looks_up_by_itself(value: Any) -> bool:
    """Whether code of the user's is asked for each attribute of an object."""
    return type(on_class(type(value), "__getattribute__")) is FunctionType and not is_installed(
        type(value)
    )


def is_inner_method(value: Any) -> bool:
    """Whether it is a method written in C, of which only its object tells what it gives."""
    return type(value) in (MethodDescriptorType, WrapperDescriptorType, BuiltinMethodType)


def functions_in(member: Any) -> Iterator[FunctionType]:
    """The functions in what a class holds: methods, and those behind properties."""
    if type(member) is FunctionType:
        yield member
    elif is_a(member, staticmethod, classmethod):
        yield from functions_in(member.__func__)
    elif is_a(member, property):
        for part in (member.fget, member.fset):
            yield from functions_in(part)
    elif is_a(member, functools.cached_property):
        yield from functions_in(member.func)


def defaults(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Arguments with a default.

    >>> def ask(text, model="a", *, limit=3): ...
    >>> dict(defaults(ask))
    {'model': 'a', 'limit': 3}
    """
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    given = function.__defaults__ or ()
    yield from zip(names[len(names) - len(given) :], given, strict=False)
    yield from (function.__kwdefaults__ or {}).items()
