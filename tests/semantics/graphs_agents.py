"""Graphs by how they use a model: messages, agents, tools, LCEL, structured output, streams."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel

from tests.semantics.graphs_flow import QUESTION, State
from tests.semantics.twins import Case, echo

MESSAGES = {"messages": [HumanMessage("add 2 and 3, and 4 and 5", id="h1")]}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def two_calls_then_text(messages: list[Any]) -> Any:
    """Parallel tool calls first; a sentence once their results are there."""
    if isinstance(messages[-1], ToolMessage):
        return f"the sums are {', '.join(m.text for m in messages if isinstance(m, ToolMessage))}"
    calls = [
        {"name": "add", "args": {"a": 2, "b": 3}, "id": "c1", "type": "tool_call"},
        {"name": "add", "args": {"a": 4, "b": 5}, "id": "c2", "type": "tool_call"},
    ]
    return AIMessage(content="", tool_calls=calls)


def agent(model: Any, **compiled: Any) -> Any:
    """LangChain's agent with a tool."""
    return create_agent(model, [add], system_prompt="You add.", **compiled)


def own_agent(model: Any, **compiled: Any) -> Any:
    """The same loop from parts: bound tools, ToolNode, tools_condition."""
    bound = model.bind_tools([add])

    def call(state: MessagesState) -> Any:
        return {"messages": [bound.invoke(state["messages"])]}

    async def acall(state: MessagesState) -> Any:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", RunnableLambda(call, acall))
    builder.add_node("tools", ToolNode([add]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(**compiled)


def lcel(model: Any, **compiled: Any) -> Any:
    """A chain as a node, whose steps LangGraph takes apart."""
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    chain = prompt | model | StrOutputParser() | (lambda text: {"notes": [text]})
    builder = StateGraph(State)
    builder.add_node("chain", chain)
    builder.add_node("branch", RunnableLambda(lambda state: chain))
    builder.add_edge(START, "chain")
    builder.add_edge("chain", "branch")
    return builder.compile(**compiled)


class Verdict(BaseModel):
    """A verdict."""

    good: bool
    why: str


def verdict(messages: list[Any]) -> Any:
    """The call of the schema's tool, under one id in whatever order runs of a batch come."""
    args = {"good": True, "why": echo(messages)}
    call = {"name": "Verdict", "args": args, "id": "c1", "type": "tool_call"}
    return AIMessage(content="", tool_calls=[call])


def structured(model: Any, **compiled: Any) -> Any:
    """with_structured_output, parsed and raw."""
    plain = model.with_structured_output(Verdict)
    raw = model.with_structured_output(Verdict, include_raw=True)

    def node(state: State) -> Any:
        one, other = plain.invoke(state["question"]), raw.invoke(state["question"])
        return {"notes": [one.why, other["parsed"].why, str(other["raw"].tool_calls)]}

    async def anode(state: State) -> Any:
        one, other = await plain.ainvoke(state["question"]), await raw.ainvoke(state["question"])
        return {"notes": [one.why, other["parsed"].why, str(other["raw"].tool_calls)]}

    builder = StateGraph(State)
    builder.add_node("judge", RunnableLambda(node, anode))
    builder.add_edge(START, "judge")
    return builder.compile(**compiled)


def streaming(model: Any, **compiled: Any) -> Any:
    """Nodes that read the model's stream piece by piece, its batches, and its events."""

    def node(state: State) -> Any:
        pieces = [repr(piece.content) for piece in model.stream(state["question"])]
        batch = [answer.text for answer in model.batch(["x", "y"], {"max_concurrency": 1})]
        many = model.generate([[HumanMessage("g")], [HumanMessage("h")]])
        return {"notes": [*pieces, *batch, *(g[0].text for g in many.generations)]}

    async def anode(state: State) -> Any:
        pieces = [repr(piece.content) async for piece in model.astream(state["question"])]
        batch = [a.text for a in await model.abatch(["x", "y"], {"max_concurrency": 1})]
        many = await model.agenerate([[HumanMessage("g")]])
        return {"notes": [*pieces, *batch, *(g[0].text for g in many.generations)]}

    builder = StateGraph(State)
    builder.add_node("streams", RunnableLambda(node, anode))
    builder.add_edge(START, "streams")
    return builder.compile(**compiled)


def tagged(model: Any, **compiled: Any) -> Any:
    """Tags and metadata on the model itself, one of which hides its tokens from the stream."""
    metadata = {**(model.metadata or {}), "team": "a"}
    hidden = model.model_copy(update={"tags": ["nostream", "mine"], "metadata": metadata})

    def node(state: State) -> Any:
        return {"notes": [hidden.invoke(state["question"]).text, model.invoke("shown").text]}

    builder = StateGraph(State)
    builder.add_node("quiet", node)
    builder.add_edge(START, "quiet")
    return builder.compile(**compiled)


AGENTS = (
    Case(name="agent", build=agent, input=MESSAGES, reply=two_calls_then_text, is_parallel=True),
    Case(
        name="own_agent",
        build=own_agent,
        input=MESSAGES,
        reply=two_calls_then_text,
        is_parallel=True,
    ),
    Case(name="lcel", build=lcel, input=QUESTION),
    Case(
        name="structured",
        build=structured,
        input=QUESTION,
        reply=verdict,
        is_parallel=True,  # include_raw parses in a branch beside the raw answer
    ),
    Case(name="streaming", build=streaming, input=QUESTION),
    Case(name="tagged", build=tagged, input=QUESTION),
)
