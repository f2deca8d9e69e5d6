"""A list of prompts (`generate`) at a checked node: each answer is checked for itself."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, optimize
from graphroute.providers.scripted import ScriptedChat


class State(TypedDict, total=False):
    notes: Annotated[list[str], operator.add]
    usage: dict[str, Any]


ASKED = ("one", "two", "three")
PROMPTS: list[list[BaseMessage]] = [[HumanMessage(text)] for text in ASKED]


def _knows_one_and_three(messages: Sequence[BaseMessage]) -> str:
    return "no" if messages[0].text == "two" else messages[0].text


def _says_yes(messages: list[BaseMessage], reply: AIMessage) -> bool:
    return reply.text != "no"


class House:
    """The cheap model knows two of three answers, the dear one all of them."""

    def __init__(self, *, is_async: bool = False, **options: Any) -> None:
        self.cheap = ScriptedChat(name="cheap", replies=_knows_one_and_three)
        self.dear = ScriptedChat(name="dear", replies=lambda m: m[0].text)
        builder = StateGraph(State)
        builder.add_node("answer", self._awaiting if is_async else self._sync)
        builder.add_edge(START, "answer")
        self.run_id: UUID | None = None
        self.plain = builder.compile()
        self.fast = optimize(
            self.plain,
            models=[
                Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
                Model("scripted:dear", self.dear, price_in_usd=20, price_out_usd=20, quality=0.95),
            ],
            objective="cost",
            nodes={"answer": RouteHints(verify=_says_yes, min_quality=0.85, max_output_tokens=8)},
            **options,
        )

    def _sync(self, state: State, config: RunnableConfig) -> dict[str, Any]:
        return _notes(self.dear.generate(PROMPTS, **self._arguments(config)))

    async def _awaiting(self, state: State, config: RunnableConfig) -> dict[str, Any]:
        return _notes(await self.dear.agenerate(PROMPTS, **self._arguments(config)))

    def _arguments(self, config: RunnableConfig) -> dict[str, Any]:
        told: dict[str, Any] = {"callbacks": config["callbacks"], "metadata": config["metadata"]}
        if self.run_id is not None:
            told["run_id"] = self.run_id
        return {**told, "max_tokens": 8}


def _notes(result: Any) -> dict[str, Any]:
    assert len(result.run) == len(PROMPTS)
    return {"notes": [each[0].text for each in result.generations], "usage": result.llm_output}


@pytest.mark.parametrize("is_async", [False, True])
async def test_each_answer_is_checked_and_only_the_refused_one_is_asked_for_again(
    is_async: bool,
) -> None:
    house = House(is_async=is_async)
    planned = house.fast.plan.assignment("answer")
    assert planned.kind == "cascade"
    assert (await house.fast.ainvoke({}))["notes"] == list(ASKED)
    assert [call.messages[0].text for call in house.dear.calls] == ["two"]
    assert len(house.cheap.calls) == 3 + planned.then.count("scripted:cheap")
    standing = [record for record in house.fast.records if record.quality == 1.0]
    assert len(standing) == 3
    assert all(record.quality is not None for record in house.fast.records)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_reader_sees_each_answer_once(is_async: bool) -> None:
    house = House(is_async=is_async)
    parts = [part async for part in house.fast.astream({}, stream_mode="messages")]
    assert sorted(message.text for message, _ in parts) == sorted(ASKED)


@pytest.mark.parametrize("is_async", [False, True])
async def test_callbacks_hear_of_the_first_prompt_under_the_id_that_was_given(
    is_async: bool,
) -> None:
    class Runs(BaseCallbackHandler):
        def __init__(self) -> None:
            self.of: dict[str, list[UUID]] = {}

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            self.of.setdefault(args[1][0][0].text, []).append(kwargs["run_id"])

    house, runs = House(is_async=is_async), Runs()
    house.run_id = uuid4()
    await house.fast.ainvoke({}, {"callbacks": [runs]})
    assert runs.of["one"] == [house.run_id]
    every = [each for several in runs.of.values() for each in several]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_of_one_prompt_is_that_of_the_list(is_async: bool) -> None:
    def broken(messages: Sequence[BaseMessage]) -> Any:
        return ValueError("out of order") if messages[0].text == "two" else messages[0].text

    house = House(is_async=is_async)
    house.cheap.replies = house.dear.replies = broken
    with pytest.raises(ValueError, match="out of order"):
        await house.fast.ainvoke({})


def test_without_a_cascade_each_answer_has_its_own_verdict() -> None:
    own = ScriptedChat(name="own", replies=_knows_one_and_three)
    builder = StateGraph(State)

    def answer(state: State, config: RunnableConfig) -> dict[str, Any]:
        return _notes(own.generate(PROMPTS, metadata=config["metadata"]))

    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    fast = optimize(builder.compile(), nodes={"answer": RouteHints(verify=_says_yes)})
    assert fast.invoke({})["notes"] == ["one", "no", "three"]
    assert [record.quality for record in fast.records] == [1.0, 0.0, 1.0]
