"""The node-output cache: nodes computed on reruns after edits and on equal Sends; time of a hit.

| workload | what is counted |
|---|---|
| edit and rerun | a chain of nodes runs, one is edited, the chain runs again on the same input |
| equal Sends | 20 equal tasks of one superstep, in a cold cache and again in a warm one |
| hit | processor time a hit adds over a node that returns the same value at once |

LangGraph's own cache (`CachePolicy` with `InMemoryCache`) stands beside it on both workloads. It
keys a node by its name and input alone, so after an edit it gives the old code's result: counted as
stale.
"""

from __future__ import annotations

import argparse
import operator
import statistics
import time
from collections import Counter
from typing import Annotated, Any, TypedDict

from _machine import describe
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Send

from graphroute import optimize, registry, route
from graphroute.protocols import Cache

NODES = 6
SENDS = 20
SIZES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}


class State(TypedDict, total=False):
    """A text for every step, and what a fan-out gathers."""

    text: str
    spare: str
    out: str
    outs: Annotated[list[str], operator.add]


def cached(graph: Any, cache: Cache | None) -> Any:
    """`graph` optimized with a cache; without one where None."""
    return optimize(graph, cache=False if cache is None else cache)


def memory() -> Cache:
    """A cache in memory."""
    built = registry.build("caches", "memory")
    assert isinstance(built, Cache)
    return built


# Edit and rerun.


def chain(words: list[str], runs: Counter[int], **compiled: Any) -> Any:
    """Nodes one after the other, each adding its word; a word is what an edit changes."""
    builder = StateGraph(State)

    def add(number: int, word: str, before: str) -> None:
        def node(state: State) -> State:
            runs[number] += 1
            return {"out": f"{state.get('out', state['text'])} {word}"}

        policy: Any = CachePolicy() if compiled.get("cache") is not None else None
        builder.add_node(f"n{number}", route(cache=True)(node), cache_policy=policy)
        builder.add_edge(before, f"n{number}")

    for number, word in enumerate(words):
        add(number, word, START if number == 0 else f"n{number - 1}")
    builder.add_edge(f"n{len(words) - 1}", END)
    return builder.compile(name="chain", **compiled)


def edits() -> None:
    """Nodes computed after an edit of each node, of an unread key, and of nothing."""
    print(f"\nedit and rerun, chain of {NODES} nodes: nodes computed (right result?)")
    words = [f"w{n}" for n in range(NODES)]
    before: State = {"text": "t", "spare": "1"}
    cases = {
        "nothing": (words, before),
        "a key no node reads": (words, {**before, "spare": "2"}),
        "the last node": ([*words[:-1], "new"], before),
        "the middle node": ([*words[:3], "new", *words[4:]], before),
        "the first node": (["new", *words[1:]], before),
    }
    print(f"{'edited':>22}  {'graphroute':>14}  {'LangGraph':>14}")
    for name, (after, given) in cases.items():
        wanted = chain(after, Counter()).invoke(given)["out"]
        cells = []
        for is_ours in (True, False):
            runs: Counter[int] = Counter()
            backend: Any = memory() if is_ours else InMemoryCache()

            def run(
                texts: list[str],
                state: Any,
                backend: Any = backend,
                is_ours: bool = is_ours,
                runs: Counter[int] = runs,
            ) -> str:
                if is_ours:
                    found = cached(chain(texts, runs), backend).invoke(state)
                else:
                    found = chain(texts, runs, cache=backend).invoke(state)
                return str(found["out"])

            run(words, before)
            runs.clear()
            is_right = run(after, given) == wanted
            cells.append(f"{runs.total()} ({'right' if is_right else 'stale'})")
        print(f"{name:>22}  {cells[0]:>14}  {cells[1]:>14}")


# Equal Sends.


def fan(runs: Counter[str], **compiled: Any) -> Any:
    """`SENDS` equal tasks."""

    @route(cache=True)
    def judge(state: State) -> State:
        runs["judge"] += 1
        time.sleep(0.02)  # as long as a very quick model, so that equal tasks meet
        return {"outs": [state["text"].upper()]}

    builder = StateGraph(State)
    policy: Any = CachePolicy() if compiled.get("cache") is not None else None
    builder.add_node("judge", judge, cache_policy=policy)
    sends = [Send("judge", {"text": "same"}) for _ in range(SENDS)]
    builder.add_conditional_edges(START, lambda _: sends, ["judge"])
    return builder.compile(name="fan", **compiled)


def sends() -> None:
    """Tasks computed of equal ones, cold and warm."""
    print(f"\n{SENDS} equal Sends: tasks computed")
    for name in ("graphroute", "LangGraph"):
        runs: Counter[str] = Counter()
        graph = (
            cached(fan(runs), memory())
            if name == "graphroute"
            else fan(runs, cache=InMemoryCache())
        )
        counts = []
        for _ in range(2):
            graph.invoke({})
            counts.append(runs.pop("judge", 0))
        print(f"{name:>22}  cold {counts[0]}, warm {counts[1]}")


# A hit.


def returning(value: str) -> Any:
    """A graph of one node that reads a text and returns one of the same size at once."""

    @route(cache=True)
    def node(state: State) -> State:
        return {"out": value} if state["text"] else {}

    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(name="returning")


def timed_s(graph: Any, given: Any, runs: int) -> float:
    """Processor seconds per run."""
    started = time.thread_time()
    for _ in range(runs):
        graph.invoke(given)
    return (time.thread_time() - started) / runs


def hits(rounds: int, runs: int) -> None:
    """Milliseconds that a hit adds, by the size of what is read and returned."""
    print(f"\nprocessor time a hit adds, median of {rounds} rounds of {runs} runs (least, most)")
    for name, size in SIZES.items():
        given = {"text": "x" * size}
        graph = returning("y" * size)
        fast, plain = cached(graph, memory()), cached(graph, None)
        fast.invoke(given)
        added = []
        for _ in range(rounds):
            base = timed_s(plain, given, runs)
            added.append(1e3 * (timed_s(fast, given, runs) - base))
        added.sort()
        print(f"{name:>22}  {statistics.median(added):.3f} ms ({added[0]:.3f}, {added[-1]:.3f})")
        assert all(record.outcome == "hit" for record in fast.node_records[1:])


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50)
    given = parser.parse_args()
    print(describe())
    edits()
    sends()
    hits(given.rounds, given.runs)


if __name__ == "__main__":
    main()
