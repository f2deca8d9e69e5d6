"""What a call asks for, in one form, whatever provider's words it was bound in.

`bind_tools` and `with_structured_output` leave their wishes as call arguments in the words of the
provider they were called on. To send the call to another provider they are read into a `Request`
here and written in the other's words by `dialect`.

| wish | OpenAI | Anthropic | Ollama |
|---|---|---|---|
| tool | `{"type": "function", …}` | `{"name", "input_schema"}` | as OpenAI |
| must call | `tool_choice="required"` or named | `{"type": "any"}` or `"tool"` | cannot |
| JSON by schema | `response_format` | `output_config`, `output_format` | `format={…}` |
| any JSON | `response_format` | cannot | `format="json"` |
| one call at a time | `parallel_tool_calls` | in `tool_choice` | cannot |

What only one provider has words for (`logprobs`, `extra_body`, its own server's tools …) stays in
`as_made` and goes to models of the same family alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from graphroute.ir.catalog import Capability

ToolChoice = Literal["auto", "none", "any"]

_TOKEN_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")
_SAMPLING = ("temperature", "top_p", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call's wishes.

    tools: in OpenAI's shape; choice: whether a tool must be called, `forced` its name if named
    parallel: whether several tools may be called at once, where stated
    bound: kinds of tools and of output that only the asker's provider has
    schema: JSON schema the answer must have, under `schema_name`; any_json: some JSON object
    strict: whether the provider must hold to the schema, where stated
    max_tokens: largest answer; sampling: temperature, top_p, seed, where stated
    as_made: the call's arguments as they were, for a model that takes the same words
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    choice: ToolChoice = "auto"
    forced: str | None = None
    parallel: bool | None = None
    bound: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    any_json: bool = False
    strict: bool | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tracing: Mapping[str, Any] = field(default_factory=dict)
    as_made: Mapping[str, Any] = field(default_factory=dict)

    def needs(self, *, images: int) -> frozenset[Capability]:
        """Capabilities a model must have to serve the request."""
        needs: set[Capability] = set()
        if (self.tools or self.bound) and self.choice != "none":
            needs.add("tools")
        if self.schema is not None or self.any_json:
            needs.add("structured_output")
        if images:
            needs.add("vision")
        return frozenset(needs)


def read(own: BaseChatModel, stop: list[str] | None, kwargs: Mapping[str, Any]) -> Request:
    """The wishes in a call's arguments and in the settings of the model it was made on."""
    stated = _settings(own) | {k: v for k, v in kwargs.items() if v is not None}
    stated |= {k: v for k, v in (stated.get("options") or {}).items() if v is not None}
    schema, name, any_json = _schema(stated)
    choice, forced = _choice(stated.get("tool_choice"))
    halts = stop or stated.get("stop") or stated.get("stop_sequences") or ()
    caps = [int(stated[k]) for k in _TOKEN_CAPS if _is_count(stated.get(k))]
    tools = [_tool(tool) for tool in stated.get("tools") or ()]
    return Request(
        tools=tuple(tool for tool in tools if not isinstance(tool, str)),
        choice=choice,
        forced=forced,
        parallel=_parallel(stated),
        bound=(
            *(kind for kind in tools if isinstance(kind, str)),
            *(name for name in _UNTRANSLATED if kwargs.get(name)),
        ),
        schema=schema,
        schema_name=name,
        any_json=any_json,
        strict=_strict(stated.get("response_format")),
        max_tokens=min(caps, default=None),
        stop=(halts,) if isinstance(halts, str) else tuple(halts),
        sampling={k: stated[k] for k in _SAMPLING if stated.get(k) is not None},
        tracing={
            k: v
            for k, v in kwargs.items()
            if k in ("ls_structured_output_format", "structured_output_format")
        },
        as_made=dict(kwargs),
    )


_SETTINGS = frozenset((*_TOKEN_CAPS, *_SAMPLING, "stop", "stop_sequences", "format"))
# Leaving one of these out would answer another question than was asked.
_UNTRANSLATED = ("functions", "mcp_servers", "web_search_options", "modalities", "audio")


