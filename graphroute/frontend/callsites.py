"""What a node's code holds: follow its runnable, functions and objects to the models it calls.

Static: bytecode, closures, globals, attributes, LCEL steps and prebuilt agents are read, never
run. Bounded in depth and in the number of objects, so cycles end.

>>> from langchain_core.language_models.fake_chat_models import FakeListChatModel
>>> llm = FakeListChatModel(responses=["hi"], name="tiny")
>>> def draft(state):
...     return {"answer": llm.invoke(f"Answer the question politely: {state['question']}")}
>>> seen = look(draft, channels=("question", "answer"))
>>> [use.name for use in seen.models], sorted(seen.reads), seen.writes
(['FakeListChatModel:tiny'], ['question'], ('answer',))
>>> seen.prompts
('Answer the question politely: {question}',)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, Final

from langchain_core.runnables import RunnableLambda, RunnableSequence
from langgraph._internal._runnable import RunnableCallable, RunnableSeq

from graphroute.frontend.attributes import held, is_a, module_of, on_class
from graphroute.frontend.calls import queued_operations, settings_of
from graphroute.frontend.findings import Findings, Notes
from graphroute.frontend.functions import FunctionReader, wrapped_of
from graphroute.frontend.prompts import input_variables, prompt_texts
from graphroute.frontend.recognize import SDK_ROOTS, is_library, kind_of
from graphroute.frontend.schemas import schema_fact, schema_of_binding, tool_fact, tool_facts
from graphroute.frontend.scope import callable_parts
from graphroute.ir.graph import ModelUse
from graphroute.ir.naming import pool_name

_MAX_DEPTH: Final = 12
_MAX_OBJECTS: Final = 4000
_MAX_ITEMS: Final = 64
_DOERS: Final = frozenset(
    {"model", "configurable", "text_model", "tool", "toolnode", "graph", "remote", "runnable"}
)
"""Kinds of which a library's method, taken as a function, does what the object does."""

_ENTRY_METHODS: Final = ("invoke", "ainvoke")
_TOOL_METHODS: Final = ("_run", "_arun")


def look(
    runnable: object, *, channels: tuple[str, ...] = (), branches: tuple[object, ...] = ()
) -> Findings:
    """All that the code of a node shows.

    channels: the state keys the node gets, the upper bound of what it reads
    branches: the functions of its conditional edges, which run in its name
    """
    finder = _Finder(channels)
    finder.root(runnable)
    for branch in branches:
        finder.visit(branch, "conditional edge", 1)
    return finder.notes.freeze()


