"""The key of a model call: which model, with which settings, was asked what.

The key is the hash of **facets**, one digest per part of the call, so that of two calls it can be
told in words which part differs:

| facet | what it holds |
|---|---|
| `model` | the identity given by the caller: name, place, version |
| `tools` | tools, functions, and whether one must be called |
| `response format` | the schema of the answer |
| `stop` | where the answer ends |
| `parameters` | every other argument: temperature, seed, token limits … |
| `messages[0]`, `messages[1]` … | what was said, see `said`; `prompts[0].messages[0]` for a list |

Which graph, node or run asks is no part of it: equal questions have equal answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from graphroute.runtime.canonical import canonical, digest
from graphroute.runtime.said import names_of
from graphroute.runtime.unkeyable import Unkeyable

__all__ = ["Unkeyable", "call_key", "digest", "facets", "key_of"]

VERSION: Final = "graphroute.call/1"

_TOOLS: Final = frozenset(
    ("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "mcp_servers")
)
_FORMATS: Final = frozenset(
    ("response_format", "format", "output_format", "output_config", "schema", "strict")
)
_STOPS: Final = frozenset(("stop", "stop_sequences"))
# For tracing only; what they tell is in the response format already.
_UNSENT: Final = frozenset(("ls_structured_output_format", "structured_output_format"))

Prompts = Sequence[BaseMessage] | Sequence[Sequence[BaseMessage]]


def call_key(model: object, fields: Mapping[str, Any], messages: Prompts) -> str:
    """The key (64 hex digits) of a call; `Unkeyable` where a part has no canonical form.

    model: whatever tells the assigned model from others, a name or a mapping
    fields: the arguments of the call as the model gets them; None and empty lists are left out
    messages: of one prompt, or of each of a list of prompts

    >>> from langchain_core.messages import HumanMessage
    >>> ask = [HumanMessage("Why?", id="1")], [HumanMessage("Why?", id="2")]
    >>> len({call_key("ollama:llama3.2", {"temperature": 0}, messages) for messages in ask})
    1
    """
    return key_of(facets(model, fields, messages))


def key_of(parts: Mapping[str, str]) -> str:
    """The key of a call with these facets."""
    text = "\n".join((VERSION, *(f"{name}={parts[name]}" for name in sorted(parts))))
    return hashlib.sha256(text.encode()).hexdigest()


def facets(model: object, fields: Mapping[str, Any], messages: Prompts) -> dict[str, str]:
    """The digest of each part of a call, by the name of the part.

    >>> from langchain_core.messages import HumanMessage
    >>> sorted(facets("m", {"temperature": 0, "stop": None}, [HumanMessage("Why?")]))
    ['messages[0]', 'model', 'parameters']
    """
    found = {"model": _digest("model", model)}
    for name, chosen in (
        ("tools", _TOOLS),
        ("response format", _FORMATS),
        ("stop", _STOPS),
    ):
        group = _stated(fields, chosen)
        if group:
            found[name] = _digest(name, _tools(group) if name == "tools" else group)
    rest = _stated(fields, fields.keys() - _TOOLS - _FORMATS - _STOPS - _UNSENT)
    if rest:
        found["parameters"] = _digest("parameters", rest)
    for name, said, names in _said(messages):
        found[name] = _hash(name, said, names)
    return found


def _stated(fields: Mapping[str, Any], chosen: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in fields.items()
        if name in chosen and value is not None and not (type(value) in (list, tuple) and not value)
    }


def _tools(group: dict[str, Any]) -> dict[str, Any]:
    if "tools" not in group:
        return group
    return {**group, "tools": [_tool(n, tool) for n, tool in enumerate(group["tools"])]}


def _tool(number: int, tool: Any) -> Any:
    """A tool as a model is told of it: name, description and schema of its arguments."""
    if isinstance(tool, Mapping):
        return tool
    if not (isinstance(tool, (BaseTool, type)) or callable(tool)):
        return tool
    try:
        return convert_to_openai_tool(tool)
    except Exception as fault:
        reason = str(fault).partition("\n")[0][:200]
        raise Unkeyable(
            f"a tool that cannot be described ({reason})", path=f"tools[{number}]"
        ) from None


def _said(messages: Prompts) -> Iterator[tuple[str, BaseMessage, Mapping[str, str]]]:
    if messages and not isinstance(messages[0], BaseMessage):
        prompts = cast("Sequence[Sequence[BaseMessage]]", messages)
        for number, prompt in enumerate(prompts):
            yield from _one(f"prompts[{number}].", prompt)
    else:
        yield from _one("", cast("Sequence[BaseMessage]", messages))


def _one(
    before: str, messages: Sequence[BaseMessage]
) -> Iterator[tuple[str, BaseMessage, Mapping[str, str]]]:
    names = names_of(messages)
    for number, message in enumerate(messages):
        yield f"{before}messages[{number}]", message, names


def _digest(name: str, value: object) -> str:
    return _hash(name, value, {})


def _hash(name: str, value: object, names: Mapping[str, str]) -> str:
    try:
        return hashlib.sha256(canonical(value, names=names)).hexdigest()
    except Unkeyable as fault:
        raise fault.inside(name) from None
