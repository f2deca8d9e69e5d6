"""`@route(...)`: what only the author of a node knows, kept on the node itself.

The callable stays what it was: the facts are one attribute on it. Objects that can hold no
attribute (slots, built-in functions) are remembered by identity for as long as they live.

>>> from graphroute.frontend.hints import hints_of, route
>>> @route(complexity=0.2, privacy="local")
... def classify(state: dict) -> dict:
...     return {"label": "refund"}
>>> hints_of(classify).privacy, classify({})
('local', {'label': 'refund'})
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final, TypeVar

from graphroute.errors import InvalidValue
from graphroute.frontend.attributes import MISSING, held, is_a, on_class
from graphroute.ir.hints import RouteHints

ATTRIBUTE: Final = "__graphroute__"
"""The one attribute `route` adds."""

NO_HINTS: Final = RouteHints()
"""Nothing stated; compared by identity, since hints may hold a user's objects."""

T = TypeVar("T")

_MAX_WRAPS: Final = 16
_by_id: dict[int, tuple[object, RouteHints]] = {}
"""Hints of objects without room for an attribute, by id: (what keeps the id ours, hints)."""

_FACTS: Final = tuple(RouteHints.__dataclass_fields__)


def route(**facts: Any) -> Callable[[T], T]:
    """State facts about a node; the arguments are those of `RouteHints`.

    Works as a decorator on functions, methods and classes with `__call__`, and as
    `route(...)(runnable)` on runnables and agents; stacked, the outer facts win. Raises
    `InvalidValue` for an unknown or impossible fact.
    """
    if unknown := sorted(set(facts) - set(_FACTS)):
        raise InvalidValue(
            f"route() knows no {', '.join(map(repr, unknown))}",
            value=unknown,
            next_step=f"known are {', '.join(_FACTS)}",
        )
    hints = RouteHints(**facts)

    def attach(target: T) -> T:
        before = _own(target)
        _put(target, hints if before is None else before.merged(hints))
        return target

    return attach


def hints_of(node: object) -> RouteHints:
    """The facts stated on a node's callable or on anything it wraps; empty if none.

    Of several, those nearer to the node win over those on what it wraps.
    """
    found = NO_HINTS
    for layer in reversed(tuple(_layers(node))):
        if (own := _own(layer)) is not None:
            found = laid_over(found, own)
    return found


def laid_over(under: RouteHints, over: RouteHints) -> RouteHints:
    """`under.merged(over)`, for free in the usual case that nothing was stated."""
    if over is NO_HINTS:
        return under
    return over if under is NO_HINTS else under.merged(over)


def _layers(node: object) -> Iterator[object]:
    """The node and what it wraps, outermost first: runnable → function → `__wrapped__` …"""
    seen: set[int] = set()
    queue = [node]
    while queue and len(seen) < _MAX_WRAPS:
        layer = queue.pop(0)
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        if is_a(layer, partial):
            # Taken from `partial` itself, since a subclass may define its own `func`.
            queue.append(partial.__dict__["func"].__get__(layer))
            # LangGraph wraps a sync function for async use as partial(run_in_executor, None, f).
            args = partial.__dict__["args"].__get__(layer)
            queue.extend(arg for arg in args if type(arg) in (FunctionType, MethodType))
        elif is_a(layer, MethodType):
            queue.append(object.__getattribute__(layer, "__func__"))
        inner = held(layer)
        queue.extend(
            inner[name] for name in ("func", "afunc", "bound", "__wrapped__") if name in inner
        )


def _own(target: object) -> RouteHints | None:
    if is_a(target, type):
        stored = on_class(target, ATTRIBUTE)  # type: ignore[arg-type]
    elif ATTRIBUTE not in (inner := held(target)):
        stored = on_class(type(target), ATTRIBUTE)
    else:
        stored = inner[ATTRIBUTE]
    if stored is MISSING and id(target) in _by_id:
        keeper, hints = _by_id[id(target)]
        alive = keeper() if isinstance(keeper, weakref.ref) else keeper
        return hints if alive is target else None
    return stored if type(stored) is RouteHints else None


def _put(target: object, hints: RouteHints) -> None:
    try:
        if is_a(target, type):
            type.__setattr__(target, ATTRIBUTE, hints)
        elif is_a(target, FunctionType):
            held(target)[ATTRIBUTE] = hints
        else:
            # Past a pydantic model's own __setattr__, which refuses unknown fields.
            object.__setattr__(target, ATTRIBUTE, hints)
    except (AttributeError, TypeError):
        _remember(target, hints)


def _remember(target: object, hints: RouteHints) -> None:
    key = id(target)
    try:
        keeper: object = weakref.ref(target, lambda _: _by_id.pop(key, None))
    except TypeError:
        # Neither attribute nor weak reference: kept alive, so that the id stays its own.
        keeper = target
    _by_id[key] = (keeper, hints)
