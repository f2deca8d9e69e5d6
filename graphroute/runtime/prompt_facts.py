"""What a record says of a prompt: its length and digest always, the text only with leave.

Equal digests mean equal prompts (64 bits of SHA-256 over roles and texts, long texts by their own
SHA-256: two of a million prompts
collide with a chance of 3·10⁻⁸); nobody can read the prompt out of one, but who knows a prompt can
tell that it was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import BaseMessage

from graphroute.runtime.long_values import LONG, long_digest
from graphroute.runtime.tokens import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts:
    """sha: 16 hex digits; chars: of the text; text: None without leave to keep it."""

    sha: str
    chars: int
    text: str | None


def prompt_facts(messages: Sequence[BaseMessage], *, keeps_text: bool) -> PromptFacts:
    """The facts of the messages that were sent; images and files do not count.

    >>> from langchain_core.messages import HumanMessage
    >>> found = prompt_facts([HumanMessage("hello")], keeps_text=False)
    >>> found.chars, found.text, len(found.sha)
    (5, None, 16)
    """
    digest = hashlib.sha256()
    chars = 0
    for message in messages:
        text = text_of([message])
        chars += len(text)
        # Lengths before the texts, so that two messages never look like another two.
        digest.update(f"{message.type}:{len(text)}:".encode())
        is_long = len(text) >= LONG
        digest.update(long_digest(text) if is_long else text.encode("utf-8", "surrogatepass"))
    kept = text_of(messages) if keeps_text else None
    return PromptFacts(sha=digest.hexdigest()[:16], chars=chars, text=kept)
