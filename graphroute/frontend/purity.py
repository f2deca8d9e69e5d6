"""The proof that a node may be cached without being told to: `cache="auto"`.

A function is proven pure if each of its calls is understood: a pure built-in or function of the
standard library (`pure_names` lists them), a helper of the user's that is proven in its turn, a
prompt, or a chat model at temperature 0; and if it sets nothing but its own variables. Anything
not understood is named, and the node is not proven. What is proven is not that the code is free of
faults: a helper whose name was rebound to something impure is seen, `eval` is never understood.

>>> import re, time
>>> def good(state): return {"text": re.sub(r"\\s+", " ", state["text"].strip())}
>>> def bad(state): return {"text": state["text"], "at": time.time()}
>>> prove([good]).is_pure, prove([bad]).against
(True, 'it calls time.time, which is not known to be pure')
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any, Final

from graphroute.frontend import pure_names
from graphroute.frontend.attributes import MISSING, derives, held, is_a, module_of
from graphroute.frontend.bytecode import read_code
from graphroute.frontend.calls import settings_of
from graphroute.frontend.freshness import KNOWN_MAKERS, MAKERS, foreign_changes
from graphroute.frontend.pure_classes import why_not_pure_class
from graphroute.frontend.pure_data import why_not_data
from graphroute.frontend.recognize import is_goal, kind_of
from graphroute.frontend.scope import Scope, callable_parts, resolve, scope_of
from graphroute.frontend.symbols import Call, Lambda, Member, Ref, Symbol
from graphroute.frontend.versions import is_installed
from graphroute.ir.naming import pool_name

_MAX_FUNCTIONS: Final = 200
_MAX_NESTED: Final = 5
# fmt: off
_SETS: Final = {
    "STORE_GLOBAL": "it sets the global {!r}", "DELETE_GLOBAL": "it deletes the global {!r}",
    "STORE_ATTR": "it sets the attribute {!r}", "DELETE_ATTR": "it deletes the attribute {!r}",
    "STORE_NAME": "it defines a class", "LOAD_BUILD_CLASS": "it defines a class",
    "BEFORE_WITH": "it enters a context (with)", "BEFORE_ASYNC_WITH": "it enters a context (with)",
    "LOAD_SPECIAL": "it enters a context (with)", "IMPORT_STAR": "it imports all of a module",
}
# fmt: on
_ASIDE: Final = frozenset({"config", "kwargs", "config_factories", "name", "callbacks"})
_IMPURE_DATA: Final = frozenset({"os", "sys", "time", "random", "socket", "secrets", "platform"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The outcome: what it rests on, or what stands against it; each in words.

    models: the chat models it asks, by pool name
    """

    is_pure: bool
    against: str = ""
    rests_on: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One sentence."""
        if not self.is_pure:
            return f"not proven safe, since {self.against}"
        return f"proven safe: {', '.join(self.rests_on) or 'it calls no function'}"


class _Against(Exception):
    """Something that is not understood; the message says what, after "since"."""


def prove(functions: Iterable[Any], *, is_fixed: bool = True) -> Proof:
    """Try to prove that a node's functions are pure; see the module docstring.

    is_fixed: what they return must be the same each time, so models have to be at temperature 0;
        else they need only act on nothing
    """
    prover = _Prover(is_fixed=is_fixed)
    try:
        for function in functions:
            prover.callable(function)
    except _Against as fault:
        return Proof(is_pure=False, against=str(fault))
    calls = [f"it calls {', '.join(sorted(prover.calls))}"] if prover.calls else []
    how = " at temperature 0" if is_fixed else ""
    asks = [f"{name!r} answers{how}" for name in prover.models]
    return Proof(is_pure=True, rests_on=(*calls, *asks), models=tuple(prover.models))


class _Prover:
    def __init__(self, *, is_fixed: bool) -> None:
        self._is_fixed = is_fixed
        self.calls: set[str] = set()
        self.models: dict[str, None] = {}
        self.seen: dict[tuple[Any, ...], object] = {}

    def callable(self, value: Any) -> None:
        """A callable that is run with arguments nothing is known of."""
        function, owner, bound = callable_parts(value)
        if function is None:
            raise _Against(f"{_name(value)} has no Python code to read")
        self.function(function, owner, bound)

    def function(self, function: FunctionType, owner: Any, bound: dict[str, Any]) -> None:
        """A function of the user's, with all that it calls."""
        key = (id(function), id(owner), *map(id, bound.values()))
        if key in self.seen:
            return
        if len(self.seen) >= _MAX_FUNCTIONS:
            raise _Against("its code leads further than is followed")
        self.seen[key] = (function, owner, bound)
        facts = read_code(function.__code__)
        if facts.is_cut:
            raise _Against(f"{function.__qualname__!r} is too long to be read")
        self._instructions(function, facts.imports)
        scope = scope_of(function, owner)
        scope = Scope(function, {**scope.bound, **bound})
        for name in sorted(MAKERS & set(function.__code__.co_names)):
            if scope.lookup(name)[0] not in KNOWN_MAKERS:
                raise _Against(f"{name!r} is another thing there than in Python")
        for call in facts.calls:
            self._call(scope, call)
        for ref in facts.refs:
            if not ref.is_extended:
                self._ref(scope, ref)

    def _instructions(self, function: FunctionType, imports: set[str]) -> None:
        for module in sorted(imports):
            if not _is_pure_module(module):
                raise _Against(f"it imports {module!r}")
        for depth, code in _codes(function.__code__):
            if depth > _MAX_NESTED:
                raise _Against("functions are nested deeper than is followed")
            if code.co_flags & 0x220 and code.co_name != "<genexpr>":
                raise _Against(f"{code.co_name!r} is a generator")
            for op in dis.get_instructions(code):
                if (words := _SETS.get(op.opname)) is not None:
                    raise _Against(f"{words.format(op.argval)} in {function.__qualname__!r}")
                if op.opname == "STORE_DEREF" and op.argval in function.__code__.co_freevars:
                    raise _Against(f"it sets {op.argval!r} of an enclosing function")
        if (why := next(foreign_changes(function.__code__), None)) is not None:
            raise _Against(why)

    def _ref(self, scope: Scope, ref: Ref) -> None:
        found = resolve(scope, ref, is_goal)
        value = found.value
        if found.is_getter and type(value) is MethodType:
            self.callable(value)
        root, _ = scope.lookup(ref.root)
        if is_a(root, ModuleType):
            name = str(held(root).get("__name__"))
            if name in _IMPURE_DATA and kind_of(value) in ("other", "container", "plain"):
                raise _Against(f"it reads {'.'.join((name, *ref.chain))}")
        if kind_of(value) in ("function", "method", "partial", "builtin"):
            # Called here or handed to what calls it: `sorted(xs, key=rank)`.
            self._known(value, (), handed=True)
        elif root is not MISSING and not is_a(value, ModuleType):
            self._data(value, ref, found.rest)

    def _data(self, value: Any, ref: Ref, rest: tuple[str, ...]) -> None:
        """Something that is read, and not called: reading it must run no code of the user's."""
        name = ".".join((ref.root, *ref.chain[: len(ref.chain) - len(rest)]))
        if value is MISSING:
            raise _Against(f"it reads .{rest[0]} of {name!r}, which only a run tells")
        if kind_of(value) not in ("container", "other", "plain"):
            return  # a class, a model, a prompt …: what is done with it is looked at there
        if (why := why_not_data(value)) is not None:
            raise _Against(f"it reads {name!r}, of which it is not known what that runs: {why}")

    # Calls.

    def _call(self, scope: Scope, call: Call) -> None:
        func = call.func
        if isinstance(func, Lambda):
            return  # a comprehension or a function made here, whose calls are among these
        if isinstance(func, Member):
            self._member(scope, func)
        elif isinstance(func, Ref) and not func.keys:
            found = resolve(scope, func, is_goal)
            if found.value is not MISSING:
                self._known(found.value, found.rest)
            elif func.chain and scope.lookup(func.root)[1] in ("local", "argument", "attribute"):
                self._method(func.chain[-1])
            else:
                name = ".".join((func.root, *func.chain)).removeprefix("import ")
                raise _Against(f"it calls {name}, which only a run tells")
        else:
            raise _Against("it makes a call of which only a run tells what is called")

    def _known(self, value: Any, rest: tuple[str, ...], *, handed: bool = False) -> None:
        kind = kind_of(value)
        name = ".".join((_name(value), *rest))
        if kind in ("model", "prompt", "runnable") and rest:
            self._runnable_call(value, rest[0], name)
        elif rest and kind in ("plain", "container"):
            self._method(rest[-1])
        elif rest:
            raise _Against(f"it calls {name}, which only a run tells")
        elif self._is_listed(value):
            if not handed:
                self.calls.add(name)
        elif is_a(value, type):
            self._make(value, name)
        elif kind in ("function", "method", "partial") and self._follow(value):
            self.calls.add(name)
        else:
            raise _Against(f"it calls {name}, which is not known to be pure")

    def _follow(self, value: Any) -> bool:
        function, owner, bound = callable_parts(value)
        if function is None or is_installed(function):
            return False
        self.function(function, owner, bound)
        return True

    def _is_listed(self, value: Any) -> bool:
        if any(value is known for known in pure_names.BUILTINS):
            return True
        module, name = module_of(value), str(getattr(value, "__qualname__", ""))
        if type(value) is MethodDescriptorType or (
            "." in name and type(value) is FunctionType and module in pure_names.MODULES
        ):  # `str.strip`, `Counter.update`
            return value.__name__ in pure_names.READS
        if name in pure_names.IN_PLACE and module in pure_names.MODULES:
            return False
        return module in pure_names.MODULES or (module, name) in pure_names.NAMED

    def _make(self, cls: Any, name: str) -> None:
        if derives(cls, BaseException):
            return
        if (why := why_not_pure_class(cls)) is not None:
            raise _Against(f"it makes a {name}, {why}")
        self.calls.add(name)

    def _method(self, method: str) -> None:
        """A method of a value that only a run tells; what changes something is looked at apart."""
        if method not in pure_names.READS and method not in pure_names.CHANGES:
            raise _Against(f"it calls .{method}() on something only a run tells")

    def _member(self, scope: Scope, func: Member) -> None:
        root, way = _root_of(func)
        if isinstance(root, Ref) and not root.keys:
            found = resolve(scope, root, is_goal)
            value = found.value
            if value is not MISSING and kind_of(value) in ("model", "prompt", "runnable"):
                # `llm.bind_tools(tools).invoke(…)`
                names = [name for name in (*found.rest, *way) if name != "()"]
                if all(name in pure_names.BINDS for name in names[:-1]):
                    self._runnable_call(value, names[-1], f"{_name(value)}.{names[-1]}")
                    return
        self._method(func.name)

    # Runnables.

    def _runnable_call(self, value: Any, method: str, name: str) -> None:
        allowed = pure_names.ASKS | pure_names.BINDS | pure_names.FORMATS
        if method not in allowed:
            raise _Against(f"it calls {name}, which is not known to be pure")
        self._runnable(value, 0)

    def _runnable(self, value: Any, depth: int) -> None:
        if depth > _MAX_NESTED:
            raise _Against("a chain leads further than is followed")
        kind = kind_of(value)
        if kind == "model":
            self._model(value)
        elif kind == "prompt" or kind in ("plain", "class"):
            return
        elif kind in ("function", "method", "partial"):
            if not self._follow(value):
                raise _Against(f"a chain runs {_name(value)}, which is not known to be pure")
        elif kind == "container":
            for item in value.values() if type(value) is dict else value:
                self._runnable(item, depth + 1)
        elif kind == "runnable" and is_installed(type(value)):
            for part, item in held(value).items():
                if item is not None and part not in _ASIDE:
                    self._runnable(item, depth + 1)
        else:
            raise _Against(f"a chain runs {_name(value)}, which is not known to be pure")

    def _model(self, chat: Any) -> None:
        name = pool_name(chat)
        temperature, _ = settings_of(held(chat))
        if temperature != 0 and self._is_fixed:
            stated = "an unknown temperature"
            if temperature is not None:
                stated = f"temperature {temperature:g}"
            raise _Against(f"{name!r} answers at {stated}, not at 0")
        self.models[name] = None