def _settings(own: BaseChatModel) -> dict[str, Any]:
    """Generation settings the graph's author wrote on the model itself, defaults left out."""
    values = own.__dict__
    name = str(values.get("model") or values.get("model_name") or "")
    defaults = _set_by_class(type(own), name)
    return {
        key: value
        for key in own.__pydantic_fields_set__ & _SETTINGS
        if (value := values.get(key)) is not None and value != defaults.get(key)
    }


@lru_cache(maxsize=256)
def _set_by_class(kind: type[BaseChatModel], model: str) -> Mapping[str, Any]:
    """Settings a model of this name has that no author stated, as a class may set them itself.

    What a class sets while it is made (an answer limit from the model's profile) looks like the
    author's own word afterwards; so its validators are asked what they make of the bare name.
    """
    found = {name: kind.model_fields[name].default for name in _SETTINGS & set(kind.model_fields)}
    for name, validator in kind.__pydantic_decorators__.model_validators.items():
        if validator.info.mode != "before":
            continue
        with suppress(Exception):  # one that needs a key or a file sets no generation setting
            made = getattr(kind, name)({"model": model, "model_name": model})
            found |= {key: value for key, value in made.items() if key in _SETTINGS}
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _tool(tool: Any) -> Mapping[str, Any] | str:
    """A function in OpenAI's shape, or the kind of a tool that the provider's server carries out.

    >>> _tool({"type": "web_search_preview"})
    'web_search_preview'
    """
    if not isinstance(tool, Mapping):
        return convert_to_openai_tool(tool)
    if "input_schema" in tool:
        return _function(tool, tool["input_schema"])
    kind = tool.get("type")
    if kind == "function":
        return tool if "function" in tool else _function(tool, tool.get("parameters"))
    if isinstance(kind, str) and kind != "object":
        return kind
    try:
        return convert_to_openai_tool(dict(tool))
    except (ValueError, KeyError, TypeError):
        return next(iter(tool), "tool")


def _function(tool: Mapping[str, Any], parameters: Any) -> Mapping[str, Any]:
    function = {"name": tool["name"], "description": tool.get("description", "")}
    strict = {"strict": tool["strict"]} if isinstance(tool.get("strict"), bool) else {}
    return {
        "type": "function",
        "function": {**function, "parameters": parameters or {"type": "object"}, **strict},
    }


def _parallel(stated: Mapping[str, Any]) -> bool | None:
    match stated:
        case {"parallel_tool_calls": bool(allowed)}:
            return allowed
        case {"tool_choice": {"disable_parallel_tool_use": bool(forbidden)}}:
            return not forbidden
    return None


def _strict(wish: Any) -> bool | None:
    match wish:
        case {"json_schema": {"strict": bool(strict)}}:
            return strict
    return None


def _choice(choice: Any) -> tuple[ToolChoice, str | None]:
    match choice:
        case None | "auto" | False | {"type": "auto"}:
            return "auto", None
        case "none" | {"type": "none"}:
            return "none", None
        case "any" | "required" | True | {"type": "any"}:
            return "any", None
        case {"function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return "any", name
        case {"type": "function", "name": str(name)} | str(name):
            return "any", name
    return "auto", None


def _schema(stated: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str, bool]:
    """(schema, its name, any JSON) from any provider's way to ask for structured output."""
    for key in ("response_format", "format", "output_format", "output_config"):
        wish = stated.get(key)
        if key == "output_config" and isinstance(wish, Mapping):
            wish = wish.get("format")
        match wish:
            case None | "" | {"type": "text"}:
                continue
            case "json" | {"type": "json_object"}:
                return None, "answer", True
            case {"type": "json_schema", "json_schema": {"schema": schema, **rest}}:
                return schema, str(rest.get("name", "answer")), False
            case {"type": "json_schema", "schema": schema}:
                return schema, str(schema.get("title", "answer")), False
            case Mapping() | type():
                schema = dict(wish) if isinstance(wish, Mapping) else convert_to_json_schema(wish)
                return schema, str(schema.get("title", "answer")), False
    return None, "answer", False
