"""Whether a function's reads of the state can be followed while it runs, and how.

A mapping that writes down which keys are asked of it is right only where nothing reads it past
its methods, as C code of other packages may (pydantic's validation does). So the bytecode decides
first: every use of the state must be one that goes through those methods (a subscript, `get`, a
loop, `**state` …) or hand it to a function of the user's of which the same holds.

| use of the state | a mapping | an object |
|---|---|---|
| `state["key"]`, `state.get("key")`, `"key" in state` | by key | |
| `state.key` | | by attribute |
| `for k in state`, `{**state}`, `f(**state)`, `len(state)` | by key or as a whole | as a whole |
| `helper(state)`, a function that is read in its turn | by what it reads | by what it reads |
| `prompt.invoke(state)` | by key | as a whole |
| `type(state)`, `Model.model_validate(state)`, `state["key"] = …`, kept elsewhere | as a whole | as a whole |
"""  # noqa: E501 - a table

from __future__ import annotations

import copy
import dis
import functools
import json
from types import CodeType, FunctionType
from typing import Any, Final

from graphroute.frontend.attributes import MISSING, held
from graphroute.frontend.bytecode import read_code
from graphroute.frontend.recognize import is_goal, kind_of
from graphroute.frontend.scope import Resolved, Scope, callable_parts, resolve, scope_of
from graphroute.frontend.stack import CodeFacts
from graphroute.frontend.symbols import Call, Items, Member, Record, Ref, Symbol
from graphroute.frontend.versions import is_installed
from graphroute.ir.node_cache import Tracing

_MAX_DEPTH: Final = 8
_TRACED: Final = (
    len, list, tuple, set, frozenset, sorted, dict, str, repr, isinstance, iter, enumerate, any,
    all, bool, zip, print, format, max, min, json.dumps, copy.copy, copy.deepcopy,
)  # fmt: skip
"""What reads a mapping through its methods."""

_COUNTS: Final = (len, str, repr, isinstance, any, all, bool, print, format, json.dumps)
"""What gives something else than what it was given."""

_READS: Final = frozenset({"get", "items", "keys", "values", "copy", "__getitem__"})
_ASKS: Final = frozenset({"invoke", "ainvoke", "format_messages", "format_prompt", "format"})
_STORES: Final = frozenset(
    {"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE", "STORE_ATTR", "STORE_GLOBAL"}
)


def tracing_of(value: Any) -> Tracing:
    """How reads of a node's callable can be followed.

    >>> def one(state): return {"a": state["b"]}
    >>> def other(state): return {"a": state.b}
    >>> def neither(state): return {"a": type(state)}
    >>> tracing_of(one), tracing_of(other), tracing_of(neither)
    ('items', 'attributes', 'all')
    """
    function, owner, bound = callable_parts(value)
    if function is None:
        return "all"
    names = [n for n in scope_of(function, owner).parameters if n not in bound]
    names = names[1:] if owner is not MISSING else names
    if not names:
        return "all"
    trial = _Trial()
    if trial.is_tame(function, owner, bound, names[0], as_object=False, depth=0):
        return "items"
    if trial.is_tame(function, owner, bound, names[0], as_object=True, depth=0):
        return "attributes"
    return "all"


class _Trial:
    """Follows the state through functions; what is being looked at already counts as fit."""

    def __init__(self) -> None:
        self.seen: dict[tuple[Any, ...], bool] = {}

    def is_tame(
        self,
        function: FunctionType,
        owner: Any,
        bound: dict[str, Any],
        parameter: str,
        *,
        as_object: bool,
        depth: int,
    ) -> bool:
        """Whether every use of a parameter is one that can be followed."""
        key = (function, id(owner), parameter, as_object)
        if key in self.seen:
            return self.seen[key]
        facts = read_code(function.__code__)
        if facts.is_cut or depth > _MAX_DEPTH or _is_generator(function.__code__):
            return False
        self.seen[key] = True
        scope = scope_of(function, owner)
        scope = Scope(function, {**scope.bound, **bound})
        handed = self._handed(scope, facts, parameter, as_object, depth)
        fits = handed is not None and _fits(function, facts, parameter, handed, as_object)
        self.seen[key] = fits
        return fits

    def _handed(
        self, scope: Scope, facts: CodeFacts, parameter: str, as_object: bool, depth: int
    ) -> set[int] | None:
        """Uses of the parameter as an argument, all to what reads it well; else None."""
        handed: set[int] = set()
        for call in facts.calls:
            places: list[tuple[int | str, Symbol]] = [*enumerate(call.args), *call.kwargs.items()]
            for place, symbol in places:
                if isinstance(symbol, Ref) and _is_bare(symbol, parameter):
                    if not self._reads_well(scope, call, place, as_object, depth):
                        return None
                    handed.add(id(symbol))
                elif _holds(symbol, parameter, scope):
                    return None
        return handed

    def _reads_well(
        self, scope: Scope, call: Call, place: int | str, as_object: bool, depth: int
    ) -> bool:
        if not isinstance(call.func, Ref) or call.func.keys:
            return False
        found = resolve(scope, call.func, is_goal)
        if found.rest:
            return not as_object and _asks_prompt(found)
        if not as_object and any(found.value is known for known in _TRACED):
            return True
        function, owner, fixed = callable_parts(found.value)
        is_function = kind_of(found.value) in ("function", "method", "partial")
        if function is None or not is_function or is_installed(function):
            return False
        names = [n for n in scope_of(function, owner).parameters if n not in fixed]
        names = names[1:] if owner is not MISSING else names
        if isinstance(place, int):
            if place >= len(names):
                return False
            place = names[place]
        elif place not in function.__code__.co_varnames[: _count(function.__code__)]:
            return False
        return self.is_tame(function, owner, fixed, place, as_object=as_object, depth=depth + 1)


