"""One intercepted call, from the question "who answers?" to its end; no call is made here.

A `Dispatch` is driven by the thin sync and async callers in `drive`, which do nothing but call the
chosen model and tell how it went:

```
        ┌────────────── failed(error) → True: ask again ──────────────┐
        ▼                                                             │
   choose() → Choice ──► the caller calls choice.chat ──► paid(answer) ─► check ─► recorded(verdict)
                                                     └──► failed(error) → False: raise it
```

It only decides. What it decides by is read beforehand (`call`, `parts`), the order of the models is
the `router`'s, the money the `till`'s, the place in line the `entrance`'s; what came of the call so
far is the `trail`, and what it was in the end is written down by the `booking`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from graphroute.errors import BudgetExceeded, InvalidResume, PrivacyViolation, UnknownModel
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.verdict import Verdict
from graphroute.runtime import dialect, fallback, probabilities, reasons, router
from graphroute.runtime.answers import anew
from graphroute.runtime.booking import NOTHING, Booking, Paid
from graphroute.runtime.call import Call
from graphroute.runtime.choice import Choice, Chore
from graphroute.runtime.course import Ahead
from graphroute.runtime.entrance import Entrance
from graphroute.runtime.gates import Outcome
from graphroute.runtime.later import Later
from graphroute.runtime.ledger import Reservation
from graphroute.runtime.parts import begin_parts
from graphroute.runtime.pause import Replies
from graphroute.runtime.place import Errand
from graphroute.runtime.recall import SharedFailure
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.request import Request
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.sharing import share_answer, share_failure
from graphroute.runtime.till import Till
from graphroute.runtime.trail import Trail, told
from graphroute.runtime.trial import Enough
from graphroute.runtime.turn import is_control_flow
from graphroute.runtime.unseen import Unseen
from graphroute.runtime.writing import write

_NO_MONEY: Final = Reservation(0)
_FAIL_CLOSED: Final = (BudgetExceeded, InvalidResume, PrivacyViolation, UnknownModel)


class Dispatch:
    """State of one call; not shared between threads.

    is_stream: the answer goes out piece by piece
    trial: the call's part in being checked, None where its answer is not
    unseen: keeps answers from readers of the stream, None where none can be refused
    """

    def __init__(self, handle: RunHandle, call: Call) -> None:
        self.handle, self._policy, self._call = handle, handle.policy, call
        self.is_stream = False
        parts = begin_parts(handle, call)
        self.trial, self._recall, self._turn = parts.trial, parts.recall, parts.turn
        is_held = call.attempt is not None and call.attempt.is_hidden
        until = call.attempt.unseen if call.attempt is not None and is_held else None
        self.unseen = Unseen(until=until) if self.is_silent else None
        self._ahead: Ahead | None = None
        self._has_asked_probabilities = False
        self._trail = trail = Trail(fault=call.fault or parts.fault)
        self._till = Till(
            ledger=handle.ledger,
            course=handle.course,
            policy=handle.policy,
            node=call.node,
            assignment=call.assignment,
            turn=parts.turn,
            attempts=trail.attempts,
        )
        self._booking = Booking(handle, call, trail)
        self._entrance = Entrance(handle, call, trail, till=self._till, booking=self._booking)

    def payer(self, choice: Choice) -> RunHandle:
        """The run's handle for what a check of this answer asks of models.

        Where its verdict can change nothing it has money for some answers only (`spot_checks`): for
        none that was judged before, and for all that the graph is to learn from while it runs.
        """
        call, policy, model = self._call, self._policy, choice.spec.name
        is_paid = policy.explore is not None or (
            self.trial is not None and self.trial.decides(model)
        )
        return self.handle.for_check(
            node=call.node,
            step=call.step,
            thread=call.thread,
            must_stay=call.must_stay,
            is_paid=is_paid
            or (not choice.recalled and policy.spot_checks.is_due(call.node, model)),
        )

    # -- choosing

    def choose(self) -> Choice | Chore:
        """The next model to call; raises what ends the call where none is left.

        Raises `Later` where the call has to wait, and `Enough` where an earlier answer stands.

        `BudgetExceeded` and `PrivacyViolation` fail closed; any other fault of the choice itself
        leaves the call to the graph's own model and is recorded.
        """
        self._has_asked_probabilities = False
        while True:
            try:
                return self._choose()
            except SharedFailure as shared:
                # As if this call had been made itself and had failed.
                self.handle.course.called(self._call.node)
                if not self.failed(self._choice(shared.spec), shared.error):
                    raise shared.error from None

    def _choose(self) -> Choice | Chore:
        if self._turn is not None and (replies := self._turn.replies) is not None:
            self._turn.redo(lambda: self._till.payload((), self._call.facts))
            return self._replayed(replies)
        if (said := self._entrance.again()) is not None:
            return said
        try:
            return self._ranked_choice() if self._call.is_read else self._own_choice()
        except (*_FAIL_CLOSED, Later, SharedFailure, Enough):
            raise
        except Exception as fault:
            if is_control_flow(fault):
                raise
            self._entrance.cancel()
            if self._trail.last_error is not None:
                raise self._trail.last_error from None
            self._trail.fault = self._trail.fault or told(fault)
            return self._own_choice()

    def _ranked_choice(self) -> Choice | Chore:
        outages, call, trail = self._policy.outages, self._call, self._trail
        if self._ahead is None:
            self._ahead = self.handle.course.ahead(
                call.node,
                step=call.step,
                failed=outages.down(),
                in_tokens=call.facts.in_tokens,
            )
        ranking = self._rank(outages.is_down)
        if not trail.attempts:
            trail.attempts.extend(ranking.passed_over)
        order = [spec for spec in ranking.order if spec.name not in trail.excluded]
        if self.trial is not None and self.trial.rounds:
            # A check has refused an answer: a stronger model is asked, if there is one.
            order = [spec for spec in order if spec.name == self.trial.next_model]
            if not order or not self._till.asks_on(
                order[0], self._facts(order[0]), position=self.trial.position
            ):
                raise Enough(self.trial.best.answer)
            return self._affordable(order)
        if not order and trail.last_error is None:
            # Every feasible model is cooling down: asking one again beats failing unasked.
            order = list(self._rank(lambda _: False).order)
        return self._affordable(self._with_tried_first(order))

    def _with_tried_first(self, order: list[ModelSpec]) -> Sequence[ModelSpec]:
        """The order, before it the model that is to be tried on this call, if one is."""
        explore, call, trail = self._policy.explore, self._call, self._trail
        if (attempt := call.attempt) is not None and attempt.model:
            # An earlier attempt at the node was refused.
            return sorted(order, key=lambda spec: spec.name != attempt.model)
        if explore is not None and call.assignment is not None:
            if trail.tried is None and order and trail.last_error is None:
                trail.tried = explore(call.node, order, call.facts.in_tokens) or ""
            order.sort(key=lambda spec: spec.name != trail.tried)
        return order

    def _rank(self, is_down: Callable[[str], bool]) -> router.Ranking:
        policy, call = self._policy, self._call
        return router.rank(
            call.facts,
            planned=None if self._ahead is None else self._ahead.models,
            must_stay=call.must_stay,
            hints=call.hints,
            catalog=policy.catalog,
            shadow_price=self.handle.course.shadow_price,
            keeps_own=policy.keeps_own or call.is_check,
            is_down=is_down,
            lean=call.lean,
        )

    def _own_choice(self) -> Choice | Chore:
        """The graph's own model, for when choosing failed; what must hold holds all the same.

        Where the author pinned or listed models, one of those instead.
        """
        call, hints = self._call, self._call.hints
        named = (hints.pin,) if hints.pin is not None else hints.models or (call.own.name,)
        known = {spec.name: spec for spec in (*self._policy.catalog, call.own)}
        specs = [known[name] for name in named if name in known]
        allowed = [spec for spec in specs if spec.local or not call.must_stay]
        if allowed:
            return self._affordable(allowed)
        error = reasons.none_allowed(call, specs, named=named, known=known)
        self._booking.refused(error)
        raise error

    def _affordable(self, order: Sequence[ModelSpec]) -> Choice | Chore:
        """The first model that the money allows; at the limit, what the budget says to do there.

        An answer that is known costs nothing, so it is looked for before money is put aside.
        """
        if order and (known := self._known(order[0])) is not None:
            return known
        facts = self._facts(order[0]) if order else self._call.facts
        taken = self._till.take(order, facts)
        if taken is None:
            if self.trial is not None and self.trial.rounds:
                raise Enough(self.trial.best.answer)
            self._give_up(order)
        if taken.spec is not order[0]:
            try:
                known = self._known(taken.spec)
            except BaseException:
                self.handle.ledger.release(taken.reservation)
                raise
            if known is not None:
                self.handle.ledger.release(taken.reservation)
                return known
        choice = self._choice(
            taken.spec, reservation=taken.reservation, cap_tokens=taken.cap_tokens
        )
        if self.is_stream:
            # Its reader may keep it open: no other call waits for its end.
            self.handle.ledger.hold(choice.reservation)
            if self._recall is not None:
                self._recall.hold()
        return self._entrance.enter(
            choice,
            self._facts(taken.spec),
            is_stream=self.is_stream,
            is_checked=self.trial is not None,
        )

    def _facts(self, spec: ModelSpec) -> router.CallFacts:
        """Facts of the call as `spec` is given it now: with what it is told of an answer."""
        if self.trial is None or not self.trial.rounds:
            return self._call.facts
        return self._call.facts.after(self.trial.hint_for(spec))

    def _give_up(self, order: Sequence[ModelSpec]) -> NoReturn:
        """Raise what ends the call: money, privacy, or what the models themselves said."""
        last = self._trail.last_error
        error = reasons.none_left(self._call, self._trail, order, self._till)
        self._booking.refused(error)
        if error is last:
            raise error
        raise error from last

    def _known(self, spec: ModelSpec) -> Choice | None:
        """The answer of an equal call on `spec`, None where there is none."""
        if self._recall is None or (found := self._recall.find(spec)) is None:
            return None
        self.handle.course.called(self._call.node)
        messages = tuple(anew(each) for each in found.messages)
        chosen = self._choice(spec)
        if self.is_stream or self.trial is None or not self.trial.wants_probabilities:
            messages = tuple(self.shown(chosen, each) for each in messages)
        chat = ReplayedChat.of(
            (messages,),
            model_name=spec.name,
            pieces=found.pieces,
        )
        return replace(chosen, chat=chat, is_replay=True, recalled=found.source)

    def _choice(
        self,
        spec: ModelSpec,
        *,
        reservation: Reservation = _NO_MONEY,
        cap_tokens: int | None = None,
    ) -> Choice:
        """`spec` for the call; without a reservation one that is not made, and so costs nothing."""
        return Choice(
            spec=spec,
            chat=self._call.chat if spec.name == self._call.own.name else None,
            why=reasons.why(spec.name, self._call, self._trail, self._ahead, self.trial),
            reservation=reservation,
            cap_tokens=cap_tokens,
        )

    def _replayed(self, replies: Replies) -> Choice:
        """The answer that an earlier attempt of the node was given."""
        own = self._call.own
        return Choice(
            spec=own,
            chat=ReplayedChat.of(replies, model_name=own.name),
            why="replayed",
            reservation=_NO_MONEY,
            cap_tokens=None,
            is_replay=True,
        )

    # -- calling

    def arguments(self, choice: Choice, chat: BaseChatModel) -> dialect.Written:
        """What to call `chat` with, now. The graph's own model gets the call as it was made."""
        if isinstance(choice.chat, ReplayedChat):
            return dialect.Written(kwargs={}, stop=None)
        self.handle.ledger.start(choice.reservation)
        self._has_asked_probabilities = self._asks_probabilities(choice.spec, chat)
        return write(
            self._call,
            choice,
            chat,
            self.trial,
            asks_probabilities=self._has_asked_probabilities,
        )

    def _asks_probabilities(self, spec: ModelSpec, chat: BaseChatModel) -> bool:
        """Whether the call is to tell the probability of each token: where a check reads them, and
        nobody sees the answer before they are taken out of it.
        """
        call, trial = self._call, self.trial
        if trial is None or not trial.wants_probabilities or self.is_stream:
            return False
        is_seen = call.shows_tokens and not trial.is_silent
        is_told = spec.name not in self._policy.mute and spec.name not in self._trail.mute
        is_new = not probabilities.are_asked_by_author(call)
        return is_told and is_new and not is_seen and dialect.takes_logprobs(chat)

    def heard(self, message: AIMessage | None) -> AIMessage | None:
        """The answer as a check is to see it, and others who ask the same."""
        if message is None or not self._has_asked_probabilities:
            return message
        return probabilities.few(message)

    def shown(self, choice: Choice, answer: Any) -> Any:
        """The answer as the graph is to see it."""
        stated = self._policy.chats.get(choice.spec.name)
        is_asked = probabilities.are_asked_by_author(self._call)
        if is_asked or getattr(stated, probabilities.NAME, None):
            return answer
        return probabilities.without(answer)

    def packed(self, errand: Errand, choice: Choice, chat: BaseChatModel) -> dialect.Written:
        """What to call `chat` with for several calls at once, now."""
        errand.begin()
        request = self._call.request or Request()
        return errand.written(request, target=chat, limit=choice.spec.max_output_tokens)

    # -- ending

    def cancelled(self) -> None:
        """The caller was stopped while it waited to be given a model."""
        self._entrance.cancel()
        if self._recall is not None:
            self._recall.cancelled()

    def paid(
        self,
        choice: Choice,
        answer: AIMessage | None,
        *,
        replies: Replies | None = None,
        pieces: Sequence[int] = (),
    ) -> Paid | None:
        """Settle a call that was answered (for a stream: with all its chunks added), but for its
        record, which waits for the verdict; None where there is nothing to record.

        Its place at the server is free now, and those that wait for the answer have it: a check may
        ask the same server, and may be stopped.

        replies: the answers to each of several prompts, of which `answer` is the sum
        pieces: lengths in characters of a stream's chunks
        """
        if choice.is_replay and not choice.recalled:
            return None
        usage = self._booking.usage(answer, self._facts(choice.spec))
        if choice.spec.name in self._trail.mute:
            self._policy.mute.add(choice.spec.name)
        self._entrance.leave(Outcome.answered(answer))
        paid = self._booking.pay(choice, usage, answer=answer)
        if not choice.is_replay:
            self._policy.outages.clear(choice.spec.name)
            if self._recall is not None:
                share_answer(self._recall, choice, answer, replies=replies, pieces=pieces)
        if self.unseen is None:
            self._keep(self.shown(choice, answer), replies)
        return paid

    def recorded(self, paid: Paid | None, verdict: Verdict | None) -> None:
        """Record what was paid, with what the node's check says of it; to be told once."""
        if paid is not None:
            self._booking.record(paid, verdict)

    def accepts(
        self, choice: Choice, answer: Any, message: AIMessage | None, verdict: Verdict | None
    ) -> bool:
        """Whether an answer stands; False if a stronger model is to be asked."""
        if self.unseen is not None:
            self.unseen.answered(answer)
        if self.trial is None or message is None or verdict is None:
            return True
        return not self.trial.refuses(choice.spec.name, answer, message, verdict)

    def best(self, answer: Any) -> Any:
        """The best of all answers that were checked, else `answer`."""
        return self.trial.best.answer if self.trial is not None and self.trial.rounds else answer

    def stands(self, answer: Any, replies: Replies | None) -> None:
        """The caller gets this one of the answers that might have been refused."""
        if self.unseen is not None:
            self.unseen.stands(answer)
            self._keep(answer, replies)

    @property
    def is_silent(self) -> bool:
        """Whether the answer must come in one piece, because a check may yet refuse it."""
        if self._call.attempt is not None and self._call.attempt.is_hidden:
            return True
        return self.trial is not None and self.trial.is_silent

    def failed(
        self, choice: Choice, error: BaseException, *, partial: AIMessage | None = None
    ) -> bool:
        """End an attempt that raised; True if another model should be asked instead.

        partial: what a broken stream had given already, which is paid for and cannot be unsaid
        """
        if choice.is_replay:
            return False
        self._entrance.leave(Outcome.of(error))
        if self._has_asked_probabilities and probabilities.is_refusal(error):
            self._ask_without(choice)
            return True
        if self._recall is not None:
            share_failure(self._recall, error)
        is_own, is_unavailable = choice.chat is self._call.chat, fallback.is_unavailable(error)
        if is_unavailable:
            self._policy.outages.note(choice.spec.name, error)
        is_fault = isinstance(error, Exception) and not is_control_flow(error)
        is_mendable = is_unavailable or fallback.is_overflow(error) or not is_own
        if (self._policy.keeps_own or self._call.is_check) and is_own:
            # Nothing but the records may change: the graph's own retries and fallbacks see to it.
            is_mendable = False
        if is_fault and is_mendable and partial is None:
            self.handle.ledger.release(choice.reservation)
            self.handle.course.failed(self._call.node)
            self._trail.failed(choice.spec.name, error, is_own=is_own)
            return True
        # Cancelled or broken off, the provider has read the prompt and may bill it.
        is_unread = partial is None and is_fault
        usage = NOTHING
        if not is_unread:
            usage = self._booking.usage(partial, self._facts(choice.spec))
        if isinstance(error, GeneratorExit):
            self._keep(partial)  # the node had read enough of the stream
        self._booking.settle(choice, usage, error=error)
        return False

    def _ask_without(self, choice: Choice) -> None:
        """The server may not know how to tell the probabilities of tokens: ask it without."""
        self._trail.mute.add(choice.spec.name)
        self._has_asked_probabilities = False
        if self._recall is not None:
            self._recall.cancelled()
        self.handle.ledger.release(choice.reservation)
        self.handle.course.failed(self._call.node)

    def _keep(self, answer: AIMessage | None, replies: Replies | None = None) -> None:
        """Keep what was paid for, in case LangGraph runs the node again."""
        if self._turn is not None and answer is not None:
            self._turn.answered(replies or ((answer,),))
