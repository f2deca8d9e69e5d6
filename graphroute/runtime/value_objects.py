"""Objects as a tag and named parts, and back: messages, documents, enums, arrays, data classes.

Classes are looked up among the modules that are imported already; nothing is imported for an entry,
and no code of the class runs: its fields are put where they were. A class whose fields have changed
since does not get its old fields back.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.base import TextAccessor
from langchain_core.runnables import Runnable
from pydantic import BaseModel

_MESSAGES: Final[Mapping[str, type[BaseMessage]]] = {
    kind.__name__: kind
    for kind in (
        AIMessage,
        AIMessageChunk,
        ChatMessage,
        FunctionMessage,
        HumanMessage,
        RemoveMessage,
        SystemMessage,
        ToolMessage,
    )
}
_NUMBERS: Final = "biufcSUmM"
"""Kinds of NumPy types that are bytes alone, without objects or fields."""

Apart = tuple[str, Mapping[str, Any]]


def taken_apart(value: Any) -> Apart | None:
    """(tag, parts) of an object; None if it could not be put together again."""
    kind = type(value)
    if _MESSAGES.get(kind.__name__) is kind:
        return kind.__name__, _message(value)
    if kind is TextAccessor:
        return "TextAccessor", {"text": str(value)}
    if (numpy := sys.modules.get("numpy")) is not None:
        if kind is numpy.ndarray:
            return _array("array", value)
        if isinstance(value, numpy.generic):
            return _array("number", value)
    if (name := _findable(kind)) is None:
        return None
    if isinstance(value, Enum):
        return "enum", {"of": name, "is": value.name} if value.name else {}
    if isinstance(value, tuple) and (names := getattr(kind, "_fields", ())):
        return "named tuple", {"of": name, "parts": dict(zip(names, value, strict=True))}
    if isinstance(value, BaseModel):
        parts = None if isinstance(value, Runnable) else _pydantic(value)
        return None if parts is None else ("pydantic", {"of": name, **parts})
    if is_dataclass(kind):
        own = {f.name for f in fields(kind)}
        # More than its fields would be lost; fewer means that it is only half made.
        if own == _held(value, own):
            return "dataclass", {"of": name, "parts": {n: getattr(value, n) for n in sorted(own)}}
    return None


def put_together(tag: str, parts: Mapping[str, Any]) -> Any:
    """The object again; a `LookupError`, `TypeError` or `ValueError` if that cannot be."""
    if (message := _MESSAGES.get(tag)) is not None:
        return message.model_validate(dict(parts))
    match tag:
        case "TextAccessor":
            return TextAccessor(parts["text"])
        case "array" | "number":
            return _array_of(tag, parts)
        case "enum":
            return _class_of(parts, Enum)[parts["is"]]
        case "named tuple":
            kind = _class_of(parts, tuple)
            return tuple.__new__(kind, [parts["parts"][name] for name in _own(kind._fields, parts)])
        case "pydantic":
            kind = _class_of(parts, BaseModel)
            _own(kind.model_fields, parts)
            made = kind.__new__(kind)
            # Of BaseModel, not of the class, whose own may do anything.
            BaseModel.__setstate__(
                made, {"__dict__": parts["parts"]} | {key: parts[key] for key in _STATE}
            )
            return made
        case "dataclass":
            kind = _class_of(parts, object)
            made = object.__new__(kind)
            for name in _own([f.name for f in fields(kind)], parts):
                # Past a frozen class's own __setattr__, which would refuse.
                object.__setattr__(made, name, parts["parts"][name])
            return made
    raise LookupError("unknown kind of object")


_STATE: Final = ("__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__")


def _message(value: BaseMessage) -> dict[str, Any]:
    """What was stated of a message, and what it has come to that is not the default."""
    said = dict(value.__dict__) | (value.__pydantic_extra__ or {})
    stated, defaults = value.model_fields_set, _defaults(type(value))
    return {
        name: part
        for name, part in said.items()
        if name in stated or name not in defaults or part != defaults[name]
    }


@lru_cache(maxsize=16)
def _defaults(kind: type[BaseMessage]) -> Mapping[str, Any]:
    return {
        name: info.get_default(call_default_factory=True)
        for name, info in kind.model_fields.items()
    }


def _pydantic(value: BaseModel) -> dict[str, Any] | None:
    names = type(value).model_fields
    # Only half made, by model_construct.
    if not value.__dict__.keys() >= names.keys():
        return None
    return {"parts": {name: value.__dict__[name] for name in names}} | {
        key: getattr(value, key) for key in _STATE
    }


def _array(tag: str, value: Any) -> Apart | None:
    kind = value.dtype
    if kind.kind not in _NUMBERS or kind.fields:
        return None
    raw = b64encode(value.tobytes()).decode("ascii")
    return tag, {"dtype": kind.str, "shape": list(value.shape), "raw": raw}


def _array_of(tag: str, parts: Mapping[str, Any]) -> Any:
    numpy = sys.modules["numpy"]
    kind = numpy.dtype(str(parts["dtype"]))
    if kind.kind not in _NUMBERS or kind.fields:
        raise TypeError(f"an array of {kind}")
    raw = b64decode(parts["raw"], validate=True)
    if tag == "number":
        return numpy.frombuffer(raw, kind, count=1)[0]
    # A copy, because an array over bytes cannot be written to.
    return numpy.frombuffer(raw, kind).reshape(parts["shape"]).copy()


def _held(value: Any, names: set[str]) -> set[str]:
    """Names of the attributes an instance has, whether it has a dictionary or slots."""
    return set(getattr(value, "__dict__", ())) | {name for name in names if hasattr(value, name)}


def _findable(kind: type) -> str | None:
    """`"module:name"` of a class that can be found under it, else None."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        return name if _find(name) is kind else None
    except (LookupError, TypeError):
        return None


def _find(name: str) -> type:
    module, _, path = name.partition(":")
    found: Any = sys.modules[module]
    for part in path.split("."):
        # Not getattr: a module's or metaclass's own look-up could run code.
        found = vars(found)[part]
        if not isinstance(found, type):
            raise LookupError(f"{name} is no class")
    return found  # type: ignore[no-any-return]  # a class, or the loop has raised


def _class_of(parts: Mapping[str, Any], base: type) -> Any:
    kind = _find(str(parts["of"]))
    if not issubclass(kind, base) or issubclass(kind, Runnable):
        raise LookupError(f"{parts['of']} is no class of this kind")
    return kind


def _own(names: Any, parts: Mapping[str, Any]) -> list[str]:
    """The fields of a class, if they are the ones that were kept."""
    found = list(names)
    if set(found) != set(parts["parts"]):
        raise LookupError(f"{parts['of']} has other fields now")
    return found
