"""A ticket that does not go as planned, and what becomes of the plan.

```
two tickets ─► their records ─► planned anew: what a ticket really takes
                                        │
a ticket three times as long ───────────┴─► dearer than that: the rest is planned again in mid-run
```

The budget suffices for the strong model in every step of an ordinary ticket, and not of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphroute.demo.tickets import Expected, Score, score
from graphroute.ir.hints import NANO
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord

ROOM = 1.1
"""The budget, in what a ticket costs on the strong model alone."""

LEARNED_FROM = 2
"""Tickets that are run before the plan is made anew from their records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One model call as it was planned and as it was; `left_usd` of the run's budget after it."""

    node: str
    planned: str
    model: str
    why: str
    cost_usd: float
    left_usd: float

    @property
    def is_changed(self) -> bool:
        """Whether another model than the planned one served."""
        return self.model != self.planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """The long ticket's run; before: the plan made without records; plan: the one from them."""

    budget_usd: float
    before: Plan
    plan: Plan
    steps: tuple[Step, ...]
    score: Score

    @property
    def replanned(self) -> tuple[Step, ...]:
        """Steps that got another model because the rest was planned again."""
        return tuple(s for s in self.steps if s.is_changed and s.why.startswith("re-planned"))


def run(
    graph: Any,
    ordinary: Sequence[Expected],
    long: Expected,
    *,
    budget_usd: float,
    advance: Callable[[], None],
) -> Detour:
    """Run some ordinary tickets, plan anew from their records, and run the long one.

    graph: optimized under `budget_usd`; `advance` is called after each ticket
    """
    before = graph.plan
    for each in ordinary[:LEARNED_FROM]:
        graph.invoke({"ticket": each.ticket})
        advance()
    plan = graph.replan()
    known = len(graph.records)
    state = graph.invoke({"ticket": long.ticket})
    advance()
    return Detour(
        budget_usd=budget_usd,
        before=before,
        plan=plan,
        steps=steps(graph.records[known:], budget_usd=budget_usd),
        score=score(state, long),
    )


def steps(records: Sequence[CallRecord], *, budget_usd: float) -> tuple[Step, ...]:
    """The calls of one run, each with what it left of the budget."""
    found, spent = [], 0
    for record in records:
        spent += record.cost_nano
        found.append(
            Step(
                node=record.node,
                planned=record.planned or "",
                model=record.model,
                why=record.why,
                cost_usd=record.cost_nano / NANO,
                left_usd=budget_usd - spent / NANO,
            )
        )
    return tuple(found)
