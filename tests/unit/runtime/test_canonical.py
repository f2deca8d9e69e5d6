"""Equal values have equal digests in any process; different ones differ; the rest is refused."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, PrivateAttr

from graphroute.runtime.canonical import MAX_DEPTH, digest, exact
from graphroute.runtime.unkeyable import Unkeyable


@dataclass
class Point:
    x: float
    y: float = 0.0
    seen: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    x: float
    y: float = 0.0


class Pair(NamedTuple):
    x: float
    y: float = 0.0


Old = namedtuple("Old", "x y")


class Model(BaseModel):
    x: float
    y: float = 0.0
    _hidden: int = PrivateAttr(default=1)


class Extra(BaseModel, extra="allow"):
    pass


class Other(BaseModel):
    x: float
    y: float = 0.0


class Typed(TypedDict):
    x: int


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


def hidden(value: int) -> Model:
    made = Model(x=1)
    made._hidden = value
    return made


NOON = datetime(2026, 3, 1, 12, 0)
DISTINCT: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 10**40, 0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 1j),
    *("", "1", "a", b"", b"a", bytearray(b"a"), Text("a"), "é", "e\u0301", "\ud800"),
    *((), (1,), [], [1], ["1"], [[1]], [1, []], [[], 1], set(), {1}, frozenset({1}), {}, {1: 1}),
    *({"1": 1}, {"a": 1}, {"a": 1.0}, {"a": True}, {"a": None}, {("a",): 1}, {"a": {"b": 1}}),
    *(OrderedDict(a=1), defaultdict(int, a=1), defaultdict(list, a=[]), Counter(a=1)),
    *(OrderedDict([("a", 1), ("b", 2)]), OrderedDict([("b", 2), ("a", 1)])),
    *(deque([1]), deque([1], maxlen=3), range(3), range(1, 3), slice(1), slice(2), ...),
    *(Decimal(1), Decimal("1.0"), Decimal("NaN"), Fraction(1), Fraction(1, 3)),
    *(NOON, NOON.replace(tzinfo=UTC), NOON.replace(fold=1), date(2026, 3, 1), time(12)),
    *(NOON.replace(tzinfo=zone) for zone in (ZoneInfo("Europe/Paris"), timezone(timedelta(0, 1)))),
    *(timedelta(1), timedelta(seconds=1), UTC, ZoneInfo("UTC"), UUID(int=1)),
    *(Path("a"), PurePosixPath("a"), PureWindowsPath("a"), Path("b")),
    *(Colour.RED, Level.LOW, Point(1), Point(2), Place(1), Pair(1), Old(1, 0.0), Model(x=1)),
    *(Model(x=1, y=1), hidden(2), Other(x=1), Model, Other, Typed, Point, int, dict, Colour),
    *(np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.str_("a")),
    *(np.array([1, 0]), np.array([1.0, 0]), np.array([1], np.int32), np.array([[1, 0]])),
    *(np.array([1, 0], object), np.array(["a"]), np.zeros(0), np.zeros((0, 2))),
    *(np.array([(1, 2.0)], [("a", "i4"), (name, "f8")]) for name in "bc"),
    *(np.array(["2026-01-01"], "M8[D]"), np.array(["2026-01-01"], "M8[s]")),
    *(HumanMessage("a"), AIMessage("a"), HumanMessage("a", name="b"), RemoveMessage(id="1")),
    *(RemoveMessage(id="2"), HumanMessage(["a"]), HumanMessage([{"type": "text", "text": "a"}])),
    *(Document("a"), Document("a", metadata={"k": 1})),
)  # fmt: skip


def told(value: Any) -> str:
    return exact(value).digest


@pytest.mark.parametrize("told", [digest, told], ids=["digest", "exact"])
def test_no_two_different_values_share_a_digest(told: Callable[[Any], str]) -> None:
    seen: dict[str, Any] = {}
    for value in DISTINCT:
        for form in (value, ["in a list", value], {"in a dict": value}):
            key = told(form)
            assert key not in seen, f"{form!r} and {seen[key]!r}"
            seen[key] = form


def test_a_copy_has_the_same_digest() -> None:
    for value in DISTINCT:
        assert digest(deepcopy(value)) == digest(value)


def test_order_counts_only_where_it_is_the_value() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(MappingProxyType({"a": 1})) == digest({"a": 1})
    assert digest({2, 1, "a", None}) == digest({None, "a", 1, 2})
    assert digest({1: "a", "1": "b", (2,): "c"}) == digest({(2,): "c", "1": "b", 1: "a"})
    assert digest([1, 2]) != digest([2, 1])


def test_equal_values_have_equal_digests_whatever_they_are_made_of() -> None:
    same = [1, 2]
    assert digest([same, same]) == digest([[1, 2], [1, 2]]), "two names for one list"
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.arange(6).reshape(2, 3).T.copy())
    assert digest(np.array([1, "a"], object)) == digest(np.array([1, "a"], object))
    assert digest(float("nan")) == digest(-float("nan"))
    assert digest(memoryview(b"ab")) == digest(b"ab")
    assert digest(Model(x=1)) == digest(Model(x=1, y=0.0)), "as pydantic has it"
    assert digest(AIMessage("a").text) == digest("a")


def twice(item: Any) -> tuple[Any, Any]:
    """One object at two places, and two equal ones."""
    return [item, {"again": item}], [item, {"again": deepcopy(item)}]


def test_exact_digests_tell_order() -> None:
    for one, other in (
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (MappingProxyType({"a": 1, "b": 2}), MappingProxyType({"b": 2, "a": 1})),
        (Counter(a=1, b=2), Counter(b=2, a=1)),
        (Point(1, seen=[{"a": 1, "b": 2}]), Point(1, seen=[{"b": 2, "a": 1}])),  # type: ignore[list-item]
        (
            AIMessage("", tool_calls=[{"name": "f", "args": {"a": 1, "b": 2}, "id": "1"}]),
            AIMessage("", tool_calls=[{"name": "f", "args": {"b": 2, "a": 1}, "id": "1"}]),
        ),
        (Extra.model_validate({"a": 1, "b": 2}), Extra.model_validate({"b": 2, "a": 1})),
        (Model(x=1), Model(x=1, y=0.0)),
    ):
        assert digest(one) == digest(other)
        assert told(one) != told(other), one
    again = {"a": 1, "b": 2}
    assert told(again) == told(dict(again))
    assert told({2, 1, "a", None}) == told({None, "a", 1, 2})


def test_exact_digests_tell_one_object_from_two() -> None:
    changing: tuple[Any, ...] = (
        [1],
        {"a": 1},
        {1},
        Point(1),
        Model(x=1),
        np.ones(2),
        HumanMessage("a"),
    )
    for item in changing:
        one, two = twice(item)
        assert digest(one) == digest(two)
        assert told(one) != told(two), item
        assert told(one) == told(deepcopy(one))
    fixed: tuple[Any, ...] = (1, "a", (1, ("b",)), frozenset({1}), Pair(1), None)
    for item in fixed:
        one, two = twice(item)
        assert told(one) == told(two), "nobody can change one and not the other"


def test_exact_digests_give_the_objects_that_can_change_in_one_order() -> None:
    inner, message = [1], HumanMessage(["a"])
    value = {"b": (inner, message), "a": inner}
    found = exact(value).objects
    assert len(found) == 3
    assert all(a is b for a, b in zip(found, (value, inner, message), strict=True))


def test_messages_count_by_what_was_said_or_whole() -> None:
    bare = AIMessage("a")
    full = AIMessage(
        "a",
        id="run-1",
        usage_metadata=UsageMetadata(input_tokens=1, output_tokens=1, total_tokens=2),
        response_metadata={"model": "m", "created": 17},
    )
    chunks = AIMessageChunk(content="a", id="run-2", chunk_position="last")
    assert digest(bare) == digest(full) == digest(chunks)
    assert digest(bare, messages="whole") != digest(full, messages="whole")
    assert digest([full], messages="whole") == digest([deepcopy(full)], messages="whole")


class Opaque:
    pass


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def local_class() -> type:
    class Inner:
        pass

    return Inner


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Opaque(), "a Opaque is no value"),
        (test_a_copy_has_the_same_digest, "a function is no value"),
        (lambda: 1, "a function is no value"),
        (iter(()), "a tuple_iterator is no value"),
        (threading.Lock(), "a lock is no value"),
        (RunnableLambda(len), "a runnable"),
        (local_class(), "made inside a function"),
        (cyclic(), "contains itself"),
        (deep(MAX_DEPTH + 1), "nested deeper"),
        (np.ma.array([1]), "a MaskedArray is no value"),
        (list[int], "a GenericAlias is no value"),
    ],
)
def test_what_has_no_form_is_refused_with_its_place(value: object, why: str) -> None:
    with pytest.raises(Unkeyable, match=why) as caught:
        digest({"state": [Point(1, 2, seen=["ok"]), Model.model_construct(x=value)]})
    assert caught.value.path.startswith("['state'][1].x")
    with pytest.raises(Unkeyable):
        digest(((value,), 1))
    with pytest.raises(Unkeyable, match=why):
        exact([value])


def test_depth_up_to_the_limit_is_taken() -> None:
    assert digest(deep(MAX_DEPTH - 1)) != digest(deep(MAX_DEPTH - 2))


def test_another_process_finds_the_same() -> None:
    code = (
        "from graphroute.runtime.canonical import digest\n"
        "print(digest({'b': {'x', 'y', 'z', 1, None}, 'a': frozenset('abcdefgh')}))"
    )
    here = digest({"a": frozenset("hgfedcba"), "b": {None, 1, "z", "y", "x"}})
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == here


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.uuids(),
)
HASHED = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(HASHED, inner, max_size=4),
        st.frozensets(HASHED, max_size=4),
        st.builds(Point, inner, inner),
    ),
    max_leaves=12,
)


def shuffled(value: Any, turn: Callable[[list[Any]], list[Any]]) -> Any:
    """The same value, its dictionaries and sets filled in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], turn) for key in turn(list(value))}
    if isinstance(value, (list, tuple)):
        return type(value)(shuffled(item, turn) for item in value)
    if isinstance(value, frozenset):
        return frozenset(turn(list(value)))
    if isinstance(value, Point):
        return Point(shuffled(value.x, turn), shuffled(value.y, turn))
    return value


@settings(max_examples=150, deadline=None)
@given(value=VALUES)
def test_the_order_of_filling_never_counts(value: Any) -> None:
    assert digest(shuffled(value, lambda keys: keys[::-1])) == digest(value)


def identity(value: Any) -> Any:
    """A value's type and content, told independently: by `repr`, which tells 1 from 1.0."""
    if isinstance(value, dict):
        pairs = [(repr(identity(k)), repr(identity(v))) for k, v in value.items()]
        return ("dict", sorted(pairs))
    if isinstance(value, frozenset):
        return ("frozenset", sorted(repr(identity(item)) for item in value))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [identity(item) for item in value])
    if isinstance(value, Point):
        return ("Point", identity(value.x), identity(value.y))
    return repr(value)


@settings(max_examples=300, deadline=None)
@given(one=VALUES, other=VALUES)
def test_digests_are_equal_exactly_where_values_are(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (identity(one) == identity(other))
    if digest(one) != digest(other):
        assert told(one) != told(other)
    assert told(one) == told(deepcopy(one))
