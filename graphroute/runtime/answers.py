"""The cache of models' answers, shared by all runs of an optimized graph.

```
 get(key) ─► put before?      the backend's bytes, checked and read
 flights                      equal calls at the same time: one asks, the others wait
 elsewhere_s                  the same between processes that share a folder
```
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from langchain_core.messages import AIMessage

from graphroute.ir.cache import PRIVATE
from graphroute.protocols import Cache
from graphroute.runtime import stored
from graphroute.runtime.flight import Flights
from graphroute.runtime.values import Unstorable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """An answer that was given before.

    messages: one, or several where a call asked for several; without ids, which name one call
    pieces: lengths in characters of the chunks it came in, where it was streamed
    source: who knew it: a backend's name, `"flight"` for an equal call at the same time
    """

    messages: tuple[AIMessage, ...]
    pieces: tuple[int, ...] = ()
    source: str = ""

    @classmethod
    def of(cls, answer: stored.Answer, *, source: str) -> Self:
        """An answer as it is given again: without cost, in LangChain's own words for that."""
        free = tuple(_free(message) for message in answer.messages)
        return cls(messages=free, pieces=answer.pieces, source=source)


def _free(message: AIMessage) -> AIMessage:
    # LangChain's own cache marks a hit so; whoever adds up costs from messages looks for it.
    if message.usage_metadata is None:
        return message.model_copy()
    usage = {**message.usage_metadata, "total_cost": 0}
    return message.model_copy(update={"usage_metadata": usage})


class Leases(Protocol):
    """Who of several processes asks for a key; never blocks."""

    def take(self, key: str) -> bool:
        """Whether this process is the one to ask; True again for one that holds it."""
        ...

    def release(self, key: str) -> None:
        """Let others ask."""
        ...


@dataclass(kw_only=True, eq=False)
class Answers:
    """A backend, and the calls under way.

    is_asked: whoever optimized the graph wants every answer kept, also those that are drawn at
        random (temperature above 0)
    leases: where processes share a backend; poll_s: seconds between looks at another's work
    """

    cache: Cache
    is_asked: bool = False
    leases: Leases | None = None
    poll_s: float = 0.02
    flights: Flights[Recalled] = field(default_factory=Flights)

    def get(self, key: str) -> Recalled | None:
        """The kept answer of `key`."""
        if (found := self.cache.find(key)) is None:
            return None
        if (answer := stored.load_answer(found.value, key=key)) is None:
            self.cache.delete(key)
            return None
        return Recalled.of(answer, source=self.cache.name)

    def put(
        self,
        key: str,
        messages: Sequence[AIMessage],
        *,
        pieces: Sequence[int],
        tags: Mapping[str, str],
        is_private: bool,
    ) -> Recalled:
        """Keep an answer; what others that wait for it are given."""
        try:
            entry = stored.dump_answer(messages, pieces=pieces)
        except Unstorable as fault:
            logger.info("the answer of %s is not kept: %s", tags.get("node"), fault)
        else:
            labels = {**tags, PRIVATE: "1"} if is_private else tags
            self.cache.put(key, entry, tags=labels)
            if (answer := stored.load_answer(entry, key=key)) is not None:
                return Recalled.of(answer, source="flight")
        bare = tuple(each.model_copy(update={"id": None}) for each in messages)
        return Recalled.of(stored.Answer(messages=bare, pieces=tuple(pieces)), source="flight")

    def elsewhere_s(self, key: str) -> float | None:
        """Seconds after which to look again, where another process asks for `key`; else None."""
        if self.leases is None or self.leases.take(key):
            return None
        return self.poll_s

    def leave(self, key: str) -> None:
        """This process no longer asks for `key`."""
        if self.leases is not None:
            self.leases.release(key)
