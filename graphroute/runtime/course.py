"""How a run really goes, and when that is reason enough to plan the rest of it again.

The plan was made from expectations. When the first call of a superstep finds that the run has left
its course (`drift`: money, time, a lost model, a changed price, another limit) or has come back to
a node more often than planned, the rest is solved again with what is left (`Plan.rest`, a
millisecond or two). In between, and where a run goes as planned, a call costs no solving at all.

The limit is the run's own, as it stands after somebody raised it. A day's or month's budget that is
paced has a price instead: its allowance to a run is `p95 / (1 + μ)` (`pacer`), λ of the period is
`μ` times the λ at which the plan would begin to save, and each call takes the model that is worth
most at the greater of λ of the run and λ of the period, for its real prompt (`by_cost`). So a
budget that gets scarce is saved first where it buys least: on long prompts.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from graphroute.ir.catalog import Catalog
from graphroute.ir.hints import NANO
from graphroute.ir.knapsack import Ladder, is_worth, ladder, of_visits
from graphroute.ir.plan import Assignment, Plan
from graphroute.ir.rest import Happened, Rest
from graphroute.runtime import drift
from graphroute.runtime.by_cost import by_cost
from graphroute.runtime.drift import Where
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.outlook import Outlook
from graphroute.runtime.progress import Progress
from graphroute.runtime.scarcity import period_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Models for one node, best first, and why they are not the plan's; empty where they are."""

    models: tuple[str, ...]
    why: str = ""


