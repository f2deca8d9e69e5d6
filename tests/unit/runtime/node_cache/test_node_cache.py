"""What is kept and what never is; equal visits at once; models, messages, streams, subgraphs."""

from __future__ import annotations

import asyncio
import logging
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config, get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command, Send, StreamWriter, interrupt

from graphroute.caches.memory import MemoryCache
from graphroute.frontend.hints import route
from graphroute.ir.cache import PRIVATE
from graphroute.ir.hints import Budget, RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.lease import Leases
from tests.unit.runtime.node_cache.graphs import (
    Count,
    cached,
    decisions,
    outcomes,
    reasons,
    with_outputs,
)
from tests.unit.runtime.situations import assignment_for, policy_for, routed


class State(TypedDict, total=False):
    text: str
    out: Any
    outs: Annotated[list[str], operator.add]


def _one(node: Any, schema: Any = State, **compiled: Any) -> Any:
    builder = StateGraph(schema)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile(name="one", **compiled)


def _fan(node: Any, items: list[str]) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_conditional_edges(
        START, lambda _: [Send("node", {"text": item}) for item in items], ["node"]
    )
    return builder.compile(name="fan")


# Equal visits at once.


def test_equal_sends_are_computed_once() -> None:
    count = Count()

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"outs": [state["text"].upper()]}

    fast = cached(_fan(node, ["same"] * 20))
    assert fast.invoke({})["outs"] == ["SAME"] * 20
    assert count.take() == {"node": 1}
    fast.invoke({})
    assert count.take() == {}


async def test_equal_sends_are_computed_once_by_tasks() -> None:
    count = Count()

    @route(cache=True)
    async def node(state: State) -> State:
        count("node")
        await asyncio.sleep(0)
        return {"outs": [state["text"].upper()]}

    fast = cached(_fan(node, ["a", "b"] * 10))
    assert (await fast.ainvoke({}))["outs"] == ["A", "B"] * 10
    assert count.take() == {"node": 2}
    await fast.ainvoke({})
    assert count.take() == {}