def _fits(
    function: FunctionType, facts: CodeFacts, parameter: str, handed: set[int], as_object: bool
) -> bool:
    is_whole = False
    for ref in facts.refs:
        if ref.root != parameter or ref.is_extended or id(ref) in handed:
            continue
        if ref.chain:
            name = ref.chain[0]
            if as_object and (name.startswith("_") or not name.isidentifier()):
                return False
            if not as_object and name not in _READS:
                return False
        elif not ref.is_accounted:
            is_whole = True
        elif as_object and ref.keys:
            return False
    if parameter in function.__code__.co_cellvars and not _is_only_read(function.__code__):
        return False
    return not is_whole or (not as_object and not _stores(function.__code__, parameter))


def _is_bare(symbol: Ref, parameter: str) -> bool:
    return symbol.root == parameter and not symbol.chain and not symbol.keys


def _holds(symbol: Symbol, parameter: str, scope: Scope, depth: int = 0) -> bool:
    """Whether a value may have the whole state somewhere inside."""
    if depth > _MAX_DEPTH:
        return True
    parts: tuple[Symbol, ...] = ()
    match symbol:
        case Ref():
            return _is_bare(symbol, parameter)
        case Items():
            parts = tuple(symbol.items)
        case Record():
            parts = tuple(symbol.values.values())
        case Member(base=Items() | Record(), name="[]"):
            parts = (symbol.base,)
        case Call():
            if not _may_give_back(symbol, scope, depth):
                return False
            parts = (*symbol.args, *symbol.kwargs.values())
    return any(_holds(part, parameter, scope, depth + 1) for part in parts)


def _may_give_back(call: Call, scope: Scope, depth: int) -> bool:
    """Whether what a call gives may be, or hold, what it was given."""
    if not isinstance(call.func, Ref) or call.func.keys:
        return True
    found = resolve(scope, call.func, is_goal)
    if found.rest:
        return True
    if any(found.value is known for known in _COUNTS):
        return False
    function, owner, bound = callable_parts(found.value)
    if function is None or kind_of(found.value) not in ("function", "method", "partial"):
        return True
    inner = scope_of(function, owner)
    facts = read_code(function.__code__)
    return facts.is_cut or any(
        _holds(symbol, name, Scope(function, {**inner.bound, **bound}), depth + 1)
        for symbol in facts.returns
        for name in inner.parameters
    )


def _asks_prompt(found: Resolved) -> bool:
    if found.rest[-1] not in _ASKS or len(found.rest) != 1:
        return False
    value = found.value
    if kind_of(value) == "runnable":
        value = held(value).get("first")
    return kind_of(value) == "prompt"


@functools.lru_cache(maxsize=2048)
def _stores(code: CodeType, parameter: str) -> bool:
    """Whether the code puts anything where it can be found later, or hands it out by and by."""
    for op in dis.get_instructions(code):
        if op.opname in _STORES:
            return True
        # A generator expression that names the state may give it to whoever goes through it.
        if op.opname == "YIELD_VALUE" and parameter in code.co_freevars:
            return True
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return any(_stores(each, parameter) for each in inner)


def _is_only_read(code: CodeType) -> bool:
    # A variable shared with an inner function that sets it anew is another one from then on.
    return not any(
        op.opname == "STORE_DEREF" and op.argval not in code.co_cellvars
        for inner in code.co_consts
        if isinstance(inner, CodeType)
        for op in dis.get_instructions(inner)
    )


def _is_generator(code: CodeType) -> bool:
    return bool(code.co_flags & 0x20 or code.co_flags & 0x200)


def _count(code: CodeType) -> int:
    return code.co_argcount + code.co_kwonlyargcount
