"""What an optimized graph costs over the plain one, where no model is slow enough to hide it.

    python benchmarks/overhead.py [--rounds 40] [--calls 3000] [--json]

1. Time per node of a chain of 100 and a fan-out of 100 no-op nodes, plain and optimized in turn, so
   that both see the same machine: the median of the ratios of neighbouring runs.
2. Time added per intercepted call over the plain call's median, and what the lexical scorer adds
   to that for a call from where the plan saw none (elsewhere prompts are not scored). Wall time
   holds whatever else the machine does (see the plain call's own p99), CPU time does not.

The machine's own noise is shown by the same ratio of plain against plain.
"""

from __future__ import annotations

import argparse
import json
import operator
import random
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from _machine import describe
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from graphroute import Model, optimize, registry
from graphroute.protocols import PromptScorer
from graphroute.providers.scripted import ScriptedChat

SIZE = 100
TEXT = (
    "the invoice of last month shows a fee that nobody ordered please check order number and "
    "explain why it was charged twice then write a short polite reply in two sentences"
)


class State(TypedDict, total=False):
    seen: Annotated[list[int], operator.add]


def chain() -> Any:
    builder = StateGraph(State)
    previous = START
    for number in range(SIZE):
        builder.add_node(f"n{number}", lambda _: {})
        builder.add_edge(previous, f"n{number}")
        previous = f"n{number}"
    return builder.compile()


def fan_out() -> Any:
    builder = StateGraph(State)
    builder.add_node("split", lambda _: {})
    builder.add_node("work", lambda _: {})
    builder.add_edge(START, "split")
    builder.add_conditional_edges(
        "split", lambda _: [Send("work", {}) for _ in range(SIZE)], ["work"]
    )
    return builder.compile()


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratio(first: Callable[[], object], second: Callable[[], object], rounds: int) -> float:
    """Median of first/second over pairs run back to back, the order swapped each time."""
    first(), second()
    ratios = []
    for number in range(rounds):
        if number % 2:
            a, b = timed(first), timed(second)
        else:
            b, a = timed(second), timed(first)
        ratios.append(a / b)
    return statistics.median(ratios)


def added_per_call(calls: int, seed: int) -> dict[str, float]:
    """Milliseconds an intercepted call takes longer than the plain call's median."""
    draw, words = random.Random(seed), TEXT.split()
    prompts = [" ".join(draw.choices(words, k=draw.randint(20, 200))) for _ in range(calls)]
    own = ScriptedChat(name="own")
    wall: list[float] = []
    cpu: list[float] = []

    def node(state: State) -> State:  # noqa: ARG001 - LangGraph names it
        for prompt in prompts:
            start, start_cpu = time.perf_counter(), time.thread_time()
            own.invoke(prompt)
            wall.append(time.perf_counter() - start)
            cpu.append(time.thread_time() - start_cpu)
        return {}

    builder = StateGraph(State)
    builder.add_node("draft", node)
    builder.add_edge(START, "draft")
    graph = builder.compile()
    fast = optimize(
        graph,
        models=[Model("scripted:own", own, price_in_usd=1, price_out_usd=2)],
        budget=1_000_000,
    )
    graph.invoke({})
    fast.invoke({})
    figures: dict[str, float] = {}
    for run in (graph, fast):
        wall.clear()
        cpu.clear()
        run.invoke({})
        for clock, times in (("wall", sorted(wall)), ("cpu", sorted(cpu))):
            for name, share in (("median", 0.5), ("p99", 0.99)):
                value = times[min(calls - 1, int(share * calls))] * 1e3
                if run is graph:
                    figures[f"plain_{clock}_{name}_ms"] = value
                else:
                    base = figures[f"plain_{clock}_median_ms"]
                    figures[f"added_{clock}_{name}_ms"] = value - base
    scorer = registry.build("scorers", "lexical")
    assert isinstance(scorer, PromptScorer)
    cpu.clear()
    for prompt in prompts:
        start_cpu = time.thread_time()
        scorer.difficulty([prompt])
        cpu.append(time.thread_time() - start_cpu)
    figures["scoring_cpu_p99_ms"] = sorted(cpu)[int(0.99 * calls)] * 1e3
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": describe(seed=options.seed)}
    for name, build in (("chain", chain), ("fan_out", fan_out)):
        plain, again = build(), build()
        fast = optimize(plain)
        figures[f"{name}_of_{SIZE}"] = {
            "optimized_over_plain": ratio(
                lambda fast=fast: fast.invoke({}, {"recursion_limit": 500}),  # type: ignore[misc]
                lambda plain=plain: plain.invoke({}, {"recursion_limit": 500}),  # type: ignore[misc]
                options.rounds,
            ),
            "plain_over_plain": ratio(
                lambda again=again: again.invoke({}, {"recursion_limit": 500}),  # type: ignore[misc]
                lambda plain=plain: plain.invoke({}, {"recursion_limit": 500}),  # type: ignore[misc]
                options.rounds,
            ),
        }
    figures["intercepted_call"] = added_per_call(options.calls, options.seed)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    print(figures.pop("machine"))
    for name, values in figures.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