def test_64_threads_compute_once() -> None:
    count, gate = Count(), threading.Barrier(64)

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"out": state["text"] * 2}

    fast = cached(_one(node))
    found: list[Any] = []

    def run() -> None:
        gate.wait(30)
        found.append(fast.invoke({"text": "t"})["out"])

    threads = [threading.Thread(target=run) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == ["tt"] * 64
    assert count.take() == {"node": 1}


def test_the_others_compute_themselves_after_an_error() -> None:
    count, gate = Count(), threading.Barrier(2)
    fails = [True]

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        if fails and fails.pop():
            gate.wait(30)
            raise ValueError("first")
        return {"out": "fine"}

    fast = cached(_one(node))
    found: list[Any] = []

    def run(meets: bool) -> None:
        if meets:
            gate.wait(30)
        try:
            found.append(fast.invoke({"text": "t"})["out"])
        except ValueError as error:
            found.append(str(error))

    threads = [threading.Thread(target=run, args=(meets,)) for meets in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == ["fine", "first"]
    assert count.take() == {"node": 2}


async def test_a_follower_takes_over_from_a_cancelled_leader() -> None:
    count = Count()
    entered, let = asyncio.Event(), asyncio.Event()

    @route(cache=True)
    async def node(state: State) -> State:
        count("node")
        entered.set()
        await let.wait()
        return {"out": "done"}

    fast = cached(_one(node))
    leader = asyncio.create_task(fast.ainvoke({"text": "t"}))
    await entered.wait()
    follower = asyncio.create_task(fast.ainvoke({"text": "t"}))
    for _ in range(50):
        await asyncio.sleep(0)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    let.set()
    assert (await follower)["out"] == "done"
    assert count.take() == {"node": 2}


# What is never kept.


def test_errors_are_not_kept() -> None:
    count = Count()

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        raise ValueError("no")

    fast = cached(_one(node))
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            fast.invoke({"text": "t"})
    assert count.take() == {"node": 2}


def test_routing_is_decided_anew() -> None:
    class Routed(TypedDict, total=False):
        text: str
        way: str
        out: str

    @route(cache=True)
    def node(state: Routed) -> Routed:
        return {"out": state["text"]}

    builder = StateGraph(Routed)
    builder.add_node("node", node)
    builder.add_node("left", lambda state: {"out": "left"})
    builder.add_node("right", lambda state: {"out": "right"})
    builder.add_edge(START, "node")
    builder.add_conditional_edges("node", lambda state: state["way"], ["left", "right"])
    fast = cached(builder.compile(name="routed"))
    assert fast.invoke({"text": "t", "way": "left"})["out"] == "left"
    assert fast.invoke({"text": "t", "way": "right"})["out"] == "right"
    assert outcomes(fast) == {"node": ["computed", "hit"]}


def test_a_command_is_not_kept() -> None:
    @route(cache=True)
    def node(state: State) -> Command[Any]:
        return Command(update={"out": state["text"]}, goto=END)

    fast = cached(_one(node))
    for _ in range(2):
        assert fast.invoke({"text": "t"})["out"] == "t"
    assert outcomes(fast) == {"node": ["computed", "computed"]}
    assert "returned a Command" in reasons(fast)[0]


def test_a_node_that_asks_a_person_is_not_cached() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        return {"out": interrupt("sure?")}

    graph = _one(node, checkpointer=InMemorySaver())
    assert decisions(graph)["node"].why == "it may pause for a person's answer (interrupt)"
    fast = cached(graph)
    answers = []
    for thread in ("1", "2"):
        config: RunnableConfig = {"configurable": {"thread_id": thread}}
        assert "__interrupt__" in fast.invoke({"text": "t"}, config)
        answers.append(fast.invoke(Command(resume=f"by {thread}"), config)["out"])
    assert answers == ["by 1", "by 2"]


def test_an_interrupt_that_the_code_hides_is_found_when_it_runs() -> None:
    hidden = {"ask": [getattr]}

    @route(cache=True)
    def node(state: State) -> State:
        ask = hidden["ask"][0](__import__("langgraph.types", fromlist=["x"]), "inter" + "rupt")
        return {"out": ask("sure?")}

    fast = cached(_one(node, checkpointer=InMemorySaver()))
    answers = []
    for thread in ("1", "2"):
        config: RunnableConfig = {"configurable": {"thread_id": thread}}
        assert "__interrupt__" in fast.invoke({"text": "t"}, config)
        answers.append(fast.invoke(Command(resume=f"by {thread}"), config)["out"])
    assert answers == ["by 1", "by 2"]
    assert "it paused for an answer" in reasons(fast)[-1]


def test_writers_and_stores_forbid_it() -> None:
    @route(cache=True)
    def writes(state: State, writer: StreamWriter) -> State:
        return {}

    @route(cache=True)
    def writes_too(state: State) -> State:
        get_stream_writer()("x")
        return {}

    for node in (writes, writes_too):
        found = decisions(_one(node))["node"]
        assert not found.is_on
        assert "writes to the run's stream" in found.why


def test_the_runs_configuration_is_part_of_the_key() -> None:
    count = Count()

    @route(cache=True)
    def given(state: State, config: RunnableConfig) -> State:
        count("given")
        return {"out": config["configurable"]["user"]}

    @route(cache=True)
    def taken(state: State) -> State:
        count("taken")
        return {"out": get_config()["configurable"]["user"]}

    for node in (given, taken):
        fast = cached(_one(node))
        users = ["ann", "bob", "ann", "bob"]
        found = [
            fast.invoke({"text": "t"}, {"configurable": {"user": user}})["out"] for user in users
        ]
        assert found == users
        assert count.take() == {node.__name__: 2}


def test_a_state_changed_in_place_is_not_kept() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        state["out"].append("more")
        return {"text": "done"}

    fast = cached(_one(node))
    for _ in range(2):
        assert fast.invoke({"out": ["one"]})["out"] == ["one", "more"]
    assert outcomes(fast) == {"node": ["computed", "computed"]}


def test_what_is_given_again_is_a_copy() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        return {"out": {"list": [state["text"]]}}

    fast = cached(_one(node))
    first = fast.invoke({"text": "t"})
    first["out"]["list"].append("changed by the caller")
    second = fast.invoke({"text": "t"})
    second["out"]["list"].append("again")
    assert fast.invoke({"text": "t"})["out"] == {"list": ["t"]}
    assert outcomes(fast) == {"node": ["computed", "hit", "hit"]}


def test_a_value_that_cannot_be_kept_is_computed_each_time() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        return {"out": threading.Event()}

    fast = cached(_one(node))
    for _ in range(2):
        assert isinstance(fast.invoke({"text": "t"})["out"], threading.Event)
    assert "a Event cannot be kept" in reasons(fast)[0]


def test_a_state_that_cannot_be_keyed_is_no_fault() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        return {"out": state["text"], "outs": [str(state.get("out") is not None)]}

    fast = cached(_one(node))
    for _ in range(2):
        assert fast.invoke({"text": "t", "out": threading.Lock()})["outs"] == ["True"]
    assert outcomes(fast) == {"node": ["computed", "computed"]}


def test_chains_and_tool_nodes_keep_the_model_cache_alone() -> None:
    chain: Any = route(cache=True)(RunnableLambda(lambda state: {"out": 1}) | RunnableLambda(dict))
    found = decisions(_one(chain))["node"]
    assert not found.is_on
    assert "no function" in found.why


def test_damaged_entries_are_misses(caplog: pytest.LogCaptureFixture) -> None:
    cache, count = MemoryCache(), Count()

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"out": state["text"]}

    fast = cached(_one(node), cache)
    fast.invoke({"text": "t"})
    for entry in cache.entries():
        if entry.tags["kind"] == "node":
            cache.put(entry.key, b"graphroute.entry/1 node 00\n{}", tags=entry.tags)
    with caplog.at_level(logging.WARNING):
        assert fast.invoke({"text": "t"})["out"] == "t"
    assert "do not add up" in caplog.text
    assert count.take() == {"node": 2}


# "auto".


def test_auto_is_on_only_with_a_proof() -> None:
    cold = ScriptedChat(name="cold")

    @route(cache="auto")
    def safe(state: State) -> State:
        return {"out": state["text"].strip().lower()}

    @route(cache="auto")
    def asks(state: State) -> State:
        return {"out": cold.invoke(state["text"]).text}

    @route(cache="auto")
    def counts(state: State) -> State:
        print(state["text"])
        return {}

    builder = StateGraph(State)
    for node in (safe, asks, counts):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
    found = decisions(builder.compile())
    assert {name: one.is_on for name, one in found.items()} == {
        "safe": True,
        "asks": False,
        "counts": False,
    }
    assert "temperature" in found["asks"].why
    assert "print" in found["counts"].why
    assert str(found["safe"]) == "node 'safe' is cached: proven safe: it calls no function"


def test_a_proof_is_made_again_when_a_helper_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = cached(_one(uses_helper))
    for _ in range(2):
        fast.invoke({"text": "t"})
    noted: list[str] = []

    def notes(text: str) -> str:
        noted.append(text)
        return text

    monkeypatch.setitem(uses_helper.__globals__, "helper", notes)
    for _ in range(2):
        fast.invoke({"text": "t"})
    assert noted == ["t", "t"]
    assert outcomes(fast) == {"node": ["computed", "hit", "bypassed", "bypassed"]}


def helper(text: str) -> str:
    return text.upper()


@route(cache="auto")
def uses_helper(state: State) -> State:
    return {"out": helper(state["text"])}


# Models.


def _asking(count: Count) -> Any:
    own = ScriptedChat(name="own", replies=["own"])

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"out": own.invoke(state["text"]).text}

    return _one(node)


