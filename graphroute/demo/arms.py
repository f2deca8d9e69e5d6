"""One way to run the tickets, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphroute.demo.tickets import Expected, Score, score
from graphroute.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """All tickets run in one way; `took_s` is wall-clock time, models already loaded."""

    name: str
    scores: tuple[Score, ...]
    report: Report
    took_s: float
    dearest_usd: float

    @property
    def cost_usd(self) -> float:
        """What all tickets together were charged."""
        return self.report.totals.cost_usd

    def share(self, judged: Callable[[Score], float]) -> float:
        """Mean over the tickets, in [0, 1]."""
        return sum(judged(one) for one in self.scores) / len(self.scores)


def run(
    name: str,
    graph: Any,
    tickets: Sequence[Expected],
    *,
    advance: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Arm:
    """Run every ticket through an optimized graph; `advance` is called after each."""
    start = clock()
    scores = []
    for expected in tickets:
        scores.append(score(graph.invoke({"ticket": expected.ticket}), expected))
        advance()
    took = clock() - start
    spent: dict[str, int] = {}
    for record in graph.records:
        spent[record.run_id] = spent.get(record.run_id, 0) + record.cost_nano
    return Arm(
        name=name,
        scores=tuple(scores),
        report=graph.report(),
        took_s=took,
        dearest_usd=max(spent.values(), default=0) / 1e9,
    )
