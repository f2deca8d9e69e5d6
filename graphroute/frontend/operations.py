"""What each family of instructions does to the stack of symbols.

The names of the instructions are those of Python 3.11 to 3.14; where a version differs, the
comment says so.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType
from typing import Final

from graphroute.frontend.stack import ITERATOR, Stack
from graphroute.frontend.symbols import (
    Call,
    Const,
    Items,
    Lambda,
    Member,
    Null,
    Record,
    Ref,
    Symbol,
    Text,
)

_FLAGGED_METHODS: Final = sys.version_info >= (3, 12)
"""From 3.12 on, LOAD_ATTR carries a flag where LOAD_METHOD stood."""

_DICT_METHODS: Final = frozenset({"get", "pop", "setdefault"})


class Operations(Stack):
    """One method per family of instructions."""

    def _load(self, name: str, op: dis.Instruction) -> None:
        arg = op.argval
        if name in ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_IMMORTAL_CONST"):
            is_code = isinstance(arg, CodeType)
            self._push(Lambda(arg, Member(Symbol(), "[]")) if is_code else self._constant(arg))
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            value = self._attribute(self._pop(), str(arg))
            is_method = name == "LOAD_METHOD" or (_FLAGGED_METHODS and bool((op.arg or 0) & 1))
            self._push(value)
            if is_method:
                self._push(Null())
        elif name == "LOAD_SUPER_ATTR":
            self._pop(3)
            self._push(self._name_ref("self", (str(arg),)))
        elif name == "LOAD_GLOBAL":
            if (op.arg or 0) & 1:
                self._push(Null())
            self._push(self._name_ref(str(arg)))
        elif name in (
            "LOAD_CLOSURE",
            "LOAD_BUILD_CLASS",
            "LOAD_ASSERTION_ERROR",
            "LOAD_SPECIAL",
            "LOAD_LOCALS",
            "LOAD_COMMON_CONSTANT",
        ):
            self._push(Symbol())
        elif isinstance(arg, tuple):  # two loads in one instruction
            for word in arg:
                self._push(self._variable(str(word)))
        else:
            self._push(self._variable(str(arg)))

    def _keep(self, name: str, op: dis.Instruction) -> None:
        if name == "STORE_SUBSCR":
            key, target, value = self._pop(), self._pop(), self._pop()
            if isinstance(target, Record):
                if isinstance(key, Const) and isinstance(key.value, str):
                    target.values[key.value] = value
                else:
                    target.is_open = True
        elif name == "STORE_ATTR":
            self._pop(2)
        elif name == "STORE_SLICE":
            self._pop(4)
        elif name == "STORE_FAST_LOAD_FAST" and isinstance(op.argval, tuple):
            self._store(str(op.argval[0]), self._pop())
            self._push(self._variable(str(op.argval[1])))
        elif isinstance(op.argval, tuple):
            for word in op.argval:
                self._store(str(word), self._pop())
        else:
            self._store(str(op.argval), self._pop())

    def _call(self, name: str, op: dis.Instruction) -> None:
        if name == "KW_NAMES":
            names = self.code.co_consts[op.arg or 0]
            self.keywords = names if isinstance(names, tuple) else ()
            return
        if name.startswith("CALL_INTRINSIC"):
            self._pop(2 if name.endswith("2") else 1)
            self._push(Symbol())
            return
        if name == "CALL_FUNCTION_EX":
            # 3.14 always has the keyword slot; before that the flag says so.
            extra = self._pop() if (op.arg or 0) & 1 else None
            spread = self._pop()
            func = self._callee()
            args = tuple(spread.items) if isinstance(spread, Items) else (spread,)
            kwargs = dict(extra.values) if isinstance(extra, Record) else {}
            self._record(Call(func, args, kwargs))
            return
        if name == "CALL_KW":
            given = self._pop()
            self.keywords = given.value if isinstance(given, Const) else ()
        values = [self._pop() for _ in range(op.arg or 0)][::-1]
        split = len(values) - len(self.keywords)
        kwargs = dict(zip(self.keywords, values[split:], strict=False))
        self.keywords = ()
        self._record(Call(self._callee(), tuple(values[:split]), kwargs))

    def _callee(self) -> Symbol:
        """What is called: of the two slots below the arguments, one may be a filler.

        A comprehension leaves its iterator in the upper one, which is no argument we read.
        """
        upper, lower = self._pop(), self._pop()
        if isinstance(lower, Lambda) and not isinstance(upper, Null):
            lower.source.base = upper
        return upper if isinstance(lower, Null) else lower

    def _record(self, call: Call) -> None:
        func = call.func
        if isinstance(func, Ref) and len(func.chain) == 1 and func.chain[0] in _DICT_METHODS:
            first = call.args[0] if call.args else None
            if isinstance(first, Const) and isinstance(first.value, str) and not func.keys:
                self._account(func, first.value)
        self.facts.calls.append(call)
        self._push(call)

    def _build(self, name: str, op: dis.Instruction) -> None:
        count = op.arg or 0
        if name == "BUILD_STRING":
            self._push(self._text([self._pop() for _ in range(count)][::-1]))
        elif name in ("BUILD_LIST", "BUILD_TUPLE", "BUILD_SET"):
            self._push(Items([self._pop() for _ in range(count)][::-1]))
        elif name == "BUILD_MAP":
            pairs = [self._pop() for _ in range(2 * count)][::-1]
            self._push(self._record_of(list(zip(pairs[::2], pairs[1::2], strict=True))))
        elif name == "BUILD_CONST_KEY_MAP":
            keys = self._pop()
            values = [self._pop() for _ in range(count)][::-1]
            names = keys.value if isinstance(keys, Const) else ()
            self._push(
                self._record_of([(Const(k), v) for k, v in zip(names, values, strict=False)])
            )
        elif name in ("LIST_EXTEND", "SET_UPDATE", "LIST_APPEND", "SET_ADD"):
            value, target = self._pop(), self.stack[-count] if count <= len(self.stack) else None
            if isinstance(target, Items):
                if isinstance(value, Items):
                    target.items.extend(value.items)
                elif isinstance(value, Const) and isinstance(value.value, tuple):
                    target.items.extend(Const(v) for v in value.value)
                else:
                    target.items.append(value)
        elif name in ("DICT_MERGE", "DICT_UPDATE"):
            value, target = self._pop(), self.stack[-count] if count <= len(self.stack) else None
            if isinstance(target, Record):
                if isinstance(value, Record):
                    target.values.update(value.values)
                else:
                    target.is_open = True
        elif name == "MAP_ADD":
            self._pop(2)
        elif name == "LIST_TO_TUPLE":
            return
        else:  # BUILD_SLICE and what later versions add
            self._pop(max(count, 1))
            self._push(Symbol())

    def _record_of(self, pairs: list[tuple[Symbol, Symbol]]) -> Record:
        record = Record()
        for key, value in pairs:
            if isinstance(key, Const) and isinstance(key.value, str):
                key.is_absorbed = True
                record.values[key.value] = value
            else:
                record.is_open = True
        return record

    def _make_function(self, op: dis.Instruction) -> None:
        made = self._pop()
        # 3.13 sets defaults by SET_FUNCTION_ATTRIBUTE; before, flags tell what lies beneath.
        flags = op.arg or 0 if "SET_FUNCTION_ATTRIBUTE" not in dis.opmap else 0
        self._pop(bin(flags).count("1"))
        self._push(made)
        if isinstance(made, Lambda):
            shared = {*self.code.co_cellvars, *self.code.co_freevars}
            outer = {k: v for k, v in self.variables.items() if k in shared}
            outer[ITERATOR] = made.source
            self._read_inner(made.code, outer)

    def _read_inner(self, code: CodeType, outer: dict[str, Symbol]) -> None:
        """Read a function made here; the flow of reading is not this class's."""
        raise NotImplementedError

    def _combine(self, name: str, op: dis.Instruction) -> None:
        if name in ("BINARY_SUBSCR", "BINARY_SLICE") or (
            name == "BINARY_OP" and op.argrepr == "[]"
        ):
            if name == "BINARY_SLICE":
                self._pop()
            key, base = self._pop(), self._pop()
            self._push(self._subscript(base, key))
        elif name == "CONTAINS_OP":
            base, key = self._pop(), self._pop()
            if isinstance(base, Ref) and isinstance(key, Const) and isinstance(key.value, str):
                self._account(base, key.value)
            self._push(Symbol())
        elif name == "BINARY_OP" and op.argrepr in ("+", "+="):
            right, left = self._pop(), self._pop()
            is_text = any(
                isinstance(s, Text) or (isinstance(s, Const) and isinstance(s.value, str))
                for s in (left, right)
            )
            self._push(self._text([left, right]) if is_text else Items([left, right]))
        elif name == "FORMAT_VALUE":
            if (op.arg or 0) & 4:
                self._pop()
        elif name == "FORMAT_WITH_SPEC":
            self._pop()
        elif name in ("FORMAT_SIMPLE", "CONVERT_VALUE"):
            return
        else:
            self._pop(2)
            self._push(Symbol())

    def _other(self, name: str, op: dis.Instruction) -> None:
        if name == "PUSH_NULL":
            self._push(Null())
        elif name == "FOR_ITER":
            self._push(Member(self.stack[-1] if self.stack else Symbol(), "[]"))
        elif name == "COPY" and 0 < (op.arg or 0) <= len(self.stack):
            self._push(self.stack[-(op.arg or 0)])
        elif name == "SWAP" and 0 < (op.arg or 0) <= len(self.stack):
            low = -(op.arg or 0)
            self.stack[-1], self.stack[low] = self.stack[low], self.stack[-1]
        elif name == "SET_FUNCTION_ATTRIBUTE":
            made = self._pop()
            self._pop()
            self._push(made)
        elif name == "IMPORT_NAME":
            names, level = self._pop(), self._pop()
            dots = "." * level.value if isinstance(level, Const) else ""
            module = f"{dots}{op.argval}"
            self.facts.imports.add(module)
            # `import a.b` gives a; `from a import b` gives what b is asked of.
            is_from = not isinstance(names, Const) or names.value is not None
            given = module if is_from else module.partition(".")[0]
            self._push(Ref(f"import {given}", is_accounted=True))
        elif name == "IMPORT_FROM":
            base = self.stack[-1] if self.stack else Symbol()
            self._push(self._attribute(base, str(op.argval)))
        elif name == "UNPACK_SEQUENCE":
            base = self._pop()
            for _ in range(op.arg or 0):
                self._push(Member(base, "[]"))
        elif name in ("BEFORE_WITH", "BEFORE_ASYNC_WITH"):
            # Leaves the exit method below and what `as` binds on top.
            base = self._pop()
            self._push(Symbol())
            self._push(Member(base, "[]"))
        else:
            effect = self._effect(op)
            self._pop(max(-effect, 0) + 1)
            for _ in range(1 if effect <= 0 else effect + 1):
                self._push(Symbol())

    @staticmethod
    def _effect(op: dis.Instruction) -> int:
        try:
            return dis.stack_effect(op.opcode, op.arg, jump=False)
        except ValueError:
            return dis.stack_effect(op.opcode)