class Course:
    """One run's course; shared by its threads and tasks.

    ledger: where the run's limits stand now; without one those of the plan hold
    catalog: gives the pool as it is now, with its prices; without it those of the plan hold
    clock: seconds, monotonic
    """

    def __init__(
        self,
        plan: Plan,
        *,
        ledger: Ledger | None = None,
        catalog: Callable[[], Catalog] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._ledger = plan, ledger
        self._outlook = Outlook(plan, catalog)
        self._planned = {a.node: a for a in plan.assignments}
        self._fan_out = {e.target for e in plan.graph.edges if e.kind == "send"}
        self._lock = threading.Lock()
        self._progress = Progress(clock)
        self._times = self._outlook.times()
        self._left_nano = sum(a.cost_usd for a in plan.assignments) * NANO * self._times
        self._then = Where(limit_nano=_nano(plan.budget.per_run_usd))
        self._rest: Rest | None = None
        self._rounds: dict[str, int] = {}
        self._why = ""

    def assignment(self, node: str) -> Assignment | None:
        """What the plan says of a node; None where it does not know it."""
        return self._planned.get(node)

    @property
    def shadow_price(self) -> float:
        """Quality per USD at which calls are chosen now: of the run or of the period.

        What cost less than planned buys more: the plan's own USD are worth as many times less.
        """
        return max(self._run_price, self._period_price()) / self._times

    @property
    def _run_price(self) -> float:
        return self._plan.shadow_price if self._rest is None else self._rest.shadow_price

    def _period_price(self) -> float:
        allowance = None if self._ledger is None else self._ledger.allowance_nano
        return period_price(self._plan, allowance)

    def left_nano(self) -> float:
        """What the calls still to come are expected to cost, in nano-dollars."""
        return max(0.0, self._left_nano)

    def needed_nano(self) -> float:
        """What the steps still to come need at least: no further answer where a check refuses."""
        with self._lock:
            return sum(
                max(0.0, _once(a) - self._progress.visits(a.node)) * self.per_call_nano(a.node)
                for a in self._planned.values()
            )

    def asks_on(self, node: str, position: int, *, cost_nano: float, available_nano: float) -> bool:
        """Whether a refused answer of `node` is worth asking the next model of its cascade.

        Not where later steps need the money for their first answers, nor where they could gain
        more with it on second answers of their own (`ir.knapsack`).
        position: of the model in the cascade, from 0 for the first
        cost_nano: its worst case, which is put aside before it is asked
        """
        room_nano = available_nano - self.needed_nano()
        a = self._planned.get(node)
        if a is None or not a.reach or cost_nano > room_nano:
            return cost_nano <= room_nano
        with self._lock:
            usd = self._outlook.call_nano(a, a.then[position - 1]) / NANO
            # What is put aside for later calls, beyond what they cost, is taken to be as for this.
            more = (cost_nano / NANO - usd, cost_nano / NANO / usd if usd > 0 else 1.0)
            first, *others = self._ladder(a, more)[position - 1 :]
            later = [
                each
                for other in self._planned.values()
                for each in of_visits(
                    self._ladder(other, more), _once(other) - self._progress.visits(other.node)
                )
            ]
        here = (replace(first, hold_usd=cost_nano / NANO), *others)
        return is_worth(here, later, room_nano / NANO)

    def _ladder(self, a: Assignment, more: tuple[float, float]) -> Ladder:
        """The models of a cascade behind the first, at what they are expected to cost by now.

        more: what is put aside beyond that in USD, and as a multiple of it; the less holds
        """
        usd = [self._outlook.call_nano(a, name) / NANO for name in a.then if a.reach]
        return ladder(
            usd=usd,
            reach=a.reach,
            so_far=a.so_far,
            weight=a.weight,
            hold_usd=[min(each + more[0], each * more[1]) for each in usd],
        )

    def per_call_nano(self, node: str) -> float:
        """What one call of `node` is expected to cost, on the model that is due."""
        if (a := self._planned.get(node)) is None:
            return 0.0
        return self._outlook.call_nano(a, self._model(a))

    def out_tokens(self, a: Assignment) -> float:
        """Tokens that an answer of a node is expected to have, by the plan and by its calls."""
        return self._outlook.experience.out_tokens(a)

    def called(self, node: str, model: str | None = None) -> None:
        """A call of `node` goes out to `model` (None: to the one that is due)."""
        if (a := self._planned.get(node)) is None:
            return
        with self._lock:
            due, nano = self._model(a), self.per_call_nano(node)
            self._left_nano -= self._part(a) * nano
            seconds = self._outlook.visit_s(a, due)
            self._progress.called(node, model or due, nano=nano, seconds=seconds)

    def round_of(self, node: str) -> int | None:
        """Which round of `node` is under way, from 1; None where the plan does not know it."""
        return self._progress.round_of(node) or None

    def ended(self, node: str, cost_nano: int, *, out_tokens: int = 0) -> None:
        """A call of `node` was answered with so many tokens and has cost that much."""
        if out_tokens > 0:
            self._outlook.experience.answered(node, out_tokens)
        with self._lock:
            self._progress.ended(node, cost_nano)

    def paid(self, cost_nano: int) -> None:
        """Something that is no call of a node has cost that much: a check's own call."""
        with self._lock:
            self._progress.paid_nano += cost_nano

    def kept_back_nano(self) -> float:
        """What the next call has to leave to others: nothing, it is a step like theirs."""
        return 0.0

    def failed(self, node: str) -> None:
        """A call of `node` that went out was not answered and has cost nothing."""
        if (a := self._planned.get(node)) is not None:
            with self._lock:
                nano = self._progress.failed(node)
                self._left_nano += self._part(a) * nano

    def resumed(self) -> None:
        """The run goes on after a pause, whose time counts against no deadline."""
        with self._lock:
            self._progress.resumed()

    def ahead(
        self,
        node: str,
        *,
        step: int | None,
        failed: frozenset[str],
        in_tokens: float | None = None,
    ) -> Ahead | None:
        """Models for a call of `node` now; None where the plan does not know the node.

        step: superstep of the graph the node belongs to; failed: models that can serve no call now
        in_tokens: of the real prompt, which may make another model worth its price
        """
        if (a := self._planned.get(node)) is None:
            return None
        with self._lock:
            if self._progress.enter(node, step):
                self._look(a, failed)
            return self._priced(self._ahead(a), a, in_tokens)

    def _priced(self, ahead: Ahead, a: Assignment, in_tokens: float | None) -> Ahead:
        """The same models, in the order of their worth for the real prompt."""
        if in_tokens is None:
            return ahead
        # A plan whose prompts were guessed is followed until they are known: all would seem short.
        is_known = self._outlook.experience.is_known(a.node)
        self._outlook.experience.asked(a.node, in_tokens)
        is_scarce = self._period_price() > self._run_price
        if self._plan.objective != "quality" or not (is_known or is_scarce):
            return ahead
        models = by_cost(
            ahead.models,
            a,
            planned=lambda name: self._outlook.planned_usd(a, name),
            real=lambda name: self._outlook.call_usd(a, name, in_tokens=in_tokens),
            planned_price=self._run_price,
            shadow_price=self.shadow_price,
            spare_usd=self._spare_usd(),
        )
        if models[0] == ahead.models[0]:
            return ahead
        if is_scarce:
            why = f"the period's budget is scarce: {models[0]} is worth more at its price"
        else:
            why = f"a prompt of about {in_tokens:.0f} tokens, where {a.in_tokens:.0f} were planned"
            why += f", makes {models[0]} worth more"
        return Ahead(models=models, why=why)

    def _spare_usd(self) -> float:
        """What the calls still to come are expected to leave of the run's limit."""
        limit = self._where(self._then.failed).limit_nano
        if limit is None:
            return math.inf
        return (limit - self._spent_nano() - self.left_nano()) / NANO

    def again(self, node: str) -> Ahead | None:
        """Models for a call of `node` whose limit has just been raised."""
        if (a := self._planned.get(node)) is None:
            return None
        with self._lock:
            self._look(a, self._then.failed)
            return self._ahead(a)

    def _ahead(self, a: Assignment) -> Ahead:
        rest = None if self._rest is None else self._rest.models.get(a.node)
        models = dict.fromkeys((self._model(a), *(rest or (a.model, *a.fallbacks))))
        return Ahead(models=tuple(models), why=self._why if rest else "")

    def _look(self, a: Assignment, failed: frozenset[str]) -> None:
        """Solve the rest again if the run has left the plan's course; holds the lock."""
        plan, progress, now = self._plan, self._progress, self._where(failed)
        # Without a limit of any kind each step has its best model, whatever happens elsewhere.
        is_bound = now.limit_nano is not None or self._then.limit_nano is not None
        is_bound = is_bound or plan.deadline_s is not None or plan.objective == "cost"
        if not is_bound or not plan.can_replan:
            return
        self._left_nano = self._to_come_nano()
        why = drift.reasons(
            now,
            self._then,
            deadline_s=plan.deadline_s,
            left_nano=self.left_nano(),
            paid_nano=self._spent_nano(),
        )
        visits = progress.visits(a.node)
        if not why and visits >= max(1.0, a.expected_calls) + 1:
            why = (f"{a.node} has run {visits} times",)
        if not why:
            return
        # A node that others send tasks to has them all before it; another has this turn.
        tasks = 1.0
        if a.node in self._fan_out and not visits:
            tasks = max(1.0, a.expected_visits)
        spent = self._spent_nano()
        self._rest = plan.rest(
            Happened(
                now={a.node: tasks},
                spent_usd=spent / NANO,
                left_usd=self._left_usd(now, spent),
                elapsed_s=progress.elapsed_s,
                failed=now.failed,
                prices=now.prices,
                asked=dict(progress.asked),
                resident=self._outlook.loaded(m for each in progress.asked.values() for m in each),
            )
        )
        self._rounds = {node: len(asked) for node, asked in progress.asked.items()}
        self._why, self._then = "re-planned: " + "; ".join(why), now
        self._left_nano = self._to_come_nano()

    def _to_come_nano(self) -> float:
        return sum(
            max(0.0, a.expected_calls - self._progress.visits(a.node)) * self.per_call_nano(a.node)
            for a in self._planned.values()
        )

    def _left_usd(self, now: Where, spent_nano: float) -> float | None:
        """What the rest may cost, in the plan's own measure; None for no limit.

        Where calls cost a third of what the plan expects, it may plan for three times as much.
        """
        if now.limit_nano is None:
            return None
        return (now.limit_nano - spent_nano) / NANO / self._times

    def _where(self, failed: frozenset[str]) -> Where:
        limit = _nano(self._plan.budget.per_run_usd)
        if self._ledger is not None:
            limit = self._ledger.limit_nano
        return Where(
            limit_nano=limit,
            times=self._times,
            off_nano=self._progress.paid_nano - self._progress.due_nano,
            off_s=self._progress.elapsed_s - self._progress.due_s,
            failed=failed,
            prices=self._outlook.prices(),
        )

    def _spent_nano(self) -> float:
        # Calls in flight count what they are expected to cost, not the worst case put aside.
        return self._progress.paid_nano + self._progress.in_flight_nano

    def _model(self, a: Assignment) -> str:
        """The model that is due for a node, in this round of its loop, as last planned."""
        number = self._progress.round_of(a.node) + (not self._progress.is_same_round(a.node))
        rest = None if self._rest is None else self._rest.models.get(a.node)
        if self._rest is None or not rest:
            return a.model_for(number)
        later = self._rest.then.get(a.node, ())
        since = number - self._rounds.get(a.node, 0)
        return later[min(since - 2, len(later) - 1)] if later and since > 1 else rest[0]

    def _part(self, a: Assignment) -> float:
        """Whether the plan still counts on a further call of a node: 1, 0, or a part of one."""
        return min(1.0, max(0.0, a.expected_calls - self._progress.visits(a.node)))


def _once(a: Assignment) -> float:
    """Calls of a node that are expected without those that its check leads to."""
    return min(a.expected_calls, a.expected_visits) if a.kind == "cascade" else a.expected_calls


def _nano(usd: float | None) -> int | None:
    return None if usd is None else round(usd * NANO)
