"""Caches side by side: hit and miss latency, and calls saved where a run is done again.

Latency: graphroute's memory, disk and layered caches, alone ("bytes") and as a model call is served
from them ("answer": key of the prompt, look-up, checks, a message of one's own; of a prompt that is
made anew each time, or of the same object), beside LangGraph's caches of node writes (SQLite's
where langgraph-checkpoint-sqlite is installed), plain diskcache and, with --gptcache, GPTCache's
exact match in an interpreter of its own. Medians; the order is drawn anew each round.

Runs: what a known answer adds to a run of a graph with one call, over a model that answers at once.

Calls: 20 equal `Send`s, cold and warm; a chain whose last prompt is edited. Model calls counted.

    python benchmarks/cache.py [--gptcache PYTHON]
"""

from __future__ import annotations

import argparse
import json
import operator
import random
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypedDict

import diskcache
from _machine import describe
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.cache.base import BaseCache
from langgraph.cache.memory import InMemoryCache
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Send

from graphroute import Model, optimize
from graphroute.caches import disk, layered, memory
from graphroute.protocols import Cache
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.answers import Answers, anew
from graphroute.runtime.cache_key import call_key
from graphroute.runtime.stored import answer_of, dump_answer

SIZES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}

GPTCACHE = """
import json, statistics, sys, tempfile, time
from gptcache import Cache
from gptcache.adapter.api import get, put
from gptcache.manager import get_data_manager
from gptcache.processor.pre import get_prompt
told = {}
for label, size in json.loads(sys.argv[1]).items():
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache()
        store = get_data_manager(data_path=folder + "/map.txt")
        cache.init(pre_embedding_func=get_prompt, data_manager=store)
        prompt, answer = "x" * size, "y" * size
        put(prompt, answer, cache_obj=cache)
        assert get(prompt, cache_obj=cache) == answer
        spans = {"hit": [], "miss": []}
        for number in range(int(sys.argv[2])):
            for kind, text in (("hit", prompt), ("miss", prompt + str(number))):
                start = time.perf_counter()
                get(text, cache_obj=cache)
                spans[kind].append(time.perf_counter() - start)
        told[label] = {kind: statistics.median(each) * 1e6 for kind, each in spans.items()}
print(json.dumps(told))
"""

Look = Callable[[bool], Callable[[], object]]
"""A look for what is there (True) or for what is not, ready to be timed."""


def bytes_of(cache: Cache, key: str, value: bytes) -> Look:
    """A backend by itself."""
    cache.put(key, value, tags={"node": "draft", "model": "m"})
    return lambda is_hit: lambda: cache.get(key if is_hit else f"{key}no")


def answers_of(cache: Cache, size: int, answer: AIMessage, *, is_same: bool = False) -> Look:
    """A model call as it is served: from its messages to a message of its own."""
    answers, rules = Answers(cache=cache), SystemMessage("Be short.")
    kept = "x" * size

    def key(text: str) -> str:
        return call_key("m", {"temperature": 0}, [rules, HumanMessage(text)])

    answers.put(
        key(kept),
        [answer],
        pieces=(),
        tags={"node": "draft", "model": "m"},
        facets={},
        is_private=False,
    )

    def look(is_hit: bool) -> Callable[[], object]:
        text = kept if is_same and is_hit else kept[:-1] + ("x" if is_hit else "!")

        def timed() -> object:
            found = answers.get(key(text))
            return None if found is None else [anew(each) for each in found.messages]

        return timed

    return look


def writes_of(cache: BaseCache[Any], answer: AIMessage) -> Look:
    """LangGraph's cache of a node's writes; its key (a pickle of the state) is not counted."""
    space = ("__pregel_ns_writes", "module.node", "node")
    cache.set({(space, "key"): ([("messages", [answer])], None)})
    return lambda is_hit: lambda: cache.get([(space, "key" if is_hit else "no")])