def test_another_model_is_another_result() -> None:
    count, cache = Count(), MemoryCache()
    chats = {name: ScriptedChat(name=name, replies=[name]) for name in ("a", "b")}
    found = []
    for model in ("a", "b", "a"):
        fast = cached(_asking(count), cache, assignment_for("node", model), chats=chats)
        found.append(fast.invoke({"text": "t"})["out"])
    assert found == ["a", "b", "a"]
    assert count.take() == {"node": 2}


def test_a_changed_model_is_named() -> None:
    cache = MemoryCache()
    chats = {name: ScriptedChat(name=name, replies=[name]) for name in ("a", "b")}
    graph = _asking(Count())
    for model in ("a", "b"):
        fast = cached(graph, cache, assignment_for("node", model), chats=chats)
        fast.invoke({"text": "t"})
    assert reasons(fast) == ["model changed from 'a' to 'b'"]


def test_a_makeshift_is_not_kept() -> None:
    count = Count()
    chats = {
        "a": ScriptedChat(name="a", replies=[ConnectionError("down"), "a"]),
        "b": ScriptedChat(name="b", replies=["b"]),
    }
    fast = cached(_asking(count), None, assignment_for("node", "a", "b"), chats=chats)
    assert fast.invoke({"text": "t"})["out"] == "b"
    assert "b served instead of a" in reasons(fast)[0]
    fast._graphroute.policy.outages.clear("a")
    assert fast.invoke({"text": "t"})["out"] == "a"
    assert count.take() == {"node": 2}


