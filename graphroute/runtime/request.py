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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    schema: JSON schema the answer must have, under `schema_name`; any_json: some JSON object
    max_tokens: largest answer; sampling: temperature, top_p, seed, where stated
    extra: arguments nobody else has words for, passed only to the provider they were meant for
    """

    tools: tuple[Mapping[str, Any], ...] = ()
    choice: ToolChoice = "auto"
    forced: str | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    any_json: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tracing: Mapping[str, Any] = field(default_factory=dict)

    def needs(self, *, images: int) -> frozenset[Capability]:
        """Capabilities a model must have to serve the request."""
        needs: set[Capability] = set()
        if self.tools and self.choice != "none":
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
    return Request(
        tools=tuple(_tool(tool) for tool in stated.get("tools") or ()),
        choice=choice,
        forced=forced,
        schema=schema,
        schema_name=name,
        any_json=any_json,
        max_tokens=min(caps, default=None),
        stop=(halts,) if isinstance(halts, str) else tuple(halts),
        sampling={k: stated[k] for k in _SAMPLING if stated.get(k) is not None},
        tracing={
            k: v
            for k, v in kwargs.items()
            if k in ("ls_structured_output_format", "structured_output_format")
        },
    )


_SETTINGS = frozenset((*_TOKEN_CAPS, *_SAMPLING, "stop", "stop_sequences", "format"))


def _settings(own: BaseChatModel) -> dict[str, Any]:
    """Generation settings the graph's author wrote on the model itself, defaults left out."""
    values = own.__dict__
    return {
        name: value
        for name in own.__pydantic_fields_set__ & _SETTINGS
        if (value := values.get(name)) is not None
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _tool(tool: Any) -> Mapping[str, Any]:
    if isinstance(tool, Mapping) and "input_schema" in tool:
        return {
            "type": "function",
            "function": {
                "name": tool["name"],
                "description": tool.get("description", ""),
                "parameters": tool["input_schema"],
            },
        }
    if isinstance(tool, Mapping) and tool.get("type") == "function" and "function" in tool:
        return tool
    return convert_to_openai_tool(tool)


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
