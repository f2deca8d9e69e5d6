"""A fan-out of review classifications on an embedded llama.cpp, under each batch policy.

    python benchmarks/batch.py [--model gemma|smollm2] [--count 64] [--houses 4] [--slots 2]
                               [--packs 4 16] [--threads] [--repeat 1] [--seed 0] [--json]

Each review of `houses` houses is judged by a task of its own (`Send`); the instruction is longer
than the text and differs by house, and the houses come in turn. The arms, in an order drawn anew
each round, each on a server that was started anew:

- `slots`: no graph: as many threads as the server has slots and one more call it all the time. What
  the server itself reaches.
- `plain`: LangGraph alone.
- `immediate`, `window`, `prefix`: the graph optimized with that policy and nothing else.
- `pack`: the node asks for packing; sizes are chosen by what is measured on the way.
- `packs of k`: every call packed, whatever is lost: what the measuring is there to prevent.

All arms are run `repeat` times; times are medians, all else is of the first round. Shown for each:
wall time; throughput as a share of the `slots` arm of the same round; upstream calls; prompt
tokens, those of them that the server read from its prompt cache; accuracy against the known mood,
and the paired difference to the plain run with a 95 % interval (bootstrap over reviews).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict
from unittest.mock import patch

from _machine import describe
from _reviews import Review, reviews, task
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from platformdirs import user_cache_path

from graphroute import RouteHints, optimize
from graphroute.providers import llamacpp
from graphroute.providers._llama_chat import LlamaCppChat
from graphroute.providers._packaged import gemma_path, smollm2_path
from graphroute.runtime import packer
from graphroute.runtime.pack_size import PackSize
from graphroute.runtime.packing import cut_off

CONTEXT_TOKENS, OUT_TOKENS = 2048, 8
RESAMPLES = 4000
SHOWN = (
    ("Is the sentiment of this text positive or negative? Text: The ending was dull.", "negative"),
    ("Is the sentiment of this text positive or negative? Text: A lovely evening.", "positive"),
    ("Is the sentiment of this text positive or negative? Text: Cold soup, no help.", "negative"),
    ("Is the sentiment of this text positive or negative? Text: Our guide was great!", "positive"),
)
"""What frames the base model; none of it is among the reviews."""


class Judged(TypedDict, total=False):
    """All findings, by the number of their review."""

    found: Annotated[list[tuple[int, str]], operator.add]


class One(TypedDict):
    """One review's number."""

    number: int


