"""What a call cost and what it was: settled, recorded, told to who listens."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata

from graphroute.errors import LedgerUnavailable
from graphroute.ir.hints import Budget, RouteHints
from graphroute.ir.verdict import Verdict
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.booking import NOTHING, Booking
from graphroute.runtime.call import read_call
from graphroute.runtime.choice import Choice
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.tap import Heard
from graphroute.runtime.trail import Trail
from tests.unit.runtime.situations import policy_for, spec_for

OWN = ScriptedChat(name="own")
CHEAP = spec_for("scripted:cheap", price=0.5)
ANSWER = AIMessage(
    "well", usage_metadata=UsageMetadata(input_tokens=30, output_tokens=10, total_tokens=40)
)


class Situation:
    """A call of `own`, at 1 USD per million tokens, that `cheap` serves at half of that."""

    def __init__(self, *, aside_nano: int = 1_000_000, prompts: int = 1, **facts: Any) -> None:
        chats = {"scripted:own": OWN}
        self.policy = policy_for(chats=chats, specs=(spec_for("scripted:own"),), **facts)
        self.ledger = Ledger(limit_nano=10_000_000)
        self.trail = Trail()
        handle = RunHandle(policy=self.policy, ledger=self.ledger, course=Course(self.policy.plan))
        call = read_call(
            handle,
            OWN,
            [HumanMessage("how are you")],
            stop=None,
            kwargs={},
            metadata={"langgraph_node": "ask"},
            prompts=prompts,
        )
        self.booking = Booking(handle, call, self.trail)
        self.reservation = self.ledger.reserve(aside_nano)

    def settle(
        self,
        *,
        share: float = 1.0,
        recalled: str = "",
        verdict: Verdict | None = None,
        **facts: Any,
    ) -> None:
        assert self.reservation is not None
        choice = Choice(
            spec=CHEAP,
            chat=None,
            why="plan",
            reservation=self.reservation,
            cap_tokens=None,
            recalled=recalled,
            price_share=share,
        )
        usage = self.booking.usage(facts.get("answer"))
        self.booking.record(self.booking.pay(choice, usage, **facts), verdict)


def test_the_real_cost_takes_the_place_of_what_was_put_aside() -> None:
    found = Situation()
    found.settle(answer=ANSWER, verdict=Verdict(score=0.5, passed=True))
    assert (found.ledger.spent_nano, found.ledger.reserved_nano) == (20_000, 0)
    (record,) = found.policy.records
    assert (record.model, record.why, record.own_model) == (
        "scripted:cheap",
        "plan",
        "scripted:own",
    )
    assert (record.cost_nano, record.baseline_nano) == (20_000, 40_000)
    assert (record.in_tokens, record.out_tokens, record.is_estimated) == (30, 10, False)
    assert (record.quality, record.error, record.fault) == (0.5, None, None)


@pytest.mark.parametrize(("how", "cost"), [({"share": 0.5}, 10_000), ({"recalled": "memory"}, 0)])
def test_a_batch_costs_a_share_and_what_is_known_nothing(how: dict[str, Any], cost: int) -> None:
    found = Situation()
    found.settle(answer=ANSWER, **how)
    assert found.ledger.spent_nano == cost
    assert found.policy.records[0].cost_nano == cost


def test_an_answer_that_says_nothing_of_its_tokens_counts_most_under_a_limit() -> None:
    plain, limited = Situation(), Situation(budget=Budget(per_run_usd=1.0))
    words = AIMessage("a fairly long answer of eight plain words")
    free, bound = plain.booking.usage(words), limited.booking.usage(words)
    assert free.is_estimated
    assert bound.in_tokens > free.in_tokens
    assert bound.out_tokens > free.out_tokens


def test_a_call_dearer_than_its_worst_case_is_told_and_remembered() -> None:
    found = Situation(aside_nano=5_000, budget=Budget(per_run_usd=1.0))
    found.settle(answer=ANSWER)
    assert "more than the $0.000005" in (found.policy.records[0].fault or "")
    assert found.policy.excess("ask", "scripted:cheap") == 4.0


def test_an_answer_is_not_lost_where_the_ledger_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(_: Ledger, reservation: Reservation, cost_nano: int) -> None:
        raise LedgerUnavailable(f"{cost_nano}", path="ledger", next_step="mend the disk")

    found = Situation()
    monkeypatch.setattr(Ledger, "settle", gone)
    found.settle(answer=ANSWER)
    (record,) = found.policy.records
    assert record.cost_nano == 20_000
    assert (record.fault or "").startswith("LedgerUnavailable")


def test_a_call_that_no_model_was_asked_is_recorded_with_its_error() -> None:
    found = Situation()
    found.booking.refused(ValueError("x" * 900))
    (record,) = found.policy.records
    assert (record.model, record.why, record.cost_nano) == ("", "no model", 0)
    assert (record.in_tokens, record.out_tokens) == (NOTHING.in_tokens, NOTHING.out_tokens)
    assert len(record.error or "") == 500


def test_texts_are_kept_with_leave_and_never_those_that_must_stay() -> None:
    without, kept = Situation(), Situation(keep_text=True)
    private = Situation(keep_text=True, hints={"ask": RouteHints(privacy="local")})
    for found in (without, kept, private):
        found.settle(answer=ANSWER)
    texts = [(r.prompt, r.answer) for f in (without, kept, private) for r in f.policy.records]
    assert texts == [(None, None), ("how are you", "well"), (None, None)]


def test_who_listens_hears_what_was_answered_and_no_list_of_prompts() -> None:
    heard: list[Heard] = []
    for found in (Situation(tap=heard.append), Situation(tap=heard.append, prompts=2)):
        found.settle(answer=ANSWER)
        found.settle(error=ValueError("broken off"))
    assert [(each.own, each.answer, each.record.model) for each in heard] == [
        (OWN, ANSWER, "scripted:cheap")
    ]
