"""Values that code names, as nested tuples of text: equal for equal values, in every process.

Plain values are digested, containers taken apart, functions followed as code of their own. Of a
chat model, prompt, chain or tool the settings count; of a user's object what it stores and what
its class, those it derives from and their metaclass do; of a package's class the package's version;
of a context variable what it holds. A lock, file, logger or client counts by its type alone: it is
not what a result is made from.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import weakref
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import ContextVar
from types import (
    FunctionType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from pydantic import BaseModel, SecretStr

from graphroute.frontend.attributes import (
    MISSING,
    bases,
    held,
    is_a,
    member,
    module_of,
    on_class,
)
from graphroute.frontend.class_values import class_values
from graphroute.frontend.recognize import kind_of
from graphroute.frontend.scope import callable_parts
from graphroute.frontend.versions import is_installed, is_installed_module, version_of
from graphroute.frontend.watch import current
from graphroute.ir.node_cache import Unclear

if TYPE_CHECKING:
    from graphroute.frontend.code_walk import CodeWalk

Described = Any
"""Nested tuples of text."""


_MAX_DEPTH: Final = 24
_MAX_OBJECTS: Final = 20_000
_BY_TYPE: Final = (
    logging.Logger, logging.LoggerAdapter, Executor, io.IOBase, BaseCallbackHandler, weakref.ref,
    SecretStr,
)  # fmt: skip
_MEETINGS: Final = frozenset(
    {"threading", "_thread", "asyncio", "queue", "_queue", "multiprocessing", "concurrent",
     "socket", "ssl", "_ssl", "select", "selectors", "anyio"}
)  # fmt: skip
"""Packages whose objects are where threads, tasks and processes meet, and hold no data."""

_GIVEN_BY_FACTORY: Final = getattr(dataclasses, "_HAS_DEFAULT_FACTORY_CLASS", None)
"""The default of an argument for which a data class calls a factory, which its code names."""

_MOCKED: Final = ("_mock_name", "_mock_return_value", "_mock_side_effect")
"""What a mock gives hangs on these; the rest is what it was asked."""

_UNCOUNTED: Final = frozenset(
    {"callbacks", "callback_manager", "cache", "rate_limiter", "metadata", "tags", "verbose",
     "config_factories", "custom_get_token_ids", "custom_input_type", "custom_output_type",
     "disable_streaming", "type_"}
)  # fmt: skip
"""Settings of LangChain's objects that say how a run is watched, not what it gives."""


def describe(walk: CodeWalk, label: str, value: Any) -> Iterator[tuple[str, Described]]:
    """The parts of a value: one for a plain value, one per attribute for an object."""
    writer = _Describer(walk)
    kind = kind_of(value)
    if kind == "model" or (kind in ("other", "runnable", "prompt") and not _is_leaf(value)):
        yield label, writer.value(type(value))
        place = label.removesuffix("'")
        quote = label[len(place) :]
        for name, part in writer.attributes(value, place, quote):
            yield f"{place}.{name}{quote}", part
    else:
        yield label, writer.value(value)


def _is_leaf(value: Any) -> bool:
    is_told_otherwise = _counts_by_type(value) or is_a(value, ContextVar)
    return is_told_otherwise or not (held(value) or _slots(value))


def _counts_by_type(value: Any) -> bool:
    root = module_of(type(value)).partition(".")[0]
    is_mark = type(value) is _GIVEN_BY_FACTORY
    return is_mark or is_a(value, *_BY_TYPE) or root in _MEETINGS or _is_iterator(value)


def _is_iterator(value: Any) -> bool:
    return on_class(type(value), "__next__") is not MISSING


