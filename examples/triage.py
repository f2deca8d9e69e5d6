"""Support tickets: how does the customer feel, what is it about, and a first line in reply.

```
classify ─► extract ─► draft ─► check ─► end
                         ▲         │ a name or number is missing: once more
                         └─────────┘
```

The graph is an ordinary LangGraph graph that uses one model for everything. `@route` says what only
its author knows: writing JSON freely is hard for a small model and a wrong order number spoils the
whole ticket, so `extract` is rated hard and counts double; to copy a line is easy. (Models of this
size cannot be trusted to write freely, so the draft is a line with the facts put in.)
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from small_models import POOL, strong

from graphroute import optimize, route

MAX_DRAFTS = 2


class Ticket(TypedDict, total=False):
    """What is known of a ticket."""

    ticket: str
    tone: str
    name: str
    order: str
    reply: str
    drafts: int
    is_checked: bool


@route(complexity=0.3, max_output_tokens=12)
def classify(state: Ticket) -> Ticket:
    """Is the customer content?"""
    answer = strong.invoke(
        f"Is the sentiment of this text positive or negative? Text: {state['ticket']} "
        "Answer with one word."
    )
    found = re.search("positive|negative", str(answer.content).lower())
    return {"tone": found[0] if found else "unknown"}


@route(complexity=0.7, weight=2, max_output_tokens=40)
def extract(state: Ticket) -> Ticket:
    """The customer's name and the order's number."""
    answer = strong.invoke(
        f"Extract the name and the order number from the text as JSON. Text: {state['ticket']}"
    )
    fields = parse(str(answer.content))
    return {"name": fields.get("name", ""), "order": fields.get("order", "")}


@route(complexity=0.2, max_output_tokens=40)
def draft(state: Ticket) -> Ticket:
    """The first line of the reply; the second try puts it in other words."""
    tries = state.get("drafts", 0)
    opening = "we are sorry" if state["tone"] == "negative" else "thank you for writing"
    line = f"Dear {state['name']}, {opening} about order {state['order']}."
    answer = strong.invoke(f"Repeat this line: {line}" if tries == 0 else f"Write only: {line}")
    return {"reply": str(answer.content).strip(), "drafts": tries + 1}


def check(state: Ticket) -> Ticket:
    """A reply must name the customer and the order, and both must stand in the ticket."""
    facts = (state["name"], state["order"])
    is_good = all(fact and fact in state["ticket"] and fact in state["reply"] for fact in facts)
    return {"is_checked": is_good}


def after_check(state: Ticket) -> Literal["draft", "__end__"]:
    """Once more, unless the reply is good, the tries are used up, or there is nothing to say."""
    is_hopeless = not (state["name"] and state["order"])
    if state["is_checked"] or is_hopeless or state["drafts"] >= MAX_DRAFTS:
        return "__end__"
    return "draft"


def parse(text: str) -> dict[str, str]:
    """The first flat JSON object in `text`, its values as text; empty if there is none."""
    found = re.search(r"\{[^{}]*\}", text)
    try:
        data = json.loads(found[0]) if found else {}
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in data.items()}


builder = StateGraph(Ticket)
builder.add_node("classify", classify)
builder.add_node("extract", extract)
builder.add_node("draft", draft)
builder.add_node("check", check)
builder.add_edge(START, "classify")
builder.add_edge("classify", "extract")
builder.add_edge("extract", "draft")
builder.add_edge("draft", "check")
builder.add_conditional_edges("check", after_check, ["draft", END])
graph = builder.compile(name="triage")


def read(path: Path) -> list[str]:
    """The tickets of a file, one JSON object a line."""
    return [json.loads(line)["ticket"] for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Run tickets by the plan, plan anew from what they took, and meet one that takes more."""
    folder = Path(__file__).parent / "data"
    tickets, (long,) = read(folder / "tickets.jsonl"), read(folder / "long_ticket.jsonl")
    fast = optimize(graph, models=POOL, budget=0.0015)
    print(fast.plan.explain())
    for ticket in tickets[:2]:
        print(fast.invoke({"ticket": ticket}))
    # Their records say what a step really takes, so the plan may be another now.
    print(fast.replan().explain())
    before = len(fast.records)
    fast.invoke({"ticket": long})
    for call in fast.records[before:]:
        print(f"{call.node}: {call.model}, ${call.cost_nano / 1e9:.6f} ({call.why})")
    print(fast.report())


if __name__ == "__main__":
    main()
