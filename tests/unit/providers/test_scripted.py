from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from graphroute.errors import InvalidValue
from graphroute.ir.catalog import Model
from graphroute.ir.naming import pool_name
from graphroute.providers.scripted import ScriptedChat, build


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_replies_come_in_order_and_the_last_repeats() -> None:
    chat = ScriptedChat(name="weak", replies=["one", AIMessage("two")])
    assert [chat.invoke("x").content for _ in range(3)] == ["one", "two", "two"]


def test_usage_is_a_quarter_of_the_characters_and_names_the_model() -> None:
    answer = ScriptedChat(name="weak", replies=["12345678"]).invoke("123456789")
    assert answer.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert answer.response_metadata["model_name"] == "weak"


def test_given_usage_is_reported_but_never_above_the_cap() -> None:
    chat = ScriptedChat(replies=["a b c d"], in_tokens=100, out_tokens=50)
    answer = chat.bind(max_tokens=2).invoke("x")
    assert isinstance(answer, AIMessage)
    assert answer.content == "a b"
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata == {"input_tokens": 100, "output_tokens": 2, "total_tokens": 102}


def test_stop_words_cut_the_answer_and_are_recorded() -> None:
    chat = ScriptedChat(replies=["left END right"])
    assert chat.invoke("x", stop=["END"]).content == "left "
    assert chat.calls[0].stop == ("END",)


def test_a_function_sees_the_messages() -> None:
    chat = ScriptedChat(replies=lambda messages: str(messages[-1].content).upper())
    assert chat.invoke("loud").content == "LOUD"


def test_exceptions_are_raised_and_the_script_goes_on() -> None:
    chat = ScriptedChat(replies=[TimeoutError("slow"), "fine"])
    with pytest.raises(TimeoutError, match="slow"):
        chat.invoke("x")
    assert chat.invoke("x").content == "fine"


def test_no_replies_is_an_error_that_names_the_model() -> None:
    with pytest.raises(InvalidValue, match="'scripted:mute' has no replies"):
        ScriptedChat(name="mute", replies=[]).invoke("x")


def test_structured_output_through_the_default_path() -> None:
    chat = ScriptedChat(replies=[{"name": "Oslo", "people": 700_000}])
    assert chat.with_structured_output(City).invoke("x") == City(name="Oslo", people=700_000)
    assert chat.calls[0].kwargs["tools"][0]["function"]["name"] == "City"


def test_a_dict_calls_the_tool_that_is_asked_for() -> None:
    chat = ScriptedChat(replies=[{"a": 1, "b": 2}])
    answer = chat.bind_tools([City, add], tool_choice="add").invoke("x")
    assert [(c["name"], c["args"]) for c in answer.tool_calls] == [("add", {"a": 1, "b": 2})]
    assert answer.response_metadata["finish_reason"] == "tool_calls"


def test_a_dict_without_tools_is_json_text() -> None:
    assert ScriptedChat(replies=[{"a": 1}]).invoke("x").content == '{"a": 1}'


def test_streaming_gives_words_and_usage_on_the_last_chunk() -> None:
    parts = list(ScriptedChat(replies=["one two  three"]).stream("x"))
    assert [p.text for p in parts if p.text] == ["one", " two", "  three"]
    assert [bool(p.usage_metadata) for p in parts] == [False, False, False, True]
    assert "".join(p.text for p in parts) == "one two  three"


def test_streamed_and_whole_answers_agree() -> None:
    chat = ScriptedChat(name="weak", replies=[{"a": 1, "b": 2}])
    bound = chat.bind_tools([add])
    whole = bound.invoke("x")
    parts = [p for p in bound.stream("x") if isinstance(p, AIMessageChunk)]
    summed = parts[0]
    for part in parts[1:]:
        summed = summed + part
    assert [c["args"] for c in summed.tool_calls] == [c["args"] for c in whole.tool_calls]
    assert summed.usage_metadata == whole.usage_metadata
    assert summed.response_metadata["model_name"] == "weak"


async def test_the_async_entry_points_answer_alike() -> None:
    slept: list[float] = []

    async def doze(seconds: float) -> None:
        slept.append(seconds)

    chat = ScriptedChat(replies=["one two"], delay_s=3.0, async_sleep=doze)
    assert (await chat.ainvoke("x")).content == "one two"
    assert "".join([p.text async for p in chat.astream("x")]) == "one two"
    assert slept == [3.0, 3.0]
    both = await asyncio.gather(chat.ainvoke("a"), chat.ainvoke("b"))
    assert [m.content for m in both] == ["one two"] * 2


def test_a_stream_breaks_off_where_told() -> None:
    seen: list[str] = []
    chat = ScriptedChat(name="frail", replies=["one two three"], fail_after_chunks=2)
    with pytest.raises(ConnectionError, match="'scripted:frail' broke off after 2 chunks"):
        seen.extend(part.text for part in chat.stream("x"))
    assert seen == ["one", " two"]


def test_calls_are_recorded_from_every_thread() -> None:
    chat = ScriptedChat(replies=["ok"])
    with ThreadPoolExecutor(8, thread_name_prefix="pool") as pool:
        list(pool.map(chat.invoke, map(str, range(200))))
    assert sorted(int(str(c.messages[0].content)) for c in chat.calls) == list(range(200))
    assert all(c.thread.startswith("pool") for c in chat.calls)


def test_a_deep_copy_shares_the_journal() -> None:
    chat = ScriptedChat(replies=["ok"])
    copy.deepcopy(chat).invoke("x")
    assert len(chat.calls) == 1


def test_pool_name_also_through_bindings() -> None:
    chat = ScriptedChat(name="weak")
    assert pool_name(chat) == "scripted:weak"
    assert pool_name(chat.bind_tools([add])) == "scripted:weak"


def test_the_provider_serves_given_and_fresh_models() -> None:
    def reply(messages: list[BaseMessage]) -> str:
        return "given"

    provider = build(chats=[ScriptedChat(name="weak", replies=reply)])
    offer = provider.offer(Model("scripted:weak", price_in_usd=1, price_out_usd=2))
    assert offer.open().invoke("x").content == "given"
    assert (offer.spec.local, offer.spec.price.in_usd, offer.spec.price.source) == (
        False,
        1,
        "user",
    )
    assert provider.offer(Model("scripted:new")).open().invoke("x").content == "ok"
    assert not provider.offer(Model("scripted:new")).spec.price.is_known
    assert provider.offer(Model("scripted:new", local=True)).spec.price.is_known
