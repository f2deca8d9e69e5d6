"""One intercepted call, from the question "who answers?" to its record; no call is made here.

A `Dispatch` is driven by the thin sync and async callers in `hook`, which do nothing but call the
chosen model and tell how it went:

```
        ┌────────────── failed(error) → True: ask again ──────────────┐
        ▼                                                             │
   choose() → Choice ──► the caller calls choice.chat ──► succeeded(answer) → answer, restored
                                                     └──► failed(error) → False: raise it
```
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import var_child_runnable_config

from graphroute.errors import (
    BudgetExceeded,
    GraphrouteError,
    InvalidResume,
    LedgerUnavailable,
    PrivacyViolation,
    UnknownModel,
)
from graphroute.ir.catalog import Model, ModelSpec, Price
from graphroute.ir.hints import NANO, RouteHints
from graphroute.ir.naming import pool_name
from graphroute.ir.plan import Assignment
from graphroute.ir.record import AFTER_REFUSAL, Attempt, CallRecord
from graphroute.ir.verdict import Verdict
from graphroute.runtime import dialect, fallback, router, tokens
from graphroute.runtime.admission import Answered, Arrival, Errand, Packed, Place, Wait, Work
from graphroute.runtime.answers import anew
from graphroute.runtime.asked import Asked, asked, is_settled
from graphroute.runtime.course import Ahead, Course
from graphroute.runtime.deferral import Deferrable
from graphroute.runtime.gates import Lane, Outcome
from graphroute.runtime.later import Later
from graphroute.runtime.leaning import Lean, lean_of, may_lean
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.node_path import node_path
from graphroute.runtime.packer import Packable
from graphroute.runtime.pause import Replies, RunState
from graphroute.runtime.policy import Policy
from graphroute.runtime.prompt_facts import prompt_facts
from graphroute.runtime.recall import Recall, SharedFailure
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.request import Request, read
from graphroute.runtime.tap import Heard, Tap
from graphroute.runtime.till import UNPRICED, Till
from graphroute.runtime.trial import Enough, Trial
from graphroute.runtime.turn import Turn, begin_turn, is_control_flow

IN_PACK: Final = "part of a pack, then asked alone"
"""Why a call has a record besides that of its answer."""

_NO_HINTS: Final = RouteHints()
_FAIL_CLOSED = (BudgetExceeded, InvalidResume, PrivacyViolation, UnknownModel)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunHandle:
    """What travels through a run's configs: one per outermost invocation of an optimized graph.

    base_depth: levels of plain graphs around the optimized one, cut from node paths
    above: path of the node in which the lineage of checkpoints starts, `""` at the outermost
    task: task of the run under which that lineage was started, `""` at the outermost
    state: what a run that may be paused keeps from one attempt to the next
    guards: optimized graphs inside this one, by the path of the node they run in; this one's plan
        wins over theirs, but what they keep private stays so
    """

    policy: Policy
    ledger: Ledger
    course: Course
    base_depth: int = 0
    above: str = ""
    task: str = ""
    state: RunState | None = None
    guards: tuple[tuple[str, Policy], ...] = ()
    # Not a uuid4: tests that seed or count those must find them as they left them.
    run_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def __repr__(self) -> str:
        # Users print configs; a whole plan in there would hide the rest.
        return f"RunHandle({self.run_id!r})"

    def __deepcopy__(self, memo: object) -> RunHandle:
        # A node may copy its config; the copy belongs to the same run and the same ledger.
        return self

    def path(self, node: str) -> str:
        """The node path of the whole run, from one within the current lineage."""
        return "/".join(part for part in (self.above, node) if part)

    def guarded(self, inner: Policy, node: str) -> RunHandle:
        """This handle for a run of an optimized graph that starts inside `node`."""
        return replace(self, guards=(*self.guards, (node, inner)))

    def is_private_inside(self, node: str) -> bool:
        """Whether an optimized graph within this one keeps `node` on this machine."""
        return any(
            policy.is_private(node.removeprefix(f"{inside}/"))
            for inside, policy in self.guards
            if node.startswith(f"{inside}/")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model to call now. `chat` None: open it with `policy.open(spec.name)` first.

    is_replay: `chat` gives an answer again that an earlier attempt has paid for
    recalled: where the cache had the answer that `chat` gives again, `""` where it had none
    price_share: what the call costs, as a share of the model's price
    """

    spec: ModelSpec
    chat: BaseChatModel | None
    why: str
    reservation: Reservation
    cap_tokens: int | None
    is_replay: bool = False
    recalled: str = ""
    price_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to do before choosing again: one call for several, or a step of a batch.

    chosen: the model of this call and of the errand; one of `errand` and `work` is there
    """

    chosen: Choice
    errand: Errand | None = None
    work: Callable[[], None] | None = None


class Dispatch:
    """State of one call; not shared between threads."""

    def __init__(
        self,
        handle: RunHandle,
        own: BaseChatModel,
        messages: Sequence[BaseMessage],
        *,
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        metadata: Mapping[str, Any],
        prompts: int = 1,
        shows_tokens: bool = False,
    ) -> None:
        self.handle, self.own, self.stop, self.kwargs = handle, own, stop, kwargs
        self._policy = handle.policy
        self._node = handle.path(node_path(metadata, base_depth=handle.base_depth))
        step = metadata.get("langgraph_step")
        self._step = step if isinstance(step, int) else None
        self._thread = str(metadata.get("thread_id") or "")
        self._answer: AIMessage | None = None
        self._started_s = self._policy.clock()
        self._attempts: list[Attempt] = []
        self._excluded: set[str] = set()
        self._last_error: BaseException | None = None
        self._fault: str | None = None
        self._assignment: Assignment | None = None
        self._ahead: Ahead | None = None
        self._hints = _NO_HINTS
        self._own = _own_spec(self._policy, own)
        self._answers = prompts
        self._request: Request | None = None
        self._call: router.CallFacts | None = None
        self._lean: Lean | None = None
        self._turn: Turn | None = None
        self._recall: Recall | None = None
        self._waits: Choice | None = None
        self._place: Place | None = None
        self._tried: str | None = None
        self._messages = messages
        self._shows_tokens = shows_tokens
        self.is_stream = False
        self.trial: Trial | None = None
        try:
            self._read(messages)
            self.trial = self._begin_trial(messages)
            self._recall = self._begin_recall(messages)
            self._turn = self._begin_turn(messages, metadata)
        except Exception as fault:
            self._fault = f"{type(fault).__name__}: {fault}"
        self._till = Till(
            ledger=handle.ledger,
            course=handle.course,
            policy=self._policy,
            node=self._node,
            assignment=self._assignment,
            turn=self._turn,
            attempts=self._attempts,
        )

    def _begin_turn(
        self, messages: Sequence[BaseMessage], metadata: Mapping[str, Any]
    ) -> Turn | None:
        handle = self.handle
        if handle.state is None:
            return None
        # LangGraph can pause a node, not a graph on a thread of its own within it, whose caller
        # would take the pause for the answer; nor a thread that knows nothing of the node.
        can_pause = not handle.task and var_child_runnable_config.get() is not None
        return begin_turn(
            handle.state,
            pauses=self._policy.pauses,
            ask=self._policy.ask if can_pause else None,
            metadata=metadata,
            base_depth=handle.base_depth,
            task_id=handle.task,
            node=self._node,
            model=self._own.name,
            messages=messages,
            stop=self.stop,
            kwargs=self.kwargs,
        )

    def _begin_recall(self, messages: Sequence[BaseMessage]) -> Recall | None:
        """The call's part in the cache; none for a list of prompts, nor where it is off."""
        answers, request = self._policy.answers, self._request
        if answers is None or request is None or self._answers > 1 or self._hints.cache is False:
            return None
        is_asked = answers.is_asked or self._hints.cache in (True, "semantic")

        def asks(spec: ModelSpec) -> Asked | None:
            is_own = spec.name == self._own.name
            chat = self.own if is_own else self._policy.chats.get(spec.name)
            if self.trial is not None and self.trial.times(spec.name):
                return None  # it is asked again because its answer was refused
            if not is_asked and not is_settled(request, spec, chat, is_own=is_own):
                return None
            hint = () if self.trial is None else self.trial.hint
            return asked(spec, chat, request, (*messages, *hint), own=self.own)

        return Recall(
            answers,
            asks,
            tags={"node": self._node, "graph": self._policy.plan.graph.name},
            is_private=self._must_stay,
            messages=messages if self._hints.cache == "semantic" else (),
        )

    def _begin_trial(self, messages: Sequence[BaseMessage]) -> Trial | None:
        """The call's part in being checked; a list of prompts is not."""
        if (check := self._hints.verify) is None or self._answers > 1:
            return None
        planned = self._assignment
        stages: tuple[str, ...] = ()
        if planned is not None and planned.kind == "cascade":
            stages = (planned.model, *planned.then)
        return Trial(check, messages, stages=stages)

    def _read(self, messages: Sequence[BaseMessage]) -> None:
        policy = self._policy
        self._hints = policy.hints_for(self._node)
        self._assignment = self.handle.course.assignment(self._node)
        text = tokens.text_of(messages)
        request = self._request = read(self.own, self.stop, self.kwargs)
        wishes = tokens.size_of([*request.tools, *filter(None, (request.schema,))])
        hidden = tokens.calls_text(messages)
        images = tokens.images_in(messages)
        binary = images * tokens.IMAGE_TOKENS + (files := tokens.files_in(messages))
        caps = [c for c in (request.max_tokens, self._hints.max_output_tokens) if c is not None]
        difficulty = None
        planned = self._assignment
        price = self.handle.course.shadow_price if policy.plan.objective == "quality" else 0.0
        leans = may_lean(planned, share=policy.text_share, shadow_price=price)
        # Where nothing hangs on the prompt's own score it is not computed: it takes as long as the
        # rest of the decision.
        if (planned is None or leans) and policy.prompts is not None and text:
            difficulty = float(policy.prompts.difficulty([text])[0])
            if planned is not None:
                away = policy.usual.departure(self._node, difficulty)
                self._lean = lean_of(planned, departure=away, share=policy.text_share)
        self._call = router.CallFacts(
            node=self._node,
            own=self._own,
            in_tokens=tokens.estimate(text + wishes + hidden) + binary,
            in_bound=sum(tokens.upper_bound(part) for part in (text, wishes, hidden) if part)
            + binary
            + tokens.PER_MESSAGE * (len(messages) + self._answers),
            out_cap=min(caps, default=None),
            sent_cap=request.max_tokens,
            needs=request.needs(images=images + bool(files)),
            difficulty=difficulty,
            answers=self._answers,
        )

    # -- choosing

    def choose(self) -> Choice | Chore:
        """The next model to call; raises what ends the call where none is left.

        Raises `Later` where the call has to wait, and `Enough` where an earlier answer stands.

        `BudgetExceeded` and `PrivacyViolation` fail closed; any other fault of the choice itself
        leaves the call to the graph's own model and is recorded.
        """
        while True:
            try:
                return self._choose()
            except SharedFailure as shared:
                # As if this call had been made itself and had failed.
                self.handle.course.called(self._node)
                if not self.failed(self._free(shared.spec), shared.error):
                    raise shared.error from None

    def _choose(self) -> Choice | Chore:
        if self._turn is not None and (replies := self._turn.replies) is not None:
            self._turn.redo(lambda: self._till.payload((), self._call or self._bare_facts()))
            return self._replay(replies)
        if self._waits is not None and self._place is not None:
            return self._poll(self._place, self._waits)
        try:
            if self._call is None:
                return self._own_choice(self._bare_facts())
            return self._ranked_choice(self._call)
        except (*_FAIL_CLOSED, Later, SharedFailure, Enough):
            raise
        except Exception as fault:
            if is_control_flow(fault):
                raise
            self._drop_waiting()
            if self._last_error is not None:
                raise self._last_error from None
            self._fault = self._fault or f"{type(fault).__name__}: {fault}"
            return self._own_choice(self._call or self._bare_facts())

    def _ranked_choice(self, call: router.CallFacts) -> Choice | Chore:
        policy = self._policy
        if self._ahead is None:
            self._ahead = self.handle.course.ahead(
                self._node,
                step=self._step,
                failed=policy.outages.down(),
                in_tokens=call.in_tokens,
            )
        ranking = self._rank(call, policy.outages.is_down)
        if not self._attempts:
            self._attempts.extend(ranking.passed_over)
        order = [spec for spec in ranking.order if spec.name not in self._excluded]
        if self.trial is not None and self.trial.rounds:
            return self._stronger(order, call)
        if not order and self._last_error is None:
            # Every feasible model is cooling down: asking one again beats failing unasked.
            order = list(self._rank(call, lambda _: False).order)
        return self._affordable(self._with_tried_first(order, call), call)

    def _with_tried_first(
        self, order: list[ModelSpec], call: router.CallFacts
    ) -> Sequence[ModelSpec]:
        """The order, before it the model that is to be tried on this call, if one is."""
        if self._policy.explore is not None and self._assignment is not None:
            if self._tried is None and order and self._last_error is None:
                self._tried = self._policy.explore(self._node, order, call.in_tokens) or ""
            order.sort(key=lambda spec: spec.name != self._tried)
        return order

    def _stronger(self, order: Sequence[ModelSpec], call: router.CallFacts) -> Choice | Chore:
        """The model that is asked after a check refused an answer; `Enough` where none can be."""
        trial = self.trial
        if trial is None:  # pragma: no cover - asked by who has looked
            raise AssertionError("no trial")
        ranked = [spec for spec in order if spec.name == trial.next_model]
        if not ranked:
            raise Enough(trial.best.answer)
        return self._affordable(ranked, call)

    def _affordable(self, order: Sequence[ModelSpec], call: router.CallFacts) -> Choice | Chore:
        """The first model that the money allows; at the limit, what the budget says to do there.

        An answer that is known costs nothing, so it is looked for before money is put aside.
        """
        if order and (known := self._known(order[0])) is not None:
            return known
        taken = self._till.take(order, call)
        if taken is None:
            if self.trial is not None and self.trial.rounds:
                raise Enough(self.trial.best.answer)
            self._give_up(order, call)
        if taken.spec is not order[0]:
            try:
                known = self._known(taken.spec)
            except BaseException:
                self.handle.ledger.release(taken.reservation)
                raise
            if known is not None:
                self.handle.ledger.release(taken.reservation)
                return known
        choice = Choice(
            spec=taken.spec,
            chat=self._chat(taken.spec),
            why=self._why(taken.spec.name),
            reservation=taken.reservation,
            cap_tokens=taken.cap_tokens,
        )
        self._hold(choice)
        return self._let_in(choice, call)

    def _let_in(self, choice: Choice, call: router.CallFacts) -> Choice | Chore:
        """The choice, once its model takes another call; until then `Later`."""
        if self._policy.admission is None:
            return choice
        try:
            self._place = self._policy.admission.enter(self._arrival(choice, call))
        except Exception as fault:
            self._fault = f"{type(fault).__name__}: {fault}"
            return choice
        self._waits = choice
        return self._poll(self._place, choice)

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
                self._waits = self._place = None
                chat = ReplayedChat.of(((message,),), model_name=choice.spec.name)
                return replace(choice, chat=chat, price_share=share)
            case Packed(errand=errand):
                return Chore(chosen=choice, errand=errand)
            case Work(run=run):
                return Chore(chosen=choice, work=run)
        self._waits = None
        if place.share is not None:
            return self._after_pack(place, choice, place.share)
        return choice

    def _after_pack(self, place: Place, choice: Choice, share: AIMessage) -> Choice:
        """A call that was in a pack and is asked alone: it pays for both, or is content with one.

        Where no money is left for the second the packed answer stands, or the call begins anew.
        """
        place.share = None
        self._settle(choice, self._usage(share), error=None, why=IN_PACK)
        call = self._call or self._bare_facts()
        if (taken := self._till.take([choice.spec], call)) is not None:
            return replace(choice, reservation=taken.reservation, cap_tokens=taken.cap_tokens)
        checks, self._place = place.checks, None
        place.cancel()
        if checks is None:
            self._excluded.add(choice.spec.name)
            raise Later("a pack did not answer it", patience_s=0.0, is_poll=True)
        chat = ReplayedChat.of(((checks[1],),), model_name=choice.spec.name)
        return replace(choice, chat=chat, reservation=Reservation(0), price_share=0.0)

    def _arrival(self, choice: Choice, call: router.CallFacts) -> Arrival:
        lane, policy, request = Lane.of(choice.spec), self._policy, self._request
        admission, is_one = policy.admission, self._answers == 1 and not self.is_stream
        if admission is None or request is None or not (is_one and self._gathers):
            return Arrival(lane=lane, may_gather=False, is_open_ended=self.is_stream)
        can_pack = admission.packer is not None and not (request.tools or request.bound)
        return Arrival(
            lane=lane,
            group=(self._node, choice.spec.name, self._wishes()),
            messages=self._messages,
            in_tokens=call.in_tokens,
            burst=(self.handle.run_id, self._step),
            packable=self._packable(choice, call, request) if can_pack else None,
            deferrable=self._deferrable(choice) if self._hints.deferrable else None,
        )

    @property
    def _gathers(self) -> bool:
        """Whether the call may wait a moment for others like it."""
        return not self._shows_tokens and self._hints.batch is not False and self.trial is None

    def _packable(self, choice: Choice, call: router.CallFacts, request: Request) -> Packable:
        planned = self._assignment
        return Packable(
            spec=choice.spec,
            node=self._node,
            request=request,
            in_bound=call.in_bound,
            out_cap=choice.cap_tokens or call.out_cap,
            out_tokens=64.0 if planned is None else planned.out_tokens,
            is_asked=self._hints.batch == "pack",
        )

    def _deferrable(self, choice: Choice) -> Deferrable | None:
        """The call for the provider's Batch API; None where its model has none."""
        chat = choice.chat or self._policy.chats.get(choice.spec.name)
        service = None if chat is None else self._policy.batch_service(chat)
        if chat is None or service is None:
            return None
        written = self.arguments(choice, chat)
        if written.restore is not None:
            return None
        body = service.body(self._messages, stop=written.stop, kwargs=written.kwargs)
        return Deferrable(service=service, body=body)

    def packed(self, errand: Errand, chat: BaseChatModel, spec: ModelSpec) -> dialect.Written:
        """What to call `chat` with for several calls at once."""
        request = self._request or Request()
        return errand.written(request, target=chat, limit=spec.max_output_tokens)

    def _wishes(self) -> str:
        """What calls must ask for alike, besides their prompts, to share one; text to compare."""
        return "" if self._request is None else repr(sorted(self._request.as_made.items()))

    def _drop_waiting(self) -> None:
        """Give up the place in line and the money of a call that will not be made."""
        choice, self._waits = self._waits, None
        place, self._place = self._place, None
        if place is not None:
            place.cancel()
        if choice is not None:
            self.handle.ledger.release(choice.reservation)
            self.handle.course.failed(self._node)

    def _leave(self, outcome: Outcome) -> None:
        place, self._place = self._place, None
        if place is not None:
            place.leave(outcome)

    def _hold(self, choice: Choice) -> None:
        """Of a stream, which its reader may keep open: no other call waits for its end."""
        if self.is_stream:
            self.handle.ledger.hold(choice.reservation)
            if self._recall is not None:
                self._recall.hold()

    def _chat(self, spec: ModelSpec) -> BaseChatModel | None:
        return self.own if spec.name == self._own.name else None

    def _known(self, spec: ModelSpec) -> Choice | None:
        """The answer of an equal call on `spec`, None where there is none."""
        if self._recall is None:
            return None
        if (found := self._recall.find(spec)) is None:
            return None
        self.handle.course.called(self._node)
        chat = ReplayedChat.of(
            (tuple(anew(each) for each in found.messages),),
            model_name=spec.name,
            pieces=found.pieces,
        )
        return replace(self._free(spec), chat=chat, is_replay=True, recalled=found.source)

    def _free(self, spec: ModelSpec) -> Choice:
        """`spec` for a call that is not made, and so costs nothing."""
        return Choice(
            spec=spec,
            chat=self._chat(spec),
            why=self._why(spec.name),
            reservation=Reservation(0),
            cap_tokens=None,
        )

    def _replay(self, replies: Replies) -> Choice:
        return Choice(
            spec=self._own,
            chat=ReplayedChat.of(replies, model_name=self._own.name),
            why="replayed",
            reservation=Reservation(0),
            cap_tokens=None,
            is_replay=True,
        )

    def _rank(self, call: router.CallFacts, is_down: Callable[[str], bool]) -> router.Ranking:
        policy = self._policy
        return router.rank(
            call,
            planned=None if self._ahead is None else self._ahead.models,
            must_stay=self._must_stay,
            hints=self._hints,
            catalog=policy.catalog,
            shadow_price=self.handle.course.shadow_price,
            keeps_own=policy.keeps_own,
            is_down=is_down,
            lean=self._lean,
        )

    @property
    def _must_stay(self) -> bool:
        """Whether the call may not leave this machine, by the author's word or the plan's."""
        planned = self._assignment is not None and self._assignment.privacy_local
        return (
            planned
            or self._hints.privacy == "local"
            or bool(self.handle.guards and self.handle.is_private_inside(self._node))
        )

    def _why(self, name: str) -> str:
        if self._assignment is None:
            return "no step of the plan"
        planned = self._assignment.model
        if self.trial is not None and self.trial.rounds:
            return AFTER_REFUSAL + self.trial.rounds[-1].model
        if name == self._tried:
            return "tried, to learn how good it is"
        return "plan" if name == planned else self._why_not(planned)

    def _why_not(self, planned: str) -> str:
        reasons = [a.reason for a in self._attempts if a.model == planned]
        if reasons:
            return reasons[-1]
        if self._ahead is not None and self._ahead.why:
            return self._ahead.why
        if self._lean is not None and self._lean.departure:
            word = "harder" if self._lean.departure > 0 else "easier"
            return f"a prompt {word} than this node's usual ones"
        return "the graph's own model is kept"

    def _give_up(self, order: Sequence[ModelSpec], call: router.CallFacts) -> NoReturn:
        """Raise what ends the call: money, privacy, or what the models themselves said."""
        reasons = "; ".join(f"{a.model}: {a.reason}" for a in self._attempts) or "no model"
        must_stay = any(a.reason.startswith("private") for a in self._attempts)
        error: BaseException
        money = {a.reason for a in self._attempts if a.reason.startswith("budget")}
        if money == {UNPRICED} and self._last_error is not None:
            error = self._last_error
            error.add_note(
                f"graphroute: {self._own.name!r} could not take over, because there is a budget "
                "and its price is unknown; name it in models= by Model(name, price_in_usd=…, "
                "price_out_usd=…)"
            )
        elif order and money:
            error = self._till.exceeded(order, call, reasons)
        elif self._last_error is not None:
            error = self._last_error
        elif must_stay:
            error = PrivacyViolation(
                f"node {self._node!r} is private and no local model can serve it ({reasons})",
                node=self._node,
                next_step="add a local model that can, or lift privacy='local'",
            )
        else:
            # Nothing in the pool fits the call: that is ours to solve, not the graph's to die of.
            raise LookupError(f"no model of the pool can serve node {self._node!r} ({reasons})")
        self._record_failure(error)
        if error is self._last_error:
            raise error
        raise error from self._last_error

    def _bare_facts(self) -> router.CallFacts:
        """Facts for a call that could not be read: nothing known but who asked."""
        return router.CallFacts(
            node=self._node,
            own=self._own,
            in_tokens=1,
            in_bound=self._own.context_tokens or router.UNKNOWN_OUT_LIMIT,
            out_cap=None,
        )

    def _own_choice(self, call: router.CallFacts) -> Choice | Chore:
        """The graph's own model, for when choosing failed; what must hold holds all the same.

        Where the author pinned or listed models, one of those instead.
        """
        hints = self._hints
        named = (hints.pin,) if hints.pin is not None else hints.models or (self._own.name,)
        known = {spec.name: spec for spec in (*self._policy.catalog, self._own)}
        specs = [known[name] for name in named if name in known]
        allowed = [spec for spec in specs if spec.local or not self._must_stay]
        if allowed:
            return self._affordable(allowed, call)
        error: GraphrouteError
        if specs:
            error = PrivacyViolation(
                f"node {self._node!r} is private and {', '.join(s.name for s in specs)} "
                "would leave the machine",
                node=self._node,
                model=specs[0].name,
                next_step="add a local model to the pool",
            )
        else:
            error = UnknownModel(
                f"node {self._node!r} may use {', '.join(named)} only, and the pool has none of it",
                node=self._node,
                known=tuple(known),
                next_step="add one of them to the pool, or mend the hint",
            )
        self._record_failure(error)
        raise error

    def cancelled(self) -> None:
        """The caller was stopped while it waited to be given a model."""
        self._drop_waiting()
        if self._recall is not None:
            self._recall.cancelled()

    # -- calling

    def arguments(self, choice: Choice, chat: BaseChatModel) -> dialect.Written:
        """What to call `chat` with, now. The graph's own model gets the call as it was made."""
        if isinstance(choice.chat, ReplayedChat):
            return dialect.Written(kwargs={}, stop=None)
        self.handle.ledger.start(choice.reservation)
        if chat is self.own or self._request is None:
            written = dialect.Written(kwargs=dict(self.kwargs), stop=self.stop)
        else:
            limit = choice.spec.max_output_tokens
            written = dialect.write(self._request, own=self.own, target=chat, limit=limit)
        if self.trial is not None:
            written = replace(written, after=self.trial.hint, is_hidden=self.trial.is_silent)
            if self.trial.times(choice.spec.name):
                written = replace(written, kwargs=dialect.drawn_anew(written.kwargs, chat))
        if choice.cap_tokens is None:
            return written
        return replace(written, kwargs=dialect.capped(written.kwargs, chat, choice.cap_tokens))

    # -- ending

    def succeeded(
        self,
        choice: Choice,
        answer: AIMessage | None,
        *,
        replies: Replies | None = None,
        pieces: Sequence[int] = (),
        verdict: Verdict | None = None,
    ) -> None:
        """Settle and record a call that was answered (for a stream: with all its chunks added).

        replies: the answers to each of several prompts, of which `answer` is the sum
        pieces: lengths in characters of a stream's chunks
        verdict: what the node's check says of it
        """
        if choice.is_replay and not choice.recalled:
            return
        usage, self._answer = self._usage(answer), answer
        self._leave(Outcome.answered(answer))
        self._settle(choice, usage, error=None, verdict=verdict)
        if not choice.is_replay:
            self._policy.outages.clear(choice.spec.name)
            self._share(choice, answer, replies, pieces)
        self._keep(answer, replies)

    def accepts(
        self,
        choice: Choice,
        answer: Any,
        message: AIMessage | None,
        verdict: Verdict | None,
        *,
        replies: Replies | None = None,
    ) -> bool:
        """`succeeded`, and whether the answer stands; False if a stronger model is to be asked."""
        self.succeeded(choice, message, replies=replies, verdict=verdict)
        if self.trial is None or message is None or verdict is None:
            return True
        return not self.trial.refuses(choice.spec.name, answer, message, verdict)

    def best(self, answer: Any) -> Any:
        """The best of all answers that were checked, else `answer`."""
        return self.trial.best.answer if self.trial is not None and self.trial.rounds else answer

    @property
    def is_silent(self) -> bool:
        """Whether the answer must come in one piece, because a check may yet refuse it."""
        return self.trial is not None and self.trial.is_silent

    def _share(
        self,
        choice: Choice,
        answer: AIMessage | None,
        replies: Replies | None,
        pieces: Sequence[int],
    ) -> None:
        """Keep the answer for equal calls, now and later."""
        if self._recall is None:
            return
        messages = replies[0] if replies else (answer,) if answer is not None else ()
        if messages and not (choice.cap_tokens and _is_cut_off(messages[-1])):
            self._recall.answered(choice.spec, messages, pieces=pieces)
        else:
            # Nobody else has asked for an answer that this run's money cut short.
            self._recall.cancelled()

    def _keep(self, answer: AIMessage | None, replies: Replies | None = None) -> None:
        """Keep what was paid for, in case LangGraph runs the node again."""
        if self._turn is not None and answer is not None:
            self._turn.answered(replies or ((answer,),))

    def failed(
        self, choice: Choice, error: BaseException, *, partial: AIMessage | None = None
    ) -> bool:
        """End an attempt that raised; True if another model should be asked instead.

        partial: what a broken stream had given already, which is paid for and cannot be unsaid
        """
        if choice.is_replay:
            return False
        self._leave(Outcome.of(error))
        self._tell_others(error)
        unavailable = fallback.is_unavailable(error)
        if unavailable:
            self._policy.outages.note(choice.spec.name, error)
        is_fault = isinstance(error, Exception) and not is_control_flow(error)
        mendable = unavailable or fallback.is_overflow(error) or choice.chat is not self.own
        if self._policy.keeps_own and choice.chat is self.own:
            # Nothing but the records may change: the graph's own retries and fallbacks see to it.
            mendable = False
        if is_fault and mendable and partial is None:
            self.handle.ledger.release(choice.reservation)
            self.handle.course.failed(self._node)
            # What the graph's own model says is what the graph would have raised by itself.
            if self._last_error is None or choice.chat is self.own:
                self._last_error = error
            self._excluded.add(choice.spec.name)
            self._attempts.append(
                Attempt(model=choice.spec.name, reason=f"{type(error).__name__}: {error}"[:500])
            )
            return True
        if partial is None and is_fault:
            usage = tokens.Usage(in_tokens=0, out_tokens=0, is_estimated=True)
        else:
            # Cancelled or broken off: the provider has read the prompt and may bill it.
            usage = self._usage(partial)
        if isinstance(error, GeneratorExit):
            self._keep(partial)  # the node had read enough of the stream
        self._settle(choice, usage, error=f"{type(error).__name__}: {error}"[:500])
        return False

    def _tell_others(self, error: BaseException) -> None:
        """Tell equal calls that wait for this one how it ended."""
        if self._recall is None:
            return
        if isinstance(error, Exception) and not is_control_flow(error):
            self._recall.failed(error)
        else:
            self._recall.cancelled()

    def _usage(self, answer: AIMessage | None) -> tokens.Usage:
        """Tokens of an answer; under a limit, what is not reported counts as the most it can be."""
        call, is_limited = self._call or self._bare_facts(), self._policy.budget.is_limited
        return tokens.usage_of(
            answer,
            prompt_tokens=call.in_bound if is_limited else call.in_tokens,
            at_most=is_limited,
        )

    def _settle(
        self,
        choice: Choice,
        usage: tokens.Usage,
        *,
        error: str | None,
        verdict: Verdict | None = None,
        why: str | None = None,
    ) -> None:
        cost = 0 if choice.recalled else _cost_nano(choice.spec.price, usage)
        cost = math.ceil(cost * choice.price_share)
        aside = choice.reservation.amount_nano
        try:
            self.handle.ledger.settle(choice.reservation, cost)
        except LedgerUnavailable as fault:
            # The answer is paid for and must not be lost; the next call that costs is refused.
            self._fault = f"{type(fault).__name__}: {fault}"
        said = 0 if error else usage.out_tokens
        self.handle.course.ended(self._node, cost, out_tokens=said)
        if cost > aside and self._policy.budget.is_limited:
            self._policy.note_excess(self._node, choice.spec.name, cost / aside if aside else 1.0)
            self._fault = self._fault or (
                f"{choice.spec.name} cost ${cost / NANO:.6f}, more than the ${aside / NANO:.6f} "
                "its limits allow"
            )
        own = self._own.price
        record = self._record(
            model=choice.spec.name,
            why=why or choice.why,
            usage=usage,
            cost_nano=cost,
            baseline_nano=_cost_nano(own, usage) if own.is_known else None,
            cap_tokens=choice.cap_tokens,
            error=error,
            cache=choice.recalled or None,
            verdict=verdict,
        )
        self._policy.record(record)
        if self._policy.tap is not None and why is None and error is None:
            self._tell(self._policy.tap, record)

    def _tell(self, tap: Tap, record: CallRecord) -> None:
        """Let a listener have the call as it was made; a list of prompts is not one call."""
        if self._answer is not None and self._answers == 1:
            tap(
                Heard(
                    own=self.own,
                    messages=tuple(self._messages),
                    stop=self.stop,
                    kwargs=dict(self.kwargs),
                    answer=self._answer,
                    record=record,
                    is_private=self._must_stay,
                )
            )

    def _record_failure(self, error: BaseException) -> None:
        self._policy.record(
            self._record(
                model="",
                why="no model",
                usage=tokens.Usage(in_tokens=0, out_tokens=0, is_estimated=True),
                cost_nano=0,
                baseline_nano=None,
                cap_tokens=None,
                error=f"{type(error).__name__}: {error}"[:500],
            )
        )

    def _record(
        self,
        *,
        model: str,
        why: str,
        usage: tokens.Usage,
        cost_nano: int,
        baseline_nano: int | None,
        cap_tokens: int | None,
        error: str | None,
        cache: str | None = None,
        verdict: Verdict | None = None,
    ) -> CallRecord:
        # A text that must stay on this machine is not kept on it either.
        keeps_text = self._policy.keep_text and not self._must_stay
        prompt = prompt_facts(self._messages, keeps_text=keeps_text)
        answer = self._answer if keeps_text and error is None else None
        return CallRecord(
            run_id=self.handle.run_id,
            node=self._node,
            step=self._step,
            planned=None if self._assignment is None else self._assignment.model,
            model=model,
            why=why,
            own_model=self._own.name,
            in_tokens=usage.in_tokens,
            out_tokens=usage.out_tokens,
            is_estimated=usage.is_estimated,
            cost_nano=cost_nano,
            baseline_nano=baseline_nano,
            started_s=self._started_s,
            took_s=max(0.0, self._policy.clock() - self._started_s),
            difficulty=None if self._call is None else self._call.difficulty,
            cap_tokens=cap_tokens,
            attempts=tuple(self._attempts),
            fault=self._fault,
            error=error,
            cache=cache,
            verdicts=() if verdict is None else (verdict,),
            quality=None if verdict is None else verdict.score,
            thread=self._thread,
            iteration=self.handle.course.round_of(self._node),
            cached_tokens=usage.cached_tokens,
            retries=len(self._excluded),
            prompt_sha=prompt.sha,
            prompt_chars=prompt.chars,
            prompt=prompt.text,
            answer=None if answer is None else tokens.text_of([answer]),
            **self._policy.foretold(self._node),
        )


def _own_spec(policy: Policy, own: BaseChatModel) -> ModelSpec:
    """The graph's own model as a spec; one that no plan knew has an unknown price and is cloud."""
    name = pool_name(own)
    if found := policy.own.get(name):
        return found
    for spec in policy.catalog:
        if spec.name == name:
            return spec
    price = Price(in_usd=0.0, out_usd=0.0, source="unknown", is_known=False)
    return ModelSpec(name=Model(name).name, provider="unknown", local=False, price=price)


def _is_cut_off(message: AIMessage) -> bool:
    """Whether the answer ended at a limit on its length, in any provider's words."""
    said = message.response_metadata
    reason = said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason")
    return reason in ("length", "max_tokens", "MAX_TOKENS")


def _cost_nano(price: Price, usage: tokens.Usage) -> int:
    return router.nano(usage.in_tokens * price.in_usd + usage.out_tokens * price.out_usd)
