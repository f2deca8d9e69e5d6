"""The first line of a reply: a free model writes it, a check reads it, a strong one mends it.

```
draft:  free model ─► check ─ passed ───────────────────────────► reply
                        └── refused ─► again ─► check ─ refused ─► strong model
```

The check is an ordinary function of the messages that were sent and of the reply. It needs no right
answer to compare with: a reply that lacks the customer's name or the order's number is no good.
Where there is a check, the plan may place a cascade, and does so where that is the cheapest way to
be good enough (`objective="cost"` and the node's `min_quality`): the strong model is asked, and
paid, for those replies only which the check has refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from small_models import POOL, strong

from graphroute import Verdict, optimize, route

FACTS = re.compile(r"Dear (?P<name>[^,]+),.*order (?P<order>\d+)")


class Reply(TypedDict, total=False):
    """Whom to answer about what, and the line that does."""

    name: str
    order: str
    reply: str


def names_the_facts(messages: list[Any], reply: Any) -> Verdict:
    """The name and the number of the prompt are in the reply."""
    asked = FACTS.search(messages[-1].text)
    missing = [fact for fact in asked.groups() if fact not in reply.text] if asked else []
    return Verdict(
        score=0.0 if missing else 1.0,
        passed=not missing,
        # The next model is shown the refused reply and this reason.
        reason=f"missing: {', '.join(missing)}" if missing else "",
    )


@route(complexity=0.6, min_quality=0.7, max_output_tokens=40, verify=names_the_facts)
def draft(state: Reply) -> Reply:
    """The first line of the reply."""
    line = f"Dear {state['name']}, we are sorry about order {state['order']}."
    return {"reply": strong.invoke(f"Repeat this line: {line}").text.strip()}


builder = StateGraph(Reply)
builder.add_node("draft", draft)
builder.add_edge(START, "draft")
builder.add_edge("draft", END)
graph = builder.compile(name="checked")


def customers(path: Path) -> list[Reply]:
    """Whom to write to: name and order of each ticket."""
    lines = path.read_text(encoding="utf-8").splitlines()
    known = [json.loads(line)["expected"] for line in lines]
    return [{"name": each["name"], "order": each["order"]} for each in known]


def main() -> None:
    """Eight replies: who was asked, what the check said, and what all that saved."""
    fast = optimize(graph, models=POOL, objective="cost")
    print(fast.plan.explain())
    for customer in customers(Path(__file__).parent / "data" / "tickets.jsonl")[:8]:
        before = len(fast.records)
        print(fast.invoke(customer)["reply"])
        for call in fast.records[before:]:
            said = "passed" if call.quality else "refused"
            print(f"  {call.model}: {said}, ${call.cost_nano / 1e9:.6f}")
    print(fast.report())


if __name__ == "__main__":
    main()
