"""What the names in a function stand for: its closure, globals, defaults and bound arguments.

Resolving `self.service.llm.invoke` follows stored attributes only and stops at the first thing
worth knowing: the value, the object it was found on, and the attributes that were left over.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from graphroute.frontend.attributes import MISSING, held, is_a, member, on_class
from graphroute.frontend.sources import absolute
from graphroute.frontend.symbols import Ref

_MAX_CHAIN: Final = 12


@dataclass(slots=True, eq=False)
class Scope:
    """A function with what is known of its arguments; `origin` words for where names live."""

    function: FunctionType
    bound: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> CodeType:
        """The function's code object."""
        return self.function.__code__

    @property
    def parameters(self) -> tuple[str, ...]:
        """Positional parameter names in order."""
        return self.code.co_varnames[: self.code.co_argcount]

    def lookup(self, name: str) -> tuple[Any, str]:
        """The value of a name and where it lives; MISSING where only a run will tell."""
        if name in self.bound:
            return self.bound[name], "attribute" if name in ("self", "cls") else "argument"
        for free, cell in zip(self.code.co_freevars, self.function.__closure__ or (), strict=False):
            if free == name:
                try:
                    return cell.cell_contents, "closure"
                except ValueError:  # not filled yet
                    return MISSING, "closure"
        if name in self.code.co_varnames or name in self.code.co_cellvars:
            return MISSING, "local"
        if name in self.function.__globals__:
            return self.function.__globals__[name], "global"
        if name.startswith("import "):
            # Already imported modules only: importing would run code.
            module = absolute(self.function, name.removeprefix("import "))
            return sys.modules.get(module, MISSING), "import"
        return getattr(builtins, name, MISSING), "builtin"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved name: its value, the object it was found on, the attributes left over.

    is_getter: the value is a property's function, whose result the rest is asked of
    """

    value: Any
    owner: Any
    rest: tuple[str, ...]
    via: str
    is_getter: bool = False


def scope_of(function: FunctionType, owner: object = MISSING) -> Scope:
    """The scope of a function with its defaults, and its first parameter bound to `owner`."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    bound = dict(zip(names[len(names) - len(defaults) :], defaults, strict=False))
    bound |= function.__kwdefaults__ or {}
    if owner is not MISSING and names:
        bound[names[0]] = owner
    # A None default is what a caller replaces; it says nothing of the value in a run.
    return Scope(function, {k: v for k, v in bound.items() if v is not None})


def resolve(scope: Scope, ref: Ref, is_goal: Callable[[Any], bool]) -> Resolved:
    """Follow a name's attributes until `is_goal` or until nothing more is stored."""
    value, origin = scope.lookup(ref.root)
    via = f"{origin} {'.'.join((ref.root.removeprefix('import '), *ref.chain[:1]))!r}"
    if origin not in ("attribute", "import"):
        via = f"{origin} {ref.root!r}"
    owner: Any = MISSING
    for step, name in enumerate(ref.chain[:_MAX_CHAIN]):
        if value is MISSING or is_goal(value):
            return Resolved(value, owner, ref.chain[step:], via)
        found = member(value, name)
        if found is MISSING and is_a(value, ModuleType):
            # `import a` then `a.b.c`: a submodule may be known without being stored on `a`.
            found = sys.modules.get(f"{held(value).get('__name__')}.{name}", MISSING)
        if found is MISSING:
            return Resolved(MISSING, value, ref.chain[step:], via)
        if name not in held(value) or is_a(value, type):
            found, is_final = _bind(found, value)
            if is_final:
                return Resolved(found, value, ref.chain[step + 1 :], via, is_getter=True)
        owner, value = value, found
    return Resolved(value, owner, (), via)


def _bind(found: Any, owner: Any) -> tuple[Any, bool]:
    """What a class attribute gives on an object, and whether only a run tells what follows.

    A property gives its getter as a bound method: its code is read, it is never called.
    """
    if is_a(found, staticmethod):
        return found.__func__, False
    is_on_class = is_a(owner, type)
    if is_a(found, classmethod):
        function = found.__func__
        kind = owner if is_on_class else type(owner)
        return (MethodType(function, kind) if type(function) is FunctionType else found), False
    if is_on_class:
        return found, False
    if type(found) is FunctionType:
        return MethodType(found, owner), False
    if is_a(found, property, functools.cached_property):
        inner = found.fget if is_a(found, property) else found.func
        return (MethodType(inner, owner) if type(inner) is FunctionType else found), True
    if on_class(type(found), "__get__") is not MISSING:
        wrapped = held(found).get("__wrapped__")
        return (MethodType(wrapped, owner) if type(wrapped) is FunctionType else found), True
    return found, False


def callable_parts(value: Any) -> tuple[FunctionType | None, Any, dict[str, Any]]:
    """The Python function in a callable, the object it is bound to, and fixed arguments."""
    bound: dict[str, Any] = {}
    args: tuple[Any, ...] = ()
    for _ in range(16):
        if is_a(value, functools.partial):
            args = (*functools.partial.__dict__["args"].__get__(value), *args)
            bound = {**functools.partial.__dict__["keywords"].__get__(value), **bound}
            value = functools.partial.__dict__["func"].__get__(value)
        elif (inner := held(value).get("__wrapped__")) is not None and (
            type(value) not in (FunctionType, MethodType)
        ):
            value = inner  # functools.lru_cache and the like
        else:
            break
    owner: Any = MISSING
    if type(value) is MethodType:
        owner, value = value.__self__, value.__func__
    elif type(value) not in (FunctionType, BuiltinFunctionType) and not is_a(value, type):
        method = on_class(type(value), "__call__")
        owner, value = value, method
    if type(value) is not FunctionType:
        return None, MISSING, {}
    names = value.__code__.co_varnames[: value.__code__.co_argcount]
    names = names[1:] if owner is not MISSING else names
    return value, owner, {**dict(zip(names, args, strict=False)), **bound}
