from __future__ import annotations

import hashlib
from typing import Any

import pytest

from graphroute.runtime.canonical import digest
from graphroute.runtime.long_values import LONG, Digests


@pytest.mark.parametrize(
    "value", ["é" * LONG, "\ud800" * LONG, b"\xff" * LONG], ids=["text", "surrogates", "bytes"]
)
def test_it_is_the_sha256_of_the_text(value: str | bytes) -> None:
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    digests = Digests()
    assert [digests.of(value) for _ in range(2)] == [hashlib.sha256(raw).digest()] * 2


def test_the_same_object_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    real = hashlib.sha256

    def counted(raw: bytes) -> Any:
        hashed.append(len(raw))
        return real(raw)

    monkeypatch.setattr(hashlib, "sha256", counted)
    digests, text = Digests(), "a" * LONG
    assert digests.of(text) == digests.of(text)
    assert len(hashed) == 1
    digests.of("a" * (LONG - 1) + "a"[:])
    assert len(hashed) == 2


def test_no_more_is_held_than_allowed_and_answers_stay_right() -> None:
    digests = Digests(limit_bytes=3 * LONG)
    for round_ in range(3):
        for number in range(20):
            text = chr(97 + number) * (LONG + round_)
            assert digests.of(text) == hashlib.sha256(text.encode()).digest()
    assert digests._size_bytes <= 3 * LONG
    assert sum(len(value) for value, _ in digests._known.values()) <= 3 * LONG


@pytest.mark.parametrize("length", [LONG - 1, LONG, LONG + 1])
def test_long_values_are_told_apart_as_short_ones_are(length: int) -> None:
    text, raw = "a" * length, b"a" * length
    assert digest(text) == digest("a" * (length - 1) + "a"[:])
    others = [
        text + "a",
        text[:-1] + "b",
        raw,
        bytearray(raw),
        [text],
        hashlib.sha256(raw).digest(),
    ]
    found = {digest(value) for value in (text, *others)}
    assert len(found) == 1 + len(others)
    assert digest(memoryview(raw)) == digest(raw)