def test_a_hit_says_what_it_saved() -> None:
    chats = {"a": ScriptedChat(name="a", replies=["a" * 400])}
    fast = cached(_asking(Count()), None, assignment_for("node", "a"), chats=chats)
    for _ in range(2):
        fast.invoke({"text": "t"})
    (call,) = fast.records
    assert [r.saved_nano for r in fast.node_records] == [0, call.cost_nano]
    assert call.cost_nano > 0


def test_private_outputs_are_marked() -> None:
    cache = MemoryCache()

    @route(cache=True, privacy="local")
    def node(state: State) -> State:
        return {"out": state["text"]}

    cached(_one(node), cache, hints={"node": RouteHints(privacy="local")}).invoke({"text": "t"})
    assert all(PRIVATE in entry.tags for entry in cache.entries("node"))
    assert cache.clear(node="node") == 3


# Messages.


def _chat(count: Count, model: Any) -> Any:
    @route(cache=True)
    def node(state: MessagesState) -> Any:
        count("node")
        return {"messages": [model.invoke(state["messages"])]}

    return _one(node, MessagesState)


def test_messages_given_again_have_ids_of_their_own() -> None:
    count = Count()
    fast = cached(_chat(count, ScriptedChat(name="m", replies=["hello"])))
    runs = [fast.invoke({"messages": [HumanMessage("hi")]})["messages"] for _ in range(3)]
    assert count.take() == {"node": 1}
    assert [[m.text for m in run] for run in runs] == [["hi", "hello"]] * 3
    assert len({run[1].id for run in runs}) == 3


def test_ids_that_the_code_gives_stay() -> None:
    @route(cache=True)
    def node(state: MessagesState) -> Any:
        return {"messages": [AIMessage("draft", id="the draft")]}

    fast = cached(_one(node, MessagesState))
    for _ in range(2):
        found = fast.invoke({"messages": [HumanMessage("hi")]})["messages"]
        assert found[1].id == "the draft"


def test_messages_passed_on_are_those_of_this_run() -> None:
    class Kept(MessagesState, total=False):
        last: Any

    @route(cache=True)
    def node(state: Kept) -> Any:
        return {"last": state["messages"][-1]}

    fast = cached(_one(node, Kept))
    for number in range(2):
        given = HumanMessage("hi", id=str(number), response_metadata={"number": number})
        found = fast.invoke({"messages": [given]})["last"]
        assert (found.id, found.response_metadata) == (str(number), {"number": number})
    assert outcomes(fast) == {"node": ["computed", "hit"]}


def test_code_that_looks_at_ids_gets_those_of_this_run() -> None:
    @route(cache=True)
    def node(state: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id=str(m.id)) for m in state["messages"][:-1]]}

    @route(cache=True)
    def clears(state: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), state["messages"][-1]]}

    for cleaner in (node, clears):
        fast = cached(_one(cleaner, MessagesState))
        for _ in range(2):
            given = {"messages": [HumanMessage("one"), HumanMessage("two")]}
            assert [m.text for m in fast.invoke(given)["messages"]] == ["two"]


# Streams.


def test_tokens_are_streamed_each_time() -> None:
    count = Count()
    graph = _chat(count, ScriptedChat(name="m", replies=["one two three"]))
    fast = cached(graph)
    given = {"messages": [HumanMessage("hi", id="1")]}
    fast.invoke(given)
    plain = [c.text for c, _ in graph.stream(given, stream_mode="messages")]
    assert [c.text for c, _ in fast.stream(given, stream_mode="messages")] == plain
    assert "streams what happens inside nodes" in reasons(fast)[-1]
    count.take()
    fast.invoke(given)
    assert count.take() == {}


def test_custom_events_come_each_time() -> None:
    hidden = [get_stream_writer]

    @route(cache=True)
    def node(state: State) -> State:
        eval("writer[0]", {"writer": hidden})()({"at": state["text"]})
        return {"out": 1}

    fast = cached(_one(node))
    fast.invoke({"text": "t"})
    for _ in range(2):
        assert list(fast.stream({"text": "t"}, stream_mode="custom")) == [{"at": "t"}]


