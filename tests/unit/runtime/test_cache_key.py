"""The key of a model call: what is asked of which model, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from graphroute.runtime.cache_key import Unkeyable, call_key, facets, key_of


@tool
def search(query: str, limit: int = 3) -> str:
    """Search the web."""
    return query + str(limit)


def plain(query: str) -> str:
    """Search the web."""
    return query


class Verdict(BaseModel):
    """What was decided."""

    is_right: bool


def conversation(call_id: str = "call_1", **changes: Any) -> list[BaseMessage]:
    call = {"name": "search", "args": {"query": "x", "limit": 2}, "id": call_id}
    parts: dict[str, Any] = {"system": "Be short.", "ask": "Why?", "result": "because"} | changes
    return [
        SystemMessage(parts["system"]),
        HumanMessage(parts["ask"]),
        AIMessage("", tool_calls=[parts.get("call", call)]),
        ToolMessage(parts["result"], tool_call_id=call_id, **parts.get("tool", {})),
    ]


BASE: dict[str, Any] = {
    "model": "ollama:llama3.2",
    "fields": {"temperature": 0, "tools": [search], "stop": ["\n"]},
    "messages": conversation(),
}


def key(**changes: Any) -> str:
    return call_key(*(BASE | changes).values())


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "ollama:llama3.1"},
        {"model": {"name": "ollama:llama3.2", "digest": "abc"}},
        {"fields": {}},
        {"fields": BASE["fields"] | {"temperature": 0.0}},
        {"fields": BASE["fields"] | {"temperature": False}},
        {"fields": BASE["fields"] | {"seed": 1}},
        {"fields": BASE["fields"] | {"stop": ["."]}},
        {"fields": BASE["fields"] | {"tools": [search, plain]}},
        {"fields": BASE["fields"] | {"tool_choice": "any"}},
        {"fields": BASE["fields"] | {"response_format": Verdict}},
        {"fields": BASE["fields"] | {"response_format": {"type": "json_object"}}},
        {"messages": conversation(system="Be long.")},
        {"messages": conversation(ask="How?")},
        {"messages": conversation(ask=[{"type": "text", "text": "Why?"}])},
        {"messages": conversation(result="no")},
        {"messages": conversation(tool={"status": "error"})},
        {"messages": conversation(tool={"name": "search"})},
        {"messages": conversation(call={"name": "find", "args": {}, "id": "call_1"})},
        {"messages": conversation()[:-1]},
        {"messages": conversation()[::-1]},
        {"messages": [*conversation(), HumanMessage("And?")]},
        {"messages": [*conversation()[:1], AIMessage("Why?"), *conversation()[2:]]},
    ],
)
def test_what_a_model_is_shown_counts(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def noted(messages: list[BaseMessage]) -> list[BaseMessage]:
    """The same conversation as another run would have it."""
    for number, message in enumerate(messages):
        message.id = f"run-{number}"
        message.response_metadata = {"created_at": number, "run_id": "x", "model": "m"}
        if isinstance(message, AIMessage):
            message.usage_metadata = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
            message.additional_kwargs["refusal"] = None
            calls = [{"id": message.tool_calls[0]["id"], "type": "function"}]
            message.additional_kwargs["tool_calls"] = calls
        if isinstance(message, ToolMessage):
            message.artifact = object()
    return messages


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": conversation()},
        {"messages": conversation(call_id="call_made_up_anew")},
        {"messages": noted(conversation(call_id="toolu_77"))},
        {"messages": tuple(conversation())},
        {"fields": {"stop": ["\n"], "tools": [search], "temperature": 0}},
        {"fields": BASE["fields"] | {"top_p": None, "functions": []}},
        {"fields": BASE["fields"] | {"ls_structured_output_format": {"schema": {}}}},
        {"fields": BASE["fields"] | {"tools": [convert_to_openai_tool(search)]}},
    ],
)
def test_what_it_is_not_shown_does_not(changes: dict[str, Any]) -> None:
    assert key(**changes) == key()


def test_a_message_from_chunks_is_the_message() -> None:
    parts = AIMessageChunk(content="Be") + AIMessageChunk(content="cause")
    assert key(messages=[parts]) == key(messages=[AIMessage("Because")])


def test_which_call_a_result_belongs_to_counts() -> None:
    def two(first: str, second: str) -> list[BaseMessage]:
        calls = [{"name": "search", "args": {"query": q}, "id": f"c{q}"} for q in "ab"]
        return [
            AIMessage("", tool_calls=calls),
            ToolMessage("1", tool_call_id=first),
            ToolMessage("2", tool_call_id=second),
        ]

    assert key(messages=two("ca", "cb")) != key(messages=two("cb", "ca"))


def test_ids_in_content_blocks_are_renamed_too() -> None:
    def blocks(call_id: str, index: int) -> list[BaseMessage]:
        block = {"type": "tool_use", "id": call_id, "name": "f", "input": {}, "index": index}
        result = {"type": "tool_result", "tool_use_id": call_id, "content": "r"}
        return [
            AIMessage([block], tool_calls=[{"name": "f", "args": {}, "id": call_id}]),
            HumanMessage([result]),
        ]

    assert key(messages=blocks("toolu_1", 0)) == key(messages=blocks("toolu_2", 1))
    other = blocks("toolu_1", 0)
    other[1].content[0]["tool_use_id"] = "toolu_9"  # type: ignore[index]  # a block
    assert key(messages=other) != key(messages=blocks("toolu_1", 0))


IMAGES: list[Callable[[bytes], dict[str, Any]]] = [
    lambda raw: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{raw.hex()}"}},
    lambda raw: {"type": "image", "source_type": "base64", "data": raw.hex()},
    lambda raw: {"type": "image", "source": {"bytes": raw}},
]


@pytest.mark.parametrize("image", IMAGES)
def test_images_count_by_their_bytes(image: Callable[[bytes], dict[str, Any]]) -> None:
    same, again, other = (
        [HumanMessage([{"type": "text", "text": "What is it?"}, image(raw)])]
        for raw in (b"\x89PNG" * 999, b"\x89PNG" * 999, b"\x89PNG" * 998 + b"\x89PNg")
    )
    assert key(messages=same) == key(messages=again) != key(messages=other)


def test_a_role_counts() -> None:
    one, other = (ChatMessage(content="a", role=role) for role in ("judge", "critic"))
    assert key(messages=[one]) != key(messages=[other])


def test_facets_name_the_parts_and_make_the_key() -> None:
    found = facets(*BASE.values())
    assert set(found) == {
        "model",
        "tools",
        "stop",
        "parameters",
        *(f"messages[{number}]" for number in range(4)),
    }
    assert key_of(found) == key()
    changed = facets(*(BASE | {"messages": conversation(ask="How?")}).values())
    assert {name for name in found if found[name] != changed[name]} == {"messages[1]"}


def test_a_list_of_prompts_has_a_key_of_its_own() -> None:
    prompts = [[HumanMessage("a")], [HumanMessage("b")]]
    keys = {
        key(messages=prompts),
        key(messages=prompts[::-1]),
        key(messages=[[HumanMessage("a"), HumanMessage("b")]]),
        key(messages=[HumanMessage("a"), HumanMessage("b")]),
    }
    assert len(keys) == 4
    assert "prompts[1].messages[0]" in facets("m", {}, prompts)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"messages": [HumanMessage([{"type": "x", "raw": object()}])]}, "messages[0].content"),
        ({"fields": {"extra": {"client": object()}}}, "parameters['extra']['client']"),
        ({"fields": {"tools": [object()]}}, "tools['tools'][0]"),
        ({"model": object()}, "model"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_with_its_place(
    changes: dict[str, Any], place: str
) -> None:
    with pytest.raises(Unkeyable) as caught:
        key(**changes)
    assert caught.value.path.startswith(place)
