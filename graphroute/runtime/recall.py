"""One call's part in the cache of answers: is its answer known, in flight, or to be asked for?

```
find(model) ─► Recalled            known: give it again, at no cost
            ─► Later               an equal call is in flight: wait for its end, then look again
            ─► SharedFailure       … which has failed: for every call that waited, alike
            ─► None                ask the model; equal calls wait for this one meanwhile
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from langchain_core.messages import AIMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime.answers import Answers, Recalled
from graphroute.runtime.flight import Flight
from graphroute.runtime.later import Later

MAX_WAIT_S = 600.0
"""How long a call waits for an equal one; then it asks a model itself."""

HELD_WAIT_S = 10.0
"""The same for a stream, whose reader may never read it to its end."""


class SharedFailure(Exception):
    """An equal call on the model `spec`, for which this one waited, has failed with `error`."""

    def __init__(self, spec: ModelSpec, error: BaseException) -> None:
        super().__init__(str(error))
        self.spec, self.error = spec, error


class Keyed(Protocol):
    """Gives the key of the call on a model, None where its answer must not be shared."""

    def __call__(self, spec: ModelSpec) -> str | None: ...


class Recall:
    """Belongs to one call; not shared between threads.

    tags: what the entry is found by later (`node`, `model`, …); the model's name is added
    """

    def __init__(
        self, answers: Answers, key: Keyed, *, tags: dict[str, str], is_private: bool
    ) -> None:
        self._answers, self._key, self._tags = answers, key, tags
        self._is_private = is_private
        self._flight: Flight[Recalled] | None = None
        self._led = ""
        self._goes_alone = False

    def find(self, spec: ModelSpec) -> Recalled | None:
        """The answer of an equal call; None where this call is to ask the model `spec`."""
        if self._goes_alone or (key := self._key(spec)) is None:
            self._leave()
            return None
        if self._flight is not None and self._flight.is_leader and self._led == key:
            return self._look(key)
        if self._flight is None or self._led != key:
            self._leave()
            self._flight, self._led = self._answers.flights.join(key), key
        flight = self._flight
        if flight.is_leader:
            return self._look(key)
        if not flight.is_over:
            self._wait(flight)
        self._flight = None
        if flight.error is not None:
            raise SharedFailure(spec, flight.error)
        if flight.value is not None:
            return flight.value
        return self.find(spec)  # its leader gave up: whoever is first now leads

    def _look(self, key: str) -> Recalled | None:
        found = self._answers.get(key)
        if found is not None:
            self._end(lambda flight: flight.done(found))
            return found
        if (wait_s := self._answers.elsewhere_s(key)) is not None:
            raise Later(
                "another process asks the same",
                patience_s=wait_s,
                gives_up=self._go_alone,
                is_poll=True,
            )
        return None

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

    def answered(self, messages: Sequence[AIMessage], *, pieces: Sequence[int] = ()) -> None:
        """Keep the answer and give it to those who wait for it.

        pieces: lengths in characters of the chunks it came in
        """
        if self._flight is None:
            return
        # Kept before those who wait are told, so that none who comes in between asks again.
        fresh = self._answers.put(
            self._led, messages, pieces=pieces, tags=self._tags, is_private=self._is_private
        )
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
        if flight is not None and flight.is_leader:
            self._answers.leave(self._led)
            tell(flight)