def test_updates_and_values_are_the_same_with_hits() -> None:
    @route(cache=True)
    def node(state: State) -> State:
        return {"out": state["text"]}

    graph = _one(node)
    fast = cached(graph)
    for mode in ("values", "updates"):
        for _ in range(2):
            seen = list(fast.stream({"text": "t"}, stream_mode=mode))
            assert seen == list(graph.stream({"text": "t"}, stream_mode=mode))


# Graphs in graphs.


def test_nodes_of_subgraphs_are_cached_wherever_they_run() -> None:
    count = Count()

    @route(cache=True)
    def inner(state: State) -> State:
        count("inner")
        return {"out": state["text"]}

    child = _one(inner)

    def calls(state: State) -> State:
        return {"out": child.invoke({"text": state["text"]})["out"]}

    for node in (child, calls):
        fast = cached(_one(node))
        for _ in range(2):
            assert fast.invoke({"text": "t"})["out"] == "t"
        assert count.take() == {"inner": 1}
        assert outcomes(fast) == {"node/node": ["computed", "hit"]}


def test_a_node_that_runs_a_graph_is_not_cached_itself() -> None:
    child = _one(lambda state: {"out": state["text"]})

    @route(cache=True)
    def node(state: State) -> State:
        return {"out": child.invoke({"text": state["text"]})["out"]}

    assert "runs a graph of its own" in decisions(_one(node))["node"].why


def test_copies_share_the_cache_and_drawings_stay() -> None:
    count = Count()

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"out": state["text"]}

    graph = _one(node)
    fast = cached(graph)
    fast.invoke({"text": "t"})
    assert fast.with_config(tags=["x"]).invoke({"text": "t"})["out"] == "t"
    assert count.take() == {"node": 1}
    assert fast.get_graph().to_json() == graph.get_graph().to_json()
    assert fast.nodes["node"] is graph.nodes["node"]
    assert graph.invoke({"text": "t"})["out"] == "t"
    assert count.take() == {"node": 1}


async def test_sync_nodes_in_an_async_run() -> None:
    count = Count()

    @route(cache=True)
    def node(state: State) -> State:
        count("node")
        return {"outs": [state["text"]]}

    fast = cached(_fan(node, ["same"] * 8))
    assert (await fast.ainvoke({}))["outs"] == ["same"] * 8
    assert count.take() == {"node": 1}


