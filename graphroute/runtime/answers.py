"""The cache of models' answers, shared by all runs of an optimized graph.

The first backend that knows a key answers, and those before it keep a copy. Equal keys that are
wanted at the same time are asked for once (`flights`), also by several processes where a backend is
shared between them and gives leases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from graphroute.runtime.flight import Flights


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
    def of(cls, messages: Sequence[AIMessage], *, pieces: Sequence[int] = ()) -> Self:
        """What is kept of a fresh answer."""
        return cls(messages=tuple(_plain(each) for each in messages), pieces=tuple(pieces))


def _plain(message: AIMessage) -> AIMessage:
    whole = message_chunk_to_message(message) if isinstance(message, AIMessageChunk) else message
    return AIMessage(**{**whole.model_dump(exclude={"type"}), "id": None})


@dataclass(kw_only=True, eq=False)
class Answers:
    """Backends, nearest first, and the calls under way."""

    flights: Flights[Recalled] = field(default_factory=Flights)

    def get(self, key: str, *, is_private: bool) -> Recalled | None:
        """The kept answer of `key`."""
        return None

    def put(self, key: str, answer: Recalled, *, tags: Mapping[str, str], is_private: bool) -> None:
        """Keep an answer."""

    def elsewhere_s(self, key: str) -> float | None:
        """Seconds after which to look again, where another process asks for `key`; else None."""
        return None

    def leave(self, key: str) -> None:
        """This process no longer asks for `key`."""
