"""What a stack slot of a function holds, as far as its bytecode tells: the words of the reading.

```
self.llm.invoke      Ref(root="self", chain=("llm", "invoke"))
"hello " + name      Text("hello {name}")
ChatOpenAI(model=m)  Call(func=Ref("ChatOpenAI"), kwargs={"model": Ref("m")})
{"answer": text}     Record(keys={"answer"})
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any


@dataclass(slots=True, eq=False)
class Symbol:
    """Anything whose origin the bytecode does not tell."""


@dataclass(slots=True, eq=False)
class Null(Symbol):
    """A filler slot of the call protocol."""


@dataclass(slots=True, eq=False)
class Const(Symbol):
    """A constant; `is_absorbed` once it became part of a longer text."""

    value: Any
    is_absorbed: bool = False


@dataclass(slots=True, eq=False)
class Ref(Symbol):
    """A name and the attributes asked of it. `is_extended`: a longer chain took over.

    keys: constant subscripts right after the root, e.g. `("question",)` for `state["question"]`
    """

    root: str
    chain: tuple[str, ...] = ()
    is_extended: bool = False
    keys: tuple[str, ...] = ()
    is_accounted: bool = False


@dataclass(slots=True, eq=False)
class Member(Symbol):
    """An attribute of something that is not a name, e.g. of a call's result."""

    base: Symbol
    name: str


@dataclass(slots=True, eq=False)
class Text(Symbol):
    """A text put together from parts, placeholders as `{name}`."""

    text: str
    is_absorbed: bool = False
    parts: tuple[Symbol, ...] = ()


@dataclass(slots=True, eq=False)
class Items(Symbol):
    """A list, tuple or set display."""

    items: list[Symbol]


@dataclass(slots=True, eq=False)
class Record(Symbol):
    """A dict display; `is_open` where keys may be there that are not constants."""

    values: dict[str, Symbol] = field(default_factory=dict)
    is_open: bool = False


@dataclass(slots=True, eq=False)
class Lambda(Symbol):
    """A function made here: its code, not run. `source`: what a comprehension goes through."""

    code: CodeType
    source: Member


@dataclass(slots=True, eq=False)
class Call(Symbol):
    """A call with what was passed; `kwargs` holds the constant keywords."""

    func: Symbol
    args: tuple[Symbol, ...] = ()
    kwargs: dict[str, Symbol] = field(default_factory=dict)


def last_name(symbol: Symbol) -> str:
    """The last word of what is called or named: `invoke` for `self.llm.invoke`; `""` if none.

    >>> last_name(Ref("self", ("llm", "invoke")))
    'invoke'
    """
    if isinstance(symbol, Ref):
        return symbol.chain[-1] if symbol.chain else symbol.root
    return symbol.name if isinstance(symbol, Member) else ""


def placeholder(symbol: Symbol) -> str:
    """How a value shows in a prompt template: `{question}` for `state["question"]`.

    >>> placeholder(Ref("state", keys=("question",)))
    '{question}'
    """
    if isinstance(symbol, Const):
        return str(symbol.value) if isinstance(symbol.value, (str, int, float)) else ""
    if isinstance(symbol, Text):
        return symbol.text
    if isinstance(symbol, Ref):
        name = (symbol.chain or symbol.keys or (symbol.root,))[-1]
        return f"{{{name}}}"
    if isinstance(symbol, Call):
        # `state.get("question")` is as good as its key, `docs.join()` as its name.
        for arg in symbol.args[:1]:
            if isinstance(arg, Const) and isinstance(arg.value, str) and arg.value.isidentifier():
                return f"{{{arg.value}}}"
        return f"{{{last_name(symbol.func) or 'value'}}}"
    if isinstance(symbol, Member) and symbol.name == "[]":
        return placeholder(symbol.base) if isinstance(symbol.base, Ref) else "{item}"
    return f"{{{last_name(symbol) or 'value'}}}"
