"""The stack and the names of one reading, and the facts it adds to.

A value that is taken from a name keeps the name; a text that becomes part of another is absorbed;
a use of a name that is understood is accounted. What is left unaccounted counts as a use of all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Final

from graphroute.frontend.symbols import Call, Const, Member, Ref, Symbol, Text, placeholder

ITERATOR: Final = ".0"
"""The hidden parameter of a comprehension that is compiled to a function."""


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


class Stack:
    """The state of reading one code object; `depth` counts the functions around it."""

    def __init__(
        self, code: CodeType, facts: CodeFacts, *, depth: int, outer: dict[str, Symbol]
    ) -> None:
        self.code, self.facts, self.depth = code, facts, depth
        count = code.co_argcount + code.co_kwonlyargcount
        self.own_names = set(code.co_varnames[:count])
        self.variables: dict[str, Symbol] = dict(outer)
        # What the enclosing function keeps under an equal name is another variable.
        for name in code.co_varnames:
            if name != ITERATOR:
                self.variables.pop(name, None)
        self.inner_params = self.own_names if depth else set()
        self.stack: list[Symbol] = []
        self.keywords: tuple[str, ...] = ()

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
