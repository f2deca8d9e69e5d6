"""The cache of models' answers, shared by all runs of an optimized graph.

```
 get(key) ─► put before?      the backend's bytes, checked and read
 flights                      equal calls at the same time: one asks, the others wait
 elsewhere_s                  the same between processes that share a folder
```
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from langchain_core.messages import AIMessage

from graphroute.ir.cache import PRIVATE
from graphroute.protocols import Cache
from graphroute.runtime import stored
from graphroute.runtime.flight import Flights
from graphroute.runtime.lease import Leases
from graphroute.runtime.near_miss import differences, facet_tag, nearest
from graphroute.runtime.parsed import Parsed
from graphroute.runtime.semantic import Question, Semantic
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


@dataclass(kw_only=True, eq=False)
class Answers:
    """A backend, and the calls under way.

    is_asked: whoever optimized the graph wants every answer kept, also those that are drawn at
        random (temperature above 0)
    leases: where processes share a backend; poll_s: seconds between looks at another's work
    semantic: makes what finds nearly equal questions, at the first node that wants it
    """

    cache: Cache
    is_asked: bool = False
    leases: Leases | None = None
    poll_s: float = 0.02
    semantic: Callable[[], Semantic] | None = None
    flights: Flights[Recalled] = field(default_factory=Flights)
    _read: Parsed[Recalled] = field(default_factory=Parsed)
    _near: Semantic | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> Recalled | None:
        """The kept answer of `key`."""
        if (found := self.cache.find(key)) is None:
            return None
        if (read := self._read.get(key, found.value)) is not None:
            return read
        if (answer := stored.load_answer(found.value, key=key)) is None:
            self.cache.delete(key)
            return None
        recalled = Recalled.of(answer, source=self.cache.name)
        self._read.put(key, found.value, recalled)
        return recalled

    def after_turn(self, key: str) -> Recalled | None:
        """`get`, where another process may have answered just before it gave its turn back."""
        return None if self.leases is None else self.get(key)

    def near(self, asked: Question) -> Recalled | None:
        """The answer to nearly the same question; None where there is none."""
        if (known := self._questions()) is None or (near := known.find(asked)) is None:
            return None
        if (found := self.get(near.key)) is None:
            known.forget(asked, near.key)
            return None
        return replace(found, source="semantic")

    def put(
        self,
        key: str,
        messages: Sequence[AIMessage],
        *,
        pieces: Sequence[int],
        tags: Mapping[str, str],
        facets: Mapping[str, str],
        is_private: bool,
        question: Question | None = None,
    ) -> Recalled | None:
        """Keep an answer; what others that wait for it are given, None where it cannot be shared.

        facets: of the call, by which it is told why another one missed
        question: by which nearly equal ones find it
        """
        try:
            answer = stored.answer_of(messages, pieces=pieces)
        except Exception as fault:  # of whatever object is in it, while it was copied
            logger.info("the answer of %s is not shared: %s", tags.get("node"), fault)
            return None
        try:
            entry = stored.dump_answer(answer)
        except Unstorable as fault:
            logger.info("the answer of %s is not kept: %s", tags.get("node"), fault)
            return Recalled.of(answer, source="flight")
        private = {PRIVATE: "1"} if is_private else {}
        said = {} if question is None else question.tags
        self.cache.put(key, entry, tags={**tags, **facet_tag(facets), **said, **private})
        if question is not None and (known := self._questions()) is not None:
            known.add(question, key)
        return Recalled.of(answer, source="flight")

    def _questions(self) -> Semantic | None:
        if self._near is None and self.semantic is not None:
            with self._lock:
                if self._near is None:
                    self._near = self.semantic()
        return self._near

    def missed(self, facets: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Say in the log (debug) in what a call differs from the entry nearest to it."""
        if not logger.isEnabledFor(logging.DEBUG):
            return
        node = tags.get("node", "")
        if (entry := nearest(facets, self.cache.entries(node))) is None:
            logger.debug("node %r: nothing like this call is kept", node)
        else:
            said = "; ".join(differences(facets, entry, tags=tags))
            logger.debug("node %r: not kept; nearest entry differs in %s", node, said)

    def elsewhere_s(self, key: str) -> float | None:
        """Seconds after which to look again, where another process asks for `key`; else None."""
        if self.leases is None or self.leases.take(key):
            return None
        return self.poll_s

    def leave(self, key: str) -> None:
        """This process no longer asks for `key`."""
        if self.leases is not None:
            self.leases.release(key)


def anew(message: AIMessage) -> AIMessage:
    """A copy whose tool calls have ids of their own, as those of another call would.

    Two calls of one conversation that get the same answer must not share ids: some providers refuse
    a history in which one occurs twice.
    """
    copied = message.model_copy(deep=True)
    fresh = {
        call["id"]: f"call_{secrets.token_hex(12)}"
        for call in (*copied.tool_calls, *copied.invalid_tool_calls)
        if call["id"]
    }
    if not fresh:
        return copied
    for call in (*copied.tool_calls, *copied.invalid_tool_calls):
        call["id"] = fresh.get(call["id"] or "", call["id"])
    places = copied.content if isinstance(copied.content, list) else []
    for block in (*places, *copied.additional_kwargs.get("tool_calls", ())):
        if isinstance(block, dict):
            for name in ("id", "call_id", "tool_call_id"):
                if block.get(name) in fresh:
                    block[name] = fresh[block[name]]
    return copied
