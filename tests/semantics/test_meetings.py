"""A model is routed in whatever way a node comes by it, and by none is the answer another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, wrap_model_call
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import ConfigurableField, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from graphroute.providers.scripted import ScriptedChat
from tests.semantics.graphs_flow import QUESTION, State
from tests.semantics.twins import Case, optimized, plain

Ask = Callable[[Any], Any]
_GLOBAL: dict[str, Any] = {}


def by_global(model: Any) -> Ask:
    _GLOBAL["model"] = model

    def ask(text: Any) -> Any:
        return _GLOBAL["model"].invoke(text)

    return ask


def by_attribute(model: Any) -> Ask:
    class Service:
        def __init__(self) -> None:
            self.llm = model

        def ask(self, text: Any) -> Any:
            return self.llm.invoke(text)

    return Service().ask


def by_default(model: Any) -> Ask:
    def ask(text: Any, llm: Any = model) -> Any:
        return llm.invoke(text)

    return ask


def made_inside(model: Any) -> Ask:
    return lambda text: model.model_copy().invoke(text)


def bound(model: Any) -> Ask:
    return lambda text: model.bind(stop=["END"], temperature=0.5).invoke(text)


def configured(model: Any) -> Ask:
    field = model.configurable_fields(temperature=ConfigurableField(id="t"))
    return lambda text: field.with_config(configurable={"t": 0.25}).invoke(text)


def retried(model: Any) -> Ask:
    return lambda text: model.with_retry(stop_after_attempt=2).invoke(text)


def with_fallbacks(model: Any) -> Ask:
    spare = model.model_copy()
    return lambda text: model.with_fallbacks([spare]).invoke(text)


def in_a_thread_with_context(model: Any) -> Ask:
    def ask(text: Any) -> Any:
        from contextvars import copy_context

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, model.invoke, text).result()

    return ask


def multimodal(model: Any) -> Ask:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    return lambda text: model.invoke([HumanMessage([{"type": "text", "text": text}, image])])


def in_a_tool(model: Any) -> Ask:
    @tool
    def look_up(text: str) -> str:
        """Ask the model."""
        return str(model.invoke(text).text)

    return lambda text: AIMessage(look_up.invoke({"text": text}))


def in_json_mode(model: Any) -> Ask:
    return lambda text: model.bind(response_format={"type": "json_object"}).invoke(text)


MEETINGS = (
    by_global,
    by_attribute,
    by_default,
    made_inside,
    bound,
    configured,
    retried,
    with_fallbacks,
    in_a_thread_with_context,
    multimodal,
    in_a_tool,
    in_json_mode,
)


@pytest.mark.parametrize("meet", MEETINGS, ids=lambda f: f.__name__)
def test_a_model_is_routed_however_it_is_met(meet: Callable[[Any], Ask]) -> None:
    def build(model: Any, **compiled: Any) -> Any:
        ask = meet(model)
        builder = StateGraph(State)
        builder.add_node("ask", lambda state: {"notes": [ask(state["question"]).text]})
        builder.add_edge(START, "ask")
        return builder.compile(**compiled)

    case = Case(name="met", build=build, input=QUESTION)
    expected = plain(case).graph.invoke(QUESTION)
    pair = optimized(case)
    assert pair.graph.invoke(QUESTION) == expected
    assert pair.own.calls == ()
    assert len(pair.twin.calls) == 1


def test_settings_of_the_call_reach_the_assigned_model() -> None:
    def build(model: Any, **compiled: Any) -> Any:
        def node(state: State) -> Any:
            asked = model.bind(stop=["END"], temperature=0.5, max_tokens=3)
            return {"notes": [asked.invoke(state["question"]).text]}

        builder = StateGraph(State)
        builder.add_node("ask", node)
        builder.add_edge(START, "ask")
        return builder.compile(**compiled)

    pair = optimized(
        Case(name="bound", build=build, input=QUESTION, reply=lambda m: "one two three four END x")
    )
    assert pair.graph.invoke(QUESTION)["notes"] == ["one two three"]
    call = pair.twin.calls[0]
    assert call.stop == ("END",)
    assert (call.kwargs["temperature"], call.kwargs["max_tokens"]) == (0.5, 3)


@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
def test_structured_output_of_each_method_is_parsed(method: str) -> None:
    class Verdict(BaseModel):
        good: bool

    def build(model: Any, **compiled: Any) -> Any:
        def node(state: State) -> Any:
            return {"notes": [str(structured(model).invoke(state["question"]).good)]}

        def structured(model: Any) -> Any:
            from langchain_core.output_parsers import PydanticOutputParser

            if method == "function_calling":
                return model.with_structured_output(Verdict)
            wish = {"type": "json_object"}
            if method == "json_schema":
                schema = {"name": "Verdict", "schema": Verdict.model_json_schema()}
                wish = {"type": "json_schema", "json_schema": schema}  # type: ignore[dict-item]
            return model.bind(response_format=wish) | PydanticOutputParser(pydantic_object=Verdict)

        builder = StateGraph(State)
        builder.add_node("judge", node)
        builder.add_edge(START, "judge")
        return builder.compile(**compiled)

    case = Case(name="s", build=build, input=QUESTION, reply=lambda messages: {"good": True})
    pair = optimized(case)
    assert pair.graph.invoke(QUESTION)["notes"] == ["True"]
    assert pair.own.calls == ()


def test_a_model_that_middleware_swaps_in_is_routed_too() -> None:
    other = ScriptedChat(name="other")

    @wrap_model_call
    def swaps(request: ModelRequest[Any], handler: Any) -> Any:
        return handler(request.override(model=other))

    def build(model: Any, **compiled: Any) -> Any:
        return create_agent(model, [], middleware=[swaps], **compiled)

    pair = optimized(Case(name="swap", build=build, input=None))
    found = pair.graph.invoke({"messages": [HumanMessage("hello")]})
    assert found["messages"][-1].text == "answer to hello"
    assert pair.own.calls == other.calls == ()
    assert len(pair.twin.calls) == 1


def test_what_cannot_be_seen_runs_as_it_was() -> None:
    """A bare thread has neither config nor context: the graph's own model answers there."""

    def build(model: Any, **compiled: Any) -> Any:
        def node(state: State) -> Any:
            said: list[str] = []
            thread = threading.Thread(target=lambda: said.append(model.invoke("x").text))
            thread.start()
            thread.join()
            return {"notes": said}

        def given(state: State, config: RunnableConfig) -> Any:
            with ThreadPoolExecutor(1) as pool:
                return {"notes": [pool.submit(model.invoke, "y", config).result().text]}

        builder = StateGraph(State)
        builder.add_node("bare", node)
        builder.add_node("given", RunnableLambda(given))
        builder.add_edge(START, "bare")
        builder.add_edge("bare", "given")
        return builder.compile(**compiled)

    pair = optimized(Case(name="thread", build=build, input=QUESTION))
    assert pair.graph.invoke(QUESTION)["notes"] == ["answer to x", "answer to y"]
    assert [call.messages[0].text for call in pair.own.calls] == ["x"]
    assert [call.messages[0].text for call in pair.twin.calls] == ["y"]


def test_tool_results_go_back_to_the_assigned_model() -> None:
    def reply(messages: list[Any]) -> Any:
        return "done" if isinstance(messages[-1], ToolMessage) else {"text": "q"}

    @tool
    def echo_tool(text: str) -> str:
        """Echo."""
        return text

    pair = optimized(
        Case(
            name="tools",
            build=lambda model, **c: create_agent(model, [echo_tool], **c),
            input=None,
            reply=reply,
        )
    )
    found = pair.graph.invoke({"messages": [HumanMessage("go")]})["messages"]
    assert [type(message).__name__ for message in found[1:]] == [
        "AIMessage",
        "ToolMessage",
        "AIMessage",
    ]
    assert pair.own.calls == ()
