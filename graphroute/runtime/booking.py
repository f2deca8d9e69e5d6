"""What one call cost and what it was, once it is over: the money is settled, the record is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from langchain_core.messages import AIMessage

from graphroute.errors import LedgerUnavailable
from graphroute.ir.catalog import Price
from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord
from graphroute.ir.verdict import Verdict
from graphroute.runtime import router, tokens
from graphroute.runtime.call import Call
from graphroute.runtime.choice import Choice
from graphroute.runtime.prompt_facts import prompt_facts
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.served import served_by
from graphroute.runtime.tap import Heard, Tap
from graphroute.runtime.trail import Trail, told, told_short

NOTHING: Final = tokens.Usage(in_tokens=0, out_tokens=0, is_estimated=True)
"""Usage of a call that no model has read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A call that is over and paid for; fields as `Booking.pay` and `CallRecord` have them."""

    choice: Choice
    usage: tokens.Usage
    cost_nano: int
    took_s: float
    answer: AIMessage | None
    error: BaseException | None
    why: str


class Booking:
    """Books what became of one call; not shared between threads.

    The money comes first: what looks at the answer afterwards may cost money itself, or fail.
    """

    def __init__(self, handle: RunHandle, call: Call, trail: Trail) -> None:
        self._handle, self._call, self._trail = handle, call, trail
        self._policy = handle.policy
        # Of a cascade each answer has its own time, not that of the ones before it as well.
        self._began_s = call.started_s

    def usage(
        self, answer: AIMessage | None, facts: router.CallFacts | None = None
    ) -> tokens.Usage:
        """Tokens of an answer; under a limit, what is not reported counts as the most it can be.

        facts: of the call as the model was given it, where that is more than as it was made
        """
        facts, is_limited = facts or self._call.facts, self._policy.budget.is_limited
        return tokens.usage_of(
            answer,
            prompt_tokens=facts.in_bound if is_limited else facts.in_tokens,
            at_most=is_limited,
        )

    def settle(
        self,
        choice: Choice,
        usage: tokens.Usage,
        *,
        error: BaseException | None = None,
        why: str | None = None,
    ) -> None:
        """`pay` and `record`, for a call whose answer nobody looks at."""
        self.record(self.pay(choice, usage, error=error, why=why))

    def pay(
        self,
        choice: Choice,
        usage: tokens.Usage,
        *,
        answer: AIMessage | None = None,
        error: BaseException | None = None,
        why: str | None = None,
    ) -> Paid:
        """Put the real cost in the place of what was put aside.

        answer: to be kept in the record, where texts are; error: what ended the call instead
        why: in the place of the choice's own
        """
        took_s = max(0.0, self._policy.clock() - self._began_s)
        price = choice.spec.price
        cost = 0 if choice.recalled else math.ceil(_cost_nano(price, usage) * choice.price_share)
        self._pay(choice, cost, out_tokens=0 if error else usage.out_tokens)
        return Paid(
            choice=choice,
            usage=usage,
            cost_nano=cost,
            took_s=took_s,
            answer=answer,
            error=error,
            why=why or choice.why,
        )

    def record(self, paid: Paid, verdict: Verdict | None = None) -> None:
        """Record a call that is paid for; to be told once of each.

        verdict: what the node's check says of its answer
        """
        choice, answer = paid.choice, paid.answer
        record = self._record(
            model=choice.spec.name,
            why=paid.why,
            usage=paid.usage,
            took_s=paid.took_s,
            cost_nano=paid.cost_nano,
            baseline_nano=self._baseline_nano(paid.usage),
            cap_tokens=choice.cap_tokens,
            answer=answer,
            error=paid.error,
            cache=choice.recalled or None,
            verdict=verdict,
        )
        self._policy.record(record)
        self._began_s = self._policy.clock()
        if answer is not None and self._policy.tap is not None and not self._call.is_check:
            self._tell(self._policy.tap, record, answer)

    def refused(self, error: BaseException) -> None:
        """Record a call that no model was asked; one of a check is told of by its verdict."""
        if not self._call.is_check:
            self._policy.record(self._record(model="", why="no model", usage=NOTHING, error=error))

    def _baseline_nano(self, usage: tokens.Usage) -> int | None:
        """What the graph would have paid by itself: nothing for a check, which it has none of."""
        if self._call.is_check:
            return 0
        own = self._call.own.price
        return _cost_nano(own, usage) if own.is_known else None

    def _tell(self, tap: Tap, record: CallRecord, answer: AIMessage) -> None:
        """Let a listener have the call as it was made; a list of prompts is not one call."""
        call = self._call
        if call.answers == 1:
            tap(
                Heard(
                    own=call.chat,
                    messages=tuple(call.messages),
                    stop=call.stop,
                    kwargs=dict(call.kwargs),
                    answer=answer,
                    record=record,
                    is_private=call.must_stay,
                )
            )

    def _pay(self, choice: Choice, cost: int, *, out_tokens: int) -> None:
        aside, trail, node = choice.reservation.amount_nano, self._trail, self._call.node
        try:
            self._handle.ledger.settle(choice.reservation, cost)
        except LedgerUnavailable as fault:
            # The answer is paid for and must not be lost; the next call that costs is refused.
            trail.fault = told(fault)
        self._handle.course.ended(node, cost, out_tokens=out_tokens)
        if cost > aside and self._policy.budget.is_limited:
            self._policy.note_excess(node, choice.spec.name, cost / aside if aside else 1.0)
            trail.fault = trail.fault or (
                f"{choice.spec.name} cost ${cost / NANO:.6f}, more than the ${aside / NANO:.6f} "
                "its limits allow"
            )

    def _record(
        self,
        *,
        model: str,
        why: str,
        usage: tokens.Usage,
        took_s: float | None = None,
        cost_nano: int = 0,
        baseline_nano: int | None = None,
        cap_tokens: int | None = None,
        answer: AIMessage | None = None,
        error: BaseException | None = None,
        cache: str | None = None,
        verdict: Verdict | None = None,
    ) -> CallRecord:
        call, trail, policy = self._call, self._trail, self._policy
        # A judge's questions are none of the node's, nor is what the plan foretells about it.
        is_apart = call.must_stay or call.is_check
        foretold = policy.foretold("" if call.is_check else call.node)
        # A text that must stay on this machine is not kept on it either.
        keeps_text = policy.keep_text and not call.must_stay
        prompt = prompt_facts(call.messages, keeps_text=keeps_text)
        text = tokens.text_of([answer]) if keeps_text and answer is not None else None
        return CallRecord(
            run_id=self._handle.run_id,
            node=call.node,
            step=call.step,
            planned=None if call.assignment is None else call.assignment.model,
            model=model,
            why=why,
            own_model=call.own.name,
            in_tokens=usage.in_tokens,
            out_tokens=usage.out_tokens,
            is_estimated=usage.is_estimated,
            cost_nano=cost_nano,
            baseline_nano=baseline_nano,
            started_s=self._began_s,
            took_s=max(0.0, policy.clock() - self._began_s) if took_s is None else took_s,
            difficulty=call.facts.difficulty,
            cap_tokens=cap_tokens,
            attempts=tuple(trail.attempts),
            fault=trail.fault,
            error=None if error is None else told_short(error),
            cache=cache,
            verdicts=() if verdict is None else (verdict,),
            quality=None if verdict is None else verdict.quality,
            thread=call.thread,
            iteration=self._handle.course.round_of(call.node),
            cached_tokens=usage.cached_tokens,
            retries=trail.retries,
            prompt_sha=prompt.sha,
            prompt_chars=prompt.chars,
            features="" if is_apart else policy.features_of(call.messages),
            served="" if answer is None or cache else served_by(answer),
            is_private=call.must_stay,
            prompt=prompt.text,
            answer=text,
            **foretold,
        )


def _cost_nano(price: Price, usage: tokens.Usage) -> int:
    return router.nano(usage.in_tokens * price.in_usd + usage.out_tokens * price.out_usd)