@dataclass(kw_only=True)
class Upstream:
    """What really went to the server."""

    calls: int = 0
    in_tokens: int = 0
    cached: int = 0


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What one arm did; accuracy and difference in points, the interval of the difference too."""

    name: str
    wall_s: float
    calls: int
    in_tokens: int
    cached_tokens: int
    accuracy: float
    difference: tuple[float, float, float] = (0.0, 0.0, 0.0)
    of_slots: float = 1.0


def model(name: str, slots: int) -> LlamaCppChat:
    """The embedded model, with room for one word."""
    if name == "smollm2":
        gguf = llamacpp.Gguf(
            path=smollm2_path(),
            alias="smollm2",
            template=llamacpp.TOOLS,
            context_tokens=CONTEXT_TOKENS,
            slots=slots,
        )
    else:
        gguf = llamacpp.Gguf(
            path=gemma_path(Path(user_cache_path("graphroute")) / "models"),
            alias="gemma",
            template=llamacpp.few_shot(SHOWN),
            stop=llamacpp.FEW_SHOT_STOP,
            context_tokens=CONTEXT_TOKENS,
            slots=slots,
        )
    return llamacpp.chat(gguf, temperature=0, max_tokens=OUT_TOKENS)


@contextmanager
def counted() -> Iterator[Upstream]:
    """Count the calls of all embedded models while the block runs."""
    seen, lock = Upstream(), threading.Lock()
    original, aoriginal = LlamaCppChat._generate, LlamaCppChat._agenerate

    def note(message: BaseMessage | None) -> None:
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        with lock:
            seen.calls += 1
            if usage is not None:
                seen.in_tokens += usage["input_tokens"]
                seen.cached += usage.get("input_token_details", {}).get("cache_read") or 0

    def generate(self: LlamaCppChat, *args: Any, **kwargs: Any) -> Any:
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            note(cut_off(error))  # the server has worked on it all the same
            raise
        note(result.generations[0].message)
        return result

    async def agenerate(self: LlamaCppChat, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await aoriginal(self, *args, **kwargs)
        except Exception as error:
            note(cut_off(error))
            raise
        note(result.generations[0].message)
        return result

    with (
        patch.object(LlamaCppChat, "_generate", generate),
        patch.object(LlamaCppChat, "_agenerate", agenerate),
    ):
        yield seen


def mood(answer: AIMessage) -> str:
    """The one word that was asked for; empty where it is another."""
    text = answer.text.lower()
    return next((word for word in ("positive", "negative") if word in text), "")


def fan_out(chat: LlamaCppChat, texts: Sequence[Review], *, threads: bool) -> Any:
    """The graph: one task for each review, as functions or as coroutines."""

    def prompt(state: One) -> str:
        review = texts[state["number"]]
        return task(review.house).format(review.text)

    def judge(state: One) -> Judged:
        return {"found": [(state["number"], mood(chat.invoke(prompt(state))))]}

    async def ajudge(state: One) -> Judged:
        return {"found": [(state["number"], mood(await chat.ainvoke(prompt(state))))]}

    builder = StateGraph(Judged)
    builder.add_node("judge", judge if threads else ajudge)
    builder.add_conditional_edges(
        START, lambda _: [Send("judge", {"number": n}) for n in range(len(texts))], ["judge"]
    )
    return builder.compile()


def run(graph: Any, count: int, *, threads: bool) -> list[str]:
    """Run the graph once; the findings in the order of the reviews."""
    end = graph.invoke({}) if threads else asyncio.run(graph.ainvoke({}))
    found = dict(end["found"])
    return [found[number] for number in range(count)]


def flat_out(chat: LlamaCppChat, texts: Sequence[Review], slots: int) -> list[str]:
    """The same calls without a graph, the server never idle."""
    with ThreadPoolExecutor(slots + 1) as pool:
        prompts = [task(review.house).format(review.text) for review in texts]
        return [mood(answer) for answer in pool.map(chat.invoke, prompts)]


def measured(
    name: str,
    options: argparse.Namespace,
    work: Callable[[LlamaCppChat], list[str]],
    texts: Sequence[Review],
) -> tuple[Arm, list[bool]]:
    """One arm on a fresh server, warmed up by a call that has nothing to do with the reviews."""
    llamacpp.close()
    chat = model(options.model, options.slots)
    chat.invoke("Hello")
    with counted() as seen:
        start = time.perf_counter()
        found = work(chat)
        wall_s = time.perf_counter() - start
    right = [said == review.mood for said, review in zip(found, texts, strict=True)]
    arm = Arm(
        name=name,
        wall_s=wall_s,
        calls=seen.calls,
        in_tokens=seen.in_tokens,
        cached_tokens=seen.cached,
        accuracy=100 * sum(right) / len(right),
    )
    return arm, right


def difference(
    first: Sequence[bool], second: Sequence[bool], *, seed: int
) -> tuple[float, float, float]:
    """Mean paired difference in points, and its 95 % interval over the reviews."""
    each = [100.0 * (a - b) for a, b in zip(first, second, strict=True)]
    draw = random.Random(seed)
    means = sorted(sum(draw.choices(each, k=len(each))) / len(each) for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]
    return sum(each) / len(each), low, high


@contextmanager
def packs_of(size: int) -> Iterator[None]:
    """Pack that many, without asking what is lost and without checking."""
    forced = PackSize(size=size, reason="forced")
    with (
        patch.object(packer, "pack_size", lambda *_, **__: forced),
        patch.object(packer, "check_share", lambda *_, **__: 0.0),
    ):
        yield


def arms(options: argparse.Namespace, number: int) -> list[Arm]:
    """One round of all arms, in an order of its own."""
    texts = reviews(options.count, houses=options.houses, seed=options.seed)

    def graph(chat: LlamaCppChat) -> Any:
        return fan_out(chat, texts, threads=options.threads)

    def finish(made: Any) -> list[str]:
        return run(made, len(texts), threads=options.threads)

    def optimized(policy: str, **hints: Any) -> Callable[[LlamaCppChat], list[str]]:
        return lambda chat: finish(
            optimize(
                graph(chat),
                batch=policy,
                cache=False,
                nodes={"judge": RouteHints(**hints)},
                seed=options.seed,
            )
        )

    def packed(size: int) -> Callable[[LlamaCppChat], list[str]]:
        def work(chat: LlamaCppChat) -> list[str]:
            with packs_of(size):
                return optimized("pack", batch="pack")(chat)

        return work

    works: dict[str, Callable[[LlamaCppChat], list[str]]] = {
        "slots": lambda chat: flat_out(chat, texts, options.slots),
        "plain": lambda chat: finish(graph(chat)),
        **{policy: optimized(policy) for policy in ("immediate", "window", "prefix")},
        "pack": optimized("pack", batch="pack"),
        **{f"packs of {size}": packed(size) for size in options.packs},
    }
    order = list(works)
    random.Random(options.seed + number).shuffle(order)
    found = {name: measured(name, options, works[name], texts) for name in order}
    llamacpp.close()
    plain, flat = found["plain"][1], found["slots"][0]
    return [
        replace(
            arm,
            difference=difference(right, plain, seed=options.seed),
            of_slots=flat.wall_s / arm.wall_s,
        )
        for arm, right in (found[name] for name in works)
    ]


def middle(same: Sequence[Arm]) -> Arm:
    """The first of several runs of an arm, with the medians of their times."""
    return replace(
        same[0],
        wall_s=median(arm.wall_s for arm in same),
        of_slots=median(arm.of_slots for arm in same),
    )


def main() -> None:
    """Run all arms and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", choices=("gemma", "smollm2"), default="gemma")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--houses", type=int, default=4, choices=(1, 2, 3, 4))
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--threads", action="store_true", help="sync nodes in LangGraph's threads")
    parser.add_argument("--packs", type=int, nargs="*", default=[4, 16])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    machine = describe(seed=options.seed)
    rounds = [arms(options, number) for number in range(options.repeat)]
    rows = [middle(same) for same in zip(*rounds, strict=True)]
    if options.json:
        print(json.dumps({"machine": machine, "arms": [asdict(arm) for arm in rows]}, indent=2))
        return
    print(
        f"{machine}; {options.model}, {options.slots} slots, {options.count} reviews of "
        f"{options.houses} houses, median of {options.repeat}"
    )
    print("| arm | s | of slots | upstream calls | prompt tokens | cached | right | to plain |")
    print("|---|---|---|---|---|---|---|---|")
    for arm in rows:
        mean, low, high = arm.difference
        print(
            f"| {arm.name} | {arm.wall_s:.1f} | {arm.of_slots:.0%} | {arm.calls} "
            f"| {arm.in_tokens:,} | {arm.cached_tokens:,} | {arm.accuracy:.1f} % "
            f"| {mean:+.1f} ({low:+.1f} to {high:+.1f}) |"
        )


if __name__ == "__main__":
    main()
