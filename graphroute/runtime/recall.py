"""One call's part in the cache of answers: is its answer known, in flight, or to be asked for?

```
find(model) ─► Recalled            known: give it again, at no cost
            ─► Later               an equal call is in flight: wait for its end, then look again
            ─► SharedFailure       … which has failed: for every call that waited, alike
            ─► None                ask the model; equal calls wait for this one meanwhile
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from langchain_core.messages import AIMessage, BaseMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime.answers import Answers, Recalled
from graphroute.runtime.asked import Asked
from graphroute.runtime.flight import Flight
from graphroute.runtime.later import Later
from graphroute.runtime.semantic import Question, question

MAX_WAIT_S = 600.0
"""How long a call waits for an equal one; then it asks a model itself."""

HELD_WAIT_S = 10.0
"""The same for a stream, whose reader may never read it to its end."""


class SharedFailure(Exception):
    """An equal call on the model `spec`, for which this one waited, has failed with `error`."""

    def __init__(self, spec: ModelSpec, error: BaseException) -> None:
        super().__init__(str(error))
        self.spec, self.error = spec, error


class Asks(Protocol):
    """What the call asks of a model; None where its answer must not be shared."""

    def __call__(self, spec: ModelSpec) -> Asked | None: ...


class Recall:
    """Belongs to one call; not shared between threads.

    tags: what the entry is found by later (`node`, …); model and parts of the key are added
    messages: of the call, where an answer to nearly the same question will do; else none
    """

    def __init__(
        self,
        answers: Answers,
        asks: Asks,
        *,
        tags: Mapping[str, str],
        is_private: bool,
        messages: Sequence[BaseMessage] = (),
    ) -> None:
        self._answers, self._asks, self._tags = answers, asks, tags
        self._is_private, self._messages = is_private, messages
        self._flight: Flight[Recalled] | None = None
        self._led: Asked | None = None
        self._goes_alone = False

    def find(self, spec: ModelSpec) -> Recalled | None:
        """The answer of an equal call; None where this call is to ask the model `spec`."""
        if self._goes_alone or (asked := self._asks(spec)) is None:
            self._leave()
            return None
        is_new = self._led is None or self._led.key != asked.key
        if self._flight is None or is_new:
            self._leave()
            self._flight, self._led = self._answers.flights.join(asked.key), asked
        flight = self._flight
        if flight.is_leader:
            return self._look(spec, asked)
        if not flight.is_over:
            self._wait(flight)
        self._flight = None
        if flight.error is not None:
            raise SharedFailure(spec, flight.error)
        if flight.value is not None:
            return flight.value
        return self.find(spec)  # its leader gave up: whoever is first now leads

    def _look(self, spec: ModelSpec, asked: Asked) -> Recalled | None:
        found = self._answers.get(asked.key)
        if found is None and (wait_s := self._answers.elsewhere_s(asked.key)) is not None:
            raise Later(
                "another process asks the same",
                patience_s=wait_s,
                gives_up=self._go_alone,
                is_poll=True,
            )
        if found is None:
            # Another process may have asked, and given its turn back, since the first look.
            found = self._answers.after_turn(asked.key)
        if found is None and (question := self._question(asked)) is not None:
            found = self._answers.near(question)
        if found is not None:
            self._end(lambda flight: flight.done(found))
        else:
            self._answers.missed(asked.facets, self._tags_on(spec))
        return found

    def _question(self, asked: Asked) -> Question | None:
        return question(asked.facets, self._messages) if self._messages else None

    def _tags_on(self, spec: ModelSpec) -> dict[str, str]:
        return {**self._tags, "model": spec.name}

    def _wait(self, flight: Flight[Recalled]) -> None:
        raise Later(
            "an equal call is in flight",
            when=flight.when_over,
            patience_s=HELD_WAIT_S if flight.is_held else MAX_WAIT_S,
            gives_up=self._go_alone,
        )

    def _go_alone(self) -> None:
        self._goes_alone = True

    def hold(self) -> None:
        """The call is a stream, which its reader may keep from ending."""
        if self._flight is not None:
            self._flight.hold()

    def answered(
        self, spec: ModelSpec, messages: Sequence[AIMessage], *, pieces: Sequence[int] = ()
    ) -> None:
        """Keep the answer of `spec` and give it to those who wait for it.

        pieces: lengths in characters of the chunks it came in
        """
        asked = self._led
        if self._flight is None or asked is None:
            return
        # Kept before those who wait are told, so that none who comes in between asks again.
        fresh = self._answers.put(
            asked.key,
            messages,
            pieces=pieces,
            tags=self._tags_on(spec),
            facets=asked.facets,
            is_private=self._is_private,
            question=self._question(asked),
        )
        if fresh is None:
            self._leave()
        else:
            self._end(lambda flight: flight.done(fresh))

    def failed(self, error: BaseException) -> None:
        """Tell those who wait what the model said; nothing is kept."""
        self._end(lambda flight: flight.failed(error))

    def cancelled(self) -> None:
        """This call is off: another that waits for the same asks instead."""
        self._leave()

    def _leave(self) -> None:
        self._end(lambda flight: flight.abandoned())

    def _end(self, tell: Callable[[Flight[Recalled]], None]) -> None:
        flight, self._flight = self._flight, None
        if flight is not None and flight.is_leader and self._led is not None:
            self._answers.leave(self._led.key)
            tell(flight)
