"""Graphs by the shape of their flow: chains, branches, loops, fan-outs, joins, nesting."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, TypedDict

from langchain_core.runnables import RunnableLambda
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from tests.semantics.twins import Case


class State(TypedDict, total=False):
    question: str
    notes: Annotated[list[str], operator.add]
    round: int


QUESTION: dict[str, Any] = {"question": "why is the sky blue", "notes": []}


def asks(model: Any, prefix: str, **more: Any) -> Any:
    """A node that asks the model, sync and async, and notes the answer."""

    def node(state: State) -> Any:
        return {"notes": [model.invoke(f"{prefix} {state['question']}").text], **more}

    async def anode(state: State) -> Any:
        return {"notes": [(await model.ainvoke(f"{prefix} {state['question']}")).text], **more}

    return RunnableLambda(node, anode)


def chain(model: Any, **compiled: Any) -> Any:
    """plan → write"""
    builder = StateGraph(State)
    builder.add_node("plan", asks(model, "plan"))
    builder.add_node("write", asks(model, "write"))
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "write")
    return builder.compile(**compiled)


def branch(model: Any, **compiled: Any) -> Any:
    """The conditional edge asks the model which way to go."""

    def choose(state: State) -> Literal["short", "long"]:
        return "long" if "blue" in model.invoke(f"pick {state['question']}").text else "short"

    async def achoose(state: State) -> Literal["short", "long"]:
        answer = await model.ainvoke(f"pick {state['question']}")
        return "long" if "blue" in answer.text else "short"

    builder = StateGraph(State)
    builder.add_node("start", asks(model, "start"))
    builder.add_node("short", asks(model, "short"))
    builder.add_node("long", asks(model, "long"))
    builder.add_edge(START, "start")
    builder.add_conditional_edges("start", RunnableLambda(choose, achoose), ["short", "long"])
    return builder.compile(**compiled)


def loop(model: Any, **compiled: Any) -> Any:
    """draft → check → draft … three rounds."""

    def check(state: State) -> State:
        return {"round": state.get("round", 0) + 1}

    builder = StateGraph(State)
    builder.add_node("draft", asks(model, "draft"))
    builder.add_node("check", check)
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "check")
    builder.add_conditional_edges(
        "check", lambda state: "draft" if state["round"] < 3 else END, ["draft", END]
    )
    return builder.compile(**compiled)


def fan_out(model: Any, **compiled: Any) -> Any:
    """Four Sends, a reducer, and a deferred node that waits for all of them."""

    def split(state: State) -> list[Send]:
        return [Send("work", {"question": f"part {n}"}) for n in range(4)]

    builder = StateGraph(State)
    builder.add_node("split", lambda state: {"round": 0})
    builder.add_node("work", asks(model, "work"))
    builder.add_node("merge", asks(model, "merge"), defer=True)
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", split, ["work"])
    builder.add_edge("work", "merge")
    return builder.compile(**compiled)


def join(model: Any, **compiled: Any) -> Any:
    """Two parallel nodes joined by a waiting edge."""
    builder = StateGraph(State)
    for name in ("left", "right", "both"):
        builder.add_node(name, asks(model, name))
    builder.add_edge(START, "left")
    builder.add_edge(START, "right")
    builder.add_edge(["left", "right"], "both")
    return builder.compile(**compiled)


def nested(model: Any, **compiled: Any) -> Any:
    """A compiled graph as a node, two levels deep."""
    inner = StateGraph(State)
    inner.add_node("deep", chain(model))
    inner.add_node("after", asks(model, "after"))
    inner.add_edge(START, "deep")
    inner.add_edge("deep", "after")
    builder = StateGraph(State)
    builder.add_node("team", inner.compile())
    builder.add_node("last", asks(model, "last"))
    builder.add_edge(START, "team")
    builder.add_edge("team", "last")
    return builder.compile(**compiled)


def called(model: Any, **compiled: Any) -> Any:
    """Graphs run inside a node: in the node's own lineage, and on a thread of its own."""
    inner = chain(model)

    def node(state: State) -> State:
        one = inner.invoke(state)["notes"]
        other = inner.invoke(
            {**QUESTION, "question": "apart"}, {"configurable": {"thread_id": "x"}}
        )
        return {"notes": [*one, *other["notes"]]}

    async def anode(state: State) -> State:
        one = (await inner.ainvoke(state))["notes"]
        apart = {"configurable": {"thread_id": "x"}}
        other = await inner.ainvoke({**QUESTION, "question": "apart"}, apart)
        return {"notes": [*one, *other["notes"]]}

    builder = StateGraph(State)
    builder.add_node("caller", RunnableLambda(node, anode))
    builder.add_edge(START, "caller")
    return builder.compile(**compiled)


def command(model: Any, **compiled: Any) -> Any:
    """Nodes that route by Command: within the graph, and out of a subgraph to its parent."""

    def leave(state: State) -> Command[Any]:
        note = model.invoke(f"leave {state['question']}").text
        return Command(goto="end", update={"notes": [note]}, graph=Command.PARENT)

    inner = StateGraph(State)
    inner.add_node("leave", leave)
    inner.add_edge(START, "leave")

    def go(state: State) -> Command[Literal["team"]]:
        return Command(goto="team", update={"notes": [model.invoke(state["question"]).text]})

    builder = StateGraph(State)
    builder.add_node("go", go)
    builder.add_node("team", inner.compile(), destinations=("end",))
    builder.add_node("end", asks(model, "end"))
    builder.add_edge(START, "go")
    return builder.compile(**compiled)


def functional(model: Any, **compiled: Any) -> Any:
    """@entrypoint and @task, with futures in flight together."""

    @task
    def part(name: str) -> str:
        return str(model.invoke(f"part {name}").text)

    @entrypoint(**compiled)
    def whole(question: str) -> list[str]:
        parts = [part(name) for name in ("a", "b")]
        return [*(p.result() for p in parts), model.invoke(question).text]

    return whole


FLOW = (
    Case(name="chain", build=chain, input=QUESTION),
    Case(name="branch", build=branch, input=QUESTION),
    Case(name="loop", build=loop, input=QUESTION),
    Case(name="fan_out", build=fan_out, input=QUESTION, is_parallel=True),
    Case(name="join", build=join, input=QUESTION, is_parallel=True),
    Case(name="nested", build=nested, input=QUESTION),
    Case(name="called", build=called, input=QUESTION),
    Case(name="command", build=command, input=QUESTION),
    # The entrypoint and the stream's waiter hold workers themselves: with few, tasks never start.
    Case(
        name="functional",
        build=functional,
        input="why is the sky blue",
        is_parallel=True,
        config={"max_concurrency": 16},
    ),
)
