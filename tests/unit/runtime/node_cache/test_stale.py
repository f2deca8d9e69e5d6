"""What a node may hang on besides equal values: none of it may be answered with an old result."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute.frontend.hints import route
from tests.unit.runtime.node_cache.graphs import cached, outcomes


class State(TypedDict, total=False):
    a: Any
    b: Any
    out: Any


def _graph(node: Callable[[State], Any]) -> Any:
    builder: Any = StateGraph(State)
    builder.add_node("node", route(cache=True)(node))
    builder.add_edge(START, "node")
    return builder.compile()


def seen(node: Callable[[State], Any], *inputs: State) -> list[str]:
    """What came of visits on these inputs, each of which ends as in the plain graph."""
    graph = _graph(lambda state: {"out": node(state)})
    fast = cached(graph)
    for given in inputs:
        assert repr(fast.invoke(given)) == repr(graph.invoke(given))
    return outcomes(fast)["node"]


def after(node: Callable[[State], Any], change: Callable[[], object]) -> list[str]:
    """What came of three visits, the last two after a change of what the code uses."""
    graph = _graph(lambda state: {"out": node(state)})
    fast = cached(graph)
    assert fast.invoke({"a": 1}) == graph.invoke({"a": 1})
    change()
    for _ in range(2):
        assert fast.invoke({"a": 1}) == graph.invoke({"a": 1})
    return outcomes(fast)["node"]


ANEW = ["computed", "computed", "hit"]

ONE_WAY: Any = {"x": 1, "y": 2}
OTHER_WAY: Any = {"y": 2, "x": 1}


def test_the_order_of_a_dict_that_is_read_counts() -> None:
    nodes: tuple[Callable[[State], Any], ...] = (
        lambda state: list(state["a"]),
        lambda state: f"{state}",
        lambda state: next(iter(state.get("a", {}).values())),
    )
    for node in nodes:
        inputs: list[State] = [{"a": way} for way in (ONE_WAY, OTHER_WAY, dict(ONE_WAY))]
        assert seen(node, *inputs) == ["computed", "computed", "hit"]


def test_the_order_of_what_is_not_read_does_not_count() -> None:
    inputs: list[State] = [{"a": 1, "b": ONE_WAY}, {"a": 1, "b": OTHER_WAY}]
    assert seen(lambda state: state["a"], *inputs) == ["computed", "hit"]


def test_the_order_of_keys_counts_in_a_state_that_is_a_dict() -> None:
    builder: Any = StateGraph[Any](dict)
    builder.add_node("node", route(cache=True)(lambda state: {"out": list(state)}))
    builder.add_edge(START, "node")
    graph = builder.compile()
    fast = cached(graph)
    for given in (ONE_WAY, OTHER_WAY, ONE_WAY):
        assert repr(fast.invoke(given)) == repr(graph.invoke(given))
    assert outcomes(fast)["node"] == ["computed", "computed", "hit"]


def _copied(state: State) -> Any:
    one, other = copy.deepcopy((state["a"], state["b"]))
    one.append(2)
    return other


def test_two_keys_that_hold_one_object_are_told_from_two_equal_ones() -> None:
    shared, again = [1], [1]
    inputs: list[State] = [
        {"a": [1], "b": [1]},
        {"a": shared, "b": shared},
        {"a": [1], "b": [1]},
        {"a": again, "b": again},
    ]
    for node in (lambda state: state["a"] is state["b"], _copied, lambda state: f"{state}"):
        assert seen(node, *inputs) == ["computed", "computed", "hit", "hit"]
    assert seen(lambda state: state["a"], *inputs) == ["computed", "hit", "hit", "hit"]


def test_objects_shared_inside_of_one_key_and_across_count() -> None:
    shared = {"n": 1}
    inputs: list[State] = [
        {"a": [{"n": 1}, {"n": 1}], "b": ({"n": 1},)},
        {"a": [shared, shared], "b": ({"n": 1},)},
        {"a": [shared, {"n": 1}], "b": (shared,)},
    ]
    ties = lambda state: (state["a"][0] is state["a"][1], state["a"][0] is state["b"][0])  # noqa: E731
    assert seen(ties, *inputs, *inputs) == ["computed"] * 3 + ["hit"] * 3


def test_the_order_of_a_dict_that_the_code_names_counts() -> None:
    rates = {"x": [1], "y": [2]}
    assert after(lambda state: list(rates), lambda: rates.update(x=rates.pop("x"))) == ANEW


class Base:
    """What classes below take from."""

    box = SimpleNamespace(n=1)

    def go(self) -> int:
        return 1


class Below(Base):
    """Asks its base."""

    def go(self) -> int:
        return super().go() + int(self.box.n)


def test_a_method_of_a_base_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    below = Below()
    nodes: tuple[Callable[[State], Any], ...] = (
        lambda state: below.go(),
        lambda state: Below().go(),
        lambda state: (lambda each: each.go())(below),
    )
    for node in nodes:
        with monkeypatch.context() as patch:
            assert after(node, lambda: patch.setattr(Base, "go", lambda self: 5)) == ANEW


def test_a_method_that_is_new_in_a_class_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Between(Base):
        pass

    class Last(Between):
        def go(self) -> int:
            return super().go()

    assert after(lambda state: Last().go(), lambda: setattr(Between, "go", lambda self: 7)) == ANEW

    class Other(Base):
        def go(self) -> int:
            return 9

    assert after(lambda state: Last().go(), lambda: setattr(Last, "__bases__", (Other,))) == ANEW


def test_an_object_that_a_class_holds_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def change() -> None:
        monkeypatch.setattr(Base.box, "n", 2)

    assert after(lambda state: Below().go(), change) == ANEW


def test_what_a_lookup_of_its_own_gives_counts() -> None:
    prices = {"p": 1}

    class Asked:
        x = 1

        def __getattribute__(self, name: str) -> int:
            return prices["p"]

    asked = Asked()
    assert after(lambda state: asked.x, lambda: prices.update(p=2)) == ANEW


def test_a_function_registered_for_a_type_counts() -> None:
    @functools.singledispatch
    def told(value: Any) -> str:
        return "anything"

    assert after(lambda state: told(1), lambda: told.register(int, lambda value: "int")) == ANEW


def test_an_object_that_changes_its_class_counts() -> None:
    class Other:
        def go(self) -> int:
            return 9

    base = Base()
    bases = [base]
    change = lambda: setattr(base, "__class__", Other)  # noqa: E731
    assert after(lambda state: [each.go() for each in bases], change) == ANEW


class Pair(NamedTuple):
    one: int = 1


PRICES = {"p": 1}


@dataclass
class Basket:
    """What its factory gives is part of it."""

    prices: list[int] = field(default_factory=lambda: [PRICES["p"]])


def test_named_tuples_and_data_classes_are_made_in_nodes_that_are_cached() -> None:
    assert after(lambda state: Pair(2).one + Basket().prices[0], lambda: None) == [
        *("computed", "hit", "hit")
    ]
    assert after(lambda state: Basket().prices, lambda: PRICES.update(p=2)) == ANEW


def test_a_modules_own_getattr_counts_and_is_not_asked_while_code_is_read() -> None:
    asked: list[str] = []
    module: Any = ModuleType("asked_module")

    def look_up(name: str) -> int:
        asked.append(name)
        return PRICES["p"]

    module.__getattr__ = look_up
    module.x = 1
    sys.modules["asked_module"] = module
    try:
        assert after(lambda state: module.x, lambda: setattr(module, "x", 2)) == ANEW
        assert asked == []
        assert after(lambda state: module.y, lambda: PRICES.update(p=5)) == ANEW
    finally:
        del sys.modules["asked_module"]


def test_what_a_metaclass_does_counts() -> None:
    prices = {"p": 1}

    class Meta(type):
        def __getitem__(cls, key: str) -> int:
            return prices[key]

        @property
        def first(cls) -> int:
            return prices["p"]

    class Prices(metaclass=Meta):
        pass

    def change() -> None:
        prices["p"] += 1

    assert after(lambda state: Prices["p"], change) == ANEW
    assert after(lambda state: Prices.first, change) == ANEW
    assert after(lambda state: Prices["p"], lambda: setattr(Meta, "__getitem__", len)) == ANEW


unset: contextvars.ContextVar[Any] = contextvars.ContextVar("unset")
tenant: contextvars.ContextVar[Any] = contextvars.ContextVar("tenant", default="a")


def test_what_a_context_variable_holds_counts() -> None:
    box = {"n": 1}

    def all_of_it() -> None:
        assert after(lambda state: tenant.get(), lambda: tenant.set("b")) == ANEW
        assert after(lambda state: unset.get(None), lambda: unset.set(box)) == ANEW
        assert after(lambda state: str(unset.get()), lambda: box.update(n=2)) == ANEW

    contextvars.copy_context().run(all_of_it)


async def test_each_task_is_answered_by_its_own_context() -> None:
    def node(state: State) -> State:
        return {"out": tenant.get()}

    graph = _graph(node)
    fast = cached(graph)

    async def ask(name: str) -> Any:
        tenant.set(name)
        return (await fast.ainvoke({"a": 1}))["out"]

    names = ["a", "b", "c", "b", "a", "c"]
    assert await asyncio.gather(*map(ask, names)) == names
    assert [await ask(name) for name in names] == names
    assert outcomes(fast)["node"].count("computed") <= len(names)
    assert outcomes(fast)["node"][-len(names) :] == ["hit"] * len(names)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that no test but this one has loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def test_what_is_asked_of_a_module_imported_inside_counts(project: Path) -> None:
    (project / "late_rates.py").write_text("tax = 1\n\ndef rate():\n    return tax\n")

    def attribute(state: State) -> Any:
        import late_rates  # type: ignore[import-not-found]

        return late_rates.tax

    def called(state: State) -> Any:
        from late_rates import rate as current

        return current()

    def change() -> None:
        sys.modules["late_rates"].tax += 1  # type: ignore[attr-defined]

    # What was not loaded at first is told by its file, and from then on by what it holds.
    assert after(attribute, change) == ANEW
    assert after(attribute, change) == ANEW
    assert after(called, change) == ANEW
    assert after(called, lambda: setattr(sys.modules["late_rates"], "rate", lambda: 9)) == ANEW


def test_an_obstacle_behind_an_import_inside_is_found_when_it_is_loaded(project: Path) -> None:
    (project / "late_told.py").write_text(
        "from langgraph.config import get_stream_writer\n\n"
        "def tell(text):\n    get_stream_writer()(text)\n    return text\n"
    )

    def node(state: State) -> State:
        from late_told import tell  # type: ignore[import-not-found]

        return {"out": tell(state["a"])}

    fast = cached(_graph(node))
    for _ in range(2):
        fast.invoke({"a": 1})
    assert outcomes(fast)["node"] == ["computed", "bypassed"]
    assert all("it writes to the run's stream" in record.why for record in fast.node_records)


def test_a_module_inside_a_package_imported_inside_counts(project: Path) -> None:
    package = project / "late_shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cart.py").write_text("size = 1\n")

    def by_path(state: State) -> Any:
        import late_shop.cart  # type: ignore[import-not-found]

        return late_shop.cart.size

    def by_name(state: State) -> Any:
        import late_shop.cart as cart

        return cart.size

    def change() -> None:
        sys.modules["late_shop.cart"].size += 1  # type: ignore[attr-defined]

    for node in (by_path, by_name):
        assert after(node, change) == ANEW


def test_the_environment_read_through_an_import_inside_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATE", "1")

    def node(state: State) -> Any:
        import os

        return os.environ["LATE"]

    assert after(node, lambda: monkeypatch.setenv("LATE", "2")) == ANEW


def test_the_environment_asked_by_getenv_counts_one_variable_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATE", "1")
    monkeypatch.setenv("OTHER", "1")

    def other() -> None:
        monkeypatch.setenv("OTHER", "2")

    name = "LATE"
    one = lambda state: os.getenv("LATE", "eu")  # noqa: E731
    assert after(one, other) == ["computed", "hit", "hit"]
    assert after(one, lambda: monkeypatch.delenv("LATE")) == ANEW
    assert after(lambda state: os.getenv(name), lambda: monkeypatch.setenv("LATE", "3")) == ANEW


RUN = """
import sys
from late_app.graph import graph
from graphroute import optimize
fast = optimize(graph, cache="disk")
print(fast.invoke({"n": 1})["n"], fast.node_records[0].outcome)
"""

APP = """
from typing import TypedDict
from langgraph.graph import START, StateGraph
from graphroute import route

class State(TypedDict):
    n: int

@route(cache=True)
def node(state: State) -> State:
    from .cleaning import clean
    return {"n": clean(state["n"])}

builder = StateGraph(State)
builder.add_node("node", node)
builder.add_edge(START, "node")
graph = builder.compile()
"""


def test_an_edit_behind_an_import_inside_is_seen_by_the_next_process(tmp_path: Path) -> None:
    """The module is not loaded when the key is made; what it imports in its turn was edited."""
    package = tmp_path / "late_app"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "graph.py").write_text(APP)
    (package / "deep" / "__init__.py").write_text("")
    (package / "cleaning.py").write_text(
        "from late_app.deep import steps\n\ndef clean(n):\n    return steps.step(n)\n"
    )

    def run(step: str) -> str:
        (package / "deep" / "steps.py").write_text(f"def step(n):\n    return {step}\n")
        environment = {**os.environ, "GRAPHROUTE_HOME": str(tmp_path / "home")}
        environment |= {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout.strip()

    assert run("n + 1") == "2 computed"
    assert run("n + 1") == "2 hit"
    assert run("n + 10") == "11 computed"
