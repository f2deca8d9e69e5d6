"""Read a function's bytecode by walking it once with symbols on the stack instead of values.

Nothing runs. The walk follows the order of the instructions, carries the stack over forward
jumps, and loses track on purpose rather than guess: an operation it does not know leaves an
unknown symbol. The state's reads are sound by construction: a load of the parameter whose use was
not understood counts as a read of everything.

(The technique is abstract interpretation: P. and R. Cousot, POPL 1977.)
"""

from __future__ import annotations

import dis
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Final

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
    placeholder,
)

# fmt: off
_NOTHING: Final = frozenset({
    "RESUME", "NOP", "CACHE", "PRECALL", "COPY_FREE_VARS", "MAKE_CELL", "EXTENDED_ARG",
    "GET_AWAITABLE", "YIELD_VALUE", "END_SEND", "GET_ITER", "GET_AITER", "RETURN_GENERATOR",
    "GEN_START", "NOT_TAKEN", "END_FOR", "POP_ITER", "TO_BOOL", "CHECK_EXC_MATCH",
    "SETUP_ANNOTATIONS", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT",
    "ASYNC_GEN_WRAP", "GET_YIELD_FROM_ITER",
})
# fmt: on
# fmt: off
_POP_ONE: Final = frozenset({
    "POP_TOP", "SEND", "STORE_GLOBAL", "STORE_NAME", "STORE_DEREF", "RERAISE", "POP_EXCEPT",
    "PRINT_EXPR",
})
# fmt: on
# fmt: off
_ENDS_FLOW: Final = frozenset({
    "RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
})
# fmt: on
_FLAGGED_METHODS: Final = sys.version_info >= (3, 12)
"""From 3.12 on, LOAD_ATTR carries a flag where LOAD_METHOD stood."""

_DICT_METHODS: Final = frozenset({"get", "pop", "setdefault"})
_ITERATOR: Final = ".0"
"""The hidden parameter of a comprehension that is compiled to a function."""

_MAX_NESTED: Final = 6
_MAX_INSTRUCTIONS: Final = 20_000


@dataclass(slots=True, eq=False)
class CodeFacts:
    """What one function and the functions made inside it were seen to do, in code order.

    returns holds the returns of the function itself only
    reads: constant keys read of a name; attributes: first attributes asked of it
    whole: names whose use was not understood, so that everything of them may be read
    """

    refs: list[Ref] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    texts: list[Const | Text] = field(default_factory=list)
    strings: set[str] = field(default_factory=set)
    returns: list[Symbol] = field(default_factory=list)
    reads: dict[str, set[str]] = field(default_factory=dict)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    is_cut: bool = False


@lru_cache(maxsize=2048)
def read_code(code: CodeType) -> CodeFacts:
    """The facts of a code object; pure, so equal code is read once. Not to be changed."""
    facts = CodeFacts()
    _Reader(code, facts, depth=0, outer={}).read()
    for ref in facts.refs:
        if ref.is_accounted or ref.is_extended:
            continue
        if ref.chain:
            facts.attributes.setdefault(ref.root, set()).add(ref.chain[0])
        else:
            facts.whole.add(ref.root)
    return facts


