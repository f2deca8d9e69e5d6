"""Understand single calls in a node's code: models made there, tools bound, places to go to.

Each function takes the call, a way to resolve names, and the notes to write to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langgraph.types import Command, Send

from graphroute.frontend.attributes import MISSING, derives, held
from graphroute.frontend.bytecode import read_code
from graphroute.frontend.findings import Notes
from graphroute.frontend.prompts import has_words
from graphroute.frontend.recognize import is_model_class
from graphroute.frontend.schemas import schema_fact, tool_fact
from graphroute.frontend.symbols import Call, Const, Items, Lambda, Record, Ref, Symbol, Text
from graphroute.ir.graph import ModelUse
from graphroute.ir.naming import model_name, provider_of_class

Lookup = Callable[[Symbol], Any]
"""The stored value a symbol stands for, MISSING where only a run will tell."""

PARENT: Final = "__parent__"
_MODEL_MAKERS: Final = frozenset({"init_chat_model", "create_agent", "create_react_agent"})
_MODEL_KEYS: Final = ("model", "model_name", "model_id", "azure_deployment")
_LIMIT_KEYS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
_ROLES: Final = frozenset({"system", "human", "user", "ai", "assistant", "developer"})
_QUIET: Final = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "getenv"}
)
_MAX_NESTED: Final = 6


def note_binding(call: Call, name: str, look: Lookup, notes: Notes) -> bool:
    """`with_structured_output` and `bind_tools`; True if the call was one of them."""
    if name == "with_structured_output":
        schema = look(_argument(call, 0, "schema"))
        if (fact := schema_fact(schema)) is not None:
            notes.output_schema = notes.output_schema or fact
        return True
    if name != "bind_tools":
        return False
    given = _argument(call, 0, "tools")
    for tool in _values(given, look):
        if (found := tool_fact(tool)) is not None:
            notes.tools.setdefault(found.name, found)
    return True


def note_model(call: Call, name: str, value: Any, look: Lookup, notes: Notes) -> bool:
    """A chat model made inside the node; True if the call makes one."""
    provider = provider_of_class(name)
    is_maker = name in _MODEL_MAKERS
    if not (is_maker or is_model_class(value) or (provider and value is MISSING)):
        return False
    model = next((t for key in _MODEL_KEYS if (t := _text(call.kwargs.get(key), look))), "")
    model = model or (_text(call.args[0], look) if call.args and (is_maker or provider) else "")
    if is_maker:
        if not model and name != "init_chat_model":
            return False  # an agent made of a model object, which its own name leads to
        full = model_name(model, _text(call.kwargs.get("model_provider"), look) or None)
        full = full if model else "configurable:default"
    else:
        full = f"{provider or name}:{model or name}"
        if base := _text(call.kwargs.get("base_url"), look):
            full += f"@{base.partition('//')[2].partition('/')[0] or base}"
    limit = next((call.kwargs[key] for key in _LIMIT_KEYS if key in call.kwargs), None)
    notes.add_model(
        ModelUse(
            name=full,
            via=f"made in the node by {name}()",
            temperature=_number(call.kwargs.get("temperature")),
            max_output_tokens=_whole(limit),
        )
    )
    notes.partial[f"{full} is made inside the node"] = None
    return True


def note_destination(call: Call, name: str, value: Any, look: Lookup, notes: Notes) -> bool:
    """`Send(node, …)` and `Command(goto=…)`; True if the call was one of them."""
    if derives(value, Send) or (value is MISSING and name == "Send"):
        target = _text(_argument(call, 0, "node"), look)
        if target:
            notes.sends[target] = None
        else:
            notes.has_open_send = True
        return True
    if not (derives(value, Command) or (value is MISSING and name == "Command")):
        return False
    if isinstance(update := call.kwargs.get("update"), Record):
        notes.writes.update(dict.fromkeys(update.values))
    if (goto := call.kwargs.get("goto")) is None:
        return True
    graph = call.kwargs.get("graph")
    is_parent = graph is not None and _text(graph, look) == PARENT
    targets, is_closed = constant_targets(goto, look)
    if is_parent:
        notes.parent_gotos.update(dict.fromkeys(targets))
    else:
        notes.gotos.update(dict.fromkeys(targets))
        notes.has_open_goto |= not is_closed
    return True


def note_message(call: Call, value: Any, scope_text: Callable[[Symbol], str], notes: Notes) -> None:
    """The text of `SystemMessage("…")` and its kind, however short."""
    if derives(value, BaseMessage):
        text = scope_text(_argument(call, 0, "content"))
        if has_words(text):
            notes.code_texts[text] = None


def constant_targets(symbol: Symbol, look: Lookup, level: int = 0) -> tuple[tuple[str, ...], bool]:
    """Node names a symbol can stand for, and whether these are all it can stand for.

    A `Send` counts as its constant target.
    """
    if level > _MAX_NESTED:
        return (), False
    if isinstance(symbol, Const):
        value = symbol.value
        if value is None:
            return (), True
        parts = value if isinstance(value, tuple) else (value,)
        return tuple(p for p in parts if isinstance(p, str)), all(isinstance(p, str) for p in parts)
    if isinstance(symbol, Items):
        found = [constant_targets(item, look, level + 1) for item in symbol.items]
    elif isinstance(symbol, Call) and isinstance(symbol.func, Lambda):
        # A comprehension, which compiles to a function called at once.
        inner = read_code(symbol.func.code).returns
        found = [constant_targets(item, look, level + 1) for item in inner]
    elif isinstance(symbol, Call) and derives(look(symbol.func), Send):
        found = [constant_targets(_argument(symbol, 0, "node"), look, level + 1)]
    else:
        text = _text(symbol, look)
        return ((text,), True) if text else ((), False)
    return tuple(t for names, _ in found for t in names), all(closed for _, closed in found)


def quiet_texts(calls: list[Call], name_of: Callable[[Symbol], str]) -> set[int]:
    """Ids of the texts that go to a log, a print or an error: they are no prompts."""
    quiet: set[int] = set()
    for call in calls:
        name = name_of(call.func)
        if name in _QUIET or name.endswith(("Error", "Exception", "Warning")):
            quiet.update(id(arg) for arg in (*call.args, *call.kwargs.values()))
    return quiet


def texts_of_constant(value: object, is_prompt: Callable[[str], bool]) -> Iterator[str]:
    """Prompt texts in a constant: a long string, or a `("system", "…")` pair."""
    if isinstance(value, str):
        if is_prompt(value):
            yield value
    elif isinstance(value, tuple):
        is_pair = len(value) == 2 and all(isinstance(v, str) for v in value) and value[0] in _ROLES
        for item in value[1:] if is_pair else value:
            if is_pair and isinstance(item, str):
                yield item
            else:
                yield from texts_of_constant(item, is_prompt)


def settings_of(source: dict[str, Any]) -> tuple[float | None, int | None]:
    """Temperature and largest answer in tokens from a model's fields or a binding's keywords."""
    heat = source.get("temperature")
    temperature = float(heat) if isinstance(heat, float) or type(heat) is int else None
    for key in _LIMIT_KEYS:
        if type(limit := source.get(key)) is int and limit > 0:
            return temperature, limit
    return temperature, None


def queued_operations(
    configurable: object,
) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What was bound to a configurable model before it exists: (method, args, kwargs)."""
    queue = held(configurable).get("_queued_declarative_operations")
    for entry in queue if type(queue) is list else ():
        if type(entry) is tuple and len(entry) == 3:
            name, args, kwargs = entry
            if type(name) is str and type(args) is tuple and type(kwargs) is dict:
                yield name, args, kwargs


def _values(symbol: Symbol, look: Lookup) -> list[Any]:
    if isinstance(symbol, Items):
        return [v for item in symbol.items for v in _values(item, look)]
    value = look(symbol)
    return list(value) if type(value) in (list, tuple) else [value]


def _argument(call: Call, position: int, keyword: str) -> Symbol:
    if keyword in call.kwargs:
        return call.kwargs[keyword]
    return call.args[position] if len(call.args) > position else Symbol()


def _text(symbol: Symbol | None, look: Lookup) -> str:
    if isinstance(symbol, Const):
        return symbol.value if isinstance(symbol.value, str) else ""
    if isinstance(symbol, (Ref, Text)):
        value = look(symbol)
        return value if type(value) is str else ""
    return ""


def _number(symbol: Symbol | None) -> float | None:
    value = symbol.value if isinstance(symbol, Const) else None
    return float(value) if isinstance(value, float) or type(value) is int else None


def _whole(symbol: Symbol | None) -> int | None:
    value = symbol.value if isinstance(symbol, Const) else None
    return value if type(value) is int and value > 0 else None
