"""Many texts at once: each is judged by a task of its own (`Send`), then the answers are joined.

```
          ┌─► judge ─┐
split ────┼─► judge ─┼─► reduce ─► end
          └─► judge ─┘
```

`split` decides while running how many tasks there are. The plan counts with an expected number;
the budget holds for all of them together, also when they run in parallel.
"""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

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


@route(max_output_tokens=12)
def judge(state: Review) -> Reviews:
    """Positive or negative?"""
    answer = strong.invoke(
        f"Is the sentiment of this text positive or negative? Text: {state['text']} "
        "Answer with one word."
    )
    return {"findings": ["positive" if "positive" in str(answer.content).lower() else "negative"]}


@route(max_output_tokens=40)
def reduce(state: Reviews) -> Reviews:
    """One sentence about the count."""
    good = state["findings"].count("positive")
    bad = len(state["findings"]) - good
    answer = strong.invoke(f"Write one sentence about {good} good and {bad} bad reviews.")
    return {"summary": str(answer.content).strip()}


builder = StateGraph(Reviews)
builder.add_node("judge", judge)
builder.add_node("reduce", reduce)
builder.add_conditional_edges(START, split, ["judge"])
builder.add_edge("judge", "reduce")
builder.add_edge("reduce", END)
graph = builder.compile(name="map_reduce")


def main() -> None:
    """Judge four reviews by the plan."""
    fast = optimize(graph, models=POOL, budget=0.001)
    texts = [
        "A wonderful film, I laughed a lot.",
        "Two hours of boredom.",
        "The actors are great and the music is beautiful.",
        "I want my money back.",
    ]
    print(fast.plan.explain())
    print(fast.invoke({"texts": texts}))
    print(fast.report())


if __name__ == "__main__":
    main()
