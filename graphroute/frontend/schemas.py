"""Output schemas and tools as plain facts: how many fields, how deep.

Read from what classes store (pydantic's fields, a TypedDict's annotations, a JSON schema's
properties), never by building a schema, which would run validators' code.

>>> schema_fact({"title": "Answer", "properties": {"text": {}, "pages": {"items": {}}}})
SchemaFact(name='Answer', fields=2, depth=1)
"""

from __future__ import annotations

from types import FunctionType, MethodType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from langchain_core.tools import BaseTool

from graphroute.frontend.attributes import MISSING, bases, derives, held, is_a, member, on_class
from graphroute.ir.graph import SchemaFact, ToolFact

_MAX_DEPTH: Final = 8


def schema_fact(schema: object) -> SchemaFact | None:
    """The facts of a pydantic class, TypedDict, dataclass, JSON schema or agent strategy.

    `fields` counts leaves: a nested object counts as its fields. None for anything else.
    """
    schema = _inside(schema)
    if type(schema) is dict:
        return _from_json(schema)
    if not is_a(schema, type) or (fields := _fields(schema)) is None:
        return None
    leaves, depth = _measure(fields, (schema,))
    name = type.__getattribute__(schema, "__name__")
    return SchemaFact(name=str(name), fields=leaves, depth=depth)


def tool_fact(tool: object) -> ToolFact | None:
    """Name and number of arguments of a tool: an object, a function, a schema; else None."""
    if is_a(tool, BaseTool):
        inner = held(tool)
        arguments = inner.get("args_schema")
        if type(arguments) is dict:
            count = len(_dict(arguments, "properties"))
        else:
            count = len(_fields(arguments) or {})
        return ToolFact(name=str(inner.get("name", "")), fields=count)
    if type(tool) is MethodType:
        tool = tool.__func__
    if type(tool) is FunctionType:
        names = tool.__code__.co_varnames[: tool.__code__.co_argcount]
        return ToolFact(name=tool.__name__, fields=len([n for n in names if n != "self"]))
    if type(tool) is dict:
        # OpenAI's shape nests the function; Anthropic's and a provider's own tools do not.
        inside = _dict(tool, "function") or tool
        name = inside.get("name") or inside.get("title") or inside.get("type")
        arguments = inside.get("parameters") or inside.get("input_schema") or inside
        if type(name) is str:
            return ToolFact(name=name, fields=len(_dict(arguments, "properties")))
        return None
    if (fact := schema_fact(tool)) is not None:
        return ToolFact(name=fact.name, fields=fact.fields)
    return None


def tool_facts(tools: object) -> tuple[ToolFact, ...]:
    """Facts of a sequence of tools, in order; what is no tool is left out."""
    if type(tools) not in (list, tuple):
        return ()
    return tuple(fact for tool in tools if (fact := tool_fact(tool)) is not None)  # type: ignore[attr-defined]


def schema_of_binding(kwargs: dict[str, Any]) -> SchemaFact | None:
    """The output schema in a model binding's keywords, whichever provider's shape it has."""
    hint = kwargs.get("ls_structured_output_format")
    if type(hint) is dict and (fact := schema_fact(hint.get("schema"))) is not None:
        return fact
    for key in ("response_format", "format"):
        if (value := kwargs.get(key)) is not None and (fact := schema_fact(value)) is not None:
            return fact
    return None


def _inside(schema: object) -> object:
    """The schema an agent's strategy object holds, else the thing itself."""
    if type(schema).__name__ in ("AutoStrategy", "ToolStrategy", "ProviderStrategy"):
        return held(schema).get("schema")
    if type(schema) is tuple and len(schema) == 2:  # create_react_agent's (prompt, schema)
        return schema[1]
    return schema


def _fields(cls: object) -> dict[str, object] | None:
    """Field names and annotations, None where the class is no record."""
    if not is_a(cls, type):
        return None
    for name in ("__pydantic_fields__", "__fields__", "model_fields"):
        stored = on_class(cls, name)  # type: ignore[arg-type]
        if type(stored) is dict:
            return {
                key: held(f).get("annotation", member(f, "annotation")) for key, f in stored.items()
            }
    is_typed_dict = on_class(cls, "__total__") is not MISSING  # type: ignore[arg-type]
    is_record = on_class(cls, "__dataclass_fields__") is not MISSING  # type: ignore[arg-type]
    if not is_typed_dict and not is_record:
        return None
    found: dict[str, object] = {}
    for base in reversed(bases(cls)):  # type: ignore[arg-type]
        notes = type.__getattribute__(base, "__dict__").get("__annotations__")
        if type(notes) is dict:
            found.update(notes)
    return found


def _measure(fields: dict[str, object], above: tuple[object, ...]) -> tuple[int, int]:
    """Leaves and depth of a record, recursion cut where a class contains itself."""
    leaves, depth = 0, 1
    for annotation in fields.values():
        nested = [
            (inner, cls)
            for cls in _classes(annotation)
            if not any(cls is seen for seen in above) and (inner := _fields(cls)) is not None
        ]
        if not nested or len(above) >= _MAX_DEPTH:
            leaves += 1
        for inner, cls in nested if len(above) < _MAX_DEPTH else ():
            below, deeper = _measure(inner, (*above, cls))
            leaves, depth = leaves + max(below, 1), max(depth, deeper + 1)
    return leaves, depth


def _classes(annotation: object, level: int = 0) -> list[object]:
    """Classes inside `list[X]`, `X | None`, `dict[str, X]`, …"""
    if derives(annotation, object):
        return [annotation]
    if level < _MAX_DEPTH and (
        get_origin(annotation) in (Union, list, tuple, set, dict) or type(annotation) is UnionType
    ):
        return [cls for arg in get_args(annotation) for cls in _classes(arg, level + 1)]
    return []


def _from_json(schema: dict[str, Any]) -> SchemaFact | None:
    # OpenAI's forms: {"type": "json_schema", "json_schema": {"name", "schema"}}, a function tool.
    for key in ("json_schema", "function"):
        if inner := _dict(schema, key):
            schema = inner
    body = _dict(schema, "schema") or _dict(schema, "parameters") or schema
    if not _dict(body, "properties"):
        return None
    name = schema.get("title") or schema.get("name") or body.get("title") or "object"
    shared = _dict(body, "$defs") or _dict(body, "definitions")
    leaves, depth = _measure_json(body, shared, 1)
    return SchemaFact(name=str(name), fields=leaves, depth=depth)


def _measure_json(body: dict[str, Any], shared: dict[str, Any], level: int) -> tuple[int, int]:
    leaves, depth = 0, 1
    for part in _dict(body, "properties").values():
        inner = part if type(part) is dict else {}
        if items := _dict(inner, "items"):
            inner = items
        if type(ref := inner.get("$ref")) is str:
            inner = _dict(shared, ref.rpartition("/")[2])
        if level < _MAX_DEPTH and _dict(inner, "properties"):
            below, deeper = _measure_json(inner, shared, level + 1)
            leaves, depth = leaves + below, max(depth, deeper + 1)
        else:
            leaves += 1
    return leaves, depth


def _dict(value: object, key: str) -> dict[str, Any]:
    inner = value.get(key) if type(value) is dict else None
    return inner if type(inner) is dict else {}
