"""One call's part in admission: what it tells there, and what it does with what it is told.

```
enter(choice) ─► Choice     call the model now, then leave(outcome)
              ─► Chore      do something for several calls first, then again()
              ─► Later      wait, then again()
```

Whoever enters has its money put aside. Where a pack or a batch brings the answer, the choice that
comes back gives it again; where a pack did not, the call is paid for once more and made alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from langchain_core.messages import AIMessage

from graphroute.runtime.admission import Admission, Answered, Arrival, Packed, Place, Wait, Work
from graphroute.runtime.booking import Booking
from graphroute.runtime.call import Call
from graphroute.runtime.choice import Choice, Chore
from graphroute.runtime.deferral import Deferrable
from graphroute.runtime.gates import Lane, Outcome
from graphroute.runtime.later import Later
from graphroute.runtime.ledger import Reservation
from graphroute.runtime.packer import Packable
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.request import Request
from graphroute.runtime.router import CallFacts
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.till import Till
from graphroute.runtime.trail import Trail, told
from graphroute.runtime.writing import write

IN_PACK: Final = "its share of a pack that did not serve it"
"""Why a call has a record besides that of its answer."""


class Entrance:
    """Belongs to one call; not shared between threads.

    till, booking: of the same call, for what a pack costs besides
    """

    def __init__(
        self, handle: RunHandle, call: Call, trail: Trail, *, till: Till, booking: Booking
    ) -> None:
        self._handle, self._call, self._trail = handle, call, trail
        self._till, self._booking = till, booking
        self._choice: Choice | None = None
        self._facts = call.facts
        self._place: Place | None = None

    def enter(
        self, choice: Choice, facts: CallFacts, *, is_stream: bool, is_checked: bool
    ) -> Choice | Chore:
        """The choice, once its model takes another call; until then `Later`.

        facts: of the call as its model is given it
        is_checked: the answer may be refused, and another model asked; so it is this call's alone
        """
        if (admission := self._handle.policy.admission) is None:
            return choice
        try:
            arrival = self._arrival(admission, choice, is_stream=is_stream, is_checked=is_checked)
            self._place = admission.enter(arrival)
        except Exception as fault:
            self._trail.fault = told(fault)
            return choice
        self._choice, self._facts = choice, facts
        return self._poll(self._place, choice)

    def again(self) -> Choice | Chore | None:
        """What a call that waits is told now; None where it does not wait here."""
        if self._choice is None or self._place is None:
            return None
        return self._poll(self._place, self._choice)

    def leave(self, outcome: Outcome) -> None:
        """The call has ended; does nothing where it had no place."""
        place, self._place = self._place, None
        if place is not None:
            place.leave(outcome)

    def cancel(self) -> None:
        """Give up the place in line and the money of a call that will not be made."""
        choice, self._choice = self._choice, None
        place, self._place = self._place, None
        is_begun = place is not None and place.is_begun
        if place is not None:
            place.cancel()
        if choice is not None and is_begun:
            # A prompt that it shares is out, and its part of that may be billed.
            self._booking.settle(choice, self._booking.usage(None, self._facts), why=IN_PACK)
        elif choice is not None:
            self._handle.ledger.release(choice.reservation)
            self._handle.course.failed(self._call.node)

    def _poll(self, place: Place, choice: Choice) -> Choice | Chore:
        match place.poll():
            case Wait(patience_s=patience_s, when=when):
                raise Later(
                    f"{choice.spec.name} works on other calls",
                    when=when,
                    patience_s=patience_s,
                    gives_up=place.insist,
                    is_poll=True,
                )
            case Answered(message=message, price_share=share):
                self._choice = self._place = None
                return replace(_given(choice, message), price_share=share)
            case Packed(errand=errand):
                return Chore(chosen=choice, errand=errand)
            case Work(run=run):
                return Chore(chosen=choice, work=run)
        self._choice = None
        if place.share is not None:
            return self._after_pack(place, choice, place.share)
        return choice

    def _after_pack(self, place: Place, choice: Choice, share: AIMessage) -> Choice:
        """A call that was in a pack and is asked alone: it pays for both, or is content with one.

        Where no money is left for the second the packed answer stands, or the call begins anew.
        """
        place.share = None
        self._booking.settle(choice, self._booking.usage(share, self._facts), why=IN_PACK)
        try:
            taken = self._till.take([choice.spec], self._facts)
        except BaseException:
            # It waits for money, or pauses the run: the slot is for others meanwhile.
            self._place = None
            place.cancel()
            raise
        if taken is not None:
            return replace(choice, reservation=taken.reservation, cap_tokens=taken.cap_tokens)
        checks, self._place = place.checks, None
        place.cancel()
        if checks is None:
            self._trail.excluded.add(choice.spec.name)
            raise Later("a pack did not answer it", patience_s=0.0, is_poll=True)
        return replace(_given(choice, checks[1]), reservation=Reservation(0), price_share=0.0)

    def _arrival(
        self, admission: Admission, choice: Choice, *, is_stream: bool, is_checked: bool
    ) -> Arrival:
        lane, call, request = Lane.of(choice.spec), self._call, self._call.request
        # One that shows its tokens, or whose author wants it alone, waits for no others like it.
        # A check's question is asked beside the node's own and never with them.
        is_alone = call.answers > 1 or call.shows_tokens or call.hints.batch is False
        is_alone = is_alone or call.is_check
        if request is None or is_alone or is_stream:
            return Arrival(lane=lane, may_gather=False, is_open_ended=is_stream)
        can_share = not (is_checked or request.tools or request.bound)
        can_pack = can_share and admission.packer is not None
        can_defer = call.hints.deferrable and not is_checked and admission.deferral is not None
        return Arrival(
            lane=lane,
            # Besides their prompts, calls must ask for the same to share one.
            group=(call.node, choice.spec.name, repr(sorted(request.as_made.items()))),
            messages=call.messages,
            in_tokens=call.facts.in_tokens,
            burst=(self._handle.run_id, call.step),
            packable=_packable(call, choice, request) if can_pack else None,
            deferrable=self._deferrable(choice) if can_defer else None,
            begin=partial(self._handle.ledger.start, choice.reservation),
        )

    def _deferrable(self, choice: Choice) -> Deferrable | None:
        """The call for the provider's Batch API; None where its model has none."""
        policy = self._handle.policy
        chat = choice.chat or policy.chats.get(choice.spec.name)
        service = None if chat is None else policy.batch_service(chat)
        if chat is None or service is None:
            return None
        written = write(self._call, choice, chat, None)
        if written.restore is not None:
            return None
        body = service.body(self._call.messages, stop=written.stop, kwargs=written.kwargs)
        # A batch goes out without another word of this call.
        self._handle.ledger.start(choice.reservation)
        return Deferrable(service=service, body=body)


def _given(choice: Choice, message: AIMessage) -> Choice:
    """The choice, whose answer is there."""
    return replace(choice, chat=ReplayedChat.of(((message,),), model_name=choice.spec.name))


def _packable(call: Call, choice: Choice, request: Request) -> Packable:
    planned = call.assignment
    return Packable(
        spec=choice.spec,
        node=call.node,
        request=request,
        in_bound=call.facts.in_bound,
        out_cap=choice.cap_tokens or call.facts.out_cap,
        out_tokens=64.0 if planned is None else planned.out_tokens,
        is_asked=call.hints.batch == "pack",
    )