class _Reader:
    """One pass over one code object, adding to the facts of the outermost function."""

    def __init__(
        self, code: CodeType, facts: CodeFacts, *, depth: int, outer: dict[str, Symbol]
    ) -> None:
        self.code, self.facts, self.depth = code, facts, depth
        count = code.co_argcount + code.co_kwonlyargcount
        self.own_names = set(code.co_varnames[:count])
        self.variables: dict[str, Symbol] = dict(outer)
        # What the enclosing function keeps under an equal name is another variable.
        for name in code.co_varnames:
            if name != _ITERATOR:
                self.variables.pop(name, None)
        self.inner_params = self.own_names if depth else set()
        self.stack: list[Symbol] = []
        self.keywords: tuple[str, ...] = ()

    def read(self) -> None:
        """Walk all instructions; the stack at a jump's target is what the jump left."""
        at_target: dict[int, list[Symbol]] = {}
        is_reached = True
        for index, op in enumerate(dis.get_instructions(self.code)):
            if index > _MAX_INSTRUCTIONS:
                self.facts.is_cut = True
                return
            if (saved := at_target.pop(op.offset, None)) is not None:
                self.stack = self._joined(saved) if is_reached else saved
                is_reached = True
            elif not is_reached:
                # An exception handler, or code after a loop: nothing is known of the stack.
                self.stack, is_reached = [], True
            self._step(op)
            target = op.argval if op.opcode in dis.hasjrel or op.opcode in dis.hasjabs else None
            if isinstance(target, int) and target > op.offset:
                left = list(self.stack)
                if op.opname == "FOR_ITER" and len(left) >= 2:
                    left = left[:-2]
                at_target.setdefault(target, left)
            if op.opname in _ENDS_FLOW:
                is_reached = False

    def _joined(self, saved: list[Symbol]) -> list[Symbol]:
        if len(saved) != len(self.stack):
            return self.stack
        return [a if a is b else Items([a, b]) for a, b in zip(saved, self.stack, strict=True)]

    # The steps, by family of instruction.

    def _step(self, op: dis.Instruction) -> None:
        name = op.opname
        if name in _NOTHING:
            return
        if name in _POP_ONE or name.startswith(("POP_JUMP", "JUMP_IF")):
            value = self._pop()
            if name == "STORE_DEREF" and isinstance(op.argval, str):
                self._store(op.argval, value)
            elif name.endswith("OR_POP"):
                self._push(value)
        elif name.startswith("LOAD_"):
            self._load(name, op)
        elif name.startswith("STORE_"):
            self._keep(name, op)
        elif name.startswith(("CALL", "KW_NAMES")):
            self._call(name, op)
        elif name.startswith(("BUILD_", "LIST_", "DICT_", "SET_", "MAP_")):
            self._build(name, op)
        elif name in ("RETURN_VALUE", "RETURN_CONST"):
            value = self._constant(op.argval) if name == "RETURN_CONST" else self._pop()
            if self.depth == 0:
                self.facts.returns.append(value)
        elif name == "MAKE_FUNCTION":
            self._make_function(op)
        elif name.startswith(("BINARY_", "CONTAINS_OP", "FORMAT_", "CONVERT_")):
            self._combine(name, op)
        else:
            self._other(name, op)

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
        if isinstance(made, Lambda) and self.depth < _MAX_NESTED:
            shared = {*self.code.co_cellvars, *self.code.co_freevars}
            outer = {k: v for k, v in self.variables.items() if k in shared}
            outer[_ITERATOR] = made.source
            _Reader(made.code, self.facts, depth=self.depth + 1, outer=outer).read()

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
            self._pop(2)
            self.facts.imports.add(str(op.argval))
            self._push(Ref(f"import {op.argval}", is_accounted=True))
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

    # The stack and the names.

    def _push(self, symbol: Symbol) -> None:
        self.stack.append(symbol)

    def _pop(self, count: int = 1) -> Symbol:
        value: Symbol = Symbol()
        for _ in range(count):
            value = self.stack.pop() if self.stack else Symbol()
        return value

    def _constant(self, value: object) -> Const:
        constant = Const(value)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str):
                self.facts.strings.add(item)
        self.facts.texts.append(constant)
        return constant

    def _text(self, parts: list[Symbol]) -> Text:
        for part in parts:
            if isinstance(part, (Const, Text)):
                part.is_absorbed = True
        text = Text("".join(map(placeholder, parts)), parts=tuple(parts))
        self.facts.texts.append(text)
        return text

    def _name_ref(self, root: str, chain: tuple[str, ...] = ()) -> Ref:
        ref = Ref(root, chain)
        self.facts.refs.append(ref)
        return ref

    def _variable(self, name: str) -> Symbol:
        known = self.variables.get(name)
        if isinstance(known, Ref):
            # A value already taken out by its key reads nothing more of the parameter.
            again = Ref(known.root, known.chain, keys=known.keys, is_accounted=bool(known.keys))
            self.facts.refs.append(again)
            return again
        if known is not None:
            return known
        if name in self.inner_params:
            return Symbol()
        return self._name_ref(name)

    def _store(self, name: str, value: Symbol) -> None:
        # A stored parameter stays unaccounted, so it counts as read as a whole.
        self.variables[name] = value

    def _attribute(self, base: Symbol, name: str) -> Symbol:
        if isinstance(base, Ref) and not base.keys:
            base.is_extended = True
            return self._name_ref(base.root, (*base.chain, name))
        return Member(base, name)

    def _subscript(self, base: Symbol, key: Symbol) -> Symbol:
        if isinstance(base, Ref) and isinstance(key, Const) and isinstance(key.value, str):
            key.is_absorbed = True
            self._account(base, key.value)
            if not base.chain:
                return Ref(base.root, keys=(*base.keys, key.value), is_accounted=True)
        return Member(base, "[]")

    def _account(self, ref: Ref, key: str) -> None:
        """One use of a name is understood: it reads this key."""
        ref.is_accounted = True
        if not ref.keys and len(ref.chain) <= 1:
            self.facts.reads.setdefault(ref.root, set()).add(key)