def contestants(folder: Path, size: int) -> dict[str, Look]:
    """Everything that is timed for one size."""
    answer = AIMessage("y" * size)
    entry = dump_answer(answer_of([answer]))
    raw = diskcache.Cache(str(folder / "raw"))
    raw.set("key", entry)
    found: dict[str, Look] = {
        "memory, bytes": bytes_of(memory.build(), "key", entry),
        "memory, answer": answers_of(memory.build(), size, answer),
        "memory, same prompt": answers_of(memory.build(), size, answer, is_same=True),
        "disk, bytes": bytes_of(disk.build(folder / "disk"), "key", entry),
        "disk, answer": answers_of(disk.build(folder / "disk2"), size, answer),
        "disk encrypted, bytes": bytes_of(
            disk.build(folder / "sealed", key="A" * 43 + "="), "key", entry
        ),
        "layered, bytes": bytes_of(layered.build(folder / "layered"), "key", entry),
        "plain diskcache, bytes": lambda is_hit: lambda: raw.get("key" if is_hit else "no"),
        "LangGraph InMemoryCache": writes_of(InMemoryCache(), answer),
    }
    if find_spec("langgraph.cache.sqlite") is not None:
        kept = import_module("langgraph.cache.sqlite").SqliteCache(path=str(folder / "lg.db"))
        found["LangGraph SqliteCache"] = writes_of(kept, answer)
    return found


