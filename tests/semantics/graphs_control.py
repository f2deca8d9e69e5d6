"""Graphs by what LangGraph controls around a node: interrupts, retries, timeouts, stores, state."""

from __future__ import annotations

import dataclasses
import operator
import threading
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.config import get_stream_writer
from langgraph.errors import NodeError
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, TimeoutPolicy, interrupt
from pydantic import BaseModel

from tests.semantics.graphs_flow import QUESTION, State, asks, chain
from tests.semantics.twins import Case


def one_node(name: str, node: Any, compiled: dict[str, Any], **settings: Any) -> Any:
    """A graph of one node and one after it."""
    builder = StateGraph(State)
    builder.add_node(name, node, **settings)
    builder.add_edge(START, name)
    return builder.compile(**compiled)


def asking(model: Any, **compiled: Any) -> Any:
    """interrupt() between two model calls of one node: the first is made again on resume."""

    def node(state: State) -> State:
        before = model.invoke(f"before {state['question']}").text
        said = interrupt({"ask": before})
        return {"notes": [before, said, model.invoke(f"after {said}").text]}

    return one_node("asks", node, compiled)


def asking_within(model: Any, **compiled: Any) -> Any:
    """The interrupt lies in a subgraph."""
    builder = StateGraph(State)
    builder.add_node("before", asks(model, "before"))
    builder.add_node("team", asking(model))
    builder.add_edge(START, "before")
    builder.add_edge("before", "team")
    return builder.compile(**compiled)


def stopping(model: Any, **compiled: Any) -> Any:
    """interrupt_before and interrupt_after, set when compiled."""
    builder = StateGraph(State)
    for name in ("one", "two", "three"):
        builder.add_node(name, asks(model, name))
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    builder.add_edge("two", "three")
    return builder.compile(interrupt_before=["two"], interrupt_after=["two"], **compiled)


def retrying(model: Any, **compiled: Any) -> Any:
    """The node fails twice before and after its call; LangGraph retries it."""
    tries_of: dict[str, list[str]] = {}  # by thread: runs of a batch go side by side

    def node(state: State, config: RunnableConfig) -> State:
        tries = tries_of.setdefault(config["configurable"]["thread_id"], [])
        tries.append(model.invoke(state["question"]).text)
        if len(tries) < 3:
            raise ConnectionError(f"try {len(tries)}")
        return {"notes": list(tries)}

    policy = RetryPolicy(initial_interval=0.001, jitter=False, max_interval=0.002)
    return one_node("flaky", node, compiled, retry_policy=policy)


def timing_out(model: Any, **compiled: Any) -> Any:
    """A node with time limits that it keeps."""

    async def anode(state: State) -> State:
        return {"notes": [(await model.ainvoke(state["question"])).text]}

    limits = TimeoutPolicy(run_timeout=60.0, idle_timeout=60.0)
    return one_node("limited", anode, compiled, timeout=limits)


def mending(model: Any, **compiled: Any) -> Any:
    """A node that fails after its call, and the handler that asks the model again."""

    def node(state: State) -> State:
        raise ValueError(model.invoke(state["question"]).text)

    def handler(state: State, error: NodeError) -> Command[Any]:
        note = model.invoke(f"mend {error.error}").text
        return Command(update={"notes": [note]}, goto="next")

    builder = StateGraph(State)
    builder.add_node("breaks", node, error_handler=handler)
    builder.add_node("next", asks(model, "next"))
    builder.add_edge(START, "breaks")
    return builder.compile(**compiled)


def failing(model: Any, **compiled: Any) -> Any:
    """An error of the user's own, raised after a model call."""

    def node(state: State) -> State:
        raise ValueError(f"not good enough: {model.invoke(state['question']).text}")

    return one_node("fails", node, compiled)


class _Told(InMemoryCache[Any]):
    """Tells when something has been kept: LangGraph writes beside the run, at its own time."""

    def __init__(self) -> None:
        super().__init__()
        self.has_kept = threading.Event()

    def set(self, pairs: Any) -> None:
        super().set(pairs)
        self.has_kept.set()