def test_retries_of_langgraph_run_the_node_again() -> None:
    from langgraph.types import RetryPolicy

    tries: list[int] = []

    @route(cache=True)
    def node(state: State) -> State:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("again")
        return {"out": "done"}

    builder = StateGraph(State)
    builder.add_node("node", node, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    builder.add_edge(START, "node")
    fast = cached(builder.compile(name="retries"))
    assert fast.invoke({"text": "t"})["out"] == "done"
    assert fast.invoke({"text": "t"})["out"] == "done"
    assert len(tries) == 3


# What is tied stays tied.


def test_one_object_under_two_names_stays_one() -> None:
    class Tied(MessagesState, total=False):
        answer: Any
        words: list[str]
        again: list[str]

    @route(cache=True)
    def node(state: Tied) -> Any:
        said, words = HumanMessage("no id yet"), ["a"]
        return {"messages": [said], "answer": said, "words": words, "again": words}

    fast = cached(_one(node, Tied))
    for _ in range(2):
        found = fast.invoke({"messages": []})
        # LangGraph gives the message in the list its id, and it is the same message.
        assert found["answer"].id == found["messages"][0].id
        assert found["words"] is found["again"]
    assert outcomes(fast) == {"node": ["computed", "hit"]}


# Limits of the budget.


def test_an_answer_that_the_budget_cut_is_not_kept() -> None:
    count = Count()
    chats = {"a": ScriptedChat(name="a", replies=["word " * 300])}
    for own_limit, kept in ((None, False), (64, True)):
        fast = cached(
            _asking(count),
            None,
            assignment_for("node", "a", max_output_tokens=own_limit),
            chats=chats,
            budget=Budget(per_run_usd=0.0002),
            hints={"node": RouteHints(max_output_tokens=own_limit)},
        )
        fast.invoke({"text": "t"})
        (call,) = fast.records
        assert call.cap_tokens is not None
        assert call.out_tokens == call.cap_tokens
        assert fast.node_records[0].is_kept is kept, fast.node_records[0].why


# Faults of the cache itself.


@pytest.mark.parametrize("broken", ["find", "put", "delete"])
async def test_a_broken_backend_breaks_no_run(
    broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise OSError("disk on fire")

    monkeypatch.setattr(MemoryCache, broken, fails)

    @route(cache=True)
    def node(state: State) -> State:
        return {"out": state["text"]}

    @route(cache=True)
    async def anode(state: State) -> State:
        return {"out": state["text"]}

    for _ in range(2):
        assert cached(_one(node)).invoke({"text": "t"})["out"] == "t"
        assert (await cached(_one(anode)).ainvoke({"text": "t"}))["out"] == "t"
    assert ("disk on fire" in caplog.text) == (broken != "delete")


def test_a_state_whose_parts_cannot_be_asked_is_no_fault() -> None:
    class Odd(dict[str, Any]):
        def __iter__(self) -> Any:
            raise RuntimeError("do not look")

    @route(cache=True)
    def node(state: State) -> State:
        return {"outs": [str(len(state))]}

    fast = cached(_one(node))
    for _ in range(2):
        assert fast.invoke({"text": "t", "out": Odd(a=1)})["outs"] == ["3"]


def test_a_graph_that_runs_itself_through_a_registry_ends() -> None:
    graphs: dict[str, Any] = {}

    @route(cache=True)
    def node(state: State) -> State:
        count = int(state["text"])
        if not count:
            return {"out": [0]}
        inner = eval("graphs['own']", {"graphs": graphs})
        return {"out": [count, *inner.invoke({"text": str(count - 1)})["out"]]}

    graph = _one(node)
    graphs["own"] = graph
    fast = cached(graph)
    for _ in range(2):
        assert fast.invoke({"text": "3"})["out"] == [3, 2, 1, 0]


def test_tasks_of_the_functional_api_are_told_that_they_are_not_cached() -> None:
    @route(cache=True)
    @task
    def step(text: str) -> str:
        return text

    @entrypoint()
    def flow(text: str) -> str:
        return str(step(text).result())

    found = decisions(flow)["flow/step"]
    assert not found.is_on
    assert "no node of a StateGraph" in found.why
    assert cached(flow).invoke("t") == "t"


# Turns between processes.


class Turns(Leases):
    """Counts, and is always free."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open: set[str] = set()

    def take(self, key: str) -> bool:
        self.taken.append(key)
        self.open.add(key)
        return True

    def release(self, key: str) -> None:
        self.open.discard(key)


def _shared(node: Any, **facts: Any) -> tuple[Any, Turns]:
    turns, graph = Turns(), _one(node)
    policy = with_outputs(policy_for(chats={}, keeps_own=True, **facts), graph, leases=turns)
    return routed(graph, policy), turns


def test_a_turn_is_taken_to_compute_and_given_back() -> None:
    fast, turns = _shared(route(cache=True)(lambda s: {"out": s["text"]}))
    for text in ("one", "one", "two"):
        fast.invoke({"text": text})
    assert len(turns.taken) == 2
    assert not turns.open


def test_nobody_waits_for_what_is_never_kept() -> None:
    keeps = [False, False, True, True]

    @route(cache=True)
    def node(state: State) -> State:
        text = state["text"]
        return {"out": text if keeps.pop(0) else object()}

    fast, turns = _shared(node)
    counts = []
    for text in "abcd":
        fast.invoke({"text": text})
        counts.append(len(turns.taken))
    assert counts == [1, 1, 1, 2]
    assert not turns.open


def test_an_error_gives_the_turn_back() -> None:
    @route(cache=True)
    def node(_: State) -> State:
        raise ValueError("no")

    fast, turns = _shared(node)
    with pytest.raises(ValueError, match="no"):
        fast.invoke({"text": "a"})
    assert (len(turns.taken), turns.open) == (1, set())


def test_what_is_private_stays_in_this_process() -> None:
    fast, turns = _shared(
        route(cache=True)(lambda s: {"out": s["text"]}),
        hints={"node": RouteHints(privacy="local")},
    )
    fast.invoke({"text": "a"})
    assert turns.taken == []
