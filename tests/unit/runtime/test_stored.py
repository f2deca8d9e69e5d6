"""Entries that are damaged, foreign or of another version are misses with a warning."""

from __future__ import annotations

import hashlib
import logging
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.ai import UsageMetadata

from graphroute.runtime.stored import (
    VERSION,
    DamagedEntry,
    answer_of,
    dump_answer,
    load_answer,
    pack,
    unpack,
)
from graphroute.runtime.values import Unstorable

ANSWER = AIMessage(
    [{"type": "text", "text": "Because of ünïcode \ud83d\ude00."}],
    id="run-1",
    tool_calls=[{"name": "f", "args": {"x": [1, None]}, "id": "call_1"}],
    usage_metadata=UsageMetadata(
        input_tokens=3,
        output_tokens=2,
        total_tokens=5,
        input_token_details={"cache_read": 1},
    ),
    response_metadata={"model_name": "m", "logprobs": {"content": [{"top": (1.5, 2)}]}},
    additional_kwargs={"reasoning_content": "well"},
)
ENTRY = dump_answer(answer_of([ANSWER, AIMessage("Or so.")], pieces=[3, 0, 4]))


def test_an_answer_comes_back_without_its_id() -> None:
    found = load_answer(ENTRY)
    assert found is not None
    assert found.messages == (ANSWER.model_copy(update={"id": None}), AIMessage("Or so."))
    assert found.pieces == (3, 0, 4)
    assert ANSWER.id == "run-1", "what was kept is left as it is"
    again = load_answer(ENTRY)
    assert again is not None
    assert again.messages[0] is not found.messages[0]


def test_an_answer_from_chunks_is_kept_whole() -> None:
    parts = AIMessageChunk(content="Be", id="x") + AIMessageChunk(
        content="cause",
        tool_call_chunks=[
            {"name": "f", "args": '{"a": 1}', "id": "c", "index": 0, "type": "tool_call_chunk"}
        ],
        chunk_position="last",
    )
    found = load_answer(dump_answer(answer_of([parts])))
    assert found is not None
    (message,) = found.messages
    assert type(message) is AIMessage
    assert message.content == "Because"
    assert message.tool_calls[0]["args"] == {"a": 1}


@pytest.mark.parametrize("part", ["response_metadata", "additional_kwargs"])
def test_what_cannot_be_given_back_is_not_kept_and_says_why(part: str) -> None:
    message = AIMessage("a", **{part: {"client": object()}})
    with pytest.raises(Unstorable, match=rf"\['messages'\]\[0\].{part}\['client'\]: a object"):
        dump_answer(answer_of([message]))

    class Mine(AIMessage):
        pass

    with pytest.raises(Unstorable, match="Mine"):
        dump_answer(answer_of([Mine(content="a")]))


def missed(entry: bytes, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert load_answer(entry, key="k" * 64) is None
    (record,) = caplog.records
    return record.getMessage()


def test_every_truncation_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for length in (*range(0, len(ENTRY), 7), len(ENTRY) - 1):
        assert "cache entry kkkk" in missed(ENTRY[:length], caplog)
    missed(ENTRY + b" ", caplog)


def test_every_flipped_bit_is_told(caplog: pytest.LogCaptureFixture) -> None:
    drawn = random.Random(7)
    for place in range(len(ENTRY)):
        changed = bytearray(ENTRY)
        changed[place] ^= 1 << drawn.randrange(8)
        missed(bytes(changed), caplog)


def rewritten(version: str = VERSION, kind: str = "answer", body: bytes = b"{}") -> bytes:
    """An entry that adds up."""
    total = hashlib.sha256(kind.encode() + b"\n" + body).hexdigest()
    return f"{version} {kind} {total}\n".encode() + body


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (b"", "no entry"),
        (b"plain text", "no entry"),
        (pickle.dumps(ANSWER), "no entry"),
        (dumps(ANSWER).encode(), "no entry"),
        (rewritten(version="graphroute.entry/0"), "another version"),
        (rewritten(version="graphroute.entry/2"), "another version"),
        (pack("node", {"messages": [AIMessage("a")], "pieces": []}), "is a b'node'"),
        (rewritten(), "messages"),
        (rewritten(body=b"not json"), "cannot be read"),
        (rewritten(body=b"[" * 100_000), "cannot be read"),
        (rewritten(body=b'{"messages": [1], "pieces": []}'), "other things"),
        (pack("answer", {"messages": [HumanMessage("a")], "pieces": []}), "other things"),
        (pack("answer", {"messages": [AIMessage("a")], "pieces": [-1]}), "not numbers"),
        (pack("answer", {"messages": [AIMessage("a")], "pieces": 5}), "not iterable"),
        (pack("answer", [1]), "list indices"),
    ],
)
def test_what_is_no_answer_of_this_version_is_a_miss(
    entry: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert why in missed(entry, caplog)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=200))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    for entry in (raw, VERSION.encode() + b" answer " + raw, rewritten(body=raw)):
        with pytest.raises(DamagedEntry):
            unpack("node", entry)
        assert load_answer(entry) is None
