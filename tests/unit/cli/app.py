"""A target for the command line's tests: two steps on scripted models."""

from __future__ import annotations

from typing import TypedDict

from langgraph.graph import START, StateGraph

from graphroute import Model
from graphroute.providers.scripted import ScriptedChat

strong = ScriptedChat(name="strong", replies=["billing"])
weak = ScriptedChat(name="weak", replies=["shipping"])
POOL = [
    Model("scripted:strong", strong, price_in_usd=2.0, price_out_usd=8.0, quality=0.9),
    Model("scripted:weak", weak, local=True, quality=0.4),
]
NOT_A_GRAPH = 42


class State(TypedDict, total=False):
    """A ticket, its topic and a reply."""

    ticket: str
    topic: str
    reply: str


def classify(state: State) -> State:
    """One model call."""
    return {"topic": str(strong.invoke(f"Topic of: {state['ticket']}", max_tokens=20).content)}


def reply(state: State) -> State:
    """One model call; a ticket that says so makes it fail."""
    if state["ticket"] == "boom":
        raise RuntimeError("the ticket exploded\nsecond line")
    return {"reply": str(strong.invoke(f"Reply to: {state['topic']}", max_tokens=50).content)}


builder = StateGraph(State)
builder.add_node("classify", classify)
builder.add_node("reply", reply)
builder.add_edge(START, "classify")
builder.add_edge("classify", "reply")
graph = builder.compile(name="app")

plain = StateGraph(State)
plain.add_node("code", lambda state: {"topic": "none"})
plain.add_edge(START, "code")
no_model = plain.compile()
