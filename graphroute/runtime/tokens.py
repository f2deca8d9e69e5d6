"""How many tokens a prompt has: an estimate to choose by, a bound to reserve money by.

Providers count with their own tokenizers, which are not here. The estimate is the usual four
characters a token. The bound must hold for every tokenizer in use: byte-pair tokenizers never need
more tokens than bytes, and on ordinary words far fewer. So letters of short words count half (pairs
of letters are merged by every vocabulary in use), everything else counts one token per byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

PER_MESSAGE = 8
"""Tokens a chat template may add around one message (role, separators), rounded up."""

IMAGE_TOKENS = 1_600
"""Upper figure for one image part: OpenAI's high-detail tiles and Anthropic's 1568-pixel limit."""

FILE_TOKENS = 100_000
"""Counted for a file that is only pointed to: a PDF at Anthropic's limit of 100 pages has that."""

_FILES = ("file", "document", "audio", "video", "media")
_POINTER = 2_000
"""Characters below which a file part holds a link or an id rather than the file."""

_WORD = re.compile(r"(?:[A-Z]|(?<![A-Za-z])[a-z])[a-z]{1,15}+(?![A-Za-z])")
"""The end of a run of letters. Longer runs are data, not words; each is looked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call; `is_estimated` where the model did not report them.

    cached_tokens: part of `in_tokens` that the provider read from its own prompt cache
    """

    in_tokens: int
    out_tokens: int
    is_estimated: bool
    cached_tokens: int = 0


def text_of(messages: Iterable[BaseMessage]) -> str:
    """The text of a conversation, newest last, image and audio parts left out."""
    return "\n".join(text for text in (_text(message) for message in messages) if text)


def _text(message: BaseMessage) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    parts = (p if isinstance(p, str) else p.get("text") or "" for p in content)
    return "\n".join(str(part) for part in parts if part)


def images_in(messages: Iterable[BaseMessage]) -> int:
    """How many image parts the messages hold."""
    return sum(
        isinstance(part, dict) and "image" in str(part.get("type", ""))
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def files_in(messages: Iterable[BaseMessage]) -> int:
    """Tokens that files, sound and other parts may take, neither text nor images.

    A part that holds its data counts a token per character of it, which no provider passes; one
    that only points to its data counts `FILE_TOKENS`.
    """
    total = 0
    for message in messages:
        if isinstance(message.content, str):
            continue
        for part in message.content:
            if isinstance(part, str) or part.get("text") or "image" in str(part.get("type", "")):
                continue
            size = len(size_of(part))
            is_file = any(word in str(part.get("type", "")) for word in _FILES)
            total += FILE_TOKENS if is_file and size < _POINTER else size
    return total


def estimate(text: str) -> int:
    """Expected tokens of a text, at least 1: four ASCII characters a token, others one each.

    >>> estimate("word " * 80), estimate("\u6771\u4eac\u90fd\u5e81")
    (100, 4)
    """
    if text.isascii():
        return max(1, round(len(text) / 4))
    others = (len(text.encode("utf-8", "surrogatepass")) - len(text)) / 2
    return max(1, round((len(text) - others) / 4 + others))


def upper_bound(text: str) -> int:
    """Tokens that no tokenizer in use should pass for `text`.

    >>> upper_bound("classify"), upper_bound("2026"), upper_bound("")
    (4, 4, 0)
    >>> upper_bound("x" * 17)
    17
    """
    rest, words = _WORD.subn("", text)
    letters = len(text) - len(rest)
    halves = (letters + words) // 2  # half of each word, rounded up
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    # The blank before a word is part of its token in every byte-pair vocabulary.
    return size - letters + halves - min(text.count(" "), words)


def size_of(value: object) -> str:
    """A tool list or schema as the text a provider puts into the prompt."""
    return json.dumps(value, default=str, ensure_ascii=False) if value else ""


def calls_text(messages: Iterable[BaseMessage]) -> str:
    """Tool calls held by earlier answers, which count as prompt tokens too."""
    return "".join(
        size_of(message.tool_calls)
        for message in messages
        if isinstance(message, AIMessage) and message.tool_calls
    )


def usage_of(message: BaseMessage | None, *, prompt_tokens: int, at_most: bool) -> Usage:
    """Reported usage of an answer, or one marked as estimated.

    prompt_tokens: what to count for the prompt where nothing is reported
    at_most: count the most the answer can have had instead of what is usual
    """
    reported: Mapping[str, Any] | None = getattr(message, "usage_metadata", None)
    if reported:
        details = reported.get("input_token_details") or {}
        return Usage(
            in_tokens=max(0, int(reported.get("input_tokens") or 0)),
            out_tokens=max(0, int(reported.get("output_tokens") or 0)),
            is_estimated=False,
            cached_tokens=max(0, int(details.get("cache_read") or 0)),
        )
    text = "" if message is None else _text(message) + calls_text([message])
    count = upper_bound if at_most else estimate
    return Usage(in_tokens=prompt_tokens, out_tokens=count(text) if text else 0, is_estimated=True)
