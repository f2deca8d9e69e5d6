"""Read one Python function: its calls, the names it uses, its texts, what it reads and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any, Final, Protocol

from graphroute.frontend import calls
from graphroute.frontend.attributes import MISSING, derives, held, module_of
from graphroute.frontend.bytecode import read_code
from graphroute.frontend.findings import Notes
from graphroute.frontend.prompts import has_words, is_prompt
from graphroute.frontend.recognize import (
    SDK_ROOTS,
    is_goal,
    is_sdk_client_class,
    kind_of,
    starts_threads,
)
from graphroute.frontend.schemas import schema_fact
from graphroute.frontend.scope import Resolved, Scope, callable_parts, resolve, scope_of
from graphroute.frontend.stack import CodeFacts
from graphroute.frontend.symbols import (
    Call,
    Const,
    Member,
    Record,
    Ref,
    Symbol,
    Text,
    last_name,
    placeholder,
)

_MODEL_METHODS: Final = frozenset({"invoke", "ainvoke", "astream", "abatch", "agenerate"})
_SCHEMA_NAMES: Final = frozenset({"response_format", "initial_response_format"})
_PREBUILT: Final = ("langchain.agents", "langgraph.prebuilt")


class Visitor(Protocol):
    """Who follows what a function leads to."""

    notes: Notes

    def visit(self, value: Any, via: str, depth: int, *, executes: bool = True) -> None:
        """Look at an object the function uses."""
        ...

    def function(
        self, function: FunctionType, depth: int, *, owner: Any, bound: Mapping[str, Any]
    ) -> None:
        """Read a function it calls, with what is known of the arguments."""
        ...


class FunctionReader:
    """One function in its scope; `read()` writes what it finds to the visitor's notes."""

    def __init__(
        self,
        visitor: Visitor,
        function: FunctionType,
        depth: int,
        *,
        owner: Any = MISSING,
        bound: Mapping[str, Any] | None = None,
    ) -> None:
        self.visitor, self.notes, self.depth = visitor, visitor.notes, depth
        scope = scope_of(function, owner)
        self.scope = Scope(function, {**scope.bound, **(bound or {})})
        self.facts: CodeFacts = read_code(function.__code__)
        self.is_prebuilt = module_of(function).startswith(_PREBUILT)
        self.settled: set[int] = set()

    def read(self) -> None:
        """Calls first, since they tell what a name is used for; then all names; then texts."""
        if self.facts.is_cut:
            self.notes.partial["the function is too long to be read to its end"] = None
        for call in self.facts.calls:
            self._call(call)
        for ref in self.facts.refs:
            if not ref.is_extended and id(ref) not in self.settled:
                self._ref(ref)
        if not self.is_prebuilt:  # a library's own texts are error messages
            self._texts()
        self.notes.strings |= self.facts.strings

    def returns(self) -> None:
        """State keys in returned dicts, and node names returned by a branch function."""
        names: dict[str, None] = {}
        is_closed = bool(self.facts.returns)
        for symbol in self.facts.returns:
            if isinstance(symbol, Record):
                self.notes.writes.update(dict.fromkeys(symbol.values))
            found, closed = calls.constant_targets(symbol, self.look)
            names.update(dict.fromkeys(found))
            is_closed = is_closed and closed
        self.notes.returned = names if is_closed else None

    def reads(self, parameter: str, channels: tuple[str, ...]) -> set[str] | None:
        """State keys read of a parameter, None where every key may be."""
        found = set(self.facts.reads.get(parameter, ()))
        attributes = self.facts.attributes.get(parameter, set())
        if parameter in self.facts.whole or not attributes <= set(channels):
            return None
        return found | attributes

    def look(self, symbol: Symbol) -> Any:
        """The value a symbol stands for, MISSING where only a run will tell."""
        if isinstance(symbol, Const):
            return symbol.value
        if isinstance(symbol, Ref) and not symbol.keys:
            found = resolve(self.scope, symbol, is_goal)
            return found.value if not found.rest else MISSING
        return MISSING

    # Calls.

    def _call(self, call: Call) -> None:
        name = last_name(call.func)
        if calls.note_binding(call, name, self.look, self.notes):
            self._settle(call)
            return
        found = self._resolved(call.func)
        value = found.value if found is not None and not found.rest else MISSING
        if self._is_unseen(call.func, value, name):
            self.notes.calls_unseen[f"call cannot be seen: raw SDK client {name or 'object'}"] = (
                None
            )
            return
        if starts_threads(value):
            self.notes.warnings[
                "starts threads of its own: a model call in a bare thread"
                " without config cannot be seen"
            ] = None
            return
        if calls.note_destination(call, name, value, self.look, self.notes):
            return
        if found is None or not found.rest or found.value is MISSING:
            if not self.is_prebuilt:
                calls.note_message(call, value, self._text, self.notes)
            if calls.note_model(call, name, value, self.look, self.notes):
                return
        if value is not MISSING and not derives(value, object):
            self._follow(value, call)
        elif name in _MODEL_METHODS and not self._is_explained(call.func):
            self.notes.unknown_calls[f"calls .{name}() on an object only a run will tell"] = None

    def _follow(self, value: Any, call: Call) -> None:
        if kind_of(value) not in ("function", "method", "partial", "other"):
            return
        function, owner, fixed = callable_parts(value)
        if function is None:
            return
        names = scope_of(function, owner).parameters[1 if owner is not MISSING else 0 :]
        free = [name for name in names if name not in fixed]
        given = dict(zip(free, call.args, strict=False)) | call.kwargs
        known = {name: self.look(symbol) for name, symbol in given.items()}
        known = {k: v for k, v in known.items() if v is not MISSING and v is not None}
        self.visitor.function(function, self.depth + 1, owner=owner, bound={**fixed, **known})

    def _is_unseen(self, symbol: Symbol, value: Any, name: str) -> bool:
        if is_sdk_client_class(value) or kind_of(value) == "sdk":
            return True
        root = _root(symbol)
        if value is MISSING and isinstance(root, Ref) and root.root.startswith("import "):
            package = root.root.removeprefix("import ").partition(".")[0]
            return package in SDK_ROOTS and not name.endswith("Error")
        return False

    def _is_explained(self, symbol: Symbol) -> bool:
        """Whether what is called comes from something that is followed anyway."""
        root = _root(symbol)
        if not isinstance(root, Ref):
            return False
        if root.root.startswith("import "):
            return True
        value = resolve(self.scope, root, is_goal).value
        return value is not MISSING and kind_of(value) != "plain"

    def _resolved(self, symbol: Symbol) -> Resolved | None:
        if isinstance(symbol, Ref) and not symbol.keys:
            return resolve(self.scope, symbol, is_goal)
        return None

    def _settle(self, call: Call) -> None:
        # Tools and schemas that are only bound do not run here: their code is not the node's.
        queue: list[Symbol] = [*call.args, *call.kwargs.values()]
        for symbol in queue:
            self.settled.add(id(symbol))
            queue.extend(getattr(symbol, "items", ()))

    # Names.

    def _ref(self, ref: Ref) -> None:
        found = resolve(self.scope, ref, is_goal)
        value = found.value
        if value is MISSING:
            return
        kind = kind_of(value)
        if ref.root in _SCHEMA_NAMES and not ref.chain and self.depth == 0:
            fact = schema_fact(value)
            self.notes.output_schema = self.notes.output_schema or fact
        elif kind == "plain":
            # A global text is a prompt; one put into a longer text is part of that one.
            if type(value) is str and is_prompt(value) and not self.is_prebuilt:
                self.notes.code_texts[value] = None
        elif kind in ("function", "method") and found.rest and not found.is_getter:
            return
        elif kind not in ("class", "builtin", "other", "thread"):
            self.visitor.visit(value, found.via, self.depth + 1, executes=not self.is_prebuilt)
        elif kind == "other" and self.depth == 0 and self.is_prebuilt:
            self.visitor.visit(value, found.via, self.depth + 1, executes=False)

    # Texts.

    def _texts(self) -> None:
        quiet = calls.quiet_texts(self.facts.calls, last_name)
        for symbol in self.facts.texts:
            if symbol.is_absorbed or id(symbol) in quiet:
                continue
            if isinstance(symbol, Text):
                text = self._text(symbol)
                if is_prompt(text) and has_words(text):
                    self.notes.code_texts[text] = None
            else:
                for text in calls.texts_of_constant(symbol.value, is_prompt):
                    self.notes.code_texts[text] = None

    def _text(self, symbol: Symbol) -> str:
        """The text of a symbol, with global constants put in and the rest as `{name}`."""
        if isinstance(symbol, Text):
            return "".join(map(self._text, symbol.parts)) if symbol.parts else symbol.text
        if isinstance(symbol, Ref):
            value = self.look(symbol)
            if type(value) is str:
                self.notes.code_texts.pop(value, None)
                return value
        return placeholder(symbol) if type(symbol) is not Symbol else ""


def _root(symbol: Symbol) -> Symbol:
    """The name that a chain of attributes, subscripts and calls starts from."""
    for _ in range(32):
        if isinstance(symbol, Member):
            symbol = symbol.base
        elif isinstance(symbol, Call):
            symbol = symbol.func
        else:
            break
    return symbol


def wrapped_of(function: FunctionType) -> Callable[..., Any] | None:
    """The function a decorator wrapped, where it says so."""
    inner = held(function).get("__wrapped__")
    return inner if type(inner) in (FunctionType, MethodType) else None
