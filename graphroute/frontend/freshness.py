"""Which changes in a function's bytecode reach only what the function itself has made.

A variable is fresh if every value it is ever given is a container made on the spot: a display, a
comprehension, `list(…)` and the like. Setting an item of such a variable, or calling `append` on
it, is nobody else's business; the same done to anything else may be.
"""

from __future__ import annotations

import dis
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Final

from graphroute.frontend.pure_names import CHANGES, READS

_DISPLAYS: Final = frozenset(
    {"BUILD_LIST", "BUILD_MAP", "BUILD_SET", "BUILD_CONST_KEY_MAP", "LIST_EXTEND", "SET_UPDATE",
     "DICT_UPDATE", "DICT_MERGE"}
)  # fmt: skip
MAKERS: Final = frozenset(
    {"list", "dict", "set", "sorted", "defaultdict", "Counter", "OrderedDict", "deque"}
)
"""Names of what makes containers, where they are `KNOWN_MAKERS`."""

KNOWN_MAKERS: Final = (list, dict, set, sorted, defaultdict, Counter, OrderedDict, deque)
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
_NEW_VALUES: Final = frozenset(
    {"LOAD_CONST", "LOAD_SMALL_INT", "BINARY_OP", "BUILD_STRING", "BUILD_TUPLE", "FORMAT_VALUE",
     "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "COMPARE_OP", "IS_OP", "CONTAINS_OP", "UNARY_NEGATIVE",
     "UNARY_NOT", "UNARY_INVERT"}
)  # fmt: skip
_GIVE_NEW: Final = (
    READS - {"get", "values", "items", "keys", "model_dump", "copy", "index", "start", "end"}
) | {"len", "str", "int", "float", "bool", "round", "abs", "repr", "frozenset", "tuple", "format"}
"""What is called to get a text, a number or the like, which no change in place can reach."""
_ITEM_STORES: Final = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR"})
_QUIET: Final = frozenset({"CACHE", "PRECALL", "NOP", "EXTENDED_ARG", "PUSH_NULL", "NOT_TAKEN"})
_NO_FRESH: Final[frozenset[str]] = frozenset()


def foreign_changes(code: CodeType, outer: frozenset[str] = _NO_FRESH) -> Iterator[str]:
    """What is changed that was not made here, in words; also in functions made inside.

    outer: fresh variables of the enclosing function

    >>> def made(xs):
    ...     out = []
    ...     for x in xs:
    ...         out.append(x)
    ...     return out
    >>> def given(xs):
    ...     xs.append(1)
    ...     xs[0] = 2
    >>> list(foreign_changes(made.__code__))
    []
    >>> list(foreign_changes(given.__code__))
    ["it calls .append() on 'xs', which it did not make", "it sets an item of 'xs', which it did \
not make"]
    """
    fresh = fresh_names(code) | (outer & frozenset(code.co_freevars))
    new = new_names(code) | fresh
    ops = [op for op in dis.get_instructions(code) if op.opname not in _QUIET]
    for index, op in enumerate(ops):
        if op.opname in _ITEM_STORES:
            name = _container(ops, index)
            if name not in fresh:
                yield f"it sets an item of {name or 'something'!r}, which it did not make"
        elif op.opname == "STORE_SLICE":
            yield "it sets a slice of something"
        elif op.opname in ("LOAD_METHOD", "LOAD_ATTR") and op.argval in CHANGES:
            name = _variable(ops[index - 1]) if index else ""
            if name not in fresh:
                yield f"it calls .{op.argval}() on {name or 'something'!r}, which it did not make"
        elif op.opname == "BINARY_OP" and op.argrepr.endswith("="):
            name = _stored_in(ops, index)
            if not (name in new or _adds_number(ops, index)):
                yield f"it changes {name or 'something'!r} in place, which it may not have made"
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from foreign_changes(inner, fresh)


@lru_cache(maxsize=2048)
def fresh_names(code: CodeType) -> frozenset[str]:
    """Variables of the code (not of functions inside it) that are fresh."""
    return _names(code, _makes)


@lru_cache(maxsize=2048)
def new_names(code: CodeType) -> frozenset[str]:
    """Those that only ever hold what is fresh or cannot be changed: a number, a text …

    >>> def told(xs):
    ...     text = xs[0].strip()
    ...     text += "!"
    ...     seen = xs
    ...     seen += [1]
    >>> sorted(new_names(told.__code__))
    ['text']
    >>> list(foreign_changes(told.__code__))
    ["it changes 'seen' in place, which it may not have made"]
    """
    return _names(code, lambda ops, index: _makes(ops, index) or _is_new(ops, index))


