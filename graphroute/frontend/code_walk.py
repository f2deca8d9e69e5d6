"""The walk from a node's function to all that its names lead to; see `fingerprint`.

What is found becomes a part with a digest under a label in words, and is watched. What comes from
an installed package is told by the package's version, and not entered.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import (
    FunctionType,
    MappingProxyType,
    ModuleType,
)
from typing import Any, Final

from graphroute.frontend.attributes import MISSING, held, is_a, module_of
from graphroute.frontend.bytecode import read_code
from graphroute.frontend.changes import changed_names
from graphroute.frontend.code_digest import code_digest, names_in
from graphroute.frontend.code_parts import (
    call_of,
    defaults,
    functions_in,
    is_inner_method,
    looks_up_by_itself,
)
from graphroute.frontend.code_values import Described, describe
from graphroute.frontend.environment import variables
from graphroute.frontend.inherited import classes_above, inherited
from graphroute.frontend.obstacles import obstacle_of, reads_run_config
from graphroute.frontend.recognize import is_goal
from graphroute.frontend.scope import Scope, callable_parts, resolve, scope_of
from graphroute.frontend.sources import absolute, sources_of
from graphroute.frontend.symbols import Ref
from graphroute.frontend.versions import is_installed, is_installed_module, version_of
from graphroute.frontend.watch import Watch
from graphroute.ir.node_cache import Unclear

Digest = Callable[[object], str]
"""A canonical digest of a plain value; `TypeError` for what has none."""

_MAX_FUNCTIONS: Final = 500
_SHORT: Final = 16


class CodeWalk:
    """One walk; afterwards `parts`, `watch`, `names`, `obstacles` hold what it found.

    obstacles: why the node must not be cached whoever asks for it, in words
    changed: parts that the code itself changes when it runs
    reads_config: it looks at the config of the run it is in
    """

    def __init__(self, watch: Watch, *, digest: Digest) -> None:
        self.parts: dict[str, str] = {}
        self.names: set[str] = set()
        self.obstacles: dict[str, None] = {}
        self.reads_config = False
        self.changed: set[str] = set()
        self.watch, self.digest = watch, digest
        self._functions: dict[tuple[int, ...], tuple[str, object]] = {}
        self._named: dict[tuple[Any, ...], tuple[str, object]] = {}
        self._taken: set[str] = set()

    def root(self, value: Any) -> None:
        """The node's own function, method or object."""
        if not self._callable(value):
            self.add("node", value, (id(value),))

    # Functions.

    def _callable(self, value: Any) -> bool:
        function, owner, bound = callable_parts(value)
        if function is None:
            return False
        for name, given in bound.items():
            self.add(f"argument {name!r}", given, (id(value), name))
        self.function(function, owner=owner, bound=bound)
        return True

    def function(
        self,
        function: FunctionType,
        *,
        owner: Any = MISSING,
        bound: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a function with all that it names; its label."""
        key = (id(function), id(owner))
        if key in self._functions:
            return self._functions[key][0]
        if len(self._functions) >= _MAX_FUNCTIONS:
            raise Unclear(f"its code leads to more than {_MAX_FUNCTIONS} functions")
        if (why := obstacle_of(function)) is not None:
            self.obstacles[why] = None
        self.reads_config |= reads_run_config(function)
        if is_installed(function):
            label = self._package(module_of(function))
            self._functions[key] = (label, (function, owner))
            return f"{label}: {function.__qualname__}"
        label = self._label(f"code of {function.__qualname__.rpartition('<locals>.')[2]!r}")
        self._functions[key] = (label, (function, owner))
        self.parts[label] = code_digest(function.__code__)[:_SHORT]
        self.names |= names_in(function.__code__)
        with self._inside(label):
            self.watch.function(function)
            self._names_of(function, owner, bound or {})
        return label

    @contextmanager
    def _inside(self, part: str) -> Iterator[None]:
        """What is watched meanwhile belongs to `part`."""
        before, self.watch.part = self.watch.part, part
        yield
        self.watch.part = before

    def _names_of(self, function: FunctionType, owner: Any, bound: Mapping[str, Any]) -> None:
        scope = scope_of(function, owner)
        scope = Scope(function, {**scope.bound, **bound})
        for name, value in defaults(function):
            self.add(f"default {name!r}", value, (id(function), name))
        if (inner := held(function).get("__wrapped__")) is not None:
            self._callable(inner)
        if type(registry := held(function).get("registry")) is MappingProxyType:
            # What `functools.singledispatch` chooses from.
            self.watch.items(registry)
            self.add(f"registry of {function.__name__!r}", dict(registry), (id(registry),))
        facts = read_code(function.__code__)
        if facts.is_cut:
            raise Unclear(f"{function.__qualname__!r} is too long to be read")
        for module in sorted(facts.imports):
            self._import(absolute(function, module))
        self._inherited(function, owner)
        for variable in variables(scope, facts):
            self._variable(variable)
        called = {id(call.func) for call in facts.calls}
        seen = set()
        for ref in facts.refs:
            key = (ref.root, ref.chain, id(ref) in called)
            if not ref.is_extended and key not in seen:
                seen.add(key)
                self._ref(scope, ref, is_called=id(ref) in called)

    def _variable(self, name: str | None) -> None:
        if name is None:
            self.add("environment", os.environ, (id(os.environ),))
            return
        label, look = f"environment variable {name!r}", functools.partial(os.environ.get, name)
        with self._inside(label):
            self.watch.look(look)
        self.parts[label] = self._short(look())

    def _inherited(self, function: FunctionType, owner: Any) -> None:
        for cls in (classes := classes_above(function, owner)):
            if is_installed(cls):
                self._package(module_of(cls))
            else:
                self.watch.members(cls)
        own = tuple(cls for cls in classes[1:] if not is_installed(cls))
        for name, item in inherited(function, own):
            functions = tuple(functions_in(item))
            for each in functions:
                self.function(each, owner=owner)
            if not functions:
                self.add(f"attribute {name!r}", item, (id(item), name))

    def _ref(self, scope: Scope, ref: Ref, *, is_called: bool) -> None:
        found = resolve(scope, ref, is_goal)
        is_own = found.owner is not MISSING and not is_a(found.owner, type, ModuleType)
        if is_own and ref.chain and is_inner_method(found.value):
            # What a method written in C gives, it takes from its object.
            found = replace(found, value=found.owner, rest=(ref.chain[-1],))
        value, origin = scope.lookup(ref.root)
        if origin == "local" or (origin == "builtin" and value is not MISSING):
            self._watch_builtin(scope, ref)
            return
        if origin == "import" and value is MISSING:
            return  # not loaded yet: told by its sources
        steps = ref.chain[: len(ref.chain) - len(found.rest)]
        place = ".".join((ref.root.removeprefix("import "), *steps))
        word = origin if origin in ("global", "closure", "import") else "attribute"
        for each in (value, found.owner):
            if looks_up_by_itself(each):
                self.add(f"{word} {place!r}", each, (id(each),))
        if found.value is MISSING and found.owner not in (MISSING, None):
            # An attribute that only a run can make: all that it can be made from counts.
            self.add(f"{word} {place!r}", found.owner, (id(found.owner),))
        elif found.value is MISSING:
            if ref.root not in scope.bound:
                label = f"name {ref.root!r}"
                self.parts[label] = "missing"
                with self._inside(label):
                    self._watch_way(scope, ref, value, ())
        elif ref.root not in scope.bound or steps:
            key = (id(found.value), place)
            call = call_of(found.value) if is_called and not found.rest else None
            if call is None:
                label = self.add(f"{word} {place!r}", found.value, key)
            else:
                # Of an object that is only called, what its call uses counts.
                label = self._called(f"{word} {place!r}", found.value, call, key)
            if (ref.root, steps) in changed_names(scope.code):
                self.changed.add(label)
            with self._inside(label):
                self._watch_way(scope, ref, value, steps)
        elif origin == "attribute":  # `self` as a whole
            self.add(f"object {ref.root!r}", found.value, (id(found.value),))

    def _watch_builtin(self, scope: Scope, ref: Ref) -> None:
        # A global that is defined later hides the built-in of its name.
        if ref.root not in scope.code.co_varnames:
            self.watch.name(scope.function.__globals__, ref.root)

    def _watch_way(self, scope: Scope, ref: Ref, value: Any, steps: tuple[str, ...]) -> None:
        function = scope.function
        if ref.root not in scope.bound:
            cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
            cell = next((c for name, c in cells if name == ref.root), None)
            if ref.root.startswith("import "):
                module = absolute(function, ref.root.removeprefix("import "))
                self.watch.name(sys.modules, module)
            elif cell is not None:
                self.watch.cell(cell)
            else:
                self.watch.name(function.__globals__, ref.root)
        for name in steps:
            if value is MISSING:
                return
            self.watch.member(value, name)
            value = resolve(Scope(function, {"it": value}), Ref("it", (name,)), is_goal).value

    def _import(self, module: str) -> None:
        """A module that is imported when the code runs; what is asked of it counts by itself."""
        if is_installed_module(module):
            self._package(module)
        elif module not in sys.modules:
            label = f"module {module!r}"
            with self._inside(label):
                self.watch.name(sys.modules, module)
            self._sources(module)

    def _sources(self, module: str) -> None:
        label, look = f"module {module!r}", functools.partial(sources_of, module)
        with self._inside(label):
            self.watch.look(look)
        self.parts[label] = hashlib.sha256(look().encode()).hexdigest()[:_SHORT]

    def _package(self, module: str) -> str:
        version = version_of(module)
        label = f"package {version.rpartition(' ')[0] or version!r}"
        self.parts[label] = version
        return label

    # Values.

    def add(self, label: str, value: Any, key: tuple[Any, ...]) -> str:
        """Add a value under a label; what it is made of may become parts of its own."""
        if key in self._named:
            return self._named[key][0]
        label = self._label(label)
        self._named[key] = (label, value)
        if is_a(value, ModuleType):
            name = str(held(value).get("__name__"))
            (self._package if is_installed_module(name) else self._sources)(name)
            if type(look_up := held(value).get("__getattr__")) is FunctionType:
                self.function(look_up)
            return label
        with self._inside(label):
            for part, described in self._described(label, value):
                self.parts[part] = self._short(described)
        return label

    def _called(self, label: str, value: Any, call: FunctionType, key: tuple[Any, ...]) -> str:
        """Add an object that is called, by its `__call__`."""
        if (*key, "called") in self._named:
            return self._named[(*key, "called")][0]
        label = self._label(label)
        self._named[(*key, "called")] = (label, value)
        self.parts[label] = self._short(("called", self.function(call, owner=value)))
        return label

    def _described(self, label: str, value: Any) -> Iterator[tuple[str, Described]]:
        try:
            yield from describe(self, label, value)
        except Unclear as fault:
            raise Unclear(f"{label}: {fault}") from None

    def _short(self, described: Described) -> str:
        return hashlib.sha256(repr(described).encode("utf-8", "surrogatepass")).hexdigest()[:_SHORT]

    def _label(self, label: str) -> str:
        """`label`, numbered where another thing has it already."""
        number, free = 1, label
        while free in self._taken:
            number += 1
            free = f"{label} #{number}"
        self._taken.add(free)
        return free

    def obstacle(self, why: str) -> None:
        """Something that forbids caching."""
        self.obstacles[why] = None

    def methods(self, cls: type) -> Iterator[tuple[str, str]]:
        """The functions a user's class defines, by name, each added with all that it names."""
        for name, member in sorted(type.__getattribute__(cls, "__dict__").items()):
            for function in functions_in(member):
                yield name, self.function(function)
