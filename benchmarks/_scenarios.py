"""Shapes of graphs in which a plan over the whole graph could matter, with a random path each.

A path is a generator: it yields the nodes of a superstep with the number of calls of each and is
sent which calls came back right, so that a checker can send a draft back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START, Edge, EdgeKind, Graph, Node

Superstep = dict[str, int]
Path = Generator[Superstep, list[bool], bool | None]
"""Returns whether the run as a whole is right, None if that means: every call was."""

SENSITIVITY, FALSE_ALARM = 0.85, 0.05
"""How often the checker catches a wrong draft, and how often it sends back a right one."""

ROUNDS = 3
RARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A graph shape.

    shock: `"price"` (the dearest planned model costs four times as much from the middle on),
        `"outage"` (the most planned model is down from the middle on), or `""`
    has_deadline: runs count only if they end in time; slow: nodes with three times the tokens
    loop: the node whose answer a checker sends back
    two_local: of the local models any two together do not fit; changing takes `SWAP_S`
    """

    name: str
    graph: Graph
    observed: Observed
    path: Callable[[Random], Path]
    shock: str = ""
    has_deadline: bool = False
    slow: tuple[str, ...] = ()
    loop: str = ""
    two_local: bool = False


def scenarios() -> tuple[Scenario, ...]:
    """All shapes, in the order they are reported."""
    return (
        _chain("chain of 4", 4),
        _chain("chain of 8", 8),
        _diamond(),
        _refine(),
        _rare(),
        _fan_out(),
        _chain("two local models", 6, two_local=True),
        _chain("price shock", 8, shock="price"),
        _chain("outage", 8, shock="outage"),
    )


def _graph(name: str, models: list[str], arrows: list[tuple[str, str, EdgeKind]]) -> Graph:
    ends = {a for arrow in arrows for a in arrow[:2]} - {START, END}
    return Graph(
        name=name,
        nodes=tuple(Node(name=n, kind="llm" if n in models else "code") for n in sorted(ends)),
        edges=tuple(Edge(source=s, target=t, kind=k) for s, t, k in arrows),
    )


def _chain(name: str, n: int, *, shock: str = "", two_local: bool = False) -> Scenario:
    nodes = [f"s{i}" for i in range(n)]
    stops = [START, *nodes, END]
    arrows: list[tuple[str, str, EdgeKind]] = [(a, b, "static") for a, b in pairwise(stops)]

    def path(_: Random) -> Path:
        for node in nodes:
            yield {node: 1}
        return None

    return Scenario(
        name=name,
        graph=_graph(name, nodes, arrows),
        observed=Observed(),
        path=path,
        shock=shock,
        has_deadline=two_local,
        two_local=two_local,
    )


def _diamond() -> Scenario:
    arrows: list[tuple[str, str, EdgeKind]] = [
        (START, "split", "static"),
        ("split", "slow", "static"),
        ("split", "quick", "static"),
        ("slow", "merge", "static"),
        ("quick", "merge", "static"),
        ("merge", END, "static"),
    ]

    def path(_: Random) -> Path:
        yield {"split": 1}
        yield {"slow": 1, "quick": 1}
        yield {"merge": 1}
        return None

    return Scenario(
        name="diamond, slow branch, deadline",
        graph=_graph("diamond", ["split", "slow", "quick", "merge"], arrows),
        observed=Observed(),
        path=path,
        has_deadline=True,
        slow=("slow",),
    )


def _refine() -> Scenario:
    arrows: list[tuple[str, str, EdgeKind]] = [
        (START, "draft", "static"),
        ("draft", "check", "static"),
        ("check", "draft", "conditional"),
        ("check", "finish", "conditional"),
        ("finish", END, "static"),
    ]

    def path(random: Random) -> Path:
        is_right = False
        for _ in range(ROUNDS):
            (is_right,) = yield {"draft": 1}
            if random.random() >= (FALSE_ALARM if is_right else SENSITIVITY):
                break
        (is_finished,) = yield {"finish": 1}
        return is_right and is_finished

    return Scenario(
        name="refine loop with checker",
        graph=_graph("refine", ["draft", "finish"], arrows),
        observed=Observed(edges={("check", "draft"): 25.0, ("check", "finish"): 75.0}),
        path=path,
        loop="draft",
    )


def _rare() -> Scenario:
    arrows: list[tuple[str, str, EdgeKind]] = [
        (START, "first", "static"),
        ("first", "usual", "conditional"),
        ("first", "rare1", "conditional"),
        ("rare1", "rare2", "static"),
        ("rare2", "rare3", "static"),
        ("rare3", "usual", "static"),
        ("usual", "last", "static"),
        ("last", END, "static"),
    ]

    def path(random: Random) -> Path:
        yield {"first": 1}
        if random.random() < RARE:
            for node in ("rare1", "rare2", "rare3"):
                yield {node: 1}
        yield {"usual": 1}
        yield {"last": 1}
        return None

    return Scenario(
        name="rare branch",
        graph=_graph("rare", ["first", "usual", "rare1", "rare2", "rare3", "last"], arrows),
        observed=Observed(edges={("first", "rare1"): 10.0, ("first", "usual"): 190.0}),
        path=path,
    )


def _fan_out() -> Scenario:
    arrows: list[tuple[str, str, EdgeKind]] = [
        (START, "split", "static"),
        ("split", "work", "send"),
        ("work", "merge", "static"),
        ("merge", END, "static"),
    ]

    def path(random: Random) -> Path:
        (first,) = yield {"split": 1}
        tasks = random.randint(1, 15)
        parts = yield {"work": tasks}
        (last,) = yield {"merge": 1}
        # A map-reduce answer stands if at least three quarters of its parts do.
        return first and last and sum(parts) >= 0.75 * tasks

    return Scenario(
        name="fan-out of 1 to 15",
        graph=_graph("fan-out", ["split", "work", "merge"], arrows),
        observed=Observed(fanout={"work": 8.0}),
        path=path,
    )
