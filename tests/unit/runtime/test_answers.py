"""The cache of answers: nothing that is done to a message reaches what others are given."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from graphroute.caches import disk, memory
from graphroute.protocols import Cache
from graphroute.runtime.answers import Answers, Recalled


def _message() -> AIMessage:
    return AIMessage(
        [{"type": "text", "text": "Because."}],
        id="run-1",
        tool_calls=[{"name": "f", "args": {"x": [1]}, "id": "call_1"}],
        additional_kwargs={"reasoning": {"steps": ["one"]}},
    )


def _put(answers: Answers, *messages: AIMessage, key: str = "k") -> Recalled | None:
    return answers.put(
        key, messages, pieces=(), tags={"node": "n"}, facets={"model": "1" * 64}, is_private=False
    )


def _spoil(message: AIMessage) -> None:
    message.content[0]["text"] = "Spoilt."  # type: ignore[index]
    message.tool_calls[0]["args"]["x"].append("spoilt")
    message.additional_kwargs["reasoning"]["steps"].clear()


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    return memory.build() if request.param == "memory" else disk.build(tmp_path)


def test_what_the_asker_does_to_its_message_changes_nobody_elses(cache: Cache) -> None:
    answers, own = Answers(cache=cache), _message()
    shared = _put(answers, own)
    _spoil(own)
    whole = _message().model_copy(update={"id": None})
    assert shared is not None
    assert shared.messages == (whole,)
    for _ in range(2):  # read from the bytes, then known
        found = answers.get("k")
        assert found is not None
        assert found.messages == (whole,)
    assert found is answers.get("k")


def test_an_entry_that_was_replaced_is_read_anew(cache: Cache) -> None:
    answers = Answers(cache=cache)
    for text in ("one", "two"):
        _put(answers, AIMessage(text))
        found = answers.get("k")
        assert found is not None
        assert found.messages[0].text == text
    cache.delete("k")
    assert answers.get("k") is None


def test_what_cannot_be_kept_is_shared_all_the_same() -> None:
    answers = Answers(cache=memory.build())
    odd = {"odd": object()}
    shared = _put(answers, AIMessageChunk(content="Because.", id="x", additional_kwargs=odd))
    assert shared is not None
    (message,) = shared.messages
    assert type(message) is AIMessage
    assert (message.text, message.id) == ("Because.", None)
    assert answers.get("k") is None


def test_what_cannot_even_be_copied_is_not_shared() -> None:
    answers = Answers(cache=memory.build())
    assert _put(answers, AIMessage("a", additional_kwargs={"lock": threading.Lock()})) is None
    assert answers.get("k") is None
