"""The money of one call: put its worst case aside on the first model that fits, or ask for more.

```
 models, best first ──► within the run's paced allowance? ──► under the limits? ──► reservation
                                                     none fits: ask, where asking is wanted
                                                                and possible, and look again
```
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from graphroute.errors import BudgetExceeded
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.hints import NANO
from graphroute.ir.plan import Assignment
from graphroute.ir.record import Attempt
from graphroute.runtime import asking, router
from graphroute.runtime.course import Course
from graphroute.runtime.later import Later
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.policy import Policy
from graphroute.runtime.spans import Purse
from graphroute.runtime.turn import Turn

WAIT_S = 60.0
"""How long a call waits for money that calls beside it hold, before it takes what there is."""

UNPRICED = "budget: its price is unknown"
"""Why a model is passed over under a limit when nobody knows what it costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The model that is paid for, and the limit on its answer that makes the sum hold."""

    spec: ModelSpec
    reservation: Reservation
    cap_tokens: int | None


class Till:
    """Reserves for one call; not shared between threads.

    turn: the call's part in pausing, None in a run that cannot be paused
    attempts: where it is noted why a model was passed over
    clock: monotonic seconds, for how long the call has waited
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        course: Course,
        policy: Policy,
        node: str,
        assignment: Assignment | None,
        turn: Turn | None,
        attempts: list[Attempt],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._course, self._policy = ledger, course, policy
        self._node, self._turn, self._attempts = node, turn, attempts
        self._clock, self._may_wait = clock, True
        self._give_up_at: float | None = None
        self._out_expected = float(router.DEFAULT_OUT_TOKENS)
        if assignment is not None:
            self._out_expected = course.out_tokens(assignment)

    def take(self, order: Sequence[ModelSpec], call: router.CallFacts) -> Taken | None:
        """The first model that the money allows; None where none does and nobody can be asked."""
        turn = self._turn
        if turn is None:
            return self._first(order, call)

        def shown() -> Mapping[str, object]:
            return self.payload(order, call)

        turn.redo(shown)
        while (taken := self._first(self._anew(order), call)) is None:
            if not turn.can_ask or not any(spec.price.is_known for spec in order):
                return None
            with turn.task.lock:
                # A call beside this one may have been given more meanwhile.
                if (taken := self._first(order, call)) is not None:
                    return taken
                turn.put(shown)
        return taken

    def _anew(self, order: Sequence[ModelSpec]) -> Sequence[ModelSpec]:
        """The order as it is under the limit that was given while this call waited for it."""
        if self._turn is None or not self._turn.is_answered:
            return order
        ahead = self._course.again(self._node)
        rank = {name: n for n, name in enumerate(ahead.models if ahead is not None else ())}
        return sorted(order, key=lambda spec: rank.get(spec.name, len(rank)))

    def _first(self, order: Sequence[ModelSpec], call: router.CallFacts) -> Taken | None:
        """The first model that fits: within the run's paced allowance, else the cheapest at all."""
        # Once somebody has said how much more the run may cost, the best within that is taken.
        is_answered = self._turn is not None and self._turn.is_answered
        is_strict = self._policy.budget.on_exceed != "degrade" and not is_answered
        allowance = self._ledger.allowance_left_nano
        if allowance is not None:
            is_within = not is_strict or self._fits(order[:1], call)
            for spec in order if is_within else ():
                if (taken := self._try(spec, call, allowance_nano=allowance)) is not None:
                    return taken
            if not is_strict:
                # Pacing holds back, it never refuses.
                order = sorted(order, key=lambda s: (self._bounds(s, call).worst, s.name))
        for spec in order:
            if (taken := self._try(spec, call)) is not None:
                return taken
            if is_strict and spec.price.is_known:
                break
        return None

    def _try(
        self, spec: ModelSpec, call: router.CallFacts, *, allowance_nano: int | None = None
    ) -> Taken | None:
        """Reserve the call's worst case on `spec`; None, with the reason kept, if too dear."""
        changes = self._ledger.changes
        available = self._ledger.available_nano
        if available is not None:
            available = max(0, available - math.ceil(self._course.kept_back_nano()))
        if allowance_nano is not None:
            available = allowance_nano if available is None else min(allowance_nano, available)
        if available is not None and not spec.price.is_known:
            self._note(spec, UNPRICED)
            return None
        fair = None
        if available is not None:
            expected_nano = self._course.per_call_nano(self._node)
            fair = router.share(
                available_nano=available,
                expected_nano=expected_nano,
                expected_left_nano=max(self._course.left_nano(), expected_nano),
            )
        stake = router.stake(
            spec,
            call,
            out_expected=self._out_expected,
            share_nano=fair,
            available_nano=available,
            excess=self._policy.excess(self._node, spec.name),
        )
        reservation = None if stake is None else self._ledger.reserve(stake.amount_nano)
        if stake is None or reservation is None:
            if allowance_nano is None:
                self._wait_if_worth(spec, call, available, changes)
            left = f"${(available or 0) / NANO:.6f} left"
            if allowance_nano is None:
                self._note(spec, f"budget: {left} is too little")
            else:
                self._note(spec, f"pacing: {left} of the run's share of the period's budget")
            return None
        self._course.called(self._node, spec.name)
        return Taken(spec=spec, reservation=reservation, cap_tokens=stake.cap_tokens)

    def _wait_if_worth(
        self, spec: ModelSpec, call: router.CallFacts, available: int | None, changes: int
    ) -> None:
        """Have the call wait where calls in flight will give back enough for it, or just have."""
        soon = self._ledger.soon_nano
        has_moved = self._ledger.changes != changes
        if not (self._may_wait and (soon or has_moved)):
            return
        if has_moved or (available or 0) + soon >= self._bounds(spec, call).least:
            now = self._clock()
            self._give_up_at = self._give_up_at or now + WAIT_S
            raise Later(
                "calls in flight hold the money",
                when=functools.partial(self._ledger.when_changed, changes),
                patience_s=self._give_up_at - now,
                gives_up=self._stop_waiting,
            )

    def _stop_waiting(self) -> None:
        self._may_wait = False

    def _note(self, spec: ModelSpec, reason: str) -> None:
        attempt = Attempt(model=spec.name, reason=reason)
        if attempt not in self._attempts:
            self._attempts.append(attempt)

    def _fits(self, order: Sequence[ModelSpec], call: router.CallFacts) -> bool:
        return all(self._ledger.purse(self._bounds(spec, call).least) is None for spec in order)

    def _bounds(self, spec: ModelSpec, call: router.CallFacts) -> router.Bounds:
        return router.bounds_nano(
            spec,
            call,
            out_expected=self._out_expected,
            excess=self._policy.excess(self._node, spec.name),
        )

    def asks_on(self, spec: ModelSpec, call: router.CallFacts, *, position: int) -> bool:
        """Whether a refused answer is worth asking `spec`, at its least, which the run can do
        without; position: of `spec` in the node's cascade, from 0 for the first.
        """
        if (available := self._ledger.available_nano) is None:
            return True
        cost = self._bounds(spec, call).least
        return self._course.asks_on(self._node, position, cost_nano=cost, available_nano=available)

    def _purse(self, amount_nano: int) -> Purse:
        """The limit that is reached, else (others have given money back by now) the closest."""
        return self._ledger.purse(amount_nano) or self._ledger.closest_purse()

    def payload(self, order: Sequence[ModelSpec], call: router.CallFacts) -> Mapping[str, object]:
        """What a pause shows."""
        quotes = [
            asking.Quote(model=spec.name, least_nano=bounds.least, worst_nano=bounds.worst)
            for spec in order
            if spec.price.is_known
            for bounds in (self._bounds(spec, call),)
        ]
        return asking.payload(
            self._node,
            self._purse(quotes[0].least_nano if quotes else 1),
            planned=quotes[0] if quotes else None,
            cheapest=min(quotes, key=lambda q: (q.least_nano, q.model), default=None),
        )

    def exceeded(
        self, order: Sequence[ModelSpec], call: router.CallFacts, reasons: str
    ) -> BudgetExceeded:
        """The error of a call that no model of `order` fits."""
        least = min(self._bounds(spec, call).least for spec in order)
        return asking.exceeded(self._node, self._purse(least), reasons, next_step=self._way_out())

    def _way_out(self) -> str:
        if self._policy.budget.on_exceed != "interrupt":
            return "raise the budget, or add a local or cheaper model to the pool"
        if self._turn is None:
            return (
                "raise the budget; to have the run pause instead, compile the graph with a "
                "checkpointer and run it with a thread_id"
            )
        return (
            "raise the budget; LangGraph cannot pause the run from here (a graph with a thread_id "
            "of its own inside a node, or a thread without the node's context)"
        )