class _Finder:
    """The walk over objects; implements `functions.Visitor`."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.notes = Notes()
        self.channels = channels
        # The objects are kept, so that an id stays its own for the time of the walk.
        self.seen: dict[tuple[int, ...], object] = {}
        self.read_once: set[tuple[int, int]] = set()
        self.settings: list[dict[str, Any]] = []

    def root(self, runnable: object) -> None:
        """The node itself: what its first function reads and returns counts as the node's."""
        if is_a(runnable, RunnableSequence, RunnableSeq):
            self._first_reads(runnable)
            self.visit(runnable, "chain step", 0)
            return
        functions = self._functions(runnable)
        if not functions:
            self.visit(runnable, "node", 0)
            if kind_of(runnable) == "builtin" or type(runnable) is type:
                self.notes.opaque = "no Python code to read"
            return
        reads: list[set[str] | None] = []
        for value in functions:
            function, owner, bound = callable_parts(value)
            if function is not None and is_library(function) and kind_of(owner) in _DOERS:
                self.visit(owner, "node", 0)  # `add_node("draft", llm.invoke)`
                reads.append(None)
                continue
            if function is None:
                if kind_of(value) in ("builtin", "other", "class"):
                    self.notes.opaque = f"no Python code to read in {type(value).__name__}"
                else:
                    self.visit(value, "node", 0)
                reads.append(None)
                continue
            reader = self._read(function, 0, owner=owner, bound=bound)
            reader.returns()
            names = [n for n in reader.scope.parameters if n not in reader.scope.bound]
            reads.append(reader.reads(names[0], self.channels) if names else set())
        if all(r is not None for r in reads):
            self.notes.reads = set().union(*(r for r in reads if r is not None))

    def visit(self, value: Any, via: str, depth: int, *, executes: bool = True) -> None:
        """Look at one object; `executes` says whether a tool met here runs in this node."""
        key = (id(value), int(executes))
        if key in self.seen or value is None:
            return
        if len(self.seen) >= _MAX_OBJECTS or depth > _MAX_DEPTH:
            self.notes.partial["the code leads further than is followed"] = None
            return
        self.seen[key] = value
        match kind_of(value):
            case "model":
                self._model(value, via)
            case "configurable":
                self._configurable(value, via)
            case "text_model":
                text = f"call cannot be seen: {type(value).__name__} is no chat model"
                self.notes.calls_unseen[text] = None
            case "sdk":
                text = f"call cannot be seen: raw SDK client {type(value).__name__}"
                self.notes.calls_unseen[text] = None
            case "remote":
                self.notes.calls_unseen["call cannot be seen: a remote graph"] = None
            case "tool":
                self._tool(value, depth, executes)
            case "toolnode":
                self._tool_node(value, depth, executes)
            case "graph":
                if not any(value is known for known in self.notes.subgraphs):
                    self.notes.subgraphs.append(value)
            case "task":
                if not any(value is known for known in self.notes.tasks):
                    self.notes.tasks.append(value)
            case "prompt":
                self._prompt(value)
            case "runnable":
                self._runnable(value, via, depth, executes)
            case "container":
                items = list(value.values() if type(value) is dict else value)
                for item in items[:_MAX_ITEMS]:
                    if kind_of(item) not in ("plain", "other", "class"):
                        self.visit(item, via, depth + 1, executes=executes)
            case "function" | "method" | "partial":
                function, owner, bound = callable_parts(value)
                # One that was called with known arguments says nothing more when only named.
                if function is not None and (id(function), id(owner)) not in self.read_once:
                    self.function(function, depth, owner=owner, bound=bound)
            case "other":
                function, owner, bound = callable_parts(value)
                if function is not None and owner is not value:
                    self.function(function, depth, owner=owner, bound=bound)
                else:
                    self._other(value, depth)
            case _:
                return

    def function(
        self, function: FunctionType, depth: int, *, owner: Any, bound: Mapping[str, Any]
    ) -> None:
        """Read a function unless it is a library's own or was read with the same arguments."""
        if kind_of(owner) in _DOERS and is_library(function):
            self.visit(owner, "method", depth + 1)
            return
        if module_of(function).partition(".")[0] in SDK_ROOTS:
            text = f"call cannot be seen: raw SDK client {module_of(function).partition('.')[0]}"
            self.notes.calls_unseen[text] = None
            return
        if is_library(function):
            # Handed-over arguments may still run there: `run_in_executor(None, f)`.
            for value in bound.values():
                if kind_of(value) in ("function", "method", "partial"):
                    self.visit(value, "argument", depth + 1)
            return
        self._read(function, depth, owner=owner, bound=bound)

    def _read(
        self, function: FunctionType, depth: int, *, owner: Any, bound: Mapping[str, Any]
    ) -> FunctionReader:
        reader = FunctionReader(self, function, depth, owner=owner, bound=bound)
        key = (id(function.__code__), id(owner), *map(id, reader.scope.bound.values()))
        cells = tuple(map(id, function.__closure__ or ()))
        if (*key, *cells) in self.seen:
            return reader
        if depth > _MAX_DEPTH or len(self.seen) >= _MAX_OBJECTS:
            self.notes.partial["the code leads further than is followed"] = None
            return reader
        self.seen[(*key, *cells)] = (function, owner, bound)
        self.read_once.add((id(function), id(owner)))
        reader.read()
        if (inner := wrapped_of(function)) is not None:
            self.visit(inner, "decorated function", depth + 1)
        return reader

    # One method per kind of thing.

    def _model(self, chat: Any, via: str) -> None:
        temperature, limit = settings_of(held(chat))
        for outer in self.settings:
            heat, cap = settings_of(outer)
            temperature = temperature if heat is None else heat
            limit = cap or limit
        name = pool_name(chat)
        self.notes.chats.setdefault(name, chat)
        self.notes.add_model(
            ModelUse(name=name, via=via, temperature=temperature, max_output_tokens=limit)
        )

    def _configurable(self, value: Any, via: str) -> None:
        self._model_name_only(value, via)
        self.notes.partial["the model can be changed by a run's config"] = None
        for name, args, kwargs in queued_operations(value):
            given = args[0] if args else kwargs.get("tools", kwargs.get("schema"))
            if name == "bind_tools":
                self._tools(given)
            elif name == "with_structured_output":
                self.notes.output_schema = self.notes.output_schema or schema_fact(given)

    def _model_name_only(self, value: Any, via: str) -> None:
        defaults = held(value).get("_default_config")
        temperature, limit = settings_of(defaults if type(defaults) is dict else {})
        self.notes.add_model(
            ModelUse(
                name=pool_name(value), via=via, temperature=temperature, max_output_tokens=limit
            )
        )

    def _tools(self, tools: object) -> None:
        for fact in tool_facts(tools):
            self.notes.tools.setdefault(fact.name, fact)

    def _tool(self, tool: Any, depth: int, executes: bool) -> None:
        fact = tool_fact(tool)
        if fact is not None:
            self.notes.tools.setdefault(fact.name, fact)
        if not executes:
            return
        self.notes.runs_tools = True
        self.notes.is_tool_node |= depth == 0
        inner = held(tool)
        name = inner.get("name")
        for part in ("func", "coroutine"):
            if inner.get(part) is not None:
                self.visit(inner[part], f"tool {name!r}", depth + 1)
        for part in _TOOL_METHODS:
            self._own_method(tool, part, depth)

    def _tool_node(self, node: Any, depth: int, executes: bool) -> None:
        self.notes.runs_tools |= executes
        self.notes.is_tool_node |= depth == 0
        inner = held(node)
        tools = inner.get("_tools_by_name")
        for tool in list(tools.values())[:_MAX_ITEMS] if type(tools) is dict else ():
            self.visit(tool, "tool", depth + 1, executes=executes)
        for part in ("_wrap_tool_call", "_awrap_tool_call"):
            self.visit(inner.get(part), "tool wrapper", depth + 1)

    def _prompt(self, template: Any) -> None:
        texts, has_image = prompt_texts(template)
        self.notes.prompts.update(dict.fromkeys(texts))
        self.notes.takes_images |= has_image

    def _runnable(self, value: Any, via: str, depth: int, executes: bool) -> None:
        inner = held(value)
        for name in _ENTRY_METHODS:
            self._own_method(value, name, depth)
        kwargs = inner.get("kwargs")
        bound = kwargs if "bound" in inner and type(kwargs) is dict else {}
        self._tools(bound.get("tools"))
        self.notes.output_schema = self.notes.output_schema or schema_of_binding(bound)
        if (parsed := inner.get("pydantic_object")) is not None:
            self.notes.output_schema = self.notes.output_schema or schema_fact(parsed)
        self.settings.append(bound)
        for name, part in inner.items():
            if name in ("kwargs", "config", "config_factories", "custom_input_type"):
                continue
            if kind_of(part) not in ("plain", "class", "other", "builtin"):
                step = "fallback" if name == "fallbacks" else via
                self.visit(part, step, depth + 1, executes=executes)
        self.settings.pop()

    def _other(self, value: Any, depth: int) -> None:
        """A user's own object: only its `__call__` is the node's code."""
        self.notes.output_schema = self.notes.output_schema or schema_fact(value)
        self._own_method(value, "__call__", depth)

    def _own_method(self, value: Any, name: str, depth: int) -> None:
        """Read a method that the user's class defines; library classes are known without."""
        method = on_class(type(value), name)
        if type(method) is FunctionType and not is_library(method):
            self._read(method, depth + 1, owner=value, bound={})

    def _functions(self, runnable: object) -> list[Any]:
        """The functions a node was made from, one where the async one only runs the other."""
        if kind_of(runnable) in ("function", "method", "partial", "other"):
            return [runnable]
        if kind_of(runnable) == "toolnode" or not is_a(runnable, RunnableCallable, RunnableLambda):
            return []
        inner = held(runnable)
        given = [inner.get("func"), inner.get("afunc")]
        if given[0] is not None and kind_of(given[1]) == "partial":
            given.pop()
        return [function for function in given if function is not None]

    def _first_reads(self, sequence: object) -> None:
        inner = held(sequence)
        steps = inner.get("steps")
        first = inner.get("first", steps[0] if type(steps) is list and steps else None)
        names = set(input_variables(first))
        if names and kind_of(first) == "prompt" and names <= set(self.channels):
            self.notes.reads = names
