"""One call's part in admission: it waits, goes, gives up, and pays for a pack that was no use."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata

from graphroute.batching import deferred, immediate, pack
from graphroute.ir.hints import RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.admission import Admission, Arrival, Go, Place, Wait
from graphroute.runtime.booking import Booking
from graphroute.runtime.call import read_call
from graphroute.runtime.choice import Choice
from graphroute.runtime.course import Course
from graphroute.runtime.deferral import Deferral
from graphroute.runtime.entrance import IN_PACK, Entrance
from graphroute.runtime.gates import Gates, Lane, Outcome
from graphroute.runtime.later import Later
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.packer import Packer
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.till import Taken
from graphroute.runtime.trail import Trail
from tests.unit.runtime.situations import policy_for, spec_for

AT = {"langgraph_node": "work"}
OWN = ScriptedChat(name="own")
SPEC = spec_for("scripted:own", slots=1)
SHARE = AIMessage(
    "", usage_metadata=UsageMetadata(input_tokens=30, output_tokens=10, total_tokens=40)
)


class AfterPack(Admission):
    """Every call was in a pack of two that brought `answer`, and is to be asked alone now."""

    answer: AIMessage | None = None

    def enter(self, arrival: Arrival) -> Place:
        place = super().enter(arrival)
        place.share = SHARE
        if self.answer is not None:
            place.checks = 2, self.answer
        return place


class Situation:
    """A call of 0.001 USD whose money is put aside, before a model that takes one at once."""

    def __init__(
        self,
        kind: type[Admission] = Admission,
        *,
        take: Any = None,
        policy: Any = None,
        hints: RouteHints | None = None,
    ) -> None:
        self.admission = kind(policy or immediate.build(), Gates())
        self.policy = policy_for(
            chats={"scripted:own": OWN},
            specs=(SPEC,),
            admission=self.admission,
            hints={"work": hints or RouteHints()},
        )
        self.ledger = Ledger(limit_nano=10_000_000)
        handle = RunHandle(policy=self.policy, ledger=self.ledger, course=Course(self.policy.plan))
        messages = [HumanMessage("hello")]
        self.call = call = read_call(handle, OWN, messages, stop=None, kwargs={}, metadata=AT)
        self.trail = Trail()
        till: Any = SimpleNamespace(take=take)
        booking = Booking(handle, call, self.trail)
        self.entrance = Entrance(handle, call, self.trail, till=till, booking=booking)
        reservation = self.ledger.reserve(1_000_000)
        assert reservation is not None
        self.choice = Choice(
            spec=SPEC, chat=OWN, why="plan", reservation=reservation, cap_tokens=None
        )

    def enter(self) -> Any:
        facts = self.call.facts
        return self.entrance.enter(self.choice, facts, is_stream=False, is_checked=False)

    @property
    def has_room(self) -> bool:
        """Whether the model would take another call; asks without staying."""
        place = self.admission.enter(Arrival(lane=Lane.of(SPEC), may_gather=False))
        said = place.poll()
        place.cancel()
        return said == Go()


def test_a_call_goes_where_there_is_room_and_holds_it_until_it_has_ended() -> None:
    found = Situation()
    assert found.enter() is found.choice
    assert found.entrance.again() is None
    assert not found.has_room
    found.entrance.leave(Outcome())
    assert found.has_room


def test_without_admission_every_call_goes_at_once() -> None:
    found = Situation()
    found.policy.admission = None
    assert found.enter() is found.choice
    assert found.has_room


def test_a_call_waits_for_room_and_goes_when_another_has_left() -> None:
    found = Situation()
    first = found.admission.enter(Arrival(lane=Lane.of(SPEC)))
    assert first.poll() == Go()
    with pytest.raises(Later):
        found.enter()
    with pytest.raises(Later):
        found.entrance.again()
    first.leave(Outcome())
    assert found.entrance.again() is found.choice


def test_one_that_gives_up_leaves_the_line_and_its_money() -> None:
    found = Situation()
    first = found.admission.enter(Arrival(lane=Lane.of(SPEC)))
    with pytest.raises(Later):
        found.enter()
    found.entrance.cancel()
    assert found.ledger.reserved_nano == 0
    assert found.entrance.again() is None
    first.leave(Outcome())
    assert found.has_room


def test_one_that_gives_up_while_its_prompt_is_out_pays_for_that() -> None:
    found = Situation()
    first = found.admission.enter(Arrival(lane=Lane.of(SPEC)))
    with pytest.raises(Later):
        found.enter()
    assert found.entrance._place is not None
    found.entrance._place.is_begun = True
    found.entrance.cancel()
    (record,) = found.policy.records
    assert (record.why, record.out_tokens) == (IN_PACK, 0)
    assert found.ledger.reserved_nano == 0
    assert found.ledger.spent_nano == record.cost_nano > 0
    first.leave(Outcome())


def test_a_fault_of_admission_keeps_no_call_from_going() -> None:
    class Broken(Admission):
        def enter(self, arrival: Arrival) -> Place:
            raise OSError(arrival.lane.model)

    found = Situation(Broken)
    assert found.enter() is found.choice
    assert found.trail.fault == "OSError: scripted:own"


def test_a_call_that_was_in_a_pack_pays_for_both() -> None:
    second = Reservation(7)
    found = Situation(
        AfterPack, take=lambda _, __: Taken(spec=SPEC, reservation=second, cap_tokens=9)
    )
    choice = found.enter()
    assert (choice.reservation, choice.cap_tokens) == (second, 9)
    assert [(r.why, r.cost_nano) for r in found.policy.records] == [(IN_PACK, 40_000)]
    assert found.ledger.spent_nano == 40_000


def test_where_no_money_is_left_for_the_second_the_packed_answer_stands() -> None:
    class Checked(AfterPack):
        answer = AIMessage("from the pack")

    found = Situation(Checked, take=lambda _, __: None)
    choice = found.enter()
    assert isinstance(choice.chat, ReplayedChat)
    assert choice.chat.invoke("hello").text == "from the pack"
    assert (choice.reservation.amount_nano, choice.price_share) == (0, 0.0)
    assert found.has_room


def test_where_the_pack_had_no_answer_either_the_model_is_not_asked_again() -> None:
    found = Situation(AfterPack, take=lambda _, __: None)
    with pytest.raises(Later):
        found.enter()
    assert found.trail.excluded == {"scripted:own"}
    assert found.has_room


@pytest.mark.parametrize("stop", [Later("others hold the money"), KeyboardInterrupt()])
def test_a_call_that_waits_for_money_after_a_pack_keeps_no_slot(stop: BaseException) -> None:
    def take(_: object, __: object) -> None:
        raise stop

    found = Situation(AfterPack, take=take)
    with pytest.raises(type(stop)):
        found.enter()
    assert found.has_room
    assert found.entrance.again() is None


class Noting(Admission):
    """Remembers what is brought to it."""

    def __init__(self, policy: Any, gates: Gates) -> None:
        packs = Packer() if "packs" in policy.means else None
        super().__init__(policy, gates, packer=packs, deferral=self.batches)
        self.seen: list[Arrival] = []

    batches: Deferral | None = None

    def enter(self, arrival: Arrival) -> Place:
        self.seen.append(arrival)
        return super().enter(arrival)


class NotingBatches(Noting):
    """The same, with batches."""

    batches = Deferral()


def _arrival(found: Situation, **how: bool) -> Arrival:
    with suppress(Later):
        told = {"is_stream": False, "is_checked": False, **how}
        found.entrance.enter(found.choice, found.call.facts, **told)
    assert isinstance(found.admission, Noting)
    (arrival,) = found.admission.seen
    return arrival


def test_a_stream_is_gathered_with_none() -> None:
    arrival = _arrival(Situation(Noting, policy=pack.build()), is_stream=True)
    assert (arrival.may_gather, arrival.is_open_ended) == (False, True)


@pytest.mark.parametrize("is_checked", [True, False])
def test_an_answer_to_be_checked_is_gathered_but_shares_no_prompt(is_checked: bool) -> None:
    arrival = _arrival(Situation(Noting, policy=pack.build()), is_checked=is_checked)
    assert (arrival.may_gather, arrival.is_open_ended) == (True, False)
    assert (arrival.packable is None) is is_checked


class Service:
    """A provider's batches, which take every call."""

    name, price_share = "service", 0.5

    def body(self, messages: Any, *, stop: Any, kwargs: Any) -> dict[str, Any]:
        return {"messages": len(messages), "stop": stop, **kwargs}


@pytest.mark.parametrize(
    ("kind", "is_checked", "is_deferred"),
    [(NotingBatches, False, True), (NotingBatches, True, False), (Noting, False, False)],
)
def test_only_a_call_that_can_be_deferred_is_begun(
    kind: type[Noting], is_checked: bool, is_deferred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Reservation] = []
    monkeypatch.setattr(Ledger, "start", lambda _, reservation: begun.append(reservation))
    found = Situation(kind, policy=deferred.build(), hints=RouteHints(deferrable=True))
    monkeypatch.setattr(found.policy, "batch_service", lambda _: Service())
    arrival = _arrival(found, is_checked=is_checked)
    assert (arrival.deferrable is not None) is is_deferred
    assert begun == ([found.choice.reservation] if is_deferred else [])


def test_room_is_asked_for_without_staying() -> None:
    found = Situation()
    assert found.has_room
    assert found.has_room
    assert found.enter() is found.choice
    place = found.admission.enter(Arrival(lane=Lane.of(SPEC), may_gather=False))
    assert isinstance(place.poll(), Wait)
