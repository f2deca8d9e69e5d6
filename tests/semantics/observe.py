"""Two runs compared: what changes from run to run is numbered, everything else is kept.

Ids are replaced by the order in which they first appear, so that two runs agree only if the same
id stands in the same places. Times become a word. Nothing else is forgiven: dictionaries but those
named metadata keep their order, messages all their fields, exceptions type and text, objects their
class. Only where nodes really run in parallel is the order of lists left out
(`is_ordered=False`), and with it the numbers.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b|0x[0-9a-f]{6,}"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+\d\d:\d\d|Z)?")
_VERSION = re.compile(r"\b(\d{32})\.0\.\d+")
"""A channel version of the in-memory saver: a counter and a random part."""

_EPOCH_S = 1_600_000_000
"""A larger number is a time in seconds or milliseconds, as LangGraph stamps its events."""


class Observed:
    """A value with ids and times taken out; equal for two runs that nobody can tell apart."""

    def __init__(self, *, is_ordered: bool = True) -> None:
        self._ids: dict[str, str] = {}
        self._is_ordered = is_ordered

    def __call__(self, value: Any) -> Any:
        """`value` in plain tuples and strings."""
        match value:
            case int() | float() if value > _EPOCH_S and not isinstance(value, bool):
                return "<time>"
            case None | bool() | int() | float():
                return value
            case str():
                return self._text(value)
            case UUID():
                return self._text(str(value))
            case datetime():
                return "<time>"
            case BaseMessage():
                return (type(value).__name__, self(value.model_dump()))
            case BaseModel():
                return (type(value).__name__, self(dict(value)))
            case BaseException():
                return (type(value).__name__, self._text(str(value)))
            case Mapping():
                # LangGraph numbers the events of a run by the order in which they come.
                kept = ((k, v) for k, v in value.items() if self._is_ordered or k != "seq")
                if not self._is_ordered:
                    kept = ((k, _with_id(k, v)) for k, v in kept)
                return ("mapping", tuple((self(k), self(_sorted(k, v))) for k, v in kept))
            case set() | frozenset():
                return (type(value).__name__, tuple(sorted(map(repr, map(self, value)))))
            case tuple() if hasattr(value, "_fields"):
                return (type(value).__name__, *map(self, value))
            case list() | tuple():
                parts = [self(part) for part in value]
                if not self._is_ordered:
                    parts.sort(key=repr)
                return (type(value).__name__, *parts)
            case CompiledStateGraph():
                return (type(value).__name__, value.name)
            case type() | Callable():  # a runtime-checkable ABC
                return getattr(value, "__qualname__", type(value).__qualname__)
        if dataclasses.is_dataclass(value):
            fields = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
            return (type(value).__name__, self(fields))
        return (type(value).__name__, self._text(str(value)))

    def _text(self, text: str) -> str:
        text = _VERSION.sub(r"\1.<random>", _TIME.sub("<time>", text))
        if not self._is_ordered:
            return _ID.sub("<id>", text)
        return _ID.sub(lambda m: self._ids.setdefault(m[0], f"<id {len(self._ids)}>"), text)


def _sorted(key: Any, value: Any) -> Any:
    # What the author put on a model comes to another's metadata by the config, so earlier in order.
    return dict(sorted(value.items())) if key == "metadata" and isinstance(value, dict) else value


def _with_id(key: Any, value: Any) -> Any:
    # A reducer gives a message its id while another thread writes the message to the checkpoint.
    return "<id>" if key == "id" and value is None else value


def first_difference(one: Any, other: Any, where: str = "") -> str | None:
    """Where two observed values part, in words; None where they are equal."""
    if one == other and type(one) is type(other):
        return None
    if isinstance(one, tuple) and isinstance(other, tuple):
        for index, (a, b) in enumerate(zip_longest(one, other, fillvalue="<missing>")):
            if found := first_difference(a, b, f"{where}[{index}]"):
                return found
    return f"at {where or 'the top'}: plain {one!r:.400} but optimized {other!r:.400}"
