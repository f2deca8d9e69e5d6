"""Thousands of runs leave nothing behind: no memory, thread, file, handle or context variable."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from typing import Any

import psutil
import pytest
from langgraph.graph import START, StateGraph

from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import drive
from graphroute.runtime.run_handle import RunHandle
from tests.semantics.graphs_flow import State, asks
from tests.unit.runtime.situations import policy_for, routed


def one_call(model: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("ask", asks(model, "ask"))
    builder.add_edge(START, "ask")
    return builder.compile()


def handles() -> int:
    """Run handles that are still alive."""
    gc.collect()
    return sum(type(found) is RunHandle for found in gc.get_objects())


@pytest.mark.parametrize("runs", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_runs_leave_nothing_behind(runs: int) -> None:
    own = ScriptedChat(name="own")
    twin = ScriptedChat(name="twin", replies=lambda messages: "said")
    policy = policy_for(chats={"scripted:twin": twin})
    others = handles()  # of tests before this one, whose frames pytest may keep
    fast = routed(one_call(own), policy)
    journal, me = twin._journal, psutil.Process()

    def some(count: int) -> int:
        """Bytes in use after `count` runs, half of them async, every tenth closed early."""

        async def loop() -> None:
            for _ in range(count // 2):
                await fast.ainvoke({"question": "q", "notes": []})

        asyncio.run(loop())
        for n in range(count // 2):
            stream = fast.stream({"question": "q", "notes": []}, stream_mode="messages")
            if n % 10:
                list(stream)
            else:
                next(stream)
                stream.close()
        # Records are kept on purpose, up to a limit, and so is the script's own journal.
        policy._records.clear()
        with journal.lock:
            journal.calls.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        some(100)  # caches of langgraph and pydantic fill at the first runs
        files, threads = me.num_fds(), threading.active_count()
        before = some(100)
        after = some(runs)
    finally:
        tracemalloc.stop()
    assert after - before < 64_000 + 20 * runs, f"{after - before} bytes more after {runs} runs"
    assert handles() <= others
    assert me.num_fds() <= files + 2
    assert threading.active_count() <= threads + 1
    assert drive.routing.get() is False
