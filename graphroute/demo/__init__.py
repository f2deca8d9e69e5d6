"""The demo: twenty support tickets, two small models on this machine, half the money.

```
all on the strong model ─► its spend per ticket ─► half of it is the budget
all on the free one                                   │
by graphroute's plan ◄────────────────────────────────┘
one ticket that does not go as planned (`detour`)
```

No key and no server is needed: the models are Python packages, served from this process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from graphroute.demo import arms, detour, tickets
from graphroute.demo.arms import Arm
from graphroute.demo.detour import Detour
from graphroute.ir.plan import Plan

__all__ = ["Arm", "Detour", "Outcome", "home", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The three ways, the plan and the budget (USD per ticket) of the last, and the long ticket."""

    arms: tuple[Arm, ...]
    plan: Plan
    budget_usd: float
    detour: Detour


def home() -> Path:
    """The folder for what the demo leaves behind: `GRAPHROUTE_HOME`, else the user's data."""
    if stated := os.environ.get("GRAPHROUTE_HOME"):
        return Path(stated).expanduser()
    from platformdirs import user_data_path

    return user_data_path("graphroute")


def run(
    *,
    limit: int | None = None,
    started: Callable[[str, int], Callable[[], None]],
    planned: Callable[[Plan, float], None],
) -> Outcome:
    """Run the demo on the first `limit` tickets (None: all).

    started: told the name of a way and the number of tickets; gives what is called per ticket
    planned: told the plan and the budget before it is used
    """
    from graphroute import optimize
    from graphroute.frontend.target import load_target

    place = tickets.folder()
    graph = load_target("triage.py:graph", folder=place)
    pool = _pool(place)
    inputs = tickets.read(place / "data" / "tickets.jsonl")[:limit]
    done = []
    for name, member in (("all strong", pool.STRONG), ("all free", pool.WEAK)):
        member.chat.invoke("hello", max_tokens=1)  # loads the model, so that no way pays for it
        fast = optimize(graph, models=[member])
        done.append(arms.run(name, fast, inputs, advance=started(name, len(inputs))))
    budget = done[0].cost_usd / len(inputs) / 2
    fast = optimize(graph, models=pool.POOL, budget=budget)
    planned(fast.plan, budget)
    done.append(arms.run("graphroute", fast, inputs, advance=started("graphroute", len(inputs))))
    room = done[0].cost_usd / len(inputs) * detour.ROOM
    (long,) = tickets.read(place / "data" / "long_ticket.jsonl")
    taken = detour.run(
        optimize(graph, models=pool.POOL, budget=room, store=False),
        inputs,
        long,
        budget_usd=room,
        advance=started("long ticket", min(len(inputs), detour.LEARNED_FROM) + 1),
    )
    return Outcome(arms=tuple(done), plan=fast.plan, budget_usd=budget, detour=taken)


def _pool(place: Path) -> Any:
    """The module of the two models: the very one that the graph has imported."""
    sys.path.insert(0, str(place))
    try:
        return import_module("small_models")
    finally:
        sys.path.remove(str(place))
