"""What is part of a node's code: each change of something it uses makes another key."""

from __future__ import annotations

import asyncio
import functools
import io
import itertools
import queue
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.types import interrupt

from graphroute.frontend.fingerprint import NodeCode
from graphroute.ir.node_cache import Unclear
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.canonical import digest


def code(*functions: Callable[..., Any]) -> NodeCode:
    return NodeCode(functions, digest=digest)


def key(function: Callable[..., Any]) -> str:
    return code(function).now().digest


def differ(make: Callable[[Any], Callable[..., Any]], one: Any, other: Any) -> bool:
    """Whether functions made with two values have different keys, and equal values equal ones."""
    assert key(make(one)) == key(make(one))
    return key(make(one)) != key(make(other))


def closing(value: Any) -> Callable[..., Any]:
    return lambda state: (state, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, True),
        (1.0, 1),
        ("a", "b"),
        ({"a": [1]}, {"a": [2]}),
        ([1, 2], [2, 1]),
        (np.zeros(2), np.ones(2)),
        (len, max),
        (str.upper, str.lower),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (SimpleNamespace(a=1), SimpleNamespace(a=2)),
        (ScriptedChat(name="a"), ScriptedChat(name="b")),
        (ScriptedChat(name="a").bind(stop=["x"]), ScriptedChat(name="a").bind(stop=["y"])),
        (ChatPromptTemplate.from_template("a {x}"), ChatPromptTemplate.from_template("b {x}")),
        (lambda x: x + 1, lambda x: x + 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_closure_holds_counts(one: Any, other: Any) -> None:
    assert differ(closing, one, other)


def test_the_order_of_dicts_counts_and_that_of_sets_does_not() -> None:
    words = [f"word {n}" for n in range(50)]
    backwards = {words[-n] for n in range(50)}
    assert key(closing(set(words))) == key(closing(backwards))
    for item in (1, [1]):
        assert differ(closing, {"a": item, "b": item}, {"b": item, "a": item})


def test_place_and_comments_do_not_count() -> None:
    source = "def node(state):\n    return state['a'] + 1\n"
    found = []
    for text in (source, "\n\n# a comment\n" + source):
        names: dict[str, Any] = {}
        exec(compile(text, "file.py", "exec"), names)
        found.append(key(names["node"]))
    assert found[0] == found[1]


def test_defaults_count() -> None:
    def make(value: Any) -> Callable[..., Any]:
        def node(state: Any, tone: Any = value, *, mark: Any = value) -> Any:
            return state, tone, mark

        return node

    assert differ(make, "!", "?")


def test_code_of_helpers_counts_at_any_depth() -> None:
    def make(number: int) -> Callable[..., Any]:
        if number == 1:

            def inner(x: Any) -> Any:
                return x + 1
        else:

            def inner(x: Any) -> Any:
                return x - 1

        def outer(x: Any) -> Any:
            return [inner(one) for one in x]

        return lambda state: [outer(state)]

    assert differ(make, 1, 2)


def test_functions_that_change_places_are_told_apart() -> None:
    def one(x: Any) -> Any:
        return x + 1

    def other(x: Any) -> Any:
        return x * 2

    def make(swap: bool) -> Callable[..., Any]:
        first, second = (other, one) if swap else (one, other)
        return lambda state: second(first(state))

    assert differ(make, False, True)


def test_a_recursion_ends() -> None:
    def down(n: int) -> int:
        return n and down(n - 1)

    ring: list[Any] = []
    ring.append(ring)
    assert "code of 'down'" in code(down).now().parts
    assert key(closing(ring))


def test_tools_and_their_functions_count() -> None:
    def make(word: str) -> Callable[..., Any]:
        @tool
        def look(query: str) -> str:
            """Look it up."""
            return query + word

        return lambda state: [look.invoke(state)]

    assert differ(make, "a", "b")


def test_attributes_set_later_count() -> None:
    class Writer:
        tone = "!"

        def write(self, state: Any) -> Any:
            return self.mark() + self.tone

        def mark(self) -> str:
            return "x"

    writer = Writer()
    seen = code(writer.write)
    keys = [seen.now().digest]
    writer.tone = "?"
    keys.append(seen.now().digest)
    del writer.tone
    Writer.tone = "."
    keys.append(seen.now().digest)
    Writer.mark = lambda self: "y"  # type: ignore[method-assign]
    keys.append(seen.now().digest)
    assert len(set(keys)) == 4


def test_attributes_that_are_not_used_do_not_count() -> None:
    class Writer:
        def __init__(self) -> None:
            self.tone, self.spare = "!", 0

        def write(self, state: Any) -> Any:
            return self.helper(state) + self.tone

        def helper(self, state: Any) -> Any:
            return state

    writer = Writer()
    seen = code(writer.write)
    before = seen.now().digest
    writer.spare = 1
    assert seen.now().digest == before


def test_what_a_setting_of_a_model_changes_to_counts() -> None:
    model = ScriptedChat(name="m")
    seen = code(lambda state: [model.invoke(state)])
    before = seen.now()
    model.invoke("a call changes nothing")
    assert seen.now().digest == before.digest
    model.delay_s = 1.0
    assert seen.now().digest != before.digest
    assert seen.changed_since(before) == {"closure 'model.delay_s'"}


def test_what_the_code_changes_itself_does_not_count() -> None:
    runs: list[int] = []
    counts = {"n": 0}
    total = 0

    def node(state: Any) -> Any:
        nonlocal total
        runs.append(1)
        counts["n"] += 1
        total += 1
        return state

    seen = code(node)
    before = seen.now().digest
    for _ in range(2):
        node({})
        assert seen.now().digest == before


def test_what_another_changes_counts() -> None:
    limits: list[int] = []
    seen = code(lambda state: (state, limits))
    before = seen.now().digest
    limits.append(1)
    assert seen.now().digest != before


def test_a_name_that_is_defined_later_counts() -> None:
    names: dict[str, Any] = {}
    exec("def node(state):\n    return later(state), len(state)\n", names)
    seen = code(names["node"])
    keys = [seen.now().digest]
    names["later"] = str.upper
    keys.append(seen.now().digest)
    names["len"] = max
    keys.append(seen.now().digest)
    assert len(set(keys)) == 3


def test_resources_count_by_their_type() -> None:
    makers: tuple[Callable[[], Any], ...] = (
        threading.Lock,
        lambda: itertools.count(3),
        threading.Event,
        asyncio.Event,
        queue.Queue,
        io.StringIO,
    )
    for make in makers:
        assert key(closing(make())) == key(closing(make()))


def test_what_a_mock_gives_counts_and_not_what_it_was_asked() -> None:
    mock = Mock(return_value=1)
    seen = code(lambda state: [mock(state)])
    before = seen.now().digest
    mock("asked")
    assert seen.now().digest == before
    mock.return_value = 2
    assert seen.now().digest != before


def test_what_cannot_be_told_apart_is_refused() -> None:
    class Opaque:
        __slots__ = ()

    assert key(closing(Opaque()))  # of a user's class: what the class does
    with pytest.raises(Unclear, match="closure 'value'"):
        code(closing(SimpleNamespace(raw=_opaque()))).now()


def _opaque() -> Any:
    import zlib

    return zlib.compressobj()


def test_packages_count_by_their_version() -> None:
    parts = code(lambda state: [np.sum(state)]).now().parts
    assert parts["package 'numpy'"] == f"numpy {np.__version__}"


def test_an_interrupt_is_an_obstacle_wherever_it_is_named() -> None:
    def ask(x: Any) -> Any:
        return interrupt(x)

    assert code(lambda state: [ask(state)]).now().obstacles == (
        "it may pause for a person's answer (interrupt)",
    )


def test_threads_may_ask_at_once() -> None:
    settings = {"n": 0}
    seen = code(lambda state: (state, settings["n"]))
    done = threading.Event()
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            while not done.is_set():
                seen.now()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(300):
        settings["n"] = number
        settings[f"key {number}"] = number
    done.set()
    for thread in threads:
        thread.join(30)
    assert not faults
    assert seen.now().digest == code(lambda state: (state, settings["n"])).now().digest
