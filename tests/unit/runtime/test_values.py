"""Values come back equal and of the same type, or are refused when they are written."""

from __future__ import annotations

import enum
import json
import math
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, PrivateAttr, field_validator

from graphroute.runtime.values import Unstorable, from_json, to_json

RAN: list[str] = []


@dataclass(frozen=True, slots=True)
class Place:
    x: int
    notes: list[str] = field(default_factory=list)


@dataclass
class Loud:
    x: int

    def __post_init__(self) -> None:
        RAN.append("post_init")


class Checked(BaseModel):
    x: int = 1
    inner: dict[str, Any] = {}
    _hidden: int = PrivateAttr(default=3)

    @field_validator("x")
    @classmethod
    def _check(cls, value: int) -> int:
        RAN.append("validator")
        return value


class Pair(NamedTuple):
    x: int
    y: str = "b"


Old = namedtuple("Old", "x y")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


def again(value: Any) -> Any:
    return from_json(json.loads(json.dumps(to_json(value))))


def hidden(value: int) -> Checked:
    made = Checked(x=2)
    made._hidden = value
    return made


NOON = datetime(2026, 3, 1, 12)
KEPT: tuple[Any, ...] = (
    *(None, True, 0, -(10**40), 0.5, -0.0, math.nan, math.inf, -math.inf, 1 + 2j, "", "\ud800é"),
    *(b"\x00", bytearray(b"a"), [], [1, [2]], (), (1,), {"a": {"b": ()}}, {1: 2, (1,): {3}}),
    *({"$": "tuple", "v": []}, {None: 1}, set(), {1, "a"}, frozenset({(1, 2)})),
    *(Decimal("1.10"), UUID(int=7), Path("a/b"), PurePosixPath("a"), date(2026, 3, 1), time(12)),
    *(NOON, NOON.replace(tzinfo=UTC), NOON.replace(fold=1), timedelta(1, 2, 3)),
    *(NOON.replace(tzinfo=timezone(timedelta(hours=-2))), timezone(timedelta(minutes=90)), UTC),
    *(Place(1, ["n"]), Checked(x=4), hidden(9), Pair(1), Old(1, None), Colour.RED, Level.LOW),
    *(HumanMessage([{"type": "text", "text": "a"}], id="1"), SystemMessage("s", name="n")),
    *(ToolMessage("r", tool_call_id="c", artifact={"k": b"x"}), RemoveMessage(id="3")),
    AIMessage(
        "hi",
        id="run-1",
        tool_calls=[{"name": "f", "args": {"a": [1]}, "id": "c"}],
        usage_metadata=UsageMetadata(input_tokens=1, output_tokens=1, total_tokens=2),
        response_metadata={"logprobs": [(0.5, None)]},
        additional_kwargs={"refusal": None, "more": {"deep": [1]}},
    ),
    *(AIMessageChunk(content="a", id="x"), AIMessage("a").text, Document("d", metadata={"k": 1})),
)  # fmt: skip


@pytest.mark.parametrize(
    "value", KEPT, ids=[f"{number}-{type(each).__name__}" for number, each in enumerate(KEPT)]
)
def test_what_is_kept_comes_back_as_it_was(value: Any) -> None:
    found = again(value)
    assert type(found) is type(value)
    assert repr(found) == repr(value)
    if isinstance(value, BaseModel):
        assert found.__getstate__() == value.__getstate__()


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 2), np.int16),
        np.array("text"),
        np.array(["2026-01-01"], "M8[D]"),
        np.array([True]),
        np.float32(0.1),
        np.int64(-1),
        np.bool_(True),
        np.array(b"raw"),
    ],
)
def test_arrays_come_back_and_can_be_written_to(value: Any) -> None:
    found = again(value)
    assert (type(found), found.dtype, found.shape) == (type(value), value.dtype, value.shape)
    assert np.array_equal(found, value)
    if isinstance(found, np.ndarray):
        found[...] = value


def test_nothing_is_shared_with_what_was_kept() -> None:
    inner = [1]
    found = again({"a": inner, "b": inner})
    found["a"].append(2)
    assert (inner, found["b"]) == ([1], [1])


def test_no_code_of_a_class_runs_when_it_comes_back() -> None:
    parts = to_json([Loud(1), Checked(x=5)])
    RAN.clear()
    assert again([Loud(1)])[0].x == 1
    RAN.clear()
    loud, checked = from_json(parts)
    assert (loud.x, checked.x, RAN) == (1, 5, [])


class Slotless:
    pass


def local() -> Any:
    @dataclass
    class Inner:
        x: int

    return Inner(1)