def _names(
    code: CodeType, is_made: Callable[[Sequence[dis.Instruction], int], bool]
) -> frozenset[str]:
    """Variables of which each value that they are given is so made."""
    ops = [op for op in dis.get_instructions(code) if op.opname not in _QUIET]
    count = code.co_argcount + code.co_kwonlyargcount + 2
    fresh: dict[str, bool] = dict.fromkeys(code.co_varnames[:count], False)
    # The two more are `*args` and `**kwargs`, or variables that merely lose a chance.
    if not code.co_flags & 0x0C:
        for name in code.co_varnames[count - 2 : count]:
            fresh.pop(name, None)
    for index, op in enumerate(ops):
        if op.opname in ("STORE_FAST", "STORE_DEREF") and isinstance(op.argval, str):
            made = index > 0 and not op.is_jump_target and is_made(ops, index - 1)
            fresh[op.argval] = fresh.get(op.argval, True) and made
        elif op.opname.startswith("STORE_FAST") and isinstance(op.argval, tuple):
            fresh.update(dict.fromkeys(map(str, op.argval), False))
    for inner in code.co_consts:
        # What a function inside sets anew is not known to be fresh.
        if isinstance(inner, CodeType):
            for op in dis.get_instructions(inner):
                if op.opname == "STORE_DEREF":
                    fresh[str(op.argval)] = False
    return frozenset(name for name, is_fresh in fresh.items() if is_fresh)


def _is_new(ops: Sequence[dis.Instruction], index: int) -> bool:
    """Whether the value on top after this instruction is one that no change in place can reach."""
    op = ops[index]
    if op.opname in _NEW_VALUES:
        return op.argrepr != "[]"
    if not op.opname.startswith("CALL"):
        return False
    for before, height in _back_from(ops, index):
        is_method = before.opname in ("LOAD_METHOD", "LOAD_ATTR")
        if height >= 1 or (height == 0 and is_method):
            return before.argval in _GIVE_NEW
    return False


def _stored_in(ops: Sequence[dis.Instruction], index: int) -> str:
    """The variable in `variable += value`, `""` where it is no variable."""
    op = ops[index + 1] if index + 1 < len(ops) else ops[index]
    is_store = op.opname in ("STORE_FAST", "STORE_DEREF")
    return str(op.argval) if is_store else ""


def _adds_number(ops: Sequence[dis.Instruction], index: int) -> bool:
    """Whether it is `… += 1` or `… -= 1`, which no container takes."""
    value = ops[index - 1].argval if index else None
    is_constant = index > 0 and ops[index - 1].opname in ("LOAD_CONST", "LOAD_SMALL_INT")
    return is_constant and type(value) in (int, float) and ops[index].argrepr in ("+=", "-=")


def _makes(ops: Sequence[dis.Instruction], index: int) -> bool:
    """Whether the value on top after this instruction is a container just made."""
    name = ops[index].opname
    if name in _DISPLAYS:
        return True
    if not name.startswith("CALL"):
        return False
    for op, height in _back_from(ops, index):
        if height >= 1:
            made = op.argval
            made = made.co_name if isinstance(made, CodeType) else made
            return op.opname in ("LOAD_GLOBAL", "LOAD_CONST") and made in MAKERS | _COMPREHENSIONS
    return False


def _back_from(ops: Sequence[dis.Instruction], index: int) -> Iterator[tuple[dis.Instruction, int]]:
    """Backwards from an instruction to the last jump's target: each with how much higher the stack
    is after `index` than before it.
    """
    height = 0
    for op in reversed(ops[: index + 1]):
        if op.is_jump_target:
            return
        height += _effect(op)
        yield op, height


def _container(ops: Sequence[dis.Instruction], index: int) -> str:
    """The variable in `variable[key] = value`, `""` where it is not as simple as that."""
    height = 0
    for place in range(index - 1, 0, -1):
        op = ops[place]
        before = height
        height += _effect(op)
        if height == 2 and before == 0 and isinstance(op.argval, tuple):
            return str(op.argval[0])  # variable and key in one instruction
        if height >= 1:
            return "" if op.is_jump_target else _variable(ops[place - 1])
    return ""


def _variable(op: dis.Instruction) -> str:
    is_load = op.opname in ("LOAD_FAST", "LOAD_DEREF", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW")
    return str(op.argval) if is_load else ""


def _effect(op: dis.Instruction) -> int:
    try:
        return dis.stack_effect(op.opcode, op.arg, jump=False)
    except ValueError:
        return dis.stack_effect(op.opcode)
