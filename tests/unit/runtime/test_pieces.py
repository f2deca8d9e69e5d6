"""A whole answer as one chunk and as events."""

from __future__ import annotations

from langchain_core.messages import AIMessage, AIMessageChunk, ToolCall

from graphroute.runtime.pieces import as_chunk, as_events

CALL = ToolCall(name="add", args={"a": 1}, id="c1", type="tool_call")
ANSWER = AIMessage(
    "so be it", tool_calls=[CALL], id="m1", additional_kwargs={"refusal": None, "parsed": {"a": 1}}
)


def test_a_chunk_says_what_the_answer_says_also_when_it_is_added_to_another() -> None:
    whole = AIMessageChunk(content="", id="m1") + as_chunk(ANSWER)
    assert (whole.text, whole.id, whole.tool_calls) == ("so be it", "m1", [CALL])


def test_a_chunk_is_copied() -> None:
    chunk = AIMessageChunk(content="a", id="m1")
    assert as_chunk(chunk) == chunk
    assert as_chunk(chunk) is not chunk


def test_events_carry_the_id_the_text_and_what_a_provider_added() -> None:
    events = list(as_events(ANSWER))
    assert events[0]["event"] == "message-start"
    assert events[-1]["additional_kwargs"]["parsed"] == {"a": 1}
    assert "so be it" in str(events)