def _codes(code: CodeType, depth: int = 0) -> Iterator[tuple[int, CodeType]]:
    yield depth, code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner, depth + 1)


def _is_pure_module(module: str) -> bool:
    named = {name for name, _ in pure_names.NAMED}
    return module in pure_names.MODULES or module in named or module in ("json", "typing")


def _root_of(symbol: Symbol) -> tuple[Symbol, tuple[str, ...]]:
    """What a chain of attributes, subscripts and calls starts from, and the chain."""
    way: list[str] = []
    for _ in range(32):
        if isinstance(symbol, Member):
            way.append(symbol.name)
            symbol = symbol.base
        elif isinstance(symbol, Call):
            way.append("()")
            symbol = symbol.func
        else:
            break
    return symbol, tuple(reversed(way))


def _name(value: Any) -> str:
    """How the proof calls a thing: its module counts where the reader does not know it."""
    kind = kind_of(value)
    if kind == "model":
        return pool_name(value)
    if kind in ("runnable", "prompt", "plain", "container", "other", "tool"):
        return type(value).__name__
    name = str(getattr(value, "__qualname__", "")) or type(value).__name__
    module = module_of(value)
    is_own = type(value) in (FunctionType, MethodType) and not is_installed(value)
    return name if is_own or module in ("builtins", "__main__", "") else f"{module}.{name}"