class _Describer:
    """Describes one value; cycles are told by where they lead back to."""

    def __init__(self, walk: CodeWalk) -> None:
        self.walk = walk
        self.open: dict[int, int] = {}
        self.count = 0

    def value(self, value: Any) -> Described:
        """Any value."""
        kind = kind_of(value)
        if kind == "plain":
            return self.digest(value)
        if id(value) in self.open:
            return ("again", self.open[id(value)])
        self.count += 1
        if len(self.open) > _MAX_DEPTH or self.count > _MAX_OBJECTS:
            raise Unclear("it leads further than is followed")
        self.open[id(value)] = len(self.open)
        try:
            return self._of_kind(kind, value)
        finally:
            del self.open[id(value)]

    def _of_kind(self, kind: str, value: Any) -> Described:
        match kind:
            case "container":
                return self._container(value)
            case "function":
                return ("function", self.walk.function(value))
            case "method":
                function: Any = value.__func__
                owner = value.__self__
                if type(function) is not FunctionType:
                    return ("method", self.value(owner), str(function))
                label = self.walk.function(function, owner=owner)
                # What a user's method takes of its object is followed; a package's may take all.
                is_followed = kind_of(owner) == "class" or not is_installed(function)
                return ("method", label, "" if is_followed else self.value(owner))
            case "partial":
                return self._partial(value)
            case "class":
                return self._class(value)
            case "builtin":
                return ("builtin", module_of(value), getattr(value, "__qualname__", ""))
            case "graph" | "remote" | "task":
                self.walk.obstacle("it runs a graph of its own, whose nodes are cached one by one")
                return kind
            case "sdk" | "thread":
                return ("type", _name(type(value)))
            case _:
                return self._object(value)

    def digest(self, value: Any) -> Described:
        """A value by its canonical digest."""
        try:
            return self.walk.digest(value)
        except TypeError as fault:
            raise Unclear(f"{fault}") from None

    def _container(self, value: Any) -> Described:
        self.walk.watch.items(value)
        if type(value) is dict:
            pairs = list(value.items())  # whose order code can see
            if _is_flat(value):
                return ("dict", self.digest(pairs))
            return ("dict", *((self.value(key), self.value(item)) for key, item in pairs))
        if _is_flat(value):
            return self.digest(value)
        items = [self.value(item) for item in list(value)]
        name = type(value).__name__
        return (name, *(sorted(items, key=repr) if type(value) in (set, frozenset) else items))

    def _partial(self, value: Any) -> Described:
        parts = (functools.partial.__dict__[name].__get__(value) for name in ("func", "args"))
        keywords = functools.partial.__dict__["keywords"].__get__(value)
        return ("partial", *(self.value(part) for part in parts), self.value(dict(keywords)))

    def _class(self, cls: Any) -> Described:
        name = _name(cls)
        if is_installed(cls):
            return ("class", name, version_of(module_of(cls)))
        self.walk.watch.members(cls)
        parts: list[Described] = [("class", name)]
        parts.extend(self.value(base) for base in bases(cls)[1:] if base is not object)
        if type(cls) is not type:
            parts.append(self.value(type(cls)))
        with suppress(TypeError):  # no data class: its functions and values say what it is
            parts.append(self.walk.digest(cls))
        parts.extend(self.walk.methods(cls))
        parts.extend((name, self.value(item)) for name, item in class_values(cls))
        return tuple(parts)

    # Objects.

    def attributes(
        self, value: Any, place: str = "", quote: str = ""
    ) -> Iterator[tuple[str, Described]]:
        """What an object stores, by name; each watched as a part of its own under `place`."""
        watch = self.walk.watch
        around = watch.part
        is_langchain = is_a(value, BaseModel) and is_installed_module(module_of(type(value)))
        is_langchain |= kind_of(value) in ("model", "runnable", "prompt", "tool")
        excluded = _excluded(type(value)) if kind_of(value) == "model" else frozenset[str]()
        inner = held(value)
        watch.kind(value)
        if on_class(type(value), "__pydantic_fields__") is MISSING:
            watch.look(functools.partial(tuple, inner))
        for name in (*_stored(value), *_slots(value)):
            if name in excluded or (is_langchain and name in _UNCOUNTED):
                continue
            item = member(value, name)
            watch.part = f"{place}.{name}{quote}" if place else around
            if name in inner:
                watch.name(inner, name)
            else:
                watch.member(value, name)
            if is_langchain and name == "config" and type(item) is dict:
                item = item.get("configurable")
            if item is not None and type(item).__module__ != "typing":
                yield name, self.value(item)
            watch.part = around

    def _object(self, value: Any) -> Described:
        cls = type(value)
        if is_a(value, ContextVar):
            self.walk.watch.variable(value)
            inside = current(value)
            return ("variable", value.name, "" if inside is MISSING else self.value(inside))
        if _counts_by_type(value):
            return ("type", _name(cls))
        if cls in (MethodDescriptorType, WrapperDescriptorType, MethodWrapperType):
            return ("builtin", repr(value).partition(" at 0x")[0])
        if is_a(value, ModuleType):
            return ("module", str(held(value).get("__name__")))
        if is_a(value, BaseMessage):
            return self._digested(value)
        if held(value) or _slots(value):
            wrapped, _, _ = callable_parts(value)
            if wrapped is not None and held(value).get("__wrapped__") is not None:
                return ("wrapped", self.walk.function(wrapped))  # lru_cache and the like
            return (self.value(cls), *self.attributes(value))
        return self._digested(value)

    def _digested(self, value: Any) -> Described:
        digest = functools.partial(self.walk.digest, value)
        try:
            described = digest()
        except TypeError as fault:
            if not is_installed(type(value)):
                # An object of a user's class that stores nothing is what its class does.
                self.walk.watch.kind(value)
                return (self.value(type(value)),)
            raise Unclear(f"{_name(type(value))} cannot be told from others ({fault})") from None
        self.walk.watch.look(digest)
        return described


def _is_flat(value: Any) -> bool:
    """Whether a container holds plain values alone, so that one digest does for all of it."""
    if type(value) is dict:
        return all(kind_of(part) == "plain" for pair in value.items() for part in pair)
    return all(kind_of(part) == "plain" for part in value)


def _excluded(cls: type) -> frozenset[str]:
    """Fields a model leaves out when it is written down: clients and the like."""
    fields = on_class(cls, "__pydantic_fields__")
    if type(fields) is not dict:
        return frozenset()
    return frozenset(name for name, info in fields.items() if getattr(info, "exclude", None))


def _stored(value: Any) -> tuple[str, ...]:
    """Names of what an object holds; what it merely remembers having computed is left out."""
    inner, cls = held(value), type(value)
    if module_of(cls) == "unittest.mock":
        return tuple(name for name in _MOCKED if name in inner)
    fields = on_class(cls, "__pydantic_fields__")
    if type(fields) is dict:
        extra = member(value, "__pydantic_extra__")
        return tuple(sorted({*fields, *(extra if type(extra) is dict else ())}))
    return tuple(
        sorted(n for n in map(str, inner) if not is_a(on_class(cls, n), functools.cached_property))
    )


def _slots(value: Any) -> tuple[str, ...]:
    names = []
    for base in bases(type(value)):
        for name, item in type.__getattribute__(base, "__dict__").items():
            is_slot = type(item) is MemberDescriptorType and not name.startswith("__")
            if is_slot and member(value, name) is not MISSING:
                names.append(name)
    return tuple(sorted(set(names)))


def _name(cls: type) -> str:
    return f"{module_of(cls)}.{type.__getattribute__(cls, '__qualname__')}"
