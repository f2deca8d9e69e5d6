"""An agent with tools, as `langchain.agents.create_agent` makes it.

```
model ◄──► tools        until the model answers without calling a tool
```

A model of 135 million parameters calls a tool only when it feels like it; the middleware bounds the
loop. What this shows is that an agent is routed like any graph: its model node is seen with its
tools, only models that can call tools are considered, and every call is counted. The stand-in for
the cloud has no tools, so the plan leaves it out and says so.
"""

from __future__ import annotations

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from small_models import POOL, weak

from graphroute import optimize

ORDERS = {"5120": "packed on Monday", "7733": "delivered on Friday"}


@tool
def order_status(number: str) -> str:
    """Where an order is, by its number."""
    return ORDERS.get(number, "there is no such order")


graph = create_agent(
    weak,
    tools=[order_status],
    system_prompt="You answer questions about orders. Use the tool order_status.",
    middleware=[ModelCallLimitMiddleware(run_limit=3)],
    name="orders",
)


def main() -> None:
    """Ask one question."""
    fast = optimize(graph, models=POOL, budget=0.001)
    print(fast.plan.explain())
    question = HumanMessage("Where is order 7733?")
    for message in fast.invoke({"messages": [question]})["messages"]:
        print(f"{message.type}: {message.content or getattr(message, 'tool_calls', '')}")
    print(fast.report())


if __name__ == "__main__":
    main()
