"""Many texts at once: each is judged by a task of its own (`Send`), then the answers are joined.

```
          ┌─► judge ─┐
split ────┼─► judge ─┼─► reduce ─► end
          └─► judge ─┘
```

`split` decides while running how many tasks there are. The plan counts with an expected number;
the budget holds for all of them together, also when they run in parallel.

Both nodes are cached (`cache=True`): what they return is kept, by their code, model and the part of
the state that they read. Run as a program, this shows which nodes run at all in a cold run, in a
warm one, after one text is added, and after the prompt of the last node is edited.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from small_models import POOL, strong

from graphroute import optimize, route


class Reviews(TypedDict, total=False):
    """All reviews, the finding for each, and one line about them."""

    texts: list[str]
    findings: Annotated[list[str], operator.add]
    summary: str


class Review(TypedDict):
    """One review, as its task gets it."""

    text: str


def split(state: Reviews) -> list[Send]:
    """One task for each text."""
    return [Send("judge", {"text": text}) for text in state["texts"]]


SUMMARY = "Write one sentence about {} good and {} bad reviews."
"""The prompt that the last run edits."""


@route(max_output_tokens=12, cache=True)
def judge(state: Review) -> Reviews:
    """Positive or negative?"""
    answer = strong.invoke(
        f"Is the sentiment of this text positive or negative? Text: {state['text']} "
        "Answer with one word."
    )
    return {"findings": ["positive" if "positive" in str(answer.content).lower() else "negative"]}


@route(max_output_tokens=40, cache=True)
def reduce(state: Reviews) -> Reviews:
    """One sentence about the count."""
    good = state["findings"].count("positive")
    bad = len(state["findings"]) - good
    answer = strong.invoke(SUMMARY.format(good, bad))
    return {"summary": str(answer.content).strip()}


builder = StateGraph(Reviews)
builder.add_node("judge", judge)
builder.add_node("reduce", reduce)
builder.add_conditional_edges(START, split, ["judge"])
builder.add_edge("judge", "reduce")
builder.add_edge("reduce", END)
graph = builder.compile(name="map_reduce")


def computed(fast: Any, before: int) -> str:
    """Which nodes ran in the latest run, how often, and what the others saved."""
    latest = fast.node_records[before:]
    ran = Counter(record.node for record in latest if record.outcome != "hit")
    saved = sum(record.saved_nano for record in latest) / 1e9
    nodes = ", ".join(f"{node} × {count}" for node, count in ran.items()) or "no node"
    return f"{nodes} of {len(latest)} visits computed, ${saved:.6f} saved"


def main() -> None:
    """Judge four reviews by the plan: cold, warm, with one more text, with another prompt."""
    global SUMMARY
    fast = optimize(graph, models=POOL, budget=0.001)
    texts = [
        "A wonderful film, I laughed a lot.",
        "Two hours of boredom.",
        "The actors are great and the music is beautiful.",
        "I want my money back.",
    ]
    print(fast.plan.explain())

    def run(name: str) -> None:
        before = len(fast.node_records)
        found = fast.invoke({"texts": texts})
        print(f"{name}: {computed(fast, before)}: {found['summary']}")

    run("cold")
    run("warm")
    texts.append("I want my money back.")
    run("one text more, an equal one")
    texts.append("What a waste of an evening.")
    run("one text more, a new one")
    SUMMARY = "Write one short sentence about {} good and {} bad reviews."
    run("another prompt for the summary")
    print(fast.report())


if __name__ == "__main__":
    main()
