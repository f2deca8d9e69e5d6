"""Entries of the cache as bytes: a header that says what follows and how it sums up, then JSON.

```
graphroute.entry/1 answer 9f86d081…0a08\\n{"messages": […], "pieces": […]}
└─ version ───────┘ kind   SHA-256 of kind and body
```

A truncated, changed, foreign or older entry does not add up and is told as such by
`DamagedEntry`; for the caller it is a miss. The sum finds accidents, not forgery: who can write to
the cache's folder can put answers there, as they could change the program. Entries that must not
be read or forged are encrypted by the backend.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from graphroute.runtime.values import Unstorable, from_json, to_json

logger = logging.getLogger(__name__)

VERSION: Final = "graphroute.entry/1"


class DamagedEntry(ValueError):
    """Bytes that are no entry of this version and kind, or not all of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's answer as it is kept.

    messages: one, or several where a call asked for several; without ids, which name one call
    pieces: lengths in characters of the chunks it came in, in order; empty where it came whole
    """

    messages: tuple[AIMessage, ...]
    pieces: tuple[int, ...] = ()


def answer_of(messages: Sequence[AIMessage], *, pieces: Sequence[int] = ()) -> Answer:
    """An answer of one's own: whole messages without ids that share nothing with these.

    Raises whatever a part does that cannot be copied.
    """
    plain = (message.model_copy(update={"id": None}, deep=True) for message in messages)
    return Answer(messages=tuple(map(_whole, plain)), pieces=tuple(pieces))


def dump_answer(answer: Answer) -> bytes:
    """An entry with this answer; `Unstorable` says what in it cannot be given back as it was.

    >>> entry = dump_answer(answer_of([AIMessage("Because.", id="run-1")], pieces=[4, 4]))
    >>> answer = load_answer(entry)
    >>> answer.messages[0].content, answer.messages[0].id, answer.pieces
    ('Because.', None, (4, 4))
    """
    for message in answer.messages:
        if type(message) is not AIMessage:
            raise Unstorable(f"an answer of type {type(message).__qualname__}")
    return pack("answer", {"messages": list(answer.messages), "pieces": list(answer.pieces)})


def load_answer(entry: bytes, *, key: str = "") -> Answer | None:
    """The answer in an entry; None, and a warning, where it is damaged. `key` is for the log."""
    try:
        body = unpack("answer", entry)
        messages, pieces = body["messages"], body["pieces"]
        if not all(type(message) is AIMessage for message in messages):
            raise DamagedEntry("it holds other things than answers")
        if not all(type(piece) is int and piece >= 0 for piece in pieces):
            raise DamagedEntry("lengths of its pieces are not numbers")
        return Answer(messages=tuple(messages), pieces=tuple(pieces))
    except (DamagedEntry, LookupError, TypeError) as fault:
        logger.warning("cache entry %.16s is not used: %s", key or "?", fault)
        return None


def pack(kind: str, body: Any) -> bytes:
    """An entry of `kind` (one word) that holds the value `body`; `Unstorable` if it cannot.

    >>> unpack("note", pack("note", {"n": (1, 2)}))
    {'n': (1, 2)}
    """
    text = json.dumps(to_json(body), ensure_ascii=False, separators=(",", ":"))
    raw = text.encode("utf-8", "surrogatepass")
    return b"%s %s %s\n%s" % (VERSION.encode(), kind.encode(), _sum(kind, raw), raw)


def unpack(kind: str, entry: bytes) -> Any:
    """The value in an entry of `kind`; `DamagedEntry` for anything else.

    >>> unpack("note", pack("note", 1)[:-1])
    Traceback (most recent call last):
        ...
    graphroute.runtime.stored.DamagedEntry: its bytes do not add up
    """
    header, newline, raw = entry.partition(b"\n")
    words = header.split(b" ")
    if not newline or len(words) != 3 or not header.startswith(b"graphroute.entry/"):
        raise DamagedEntry("it is no entry of graphroute's cache")
    if words[0] != VERSION.encode():
        raise DamagedEntry(f"it was written by another version ({words[0][:40]!r})")
    if words[1] != kind.encode():
        raise DamagedEntry(f"it is a {words[1][:40]!r}, not a {kind!r}")
    if words[2] != _sum(kind, raw):
        raise DamagedEntry("its bytes do not add up")
    try:
        return from_json(json.loads(raw.decode("utf-8", "surrogatepass")))
    except (ValueError, RecursionError) as fault:
        raise DamagedEntry(f"it cannot be read ({fault})") from None


def _sum(kind: str, raw: bytes) -> bytes:
    return hashlib.sha256(kind.encode() + b"\n" + raw).hexdigest().encode()


def _whole(message: AIMessage) -> AIMessage:
    """A message that was added up from chunks as the one it would have been in one piece."""
    while isinstance(message, AIMessageChunk):
        message = cast(AIMessage, message_chunk_to_message(message))
    return message