def extended() -> Place:
    made: Any = Loud(1)
    made.more = "an attribute that is no field"
    return made  # type: ignore[no-any-return]  # any object serves


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Slotless(), "a Slotless cannot be kept"),
        (len, "builtin_function"),
        (local(), "Inner"),
        (extended(), "Loud"),
        (OrderedDict(a=1), "OrderedDict"),
        (RunnableLambda(len), "RunnableLambda"),
        (NOON.replace(tzinfo=ZoneInfo("Europe/Paris")), "ZoneInfo"),
        (timezone(timedelta(hours=1), "MINE"), "name of its own"),
        (np.array([1, "a"], object), "ndarray"),
        (np.array([(1,)], [("a", "i4")]), "ndarray"),
        (Checked, "ModelMetaclass"),
        (Exception("x"), "Exception"),
    ],
)
def test_what_could_not_come_back_is_refused_with_its_place(value: Any, why: str) -> None:
    with pytest.raises(Unstorable, match=why) as caught:
        to_json({"state": [1, (Place(1, value),)]})
    assert caught.value.path.startswith("['state'][1][0].parts['notes']")


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(Unstorable, match="contains itself"):
        to_json(value)


class Evil:
    """A class whose making is an act."""

    def __init__(self, *_: object) -> None:
        RAN.append("evil")

    __setstate__ = __new__ = None  # type: ignore[assignment]  # would fail if it were called


@pytest.mark.parametrize(
    "data",
    [
        {"$": "no such kind"},
        {"$": "tuple"},
        {"$": 5, "v": 1},
        {"$": "bytes", "v": "not base64!"},
        {"$": "datetime", "v": "2026"},
        {"$": "Decimal", "v": "x"},
        {"$": "dict", "v": [[[], 1]]},
        {"$": "set", "v": [[1]]},
        {"$": "AIMessage", "content": 5},
        {"$": "AIMessage"},
        {"$": "array", "dtype": "O", "shape": [1], "raw": "AAAAAAAAAAA="},
        {"$": "array", "dtype": "f8", "shape": [99], "raw": "AAAAAAAAAAA="},
        {"$": "enum", "of": f"{__name__}:Colour", "is": "BLUE"},
        {"$": "enum", "of": f"{__name__}:Place", "is": "x"},
        {"$": "dataclass", "of": f"{__name__}:Place", "parts": {"x": 1}},
        {"$": "dataclass", "of": f"{__name__}:Place", "parts": {"x": 1, "notes": [], "z": 1}},
        {"$": "dataclass", "of": f"{__name__}:Evil", "parts": {}},
        {"$": "dataclass", "of": "os:system", "parts": {"command": "true"}},
        {"$": "dataclass", "of": "not_imported_yet:Place", "parts": {}},
        {"$": "named tuple", "of": f"{__name__}:Pair", "parts": {"x": 1}},
        {"$": "named tuple", "of": "builtins:tuple", "parts": {"x": 1}},
        {"$": "pydantic", "of": f"{__name__}:Checked", "parts": {"x": 1, "inner": {}}},
        {"$": "pydantic", "of": f"{__name__}:Evil", "parts": {}},
        {"$": "pydantic", "of": "langchain_core.runnables.base:RunnableLambda", "parts": {}},
    ],
)
def test_data_that_was_not_written_here_is_a_value_error(data: Any) -> None:
    RAN.clear()
    with pytest.raises(ValueError, match=r".+"):
        from_json([data])
    assert RAN == []
    assert "not_imported_yet" not in sys.modules


def test_looking_for_a_class_runs_no_look_up_of_a_module() -> None:
    class Noisy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            RAN.append(name)
            raise AttributeError(name)

    RAN.clear()
    sys.modules["noisy_for_values"] = Noisy("noisy_for_values")
    try:
        with pytest.raises(ValueError, match="dataclass"):
            from_json({"$": "dataclass", "of": "noisy_for_values:Trap", "parts": {}})
    finally:
        del sys.modules["noisy_for_values"]
    assert RAN == []


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    *(st.decimals(allow_nan=False), st.datetimes(), st.uuids(), st.timedeltas()),
)
HASHED = st.one_of(st.booleans(), st.integers(), st.text(), st.tuples(st.integers(), st.text()))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(HASHED, st.just("$")), inner, max_size=4),
        st.sets(HASHED, max_size=4),
        st.builds(Pair, inner, st.text()),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_any_value_comes_back(value: Any) -> None:
    assert _told(again(value)) == _told(value)


def _told(value: Any) -> Any:
    """`repr`, but for the order of sets."""
    if isinstance(value, (set, frozenset)):
        return ("set", sorted(map(repr, value)))
    if isinstance(value, dict):
        return [(repr(key), _told(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return (type(value), [_told(item) for item in value])
    return repr(value)
