"""Whether a value is what a JSON schema asks for, as far as types, keys, choices and bounds go.

A packed answer is looked at once before its parts go to the parsers that asked for them. Those say
the last word; this is to ask an item alone instead of handing on what would surely be refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def matches(value: Any, schema: Any, roots: Mapping[str, Any]) -> bool:
    """Whether a value keeps what a JSON schema says of types, keys, choices, items and bounds.

    What it does not know it leaves to the asker's own parser, which the answer goes to anyway.

    >>> person = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}},
    ...           "required": ["age"]}
    >>> [matches(value, person, {}) for value in ({"age": 3}, {"age": "3"}, {}, {"age": -1})]
    [True, False, False, False]
    """
    if not isinstance(schema, Mapping):
        return schema is not False
    if isinstance(ref := schema.get("$ref"), str):
        target: Any = roots
        for step in ref.removeprefix("#/").split("/"):
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        return matches(value, target, roots)
    if any(key in schema and not _any(value, schema[key], roots) for key in ("anyOf", "oneOf")):
        return False
    if not all(matches(value, part, roots) for part in schema.get("allOf", ())):
        return False
    if ("enum" in schema and value not in schema["enum"]) or (
        "const" in schema and value != schema["const"]
    ):
        return False
    kinds = schema.get("type")
    wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
    if wanted and not any(_is_a(value, kind) for kind in wanted):
        return False
    return _within(value, schema) and _inside(value, schema, roots)


def _any(value: Any, options: Sequence[Any], roots: Mapping[str, Any]) -> bool:
    return any(matches(value, option, roots) for option in options)


def _is_a(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, _TYPES.get(kind, (object,)))


def _within(value: Any, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        return (low is None or value >= low) and (high is None or value <= high)
    if isinstance(value, (str, list)):
        kind = "Length" if isinstance(value, str) else "Items"
        low, high = schema.get(f"min{kind}", 0), schema.get(f"max{kind}")
        return bool(len(value) >= low and (high is None or len(value) <= high))
    return True


def _inside(value: Any, schema: Mapping[str, Any], roots: Mapping[str, Any]) -> bool:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if any(key not in value for key in schema.get("required", ())):
            return False
        if schema.get("additionalProperties") is False and any(key not in known for key in value):
            return False
        return all(matches(v, known[k], roots) for k, v in value.items() if k in known)
    if isinstance(value, list) and "items" in schema:
        return all(matches(each, schema["items"], roots) for each in value)
    return True
