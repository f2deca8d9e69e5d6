"""Plain and optimized runs on one thread, several plans in one process, many runs side by side."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from graphroute import Model, optimize
from graphroute.providers.scripted import ScriptedChat
from tests.semantics.graphs_control import asking, asking_within
from tests.semantics.graphs_flow import QUESTION, State, called, chain, nested
from tests.semantics.observe import Observed, first_difference
from tests.semantics.twins import Build, echo
from tests.unit.runtime.situations import assignment_for, policy_for, routed

CONFIG = {"configurable": {"thread_id": "1"}}


def speaking(name: str) -> ScriptedChat:
    return ScriptedChat(name=name, replies=lambda messages: f"{name}: {messages[-1].text}")


def onto(graph: Any, *chats: ScriptedChat) -> Any:
    """`graph` with every call sent to the first of `chats`."""
    return routed(graph, policy_for(chats={f"scripted:{chat.name}": chat for chat in chats}))


@pytest.mark.parametrize("build", [asking, asking_within], ids=lambda b: b.__name__)
@pytest.mark.parametrize("order", [("plain", "fast"), ("fast", "plain")], ids="-".join)
async def test_a_thread_goes_on_the_other_way(build: Build, order: tuple[str, str]) -> None:
    """Interrupted on one and resumed on the other; the same as all plain, sync and async."""
    own, twin = ScriptedChat(name="m", replies=echo), ScriptedChat(name="m", replies=echo)
    graph = build(own, checkpointer=InMemorySaver())
    ways = {"plain": graph, "fast": routed(graph, policy_for(chats={"scripted:twin": twin}))}
    reference = build(ScriptedChat(name="m", replies=echo), checkpointer=InMemorySaver())
    seen = []
    for first, second in ((reference, reference), [ways[name] for name in order]):
        before = first.invoke(QUESTION, CONFIG)
        after = await second.ainvoke(Command(resume="a person"), CONFIG)
        history = list(first.get_state_history(CONFIG))
        seen.append(Observed()([before, after, history]))
    assert first_difference(*seen) is None
    assert own.calls
    assert twin.calls


def test_two_plans_of_one_graph_at_once_keep_apart() -> None:
    graph = nested(speaking("own"))
    one, two = onto(graph, speaking("one")), onto(graph, speaking("two"))

    def run(n: int) -> tuple[str, list[str]]:
        name, way = (("one", one), ("two", two), ("own", graph))[n % 3]
        return name, way.invoke({"question": str(n), "notes": []})["notes"]

    with ThreadPoolExecutor(16) as pool:
        for name, notes in pool.map(run, range(96)):
            assert notes
            assert all(note.startswith(f"{name}: ") for note in notes), (name, notes)


def test_the_outer_plan_wins_and_optimizing_again_replaces() -> None:
    inner = onto(chain(speaking("own")), speaking("inner"))
    builder = StateGraph(State)
    builder.add_node("team", inner)
    builder.add_edge(START, "team")
    outer: Any = builder.compile()
    assert outer.invoke(QUESTION)["notes"][0].startswith("inner: ")
    assert onto(outer, speaking("outer")).invoke(QUESTION)["notes"][0].startswith("outer: ")
    assert onto(inner, speaking("again")).invoke(QUESTION)["notes"][0].startswith("again: ")


def test_a_graph_on_a_thread_of_its_own_is_routed_under_its_node() -> None:
    own, cheap = speaking("own"), speaking("cheap")
    policy = policy_for(
        assignment_for("caller/plan", "scripted:cheap"), chats={"scripted:cheap": cheap}
    )
    notes = routed(called(own), policy).invoke(QUESTION)["notes"]
    assert all(note.startswith("cheap: ") for note in notes)
    assert [r.node for r in policy.records] == ["caller/plan", "caller/write"] * 2


def test_a_server_that_copies_per_request_keeps_the_plan() -> None:
    fast = optimize(
        chain(speaking("own")), models=[Model("scripted:cheap", speaking("cheap"), local=True)]
    )
    for n in range(5):
        copied = fast.copy(update={"checkpointer": InMemorySaver(), "name": f"g{n}"})
        notes = copied.invoke(QUESTION, {"configurable": {"thread_id": str(n)}})["notes"]
        assert all(note.startswith("cheap: ") for note in notes)
        assert copied.plan is fast.plan
    assert len(fast.records) == 10


async def test_loops_and_threads_side_by_side_mix_nothing() -> None:
    """64 threads with loops of their own and 1,000 tasks here, three plans, one graph."""

    async def anode(state: State) -> Any:
        await asyncio.sleep(0)
        return {"notes": [(await model.ainvoke(state["question"])).text]}

    def node(state: State) -> Any:
        return {"notes": [model.invoke(state["question"]).text]}

    model = speaking("own")
    builder = StateGraph(State)
    builder.add_node("ask", RunnableLambda(node, anode))
    builder.add_edge(START, "ask")
    graph = builder.compile()
    ways = {"own": graph} | {n: onto(graph, speaking(n)) for n in ("one", "two")}
    names = list(ways)

    async def run(n: int) -> None:
        name = names[n % 3]
        found = await ways[name].ainvoke({"question": str(n), "notes": []})
        assert found["notes"] == [f"{name}: {n}"]

    with ThreadPoolExecutor(64) as pool:
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(pool, asyncio.run, run(n)) for n in range(192)]
        await asyncio.gather(*(run(n) for n in range(1_000)), *threads)
    for name in ("one", "two"):
        mine = ways[name].records
        assert len(mine) == len({record.run_id for record in mine})
        assert {record.model for record in mine} == {f"scripted:{name}"}
    assert len(ways["one"].records) + len(ways["two"].records) == 794
