from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from graphroute.providers._forced_call import as_call, force, free


def _tool(name: str) -> dict[str, object]:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [_tool("f"), _tool("g")]


@pytest.mark.parametrize("choice", [None, "auto", "none", False])
def test_a_free_call_is_left_alone(choice: object) -> None:
    assert force([HumanMessage("x")], {"tools": TOOLS, "tool_choice": choice}) is None


@pytest.mark.parametrize("choice", ["any", "required", True])
def test_any_tool_allows_each(choice: object) -> None:
    forced = force([HumanMessage("x")], {"tools": TOOLS, "tool_choice": choice, "seed": 3})
    assert forced is not None
    schema = forced.kwargs["response_format"]["json_schema"]["schema"]
    assert [one["properties"]["name"]["const"] for one in schema["anyOf"]] == ["f", "g"]
    assert set(forced.kwargs) == {"response_format", "seed"}


@pytest.mark.parametrize("choice", ["g", {"type": "function", "function": {"name": "g"}}])
def test_a_named_tool_is_the_only_one(choice: object) -> None:
    forced = force([HumanMessage("x")], {"tools": TOOLS, "tool_choice": choice})
    assert forced is not None
    schema = forced.kwargs["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["name"] == {"const": "g"}
    assert schema["properties"]["arguments"] == TOOLS[1]["function"]["parameters"]  # type: ignore[index]


def test_the_instruction_joins_the_system_message_there_is() -> None:
    messages = [SystemMessage("Be kind."), HumanMessage("x")]
    forced = force(messages, {"tools": TOOLS, "tool_choice": "f"})
    assert forced is not None
    assert [m.type for m in forced.messages] == ["system", "human"]
    assert forced.messages[0].text.startswith("Be kind.\n\nCall one of these functions")
    assert messages[0].text == "Be kind."


def test_none_takes_the_tools_away() -> None:
    assert free({"tools": TOOLS, "tool_choice": "none", "seed": 1}) == {"seed": 1}


def test_the_answer_becomes_the_call() -> None:
    text = json.dumps({"name": "f", "arguments": {"x": 1}})
    answer = as_call(AIMessage(text, additional_kwargs={"parsed": {}}))
    assert [(c["name"], c["args"]) for c in answer.tool_calls] == [("f", {"x": 1})]
    assert answer.content == ""
    assert answer.additional_kwargs == {}


@pytest.mark.parametrize("text", ['{"name": "f", "argu', "[]", '{"name": "f"}', ""])
def test_a_cut_off_answer_is_an_invalid_call(text: str) -> None:
    answer = as_call(AIMessage(text))
    assert answer.tool_calls == []
    assert answer.invalid_tool_calls[0]["args"] == text
    assert answer.content == text
