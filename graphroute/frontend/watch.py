"""Cheap proof that nothing a walk over code has seen was replaced or changed since.

By identity: a name still stands for the same object, a container still holds the same objects.
What is immutable needs no more; for the rest, what is inside is watched in its turn, or is
digested again. Each look belongs to a part of the code's key, so that parts which do not count
need not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from operator import is_
from types import CellType, FunctionType
from typing import Any

from graphroute.frontend.attributes import MISSING, bases, member

_EMPTY: Any = object()
Look = tuple[str, Callable[..., bool], tuple[Any, ...]]


class Watch:
    """What to look at; the objects are kept alive, so that an identity stays its own.

    part: the part that what is watched from now on belongs to

    >>> names, watch = {"a": 1, "b": 1}, Watch()
    >>> for watch.part in names:
    ...     watch.name(names, watch.part)
    >>> names["a"] = 2
    >>> watch.holds(), watch.holds(frozenset({"a"}))
    (False, True)
    """

    def __init__(self) -> None:
        self.part = ""
        self._looks: dict[tuple[Any, ...], Look] = {}
        self._without: dict[frozenset[str], tuple[Look, ...]] = {}

    def name(self, names: Mapping[str, Any], name: str) -> None:
        """A name in a namespace, there or not."""
        self._add((id(names), name), _is_named, (names, name, names.get(name, MISSING)))

    def cell(self, cell: CellType) -> None:
        """A variable of an enclosing function."""
        self._add((id(cell),), _is_in_cell, (cell, _inside(cell)))

    def function(self, function: FunctionType) -> None:
        """A function's code and defaults."""
        was = (function.__code__, function.__defaults__, function.__kwdefaults__)
        self._add((id(function),), _is_function, (function, *was))

    def member(self, owner: Any, name: str) -> None:
        """A stored attribute, of an object or its class."""
        self._add((id(owner), name, "member"), _is_member, (owner, name, member(owner, name)))

    def members(self, cls: type) -> None:
        """What a class defines, and the classes it derives from."""
        inner = _members(cls)
        was = tuple(v for pair in inner.items() for v in pair)
        self._add((id(cls), "members"), _is_class, (cls, bases(cls), was))

    def kind(self, value: Any) -> None:
        """An object's class, which may be set to another."""
        self._add((id(value), "kind"), _is_of_kind, (value, type(value)))

    def variable(self, variable: ContextVar[Any]) -> None:
        """What a context variable holds in the context of who looks."""
        self._add((id(variable),), _is_set_to, (variable, current(variable)))

    def items(self, items: Collection[Any]) -> None:
        """What a list, tuple, set or dict holds."""
        if type(items) in (tuple, frozenset):
            return
        if isinstance(items, Mapping):
            was = tuple(v for pair in items.items() for v in pair)
            self._add((id(items),), _is_dict, (items, was))
        else:
            self._add((id(items),), _is_list, (items, tuple(items)))

    def look(self, look: Callable[[], object]) -> None:
        """Anything else: what `look` gives must stay equal."""
        self._add((id(look),), _is_equal, (look, look()))

    def _add(self, key: tuple[Any, ...], test: Callable[..., bool], args: tuple[Any, ...]) -> None:
        self._looks[(self.part, *key)] = (self.part, test, args)

    def holds(self, without: frozenset[str] = frozenset()) -> bool:
        """Whether all is as it was, but for the parts `without`."""
        looks = self._without.get(without)
        if looks is None:
            looks = tuple(look for look in self._looks.values() if look[0] not in without)
            self._without[without] = looks
        try:
            return all(test(*args) for _, test, args in looks)
        except RuntimeError:  # changed while it was looked through
            return False


def _inside(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _is_named(names: Mapping[str, Any], name: str, was: Any) -> bool:
    return names.get(name, MISSING) is was


def _is_in_cell(cell: CellType, was: Any) -> bool:
    return _inside(cell) is was


def _is_function(function: FunctionType, code: Any, defaults: Any, named: Any) -> bool:
    return (
        function.__code__ is code
        and function.__defaults__ is defaults
        and function.__kwdefaults__ is named
    )


def _is_member(owner: Any, name: str, was: Any) -> bool:
    return member(owner, name) is was


def _is_of_kind(value: Any, was: type) -> bool:
    return type(value) is was


def _members(cls: type) -> Mapping[str, Any]:
    inner: Mapping[str, Any] = type.__getattribute__(cls, "__dict__")
    return inner


def _is_class(cls: type, order: tuple[type, ...], was: tuple[Any, ...]) -> bool:
    return bases(cls) is order and _is_dict(_members(cls), was)


def current(variable: ContextVar[Any]) -> Any:
    """What a context variable holds here, its default counted; MISSING for nothing."""
    try:
        return variable.get()
    except LookupError:
        return MISSING


def _is_set_to(variable: ContextVar[Any], was: Any) -> bool:
    return current(variable) is was


def _is_list(items: Collection[Any], was: tuple[Any, ...]) -> bool:
    return len(items) == len(was) and all(map(is_, items, was))


def _is_dict(items: Mapping[Any, Any], was: tuple[Any, ...]) -> bool:
    if 2 * len(items) != len(was):
        return False
    return all(map(is_, items, was[::2])) and all(map(is_, items.values(), was[1::2]))


def _is_equal(look: Callable[[], object], was: object) -> bool:
    return look() == was
