"""What `super()` gives in a method: it is not named in the bytecode, which only calls `super`.

```
class Below(Base):
    def go(self):
        return super().go()     names in the code: super, go     found: Base.go
```
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from graphroute.frontend.attributes import MISSING, bases, is_a
from graphroute.frontend.code_digest import names_in


def classes_above(function: FunctionType, owner: Any = MISSING) -> tuple[type, ...]:
    """The class that defines a method, and those where `super()` looks next; none without `super`.

    owner: the object or class the method is bound to, whose order of classes then counts
    """
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    cell = next((cell for name, cell in cells if name == "__class__"), None)
    try:
        own = None if cell is None else cell.cell_contents
    except ValueError:  # the class is being made
        return ()
    if own is None or not is_a(own, type):
        return ()
    kind = own if owner is MISSING else owner if is_a(owner, type) else type(owner)
    for order in (bases(kind), bases(own)):
        place = next((n for n, each in enumerate(order) if each is own), None)
        if place is not None:
            return order[place:]
    return ()


def inherited(function: FunctionType, classes: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """What the classes above hold under names that the method uses, as `(Class.name, item)`.

    >>> class Base:
    ...     def go(self): return 1
    >>> class Below(Base):
    ...     def go(self): return super().go()
    >>> [name for name, _ in inherited(Below.go, classes_above(Below.go)[1:])]
    ['Base.go']
    """
    names = names_in(function.__code__)
    for cls in classes:
        held = type.__getattribute__(cls, "__dict__")
        for name in sorted(names & held.keys()):
            yield f"{type.__getattribute__(cls, '__qualname__')}.{name}", held[name]
