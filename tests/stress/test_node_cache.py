"""The node cache under many threads, tasks and processes: each key is computed once."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph

from graphroute import registry
from graphroute.frontend.hints import route
from graphroute.runtime import hook
from tests.unit.runtime.node_cache.graphs import cached

pytestmark = pytest.mark.slow

THREADS, VISITS, INPUTS = 64, 100, 12


class State(TypedDict, total=False):
    text: str
    out: str


def _graph(node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(name="stress")


@pytest.fixture(autouse=True)
def _hook() -> Any:
    hook.install()
    yield
    assert hook.remove()


def test_64_threads_compute_each_input_once() -> None:
    runs: Counter[str] = Counter()

    @route(cache=True)
    def node(state: State) -> State:
        runs[state["text"]] += 1
        return {"out": state["text"] * 3}

    fast = cached(_graph(node))
    wrong: list[str] = []

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(VISITS):
            text = f"input {draw.randrange(INPUTS)}"
            found = fast.invoke({"text": text})["out"]
            if found != text * 3:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong
    assert set(runs.values()) == {1}
    assert len(runs) == INPUTS
    assert len(fast.node_records) == THREADS * VISITS


async def test_leaders_that_are_cancelled_leave_no_one_waiting() -> None:
    runs: Counter[str] = Counter()
    draw = random.Random(7)

    @route(cache=True)
    async def node(state: State) -> State:
        runs[state["text"]] += 1
        await asyncio.sleep(0.01)
        return {"out": state["text"] * 3}

    fast = cached(_graph(node))
    tasks = [
        asyncio.create_task(fast.ainvoke({"text": f"input {draw.randrange(INPUTS)}"}))
        for _ in range(400)
    ]
    for _ in range(40):
        await asyncio.sleep(0)
        draw.choice(tasks).cancel()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    kept = [one for one in found if not isinstance(one, BaseException)]
    assert len(kept) >= 360
    assert all(one["out"] == one["text"] * 3 for one in kept)


def _other_process(folder: str, done: Any) -> None:
    hook.install()
    fast = cached(_graph(shared), _disk(folder))
    outcomes = []
    for number in range(INPUTS):
        assert fast.invoke({"text": f"input {number}"})["out"] == f"input {number}!"
        outcomes.append(fast.node_records[-1].outcome)
    done.put(outcomes)


def _disk(folder: str) -> Any:
    return registry.build("caches", "disk", folder=folder)


@route(cache=True)
def shared(state: State) -> State:
    return {"out": state["text"] + "!"}


def test_another_process_finds_what_this_one_kept(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(2):
        done = context.Queue()
        process = context.Process(target=_other_process, args=(str(tmp_path), done))
        process.start()
        found.append(done.get(timeout=90))
        process.join(60)
        assert process.exitcode == 0
    assert found == [["computed"] * INPUTS, ["hit"] * INPUTS]
