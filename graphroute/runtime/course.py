"""How a run really goes, and when that is reason enough to plan the rest of it again.

The plan was made from expectations. When the first call of a superstep finds that the run has
spent clearly more or less than expected, has come back to a node more often, or has lost a model,
the rest is solved again with what is left (`Plan.rest`, a millisecond or two). In between, and
where a run goes as planned, a call costs no solving at all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from graphroute.ir.hints import NANO
from graphroute.ir.plan import Assignment, Plan
from graphroute.ir.rest import Happened, Rest

DRIFT = 0.05
"""Share of the run's budget by which spending may differ before the rest is solved again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Models for one node, best first, and why they are not the plan's; empty where they are."""

    models: tuple[str, ...]
    why: str = ""


class Course:
    """One run's course; shared by its threads and tasks."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._planned = {a.node: a for a in plan.assignments}
        self._expected_nano = sum(a.cost_usd for a in plan.assignments) * NANO
        self._lock = threading.Lock()
        self._done_nano: dict[str, float] = {}
        self._visits: dict[str, int] = {}
        self._paid_nano = 0.0
        self._due_nano = 0.0
        self._off_at_plan = 0.0
        self._failed: frozenset[str] = frozenset()
        self._steps: dict[str, int] = {}
        self._rest: Rest | None = None
        self._why = ""

    def assignment(self, node: str) -> Assignment | None:
        """What the plan says of a node; None where it does not know it."""
        return self._planned.get(node)

    def left_nano(self) -> float:
        """What the plan still expects this run to spend, in nano-dollars."""
        return max(0.0, self._expected_nano - sum(self._done_nano.values()))

    def per_call_nano(self, node: str) -> float:
        """What the plan expects one call of `node` to cost."""
        a = self._planned.get(node)
        return 0.0 if a is None else _per_call_nano(a)

    def called(self, node: str) -> None:
        """A call of `node` goes out."""
        a = self._planned.get(node)
        if a is None:
            return
        with self._lock:
            self._visits[node] = self._visits.get(node, 0) + 1
            done = self._done_nano.get(node, 0.0) + _per_call_nano(a)
            self._done_nano[node] = min(done, a.cost_usd * NANO)

    def ended(self, node: str, cost_nano: int) -> None:
        """A call of `node` was answered and has cost that much."""
        with self._lock:
            self._paid_nano += cost_nano
            self._due_nano += self.per_call_nano(node)

    def failed(self, node: str) -> None:
        """A call of `node` that went out was not answered and has cost nothing."""
        if node in self._planned:
            with self._lock:
                self._visits[node] -= 1
                self._done_nano[node] -= min(self.per_call_nano(node), self._done_nano[node])

    def ahead(self, node: str, *, step: int | None, failed: frozenset[str]) -> Ahead | None:
        """Models for a call of `node` now; None where the plan does not know the node.

        step: superstep of the graph the node belongs to; failed: models that can serve no call now
        """
        a = self._planned.get(node)
        if a is None:
            return None
        with self._lock:
            scope = node.rpartition("/")[0]
            if step is None or step != self._steps.get(scope):
                self._steps[scope] = step or 0
                self._look(node, a, failed)
            rest, why = self._rest, self._why
        if rest is not None and (models := rest.models.get(node)):
            return Ahead(models=models, why=why)
        return Ahead(models=(a.model, *a.fallbacks))

    def _look(self, node: str, a: Assignment, failed: frozenset[str]) -> None:
        """Solve the rest again if the run has left the plan's course; holds the lock."""
        limit = self._plan.budget.per_run_usd
        if limit is None or not self._plan.can_replan:
            return
        off = self._paid_nano - self._due_nano - self._off_at_plan
        back = self._visits.get(node, 0) >= max(1.0, a.expected_visits * a.expected_calls) + 1
        if failed != self._failed:
            why = f"re-planned: {', '.join(sorted(failed)) or 'every model'} "
            why += "cannot serve" if failed else "serves again"
        elif abs(off) > DRIFT * limit * NANO:
            word = "more" if off > 0 else "less"
            why = f"re-planned: ${abs(off) / NANO:.6f} {word} spent than planned"
        elif back:
            why = f"re-planned: {node} has run {self._visits[node]} times"
        else:
            return
        first = node not in self._visits
        tasks = max(1.0, a.expected_visits) if first else 1.0
        # Calls in flight count what they are expected to cost, not the worst case put aside.
        in_flight = max(0.0, self._expected_nano - self.left_nano() - self._due_nano)
        spent_usd = (self._paid_nano + in_flight) / NANO
        self._rest = self._plan.rest(
            Happened(now={node: tasks}, spent_usd=spent_usd, failed=failed)
        )
        self._why, self._failed = why, failed
        self._off_at_plan = self._paid_nano - self._due_nano


def _per_call_nano(a: Assignment) -> float:
    return a.cost_usd * NANO / max(a.expected_visits * a.expected_calls, 1e-9)
