"""Look into objects without running a line of their code.

`getattr`, `isinstance`, `==` and `repr` can all call back into user code (a property, a
`__class__` override, a proxy). Everything here reads dictionaries and slots through the
interpreter's own accessors instead, so a walk can never connect, bill or crash.

>>> class Trap:
...     def __init__(self) -> None:
...         self.inner = 1
...     def __getattribute__(self, name: str) -> object:
...         raise RuntimeError("touched")
>>> held(Trap())["inner"]
1
"""

from __future__ import annotations

from types import MemberDescriptorType, ModuleType
from typing import Any, Final

MISSING: Final = object()
"""Stands for "there is no such attribute", which None cannot."""


def held(value: object) -> dict[str, Any]:
    """The instance dictionary of `value`, empty where it has none; not to be changed."""
    try:
        inner = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return inner if type(inner) is dict else {}


def bases(cls: type) -> tuple[type, ...]:
    """The method resolution order, past any metaclass."""
    order = type.__getattribute__(cls, "__mro__")
    return order if isinstance(order, tuple) else ()


def is_a(value: object, *classes: type) -> bool:
    """Whether the true type of `value` derives from one of `classes`.

    >>> is_a(True, int), is_a("x", int)
    (True, False)
    """
    # Plain loops: this is the innermost step of the walk, and `in` would ask `==`.
    for base in bases(type(value)):
        for cls in classes:
            if base is cls:
                return True
    return False


def derives(value: object, *classes: type) -> bool:
    """Whether `value` is a class that derives from one of `classes`."""
    if not is_a(value, type):
        return False
    return any(base is cls for base in bases(value) for cls in classes)  # type: ignore[arg-type]


def on_class(cls: type, name: str) -> Any:
    """What the classes of an object define under `name`, unbound; MISSING if nothing."""
    for base in bases(cls):
        inner = type.__getattribute__(base, "__dict__")
        if name in inner:
            return inner[name]
    return MISSING


def member(value: object, name: str) -> Any:
    """The attribute as stored: of the instance, of a slot, else of the class, unbound.

    Descriptors come back as they are (a property as the property), so the caller decides.
    """
    if is_a(value, type):
        return on_class(value, name)  # type: ignore[arg-type]
    inner = held(value)
    if name in inner:
        return inner[name]
    if is_a(value, ModuleType):
        return MISSING
    # Pydantic keeps private attributes apart from the fields.
    private = on_class(type(value), "__pydantic_private__")
    if type(private) is MemberDescriptorType:
        extra = _slot(private, value)
        if type(extra) is dict and name in extra:
            return extra[name]
    found = on_class(type(value), name)
    return _slot(found, value) if type(found) is MemberDescriptorType else found


def _slot(descriptor: MemberDescriptorType, value: object) -> Any:
    try:
        return descriptor.__get__(value, type(value))
    except AttributeError:
        return MISSING


def text_of(value: object, name: str) -> str:
    """The attribute where it is a plain string, else `""`."""
    found = member(value, name)
    return found if type(found) is str else ""


def module_of(value: object) -> str:
    """The module a class, function or instance's class was defined in, `""` if unknown."""
    if is_a(value, type):
        found = on_class(value, "__module__")  # type: ignore[arg-type]
    elif type(found := held(value).get("__module__")) is not str:
        # A function keeps its module outside its dictionary; reading it runs nothing.
        found = getattr(value, "__module__", "") if _is_function(value) else MISSING
        if found is MISSING:
            found = on_class(type(value), "__module__")
    return found if type(found) is str else ""


def _is_function(value: object) -> bool:
    return type(value).__name__ in ("function", "builtin_function_or_method", "method")