def latency(rounds: int, seed: int, gptcache: str | None) -> None:
    """Print medians in microseconds."""
    draw = random.Random(seed)
    columns = [f"{kind} {label}" for label in SIZES for kind in ("hit", "miss")]
    print(f"\nlatency, µs (median of {rounds})")
    print(f"{'':<26}" + "".join(f"{column:>13}" for column in columns))
    table: dict[str, list[float]] = {}
    for size in SIZES.values():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            looks = contestants(Path(folder), size)
            spans: dict[tuple[str, bool], list[float]] = {}
            for _ in range(rounds):
                # What ran just before leaves processor caches full or empty.
                for name, look in draw.sample(list(looks.items()), len(looks)):
                    for is_hit in (True, False):
                        timed = look(is_hit)
                        start = time.perf_counter()
                        found = timed()
                        spans.setdefault((name, is_hit), []).append(time.perf_counter() - start)
                        assert bool(found) == is_hit, name
            for name in looks:
                row = table.setdefault(name, [])
                row += [statistics.median(spans[name, is_hit]) * 1e6 for is_hit in (True, False)]
    if gptcache is not None:
        done = subprocess.run(
            [gptcache, "-c", GPTCACHE, json.dumps(SIZES), str(rounds)],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        table["GPTCache, exact match"] = [
            told[label][kind] for label in SIZES for kind in ("hit", "miss")
        ]
    for name, row in table.items():
        print(f"{name:<26}" + "".join(f"{value:>13.1f}" for value in row))
    ratios = [
        own / plain
        for own, plain in zip(table["disk, bytes"], table["plain diskcache, bytes"], strict=True)
    ]
    print("disk / plain diskcache:   " + "".join(f"{ratio:>13.2f}" for ratio in ratios))


# -- whole runs


class AtOnce(BaseChatModel):
    """Answers at once with what it holds."""

    said: AIMessage
    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "at once"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:  # noqa: ARG002 - the base's signature
        return ChatResult(generations=[ChatGeneration(message=self.said.model_copy())])


def runs(rounds: int) -> None:
    """Print the processor time that a known answer adds to a run, in milliseconds."""
    print(f"\nwhole runs of one call, ms of processor time (median of {rounds}; quartiles)")
    for label, size in SIZES.items():
        chat = AtOnce(said=AIMessage("y" * size))

        def ask(state: State, chat: BaseChatModel = chat) -> State:
            return {"text": chat.invoke([HumanMessage(state["text"])]).text[:9]}

        builder = StateGraph(State)
        builder.add_node("ask", ask)
        builder.add_edge(START, "ask")
        builder.add_edge("ask", END)
        with tempfile.TemporaryDirectory() as folder:
            plain = builder.compile()
            own = Model("own:at-once", chat, local=True, context_tokens=10**7)
            kept, off = (
                optimize(builder.compile(), models=[own], cache=cache, store=folder)
                for cache in (memory.build(), False)
            )
            spans: dict[str, list[float]] = {"plain": [], "routed": [], "known": []}
            for number in range(rounds + 3):
                for name, graph in (("plain", plain), ("routed", off), ("known", kept)):
                    text = "x" * (size - 1) + "x"[: 1 + number]
                    start = time.process_time()
                    graph.invoke({"text": text})
                    spans[name].append((time.process_time() - start) * 1e3)
            cells = []
            for name in ("routed", "known"):
                pairs = zip(spans[name][3:], spans["plain"][3:], strict=True)
                low, mid, high = statistics.quantiles([one - other for one, other in pairs], n=4)
                cells.append(f"{name} adds {mid:.2f} ({low:.2f} to {high:.2f})")
            print(
                f"{label:>8}: plain {statistics.median(spans['plain'][3:]):.2f}, {', '.join(cells)}"
            )


# -- workloads


class State(TypedDict, total=False):
    """What the workloads' graphs pass on."""

    text: str
    found: Annotated[list[str], operator.add]


def fan_out(model: ScriptedChat, cache: BaseCache[Any] | None) -> Any:
    """Twenty equal branches."""

    def ask(state: State) -> State:
        return {"found": [model.invoke([HumanMessage(f"Judge: {state['text']}")]).text]}

    policy: CachePolicy[Any] | None = None if cache is None else CachePolicy()
    builder = StateGraph(State)
    builder.add_node("ask", ask, cache_policy=policy)
    builder.add_conditional_edges(START, lambda s: [Send("ask", {"text": s["text"]})] * 20, ["ask"])
    builder.add_edge("ask", END)
    return builder.compile(cache=cache)


def chain(model: ScriptedChat, last: str, cache: BaseCache[Any] | None) -> Any:
    """Five steps, each of which asks about what the one before has said."""
    policy: CachePolicy[Any] | None = None if cache is None else CachePolicy()
    builder = StateGraph(State)

    def step(prompt: str) -> Any:
        def ask(state: State) -> State:
            return {"text": model.invoke([HumanMessage(f"{prompt}: {state['text']}")]).text}

        return ask

    prompts = ["Plan", "Search", "Read", "Draft", last]
    for number, prompt in enumerate(prompts):
        builder.add_node(f"step{number}", step(prompt), cache_policy=policy)
        builder.add_edge(f"step{number - 1}" if number else START, f"step{number}")
    builder.add_edge(f"step{len(prompts) - 1}", END)
    return builder.compile(cache=cache)


def model() -> ScriptedChat:
    """Answers with what it was asked, at temperature 0."""
    return ScriptedChat(
        name="m", temperature=0.0, replies=lambda messages: f"<{messages[-1].content[-60:]}>"
    )


def calls(chat: ScriptedChat, graph: Any, text: str = "x") -> tuple[int, str]:
    """(model calls of a run, what it ended with)."""
    before = len(chat.calls)
    state = graph.invoke({"text": text, "found": []})
    return len(chat.calls) - before, str(state.get("text")) + str(state.get("found"))


def workloads() -> None:
    """Print model calls of cold, warm and edited runs."""
    print("\nmodel calls                         plain  LangGraph InMemoryCache  graphroute")
    counts: dict[str, list[str]] = {}
    for kind in ("plain", "langgraph", "graphroute"):
        with tempfile.TemporaryDirectory() as folder:
            lg = InMemoryCache[Any]() if kind == "langgraph" else None
            kept = memory.build()

            def made(graph: Any, folder: str = folder, kept: Cache = kept, kind: str = kind) -> Any:
                return optimize(graph, cache=kept, store=folder) if kind == "graphroute" else graph

            chat = model()
            fan = made(fan_out(chat, lg))
            for run in ("cold", "warm", "warm again"):
                count, _ = calls(chat, fan)
                counts.setdefault(f"20 equal Sends, {run}", []).append(str(count))
            first, edited, fresh = model(), model(), model()
            count, _ = calls(first, made(chain(first, "Polish", lg)))
            counts.setdefault("chain of 5, cold", []).append(str(count))
            count, _ = calls(first, made(chain(first, "Polish", lg)))
            counts.setdefault("chain of 5, built again", []).append(str(count))
            count, said = calls(edited, made(chain(edited, "Shorten", lg)))
            right = calls(fresh, chain(fresh, "Shorten", None))[1]
            note = "" if said == right else " (stale answer)"
            counts.setdefault("chain of 5, last edited", []).append(f"{count}{note}")
    for label, row in counts.items():
        print(f"{label:<35} {row[0]:>5}  {row[1]:>23}  {row[2]:>10}")


def main() -> None:
    """Print all parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gptcache", help="a Python interpreter that has GPTCache")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)
    print(describe(seed=given.seed))
    latency(given.rounds, given.seed, given.gptcache)
    runs(given.rounds)
    workloads()


if __name__ == "__main__":
    main()
