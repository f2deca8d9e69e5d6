"""One visit of a node whose update is checked: which models try, what is refused, what is returned.

Nothing waits and nothing of the user's runs here; `running` drives it, in a thread or a task:

```
attempt() ─► the node's function ─► returned(update, calls) ─► the check ─► refuses(verdict)
    ▲                                                                          │
    └──────────────────────── True: on the next model ─────────────────────────┤
                                                              False: take() ◄──┘
```

The records of a node's calls are held back until the check has spoken, and carry its verdict.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphroute.ir.node_cache import Unclear
from graphroute.ir.node_check import CheckedNode
from graphroute.ir.record import AFTER_REFUSAL, CallRecord
from graphroute.ir.verdict import Check, Verdict
from graphroute.runtime.canonical import digest
from graphroute.runtime.node_check.attempt import NodeAttempt
from graphroute.runtime.router import nano
from graphroute.runtime.unseen import Unseen

if TYPE_CHECKING:
    from graphroute.runtime.run_handle import RunHandle

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Returned:
    update: Any
    calls: Sequence[CallRecord]
    score: float


class NodeVisit:
    """State of one visit; not shared between threads.

    place: the node's path in the graph; state: what it is given
    """

    def __init__(
        self,
        checked: CheckedNode,
        check: Check,
        *,
        place: str,
        handle: RunHandle,
        config: Mapping[str, Any],
        state: Any,
    ) -> None:
        self.check, self.state = check, state
        self._checked, self._place, self._handle = checked, place, handle
        metadata = config.get("metadata") or {}
        step = metadata.get("langgraph_step")
        self._step = step if isinstance(step, int) else None
        self._thread = str(metadata.get("thread_id") or "")
        self._stages = self._stages_of() if handle.checking is None else ()
        self._before = _digest(state) if len(self._stages) > 1 else ""
        self._attempts: list[NodeAttempt] = []
        self._returned: list[_Returned] = []
        self._taken: int | None = None

    def _stages_of(self) -> tuple[str, ...]:
        """The models to try in turn; none where the node runs once, whatever the check says."""
        planned = self._handle.course.assignment(self._place)
        is_asked_inside = self._handle.policy.hints_for(self._place).verify is not None
        if self._checked.against or is_asked_inside or planned is None or planned.kind != "cascade":
            return ()
        return (planned.model, *planned.then)

    def payer(self) -> RunHandle:
        """The run's handle for what the check of the attempt under way asks of models.

        Where nothing can follow the attempt it has money for some only (`spot_checks`).
        """
        handle, place, done = self._handle, self._place, len(self._returned)
        policy, model = handle.policy, self._stages[done] if done < len(self._stages) else ""
        is_paid = policy.explore is not None or done + 1 < len(self._stages)
        return handle.for_check(
            node=place,
            step=self._step,
            thread=self._thread,
            must_stay=policy.is_private(place) or handle.is_private_inside(place),
            is_paid=is_paid or policy.spot_checks.is_due(place, model),
        )

    def attempt(self) -> NodeAttempt:
        """The next attempt."""
        done, is_hidden = len(self._returned), len(self._stages) > 1
        made = NodeAttempt(node=self._place, is_hidden=is_hidden)
        if done:
            before, model = self._stages[done - 1], self._stages[done]
            made = replace(
                made,
                model=model,
                why=f"{AFTER_REFUSAL}{before}",
                is_repeat=model in self._stages[:done],
            )
        self._attempts.append(made)
        return made

    def returned(self, update: Any, calls: Sequence[CallRecord], verdict: Verdict) -> bool:
        """Note what an attempt returned; whether there is to be another one."""
        self.record(calls, verdict)
        score = 1.0 if verdict.score is None else verdict.score
        self._returned.append(_Returned(update=update, calls=calls, score=score))
        return verdict.passed is False and self._may_try_again()

    def told(self, error: BaseException) -> str:
        """What is to be known of an attempt that failed after another had returned something."""
        return (
            f"its node then failed ({type(error).__name__}), and an update that was refused stands"
        )

    def record(
        self,
        calls: Sequence[CallRecord],
        verdict: Verdict | None = None,
        *,
        fault: str | None = None,
    ) -> None:
        """Record calls that were held back: those that answered, with the verdict.

        fault: what became of their answers, where nothing did
        """
        for each in calls:
            call = each if fault is None else replace(each, fault=each.fault or fault)
            is_judged = verdict is not None and call.error is None and not call.is_check
            self._handle.policy.record(
                _judged(call, verdict) if is_judged and verdict is not None else call
            )

    @property
    def has_update(self) -> bool:
        """Whether an earlier attempt has returned something."""
        return bool(self._returned)

    def take(self) -> Any:
        """The update with the highest score, the later of equals; ends the visit."""
        scores = [each.score for each in self._returned]
        self._taken = max(range(len(scores)), key=lambda i: (scores[i], i))
        return self._returned[self._taken].update

    def unseen(self) -> Iterator[Unseen]:
        """What readers of the stream are told of the visit's calls, now that it has ended: answers
        of the attempt that was taken, or else of the one it broke off in.
        """
        shown = len(self._attempts) - 1 if self._taken is None else self._taken
        for number, attempt in enumerate(self._attempts):
            for call in attempt.unseen:
                if number != shown:
                    call.falls()
                yield call

    def _may_try_again(self) -> bool:
        if len(self._returned) >= len(self._stages):
            return False
        return self._is_affordable() and self._is_safe()

    def _is_affordable(self) -> bool:
        """Whether the same calls on the next model are worth what later steps could do with it."""
        if (available := self._handle.ledger.available_nano) is None:
            return True
        position = len(self._returned)
        price = self._handle.policy.catalog.get(self._stages[position]).price
        tokens = [(c.in_tokens, c.out_tokens) for c in self._returned[-1].calls if not c.is_check]
        cost = sum(nano(i * price.in_usd + o * price.out_usd) for i, o in tokens)
        return self._handle.course.asks_on(
            self._place, position, cost_nano=cost, available_nano=available
        )

    def _is_safe(self) -> bool:
        """Whether the node would see what it saw, and is still proven to do nothing else."""
        if not self._before or _digest(self.state) != self._before:
            logger.info("node %r is not run again: it changed its state in place", self._place)
            return False
        code = self._checked.code
        try:
            why = None if code is None else code.why_not_pure()
        except Unclear as fault:
            why = str(fault)
        if why is not None:
            logger.info("node %r is not run again: %s", self._place, why)
        return why is None


def _judged(call: CallRecord, verdict: Verdict) -> CallRecord:
    """The record with one verdict more; an answer is as good as the strictest of them says."""
    scores = [q for q in (call.quality, verdict.quality) if q is not None]
    return replace(call, verdicts=(*call.verdicts, verdict), quality=min(scores, default=None))


def _digest(state: Any) -> str:
    """Of a state; `""` where it has none, so that nothing can be said of a change."""
    try:
        return digest(state)
    except TypeError:
        return ""


Begin = Callable[[Any], NodeVisit]
"""Begins a visit for a state."""