def cached(model: Any, **compiled: Any) -> Any:
    """A node with a cache policy, visited twice with the same input."""
    cache = _Told()

    def count(state: State) -> State:
        cache.has_kept.wait(10)  # else the second visit may come before the first is kept
        return {"round": state.get("round", 0) + 1}

    builder = StateGraph(State)
    policy: CachePolicy[Any] = CachePolicy(key_func=lambda state: str(state.get("question")))
    builder.add_node("same", asks(model, "same"), cache_policy=policy)
    builder.add_node("count", count)
    builder.add_edge(START, "same")
    builder.add_edge("same", "count")
    builder.add_conditional_edges(
        "count", lambda state: "same" if state["round"] < 2 else "__end__", ["same", "__end__"]
    )
    return builder.compile(cache=cache, **compiled)


def stored(model: Any, **compiled: Any) -> Any:
    """What the model says goes into the store and comes out again."""

    def write(state: State, *, store: BaseStore) -> State:
        store.put(("notes",), "one", {"said": model.invoke(state["question"]).text})
        return {}

    def read(state: State, *, store: BaseStore) -> State:
        item = store.get(("notes",), "one")
        return {"notes": [str(item.value["said"] if item else "nothing")]}

    builder = StateGraph(State)
    builder.add_node("write", write)
    builder.add_node("read", read)
    builder.add_edge(START, "write")
    builder.add_edge("write", "read")
    return builder.compile(store=InMemoryStore(), **compiled)


@dataclasses.dataclass
class Wishes:
    tone: str = "plain"


def with_context(model: Any, **compiled: Any) -> Any:
    """Static context through Runtime, and a custom stream writer."""

    def node(state: State, runtime: Runtime[Wishes]) -> State:
        runtime.stream_writer({"tone": runtime.context.tone})
        get_stream_writer()("working")
        note = model.invoke(f"{runtime.context.tone} {state['question']}").text
        get_stream_writer()({"done": note})
        return {"notes": [note]}

    builder = StateGraph(State, context_schema=Wishes)
    builder.add_node("polite", node)
    builder.add_edge(START, "polite")
    return builder.compile(**compiled)


class Form(BaseModel):
    question: str
    notes: Annotated[list[str], operator.add] = []


def pydantic_state(model: Any, **compiled: Any) -> Any:
    """A pydantic model as state."""

    def node(state: Form) -> dict[str, Any]:
        return {"notes": [model.invoke(state.question).text]}

    builder = StateGraph(Form)
    builder.add_node("fill", node)
    builder.add_node("again", node)
    builder.add_edge(START, "fill")
    builder.add_edge("fill", "again")
    return builder.compile(**compiled)


@dataclasses.dataclass
class Card:
    question: str
    notes: Annotated[list[str], operator.add] = dataclasses.field(default_factory=list)


def dataclass_state(model: Any, **compiled: Any) -> Any:
    """A dataclass as state."""

    def node(state: Card) -> dict[str, Any]:
        return {"notes": [model.invoke(state.question).text]}

    builder = StateGraph(Card)
    builder.add_node("fill", RunnableLambda(node))
    builder.add_edge(START, "fill")
    return builder.compile(**compiled)


CONTROL = (
    Case(name="asking", build=asking, input=QUESTION, resume=Command(resume="a person")),
    Case(name="asking_within", build=asking_within, input=QUESTION, resume=Command(resume="me")),
    Case(name="stopping", build=stopping, input=QUESTION),
    Case(name="retrying", build=retrying, input=QUESTION),
    Case(name="timing_out", build=timing_out, input=QUESTION, sync=False),
    Case(name="mending", build=mending, input=QUESTION),
    Case(name="failing", build=failing, input=QUESTION),
    Case(name="cached", build=cached, input=QUESTION),
    Case(name="stored", build=stored, input=QUESTION),
    Case(name="context", build=with_context, input=QUESTION, context=Wishes(tone="kind")),
    Case(name="pydantic_state", build=pydantic_state, input=QUESTION),
    Case(name="pydantic_refused", build=pydantic_state, input={"question": 7}, calls_models=False),
    Case(name="dataclass_state", build=dataclass_state, input=QUESTION),
    Case(name="too_many_steps", build=chain, input=QUESTION, config={"recursion_limit": 1}),
)
