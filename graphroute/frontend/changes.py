"""Which of the things that a function names it changes itself: counters, logs, memories of its own.

A node that counts its runs in a global would never be found again if the count were part of its
key. What its own code changes is therefore told apart, from the bytecode.

>>> runs, limits = [], {"n": 3}
>>> def node(state):
...     runs.append(state["n"])
...     return {"n": min(state["n"], limits["n"])}
>>> changed_names(node.__code__)
frozenset({('runs', ())})
"""

from __future__ import annotations

import dis
from functools import lru_cache
from types import CodeType

from graphroute.frontend.bytecode import Reader
from graphroute.frontend.pure_names import CHANGES
from graphroute.frontend.stack import CodeFacts
from graphroute.frontend.symbols import Ref, Symbol

Name = tuple[str, tuple[str, ...]]
"""A name and the attributes asked of it: `("self", ("runs",))`."""


@lru_cache(maxsize=2048)
def changed_names(code: CodeType) -> frozenset[Name]:
    """Names (not its own variables) that the code sets, or of which it sets or adds a part."""
    facts = CodeFacts()
    changed: set[Name] = set()
    free = frozenset(code.co_freevars)
    _Changes(code, facts, depth=0, outer={}, changed=changed, free=free).read()
    for call in facts.calls:
        func = call.func
        if isinstance(func, Ref) and not func.keys and func.chain and func.chain[-1] in CHANGES:
            changed.add((func.root, func.chain[:-1]))
    return frozenset(changed)


class _Changes(Reader):
    """The reading of bytecode, noting what is stored into."""

    def __init__(
        self,
        code: CodeType,
        facts: CodeFacts,
        *,
        depth: int,
        outer: dict[str, Symbol],
        changed: set[Name],
        free: frozenset[str],
    ) -> None:
        super().__init__(code, facts, depth=depth, outer=outer)
        self.changed, self.free = changed, free

    def _step(self, op: dis.Instruction) -> None:
        if op.opname in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            self._note(self.stack[-2] if len(self.stack) >= 2 else None)
        elif op.opname in ("STORE_ATTR", "DELETE_ATTR"):
            self._note(self.stack[-1] if self.stack else None, (str(op.argval),))
        elif op.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") or (
            op.opname == "STORE_DEREF" and op.argval in self.free
        ):
            self.changed.add((str(op.argval), ()))
        super()._step(op)

    def _note(self, target: Symbol | None, more: tuple[str, ...] = ()) -> None:
        if isinstance(target, Ref) and not target.keys:
            self.changed.add((target.root, (*target.chain, *more)))

    def _inside(self, code: CodeType, outer: dict[str, Symbol]) -> Reader:
        return _Changes(
            code,
            self.facts,
            depth=self.depth + 1,
            outer=outer,
            changed=self.changed,
            free=self.free,
        )
