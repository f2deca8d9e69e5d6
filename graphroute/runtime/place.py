"""What a call brings to admission, and what it is told there; see `admission` for the whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from graphroute.ir.batch import Waiting
from graphroute.runtime import dialect
from graphroute.runtime.deferral import Deferrable, Job
from graphroute.runtime.gates import Lane, Outcome, Ticket
from graphroute.runtime.later import Wake
from graphroute.runtime.packer import Packable
from graphroute.runtime.packing import Pack, cut_off
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.request import Request


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """A call whose money is there.

    lane: the model it goes to; group: what calls must have in common to be gathered: the scope (a
        run, or the process), the node, the model and the parameters
    messages, in_tokens: the prompt, and an estimate of its length
    burst: names the superstep of a run; siblings: calls of the group it makes in all, with this one
    may_gather: False for a stream and under `stream_mode="messages"`: it goes in line at once
    is_open_ended: a stream, which its reader may keep open
    packable: what is to be known to have it share a prompt; None: it may not
    deferrable: what is to be known to have it answered some time within a day; None: it may not
    begin: told when a call for several goes out of which it is one; may raise, so that it does not
    """

    lane: Lane
    group: Hashable = ()
    messages: Sequence[BaseMessage] = ()
    in_tokens: int = 1
    burst: Hashable = ()
    siblings: int | None = None
    may_gather: bool = True
    is_open_ended: bool = False
    packable: Packable | None = None
    deferrable: Deferrable | None = None
    begin: Callable[[], object] = field(default=lambda: None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not yet. Poll again when woken, or after `patience_s` seconds at the latest.

    when: registers a wake-up that is called once, from any thread; at once if it is over already
    """

    patience_s: float
    when: Callable[[Wake], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Go:
    """Make the call now, and say `place.leave(…)` when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer is here; the place is left already.

    price_share: what it cost, as a share of the model's usual price
    """

    message: AIMessage
    price_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Call `run`, off the event loop as it may wait for the network, then poll again."""

    run: Callable[[], None] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Make this call for several, then poll again."""

    errand: Errand


Said = Go | Wait | Packed | Work | Answered
"""What a place may be told."""


class Host(Protocol):
    """The part of admission that places and errands ask."""

    def poll(self, place: Place) -> Said:
        """What to do now."""
        ...

    def insist(self, place: Place) -> None:
        """The caller cannot wait."""
        ...

    def leave(self, place: Place, outcome: Outcome) -> None:
        """The call has ended, or its caller has gone."""
        ...

    def errand_begins(self, errand: Errand) -> None:
        """The call for several goes out."""
        ...

    def errand_ended(self, errand: Errand, outcome: Outcome, *, is_cancelled: bool) -> None:
        """The call for several has ended."""
        ...


class Place:
    """One call's place; belongs to one caller, though others' polls may change it.

    checks: size and answer of the pack it was in, where it is asked alone to compare the two
    share: its share of that pack's tokens, as a message without text, where it is asked alone
    is_begun: a call for several is out of which it is one, and may be billed whoever goes
    """

    def __init__(self, host: Host, arrival: Arrival, waiting: Waiting) -> None:
        self.arrival, self.waiting, self._host = arrival, waiting, host
        self.unit: Unit | None = None
        self.answer: Answered | None = None
        self.checks: tuple[int, AIMessage] | None = None
        self.share: AIMessage | None = None
        self.is_over = self.is_begun = False
        self.version = 0
        self.wakes: list[Wake] = []

    def poll(self) -> Said:
        """What to do now. Once it said `Go` it says so until the place is left."""
        return self._host.poll(self)

    def insist(self) -> None:
        """The caller cannot wait: the next poll says `Go`, whether there is room or not."""
        self._host.insist(self)

    def leave(self, outcome: Outcome) -> None:
        """The call that `Go` allowed has ended. A second end does nothing."""
        self._host.leave(self, outcome)

    def cancel(self) -> None:
        """The caller has gone, wherever it was; does nothing after the end."""
        self._host.leave(self, Outcome(verdict="failed"))


@dataclass(slots=True, eq=False)
class Unit:
    """What takes one slot; its first member makes the call. `number` is its place in line.

    packed: who was put into the errand's prompt or the job, in that order, whoever has gone since
    job: calls that were deferred, which take no slot; is_busy: somebody makes its next step
    """

    members: list[Place]
    number: int
    ticket: Ticket | None = None
    errand: Errand | None = None
    packed: tuple[Place, ...] = ()
    job: Job | None = None
    is_busy: bool = False

    @property
    def leader(self) -> Place:
        """Who makes the call."""
        return self.members[0]

    @property
    def is_in_line(self) -> bool:
        """Whether it waits for a slot."""
        return self.ticket is None and self.job is None

    def is_led_by(self, place: Place) -> bool:
        """Whether `place` makes the call."""
        return bool(self.members) and self.members[0] is place


class Errand:
    """One call for several: make it as `messages` and `written` say, and tell how it went.

    The first of them makes it, without its own callbacks: each gets its part of the answer as its
    own. `answered` takes the answer as JSON text (`written.restore` makes it that); `failed` takes
    any exception, a cancellation too. What is told first counts. After that, poll again:

    ```python
    written = errand.written(request, target=chat, limit=spec.max_output_tokens)
    try:
        errand.begin()
        answer = chat.invoke(list(errand.messages), {"callbacks": []}, stop=written.stop,
                             **written.kwargs)
        errand.answered(written.restore(answer) if written.restore else answer)
    except BaseException as error:
        errand.failed(error)
        if not isinstance(error, Exception):
            raise
    ```
    """

    def __init__(self, host: Host, unit: Unit, pack: Pack) -> None:
        self._host, self.unit, self.pack = host, unit, pack
        self.is_over = self.has_begun = False

    @property
    def messages(self) -> tuple[BaseMessage, ...]:
        """The prompt of all."""
        return self.pack.messages

    def written(
        self, base: Request, *, target: BaseChatModel, limit: int | None = None
    ) -> dialect.Written:
        """The call's arguments in the words of `target`.

        base: the caller's own wishes; limit: the most tokens `target` can answer with, if known
        """
        # Nobody asked for a pack in any provider's words, so it is written anew for each.
        nobody = ReplayedChat(model_name="pack")
        return dialect.write(self.pack.request(base), own=nobody, target=target, limit=limit)

    def begin(self) -> None:
        """The call goes out now: from here on each of its members may be billed.

        Raises what a member's `begin` does; then the call is not to be made.
        """
        self._host.errand_begins(self)

    def answered(self, message: AIMessage) -> None:
        """Give each its part; who has none that is valid is asked alone."""
        self._host.errand_ended(self, Outcome.answered(message), is_cancelled=False)

    def failed(self, error: BaseException) -> None:
        """Each is asked alone; if the caller was cancelled, another calls for the rest."""
        is_cancelled = not isinstance(error, Exception)
        if (begun := cut_off(error)) is not None:
            self.answered(begun)
            return
        self._host.errand_ended(self, Outcome.of(error), is_cancelled=is_cancelled)
