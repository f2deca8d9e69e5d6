"""What a proof of purity must not take for harmless: each of these nodes acts on something."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import datetime
import enum
import functools
import heapq
import json
import operator
import re
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from graphroute.frontend.freshness import foreign_changes
from graphroute.frontend.pure_data import why_not_data
from graphroute.frontend.purity import prove

LOG: list[Any] = []
CONFIG: dict[str, Any] = {"log": LOG, "name": "n"}
TABLE: Any = {}
DEFAULTS: Any = collections.defaultdict(list)
USED_UP = iter(range(9))


class Client:
    """Every way to look at it does something."""

    def __str__(self) -> str:
        LOG.append("str")
        return ""

    def __getattr__(self, name: str) -> int:
        LOG.append(name)
        return 1

    def __iter__(self) -> Any:
        LOG.append("iter")
        return iter(())

    def get(self, url: str) -> str:
        LOG.append(url)
        return url

    def start(self) -> None:
        LOG.append("start")


CLIENT: Any = Client()
CLIENTS = {"a": CLIENT}


def Counter() -> Any:  # noqa: N802 - it is called as what makes a container is
    return TABLE


def adds_in_place(state: Any) -> None:
    seen = LOG
    seen += [state]


def adds_in_place_to_an_item(state: Any) -> None:
    log = CONFIG["log"]
    log += [state]


def unites_in_place(state: Any) -> None:
    table = TABLE
    table |= {state: 1}


def adds_what_a_loop_gives(state: Any) -> None:
    for part in [LOG]:
        part += [state]


def pushes(state: Any) -> None:
    heapq.heappush(LOG, state)


def inserts(state: Any) -> None:
    bisect.insort(LOG, state)


def sets(state: Any) -> None:
    operator.setitem(TABLE, state, 1)


def reduces(state: Any) -> Any:
    return functools.reduce(operator.iadd, [[state]], LOG)


def counts(state: Any) -> None:
    collections.Counter.update(TABLE, [state])


def reads_defaults(state: Any) -> Any:
    return DEFAULTS[state]


def uses_up(state: Any) -> Any:
    return [*zip(USED_UP, state, strict=False)]


def shows(state: Any) -> str:
    return f"{state} {CLIENT}"


def asks(state: Any) -> Any:
    return CLIENTS["a"].get(state)


def asks_by_a_variable(state: Any) -> Any:
    client = CLIENTS["a"]
    return client.get(state)


def starts(_state: Any) -> None:
    for client in CLIENTS.values():
        client.start()


def hands(state: Any) -> Any:
    return sorted(state, key=CLIENT.get)


def substitutes(state: Any) -> str:
    return re.sub("x", CLIENTS["a"].get, state)


def dumps(state: Any) -> str:
    return json.dumps(state, default=CLIENT.get)


def reads_an_attribute(_state: Any) -> Any:
    return CLIENT.whatever


def unpacks(_state: Any) -> Any:
    return [*CLIENT]


def takes_it_for_a_new_one(state: Any) -> None:
    count = Counter()
    count[state] = 1


@pytest.mark.parametrize(
    "node",
    [
        adds_in_place,
        adds_in_place_to_an_item,
        unites_in_place,
        adds_what_a_loop_gives,
        pushes,
        inserts,
        sets,
        reduces,
        counts,
        reads_defaults,
        uses_up,
        shows,
        asks,
        asks_by_a_variable,
        starts,
        hands,
        substitutes,
        dumps,
        reads_an_attribute,
        unpacks,
        takes_it_for_a_new_one,
    ],
    ids=lambda node: node.__name__,
)
def test_what_acts_on_something_is_not_proven(node: Any) -> None:
    proof = prove([node])
    assert not proof.is_pure, proof.text


WORDS = {"refund": ("back", "return"), "broken": ["broke", re.compile("crack")]}


class Level(enum.Enum):
    LOW = 1


@dataclasses.dataclass
class Settings:
    limit: int = 3
    words: Any = dataclasses.field(default_factory=lambda: WORDS)


class Pair(NamedTuple):
    first: int
    second: str


class Plain(BaseModel):
    day: datetime.date


SETTINGS = Settings()


def reads(state: Any) -> Any:
    text = state["text"].strip()
    text += "!"
    found = [word for word in SETTINGS.words if word]
    found += [text]
    total = 0
    for words in WORDS.values():
        total += len(words)
    heap = sorted(found)
    return {"text": text, "n": total + SETTINGS.limit, "level": str(Level.LOW), "heap": heap}


def test_reading_data_is_proven() -> None:
    proof = prove([reads])
    assert proof.is_pure, proof.text


@pytest.mark.parametrize(
    "value",
    [
        WORDS,
        SETTINGS,
        Pair(1, "a"),
        Plain(day=datetime.date(2026, 1, 2)),
        Level.LOW,
        collections.Counter("ab"),
        collections.deque([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data(value: Any) -> None:
    assert why_not_data(value) is None


class Told(Pair):
    def __str__(self) -> str:
        return "told"


@pytest.mark.parametrize(
    "value",
    [
        DEFAULTS,
        CLIENTS,
        USED_UP,
        Told(1, "a"),
        [Settings(words=CLIENT)],
        [*range(30_000)],
    ],
    ids=["default dict", "client", "iterator", "own code", "in a field", "large"],
)
def test_no_data(value: Any) -> None:
    if isinstance(value, list) and len(value) > 1:
        value = [[each] for each in value]  # too many to be looked through
    assert why_not_data(value) is not None


def test_what_holds_itself_is_looked_at_once() -> None:
    knot: list[Any] = []
    knot.append(knot)
    assert why_not_data(knot) is None


def test_numbers_and_texts_may_be_added_to() -> None:
    def node(state: Any) -> Any:
        n, text = 0, ""
        n += 1
        line = f"{state}"
        line += "x"
        return n, text, line

    assert list(foreign_changes(node.__code__)) == []
