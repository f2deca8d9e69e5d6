"""Read a function's bytecode by walking it once with symbols on the stack instead of values.

Nothing runs. The walk follows the order of the instructions, carries the stack over forward
jumps, and loses track on purpose rather than guess: an operation it does not know leaves an
unknown symbol. The state's reads are sound by construction: a load of the parameter whose use was
not understood counts as a read of everything.

(The technique is abstract interpretation: P. and R. Cousot, POPL 1977.)
"""

from __future__ import annotations

import dis
from functools import lru_cache
from types import CodeType
from typing import Final

from graphroute.frontend.operations import Operations
from graphroute.frontend.stack import CodeFacts
from graphroute.frontend.symbols import Items, Symbol

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
_MAX_NESTED: Final = 6
_MAX_INSTRUCTIONS: Final = 20_000


@lru_cache(maxsize=2048)
def read_code(code: CodeType) -> CodeFacts:
    """The facts of a code object; pure, so equal code is read once. Not to be changed."""
    facts = CodeFacts()
    Reader(code, facts, depth=0, outer={}).read()
    for ref in facts.refs:
        if ref.is_accounted or ref.is_extended:
            continue
        if ref.chain:
            facts.attributes.setdefault(ref.root, set()).add(ref.chain[0])
        else:
            facts.whole.add(ref.root)
    return facts


class Reader(Operations):
    """One pass over one code object, adding to the facts of the outermost function."""

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

    def _read_inner(self, code: CodeType, outer: dict[str, Symbol]) -> None:
        if self.depth < _MAX_NESTED:
            self._inside(code, outer).read()

    def _inside(self, code: CodeType, outer: dict[str, Symbol]) -> Reader:
        """The reader of a function made here."""
        return Reader(code, self.facts, depth=self.depth + 1, outer=outer)
