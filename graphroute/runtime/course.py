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
    """One run's course; shared by its threads and tasks.

    replans: how often the rest was solved again
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._planned = {a.node: a for a in plan.assignments}
        self._expected_nano = sum(a.cost_usd for a in plan.assignments) * NANO
        self._lock = threading.Lock()
        self._done_nano: dict[str, float] = {}
        self._visits: dict[str, int] = {}
        self._spent_at_plan = 0.0
        self._due_at_plan = 0.0
        self._failed: frozenset[str] = frozenset()
        self._step: int | None = None
        self._rest: Rest | None = None
        self._why = ""
        self.replans = 0

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

    def ahead(
        self, node: str, *, step: int | None, spent_nano: int, failed: frozenset[str]
    ) -> Ahead | None:
        """Models for a call of `node` now; None where the plan does not know the node.

        spent_nano: settled and reserved so far; failed: models that can serve no call now
        """
        a = self._planned.get(node)
        if a is None:
            return None
        with self._lock:
            if step is None or step != self._step:
                self._step = step
                self._look(node, a, spent_nano, failed)
            rest, why = self._rest, self._why
        if rest is not None and (models := rest.models.get(node)):
            return Ahead(models=models, why=why)
        return Ahead(models=(a.model, *a.fallbacks))

    def _look(self, node: str, a: Assignment, spent_nano: int, failed: frozenset[str]) -> None:
        """Solve the rest again if the run has left the plan's course; holds the lock."""
        limit = self._plan.budget.per_run_usd
        if limit is None or not self._plan.can_replan:
            return
        due = self._expected_nano - self.left_nano()
        off = (spent_nano - self._spent_at_plan) - (due - self._due_at_plan)
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
        self._rest = self._plan.rest(
            Happened(now={node: tasks}, spent_usd=spent_nano / NANO, failed=failed)
        )
        self._why, self._failed = why, failed
        self._spent_at_plan, self._due_at_plan = spent_nano, due
        self.replans += 1


def _per_call_nano(a: Assignment) -> float:
    return a.cost_usd * NANO / max(a.expected_visits * a.expected_calls, 1e-9)
