"""What a reader of the run's stream sees of a checked call: the answer that stands, and only that.

The cheap model says 41, which the check refuses; the dear one says 42.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypedDict
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel

from graphroute import Model, RouteHints, Verdict, optimize
from graphroute.providers.scripted import ScriptedChat

QUESTION = "What is 6 × 7?"


class State(TypedDict, total=False):
    notes: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]


def _is_42(messages: list[BaseMessage], reply: AIMessage) -> bool:
    return "42" in reply.text


Returns = Callable[[AIMessage], dict[str, Any]]
RETURNS: dict[str, Returns] = {
    "text": lambda message: {"notes": [message.text]},
    "message": lambda message: {"messages": [message]},
}


class Case:
    """A graph with one checked node; `plain` runs it on the dear model alone."""

    def __init__(
        self,
        node: Callable[[ScriptedChat], Any],
        *,
        cheap: str = "41 it is",
        dear: str = "42 it is",
        verify: Any = _is_42,
        verify_output: Any = None,
        hint_cache: bool | None = None,
        is_nested: bool = False,
        **options: Any,
    ) -> None:
        self.cheap = ScriptedChat(name="cheap", replies=[cheap])
        self.dear = ScriptedChat(name="dear", replies=[dear])
        builder = StateGraph(State)
        builder.add_node("answer", node(self.dear))
        builder.add_edge(START, "answer")
        graph = builder.compile()
        if is_nested:
            outer = StateGraph(State)
            outer.add_node("inner", graph)
            outer.add_edge(START, "inner")
            graph = outer.compile()
        self.plain = graph
        self.fast = optimize(
            graph,
            models=[
                Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
                Model("scripted:dear", self.dear, price_in_usd=20, price_out_usd=20, quality=0.95),
            ],
            objective="cost",
            nodes={
                "inner/answer" if is_nested else "answer": RouteHints(
                    verify=verify,
                    verify_output=verify_output,
                    cache=hint_cache,
                    min_quality=0.85,
                    max_output_tokens=8,
                )
            },
            **options,
        )

    def is_a_cascade(self) -> bool:
        return self.fast.plan.assignments[0].kind == "cascade" and bool(self.cheap.calls)


def _invoking(returns: Returns) -> Callable[[ScriptedChat], Any]:
    return lambda model: lambda _: returns(model.invoke(QUESTION, max_tokens=8))


def _streaming(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        def answer(state: State) -> dict[str, Any]:
            whole: Any = None
            for chunk in model.stream(QUESTION, max_tokens=8):
                whole = chunk if whole is None else whole + chunk
            return returns(whole)

        return answer

    return node


def _list_arguments(config: RunnableConfig) -> dict[str, Any]:
    return {"callbacks": config["callbacks"], "metadata": config["metadata"], "max_tokens": 8}


def _first(result: Any) -> AIMessage:
    message: AIMessage = result.generations[0][0].message
    return message


def _generating(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        def answer(state: State, config: RunnableConfig) -> dict[str, Any]:
            result = model.generate([[HumanMessage(QUESTION)]], **_list_arguments(config))
            return returns(_first(result))

        return answer

    return node


def _events(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        def answer(state: State) -> dict[str, Any]:
            return returns(model.stream_events(QUESTION, version="v3", max_tokens=8).output)

        return answer

    return node


def _ainvoking(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        async def answer(state: State) -> dict[str, Any]:
            return returns(await model.ainvoke(QUESTION, max_tokens=8))

        return answer

    return node


def _astreaming(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        async def answer(state: State) -> dict[str, Any]:
            whole: Any = None
            async for chunk in model.astream(QUESTION, max_tokens=8):
                whole = chunk if whole is None else whole + chunk
            return returns(whole)

        return answer

    return node


def _agenerating(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        async def answer(state: State, config: RunnableConfig) -> dict[str, Any]:
            result = await model.agenerate([[HumanMessage(QUESTION)]], **_list_arguments(config))
            return returns(_first(result))

        return answer

    return node


def _aevents(returns: Returns) -> Callable[[ScriptedChat], Any]:
    def node(model: ScriptedChat) -> Any:
        async def answer(state: State) -> dict[str, Any]:
            stream = await model.astream_events(QUESTION, version="v3", max_tokens=8)
            return returns(await stream.output)

        return answer

    return node


SYNC = {"invoke": _invoking, "stream": _streaming, "generate": _generating, "events": _events}
ASYNC = {
    "ainvoke": _ainvoking,
    "astream": _astreaming,
    "agenerate": _agenerating,
    "aevents": _aevents,
}
NODES = {**SYNC, **ASYNC}


async def _read(graph: Any, **options: Any) -> list[Any]:
    return [part async for part in graph.astream({}, **options)]


def _shown(parts: list[Any]) -> list[tuple[str, Any]]:
    return [(message.text, meta) for message, meta in parts if message.text]


@pytest.mark.parametrize("returns", sorted(RETURNS))
@pytest.mark.parametrize("kind", sorted(SYNC))
def test_the_answer_that_stands_comes_once_in_one_piece(kind: str, returns: str) -> None:
    case = Case(SYNC[kind](RETURNS[returns]))
    parts = list(case.fast.stream({}, stream_mode="messages"))
    assert case.is_a_cascade()
    (one,) = _shown(parts)
    assert one[0] == "42 it is"
    assert len(parts) == 1


@pytest.mark.parametrize("returns", sorted(RETURNS))
@pytest.mark.parametrize("kind", sorted(NODES))
async def test_the_answer_that_stands_comes_once_to_an_async_reader(
    kind: str, returns: str
) -> None:
    case = Case(NODES[kind](RETURNS[returns]))
    parts = await _read(case.fast, stream_mode="messages")
    assert case.is_a_cascade()
    assert [text for text, _ in _shown(parts)] == ["42 it is"]
    assert len(parts) == 1


@pytest.mark.parametrize("returns", sorted(RETURNS))
def test_it_comes_with_the_metadata_and_the_kind_of_the_plain_graph(returns: str) -> None:
    case = Case(_invoking(RETURNS[returns]))
    plain: list[Any] = list(case.plain.stream({}, stream_mode="messages"))
    fast: list[Any] = list(case.fast.stream({}, stream_mode="messages"))
    ((message, meta),) = fast
    its_own = {"langgraph_checkpoint_ns", "checkpoint_ns"}
    assert {k: v for k, v in meta.items() if k not in its_own} == {
        k: v for k, v in plain[0][1].items() if k not in its_own
    }
    assert type(message) is type(plain[0][0]) is AIMessageChunk


def test_it_has_the_id_of_the_message_that_the_node_returns() -> None:
    case = Case(_invoking(RETURNS["message"]))
    parts = list(case.fast.stream({}, stream_mode=["messages", "values"]))
    ((shown, _),) = [part for mode, part in parts if mode == "messages"]
    assert parts[-1][1]["messages"][-1].id == shown.id


@pytest.mark.parametrize("returns", sorted(RETURNS))
def test_the_order_of_all_modes_is_that_of_the_plain_graph(returns: str) -> None:
    case = Case(_streaming(RETURNS[returns]))
    modes = ["messages", "updates", "values", "custom"]

    def order(graph: Any) -> list[str]:
        said = [mode for mode, _ in graph.stream({}, stream_mode=modes)]
        return [mode for n, mode in enumerate(said) if n == 0 or said[n - 1] != mode]

    assert order(case.fast) == order(case.plain)


@pytest.mark.parametrize("returns", sorted(RETURNS))
@pytest.mark.parametrize("subgraphs", [False, True])
def test_in_a_subgraph_it_is_shown_where_the_plain_graph_shows_it(
    subgraphs: bool, returns: str
) -> None:
    case = Case(_invoking(RETURNS[returns]), is_nested=True)

    def said(graph: Any) -> str:
        parts = list(graph.stream({}, stream_mode="messages", subgraphs=subgraphs))
        parts = [part[1] for part in parts] if subgraphs else parts
        return "".join(text for text, _ in _shown(parts))

    assert said(case.fast) == said(case.plain)
    assert case.is_a_cascade()


def test_what_its_author_hides_stays_hidden() -> None:
    def node(model: ScriptedChat) -> Any:
        hidden = model.model_copy(update={"tags": ["nostream"]})
        return lambda _: {"notes": [hidden.invoke(QUESTION, max_tokens=8).text]}

    case = Case(node)
    assert list(case.fast.stream({}, stream_mode="messages")) == []
    assert case.is_a_cascade()


def test_an_earlier_answer_that_stands_is_the_one_that_is_shown() -> None:
    def closeness(messages: list[BaseMessage], reply: AIMessage) -> float:
        return 0.4 if "41" in reply.text else 0.1

    case = Case(_invoking(RETURNS["text"]), dear="13", verify=closeness)
    parts = list(case.fast.stream({}, stream_mode="messages"))
    assert [text for text, _ in _shown(parts)] == ["41 it is"]
    assert case.dear.calls


@pytest.mark.parametrize("returns", sorted(RETURNS))
def test_a_refused_answer_from_the_cache_is_not_shown_either(returns: str) -> None:
    case = Case(_invoking(RETURNS[returns]), cache=True)
    for _ in range(2):
        parts = list(case.fast.stream({}, stream_mode="messages"))
        assert [text for text, _ in _shown(parts)] == ["42 it is"]
    assert any(record.cache for record in case.fast.records)


def test_nothing_is_shown_of_a_call_that_fails_after_a_refusal() -> None:
    case = Case(_invoking(RETURNS["text"]))
    case.dear.replies = [ValueError("out of order")]
    parts: list[Any] = []
    with pytest.raises(ValueError, match="out of order"):
        parts.extend(case.fast.stream({}, stream_mode="messages"))
    assert parts == []


def test_callbacks_see_every_call_with_the_tags_it_was_made_with() -> None:
    class Seen(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tags: list[Any] = []
            self.said: list[str] = []

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            self.tags.append(kwargs["tags"])

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            self.said.append(response.generations[0][0].text)

    case, seen = Case(_invoking(RETURNS["text"])), Seen()
    list(case.fast.stream({}, {"callbacks": [seen]}, stream_mode="messages"))
    assert seen.said == ["41 it is"] * len(case.cheap.calls) + ["42 it is"]
    assert not any("nostream" in tags for tags in seen.tags)


def _checked_as_a_whole(returns: Returns, *, is_async: bool = False, **options: Any) -> Case:
    """Its node is refused by what it returns, not by what the model says."""

    def is_42(state: Any, update: Any) -> bool:
        said = update.get("notes") or [m.text for m in update["messages"]]
        return "42" in said[0]

    make = (_ainvoking if is_async else _invoking)(returns)
    return Case(make, verify=None, verify_output=is_42, hint_cache=True, **options)


@pytest.mark.parametrize("returns", sorted(RETURNS))
@pytest.mark.parametrize("is_async", [False, True])
async def test_of_a_node_that_is_run_again_only_what_stands_is_shown(
    is_async: bool, returns: str
) -> None:
    case = _checked_as_a_whole(RETURNS[returns], is_async=is_async)
    parts = await _read(case.fast, stream_mode="messages")
    assert [text for text, _ in _shown(parts)] == ["42 it is"]
    assert case.is_a_cascade()
    assert [record.model for record in case.fast.records][-1] == "scripted:dear"


def test_of_a_node_that_breaks_off_its_answers_are_shown_as_in_the_plain_graph() -> None:
    def node(model: ScriptedChat) -> Any:
        def answer(state: State) -> dict[str, Any]:
            model.invoke(QUESTION, max_tokens=8)
            raise ValueError("no more")

        return answer

    case = Case(node, verify=None, verify_output=lambda state, update: True, hint_cache=True)

    def said(graph: Any) -> str:
        parts: list[Any] = []
        with pytest.raises(ValueError, match="no more"):
            parts.extend(graph.stream({}, stream_mode="messages"))
        return "".join(text for text, _ in _shown(parts))

    assert said(case.plain) == "42 it is"
    assert said(case.fast) == "41 it is"


def test_a_model_that_is_asked_by_generate_is_told_why_the_answer_was_refused() -> None:
    def check(messages: list[BaseMessage], reply: AIMessage) -> Verdict:
        good = "42" in reply.text
        return Verdict(score=float(good), passed=good, reason="" if good else "41 is odd")

    case = Case(_generating(RETURNS["text"]), verify=check)
    case.fast.invoke({})
    said = [message.text for message in case.dear.calls[0].messages]
    assert said[:2] == [QUESTION, "41 it is"]
    assert "41 is odd" in said[2]


VERSIONS: list[Literal["v1", "v2"]] = ["v1", "v2"]
OLD = pytest.mark.filterwarnings("ignore:astream_:DeprecationWarning")
"""LangChain's older protocols, which are still read."""


async def _model_events(graph: Any, version: Literal["v1", "v2"]) -> list[tuple[str, str, str]]:
    """Kind, run and text of each event of a model."""
    said = []
    async for event in graph.astream_events({}, version=version):
        kind = event["event"].removeprefix("on_chat_model_")
        if kind != event["event"]:
            data = event["data"]
            message = data.get("chunk") or data.get("output")
            if isinstance(message, dict):  # v1 tells the whole result
                message = message["generations"][0][0]["message"]
            said.append((kind, event["run_id"], message.text if message else ""))
    return said


@pytest.mark.parametrize("kind", sorted(NODES))
@OLD
@pytest.mark.parametrize("version", VERSIONS)
async def test_events_show_the_answer_that_stands_and_tell_of_every_call(
    version: Literal["v1", "v2"], kind: str
) -> None:
    case = Case(NODES[kind](RETURNS["text"]))
    said = await _model_events(case.fast, version)
    assert case.is_a_cascade()
    calls = len(case.cheap.calls) + len(case.dear.calls)
    assert [text for what, _, text in said if what == "stream" and text] == ["42 it is"]
    assert [what for what, _, _ in said].count("start") == calls
    ends = [text for what, _, text in said if what == "end"]
    assert ends == ["41 it is"] * len(case.cheap.calls) + ["42 it is"]
    last = said[-1][1]
    assert [what for what, run, _ in said if run == last] == ["start", "stream", "end"]


@OLD
@pytest.mark.parametrize("version", VERSIONS)
async def test_events_of_the_model_that_stands_are_those_of_the_plain_graph(
    version: Literal["v1", "v2"],
) -> None:
    case = Case(_ainvoking(RETURNS["message"]))
    plain = await _model_events(case.plain, version)
    fast = await _model_events(case.fast, version)

    def kinds(said: list[tuple[str, str, str]]) -> list[str]:
        return list(dict.fromkeys(what for what, run, _ in said if run == said[-1][1]))

    def shown(said: list[tuple[str, str, str]]) -> str:
        return "".join(text for what, _, text in said if what == "stream")

    assert (kinds(fast), shown(fast)) == (kinds(plain), shown(plain))


@OLD
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_earlier_answer_that_stands_is_the_one_that_events_show(
    version: Literal["v1", "v2"],
) -> None:
    def closeness(messages: list[BaseMessage], reply: AIMessage) -> float:
        return 0.4 if "41" in reply.text else 0.1

    case = Case(_ainvoking(RETURNS["text"]), dear="13", verify=closeness)
    said = await _model_events(case.fast, version)
    assert [text for what, _, text in said if what == "stream"] == ["41 it is"]
    assert {text for what, _, text in said if what == "end"} == {"41 it is", "13"}


@OLD
@pytest.mark.parametrize("version", VERSIONS)
async def test_of_a_node_that_is_run_again_events_show_what_stands(
    version: Literal["v1", "v2"],
) -> None:
    case = _checked_as_a_whole(RETURNS["text"], is_async=True)
    said = await _model_events(case.fast, version)
    assert [text for what, _, text in said if what == "stream"] == ["42 it is"]
    calls = len(case.cheap.calls) + len(case.dear.calls)
    assert [what for what, _, _ in said].count("end") == calls


async def test_events_tell_the_end_of_refused_calls_also_where_the_next_one_fails() -> None:
    case = Case(_ainvoking(RETURNS["text"]))
    case.dear.replies = [ValueError("out of order")]
    events, said = case.fast.astream_events({}, version="v2"), []

    async def read() -> None:
        while True:
            said.append((await anext(events))["event"])

    with pytest.raises(ValueError, match="out of order"):
        await read()
    assert said.count("on_chat_model_end") == len(case.cheap.calls)
    assert "on_chat_model_stream" not in said


@OLD
async def test_the_patches_of_a_log_show_no_refused_token() -> None:
    case = Case(_ainvoking(RETURNS["text"]))
    ops = [each async for patch in case.fast.astream_log({}) for each in patch.ops]
    assert case.is_a_cascade()
    shown = [each["value"] for each in ops if "/streamed_output_str/" in each["path"]]
    assert shown == ["42 it is"]


async def test_a_run_id_that_is_given_names_one_call_only() -> None:
    given = uuid4()

    def node(model: ScriptedChat) -> Any:
        def answer(state: State) -> dict[str, Any]:
            config = RunnableConfig(run_id=given)
            return {"notes": [model.invoke(QUESTION, config, max_tokens=8).text]}

        return answer

    case = Case(node)
    said = await _model_events(case.fast, "v2")
    assert case.is_a_cascade()
    assert [run for what, run, _ in said if what == "start"].count(str(given)) == 1
    assert [text for what, _, text in said if what == "stream"] == ["42 it is"]


def test_a_structured_answer_is_shown_as_the_call_that_it_is() -> None:
    class Product(BaseModel):
        value: int

    def node(model: ScriptedChat) -> Any:
        asked = model.with_structured_output(Product)
        return lambda _: {"notes": [str(asked.invoke(QUESTION))]}

    def check(messages: list[BaseMessage], reply: AIMessage) -> bool:
        return bool(reply.tool_calls) and reply.tool_calls[0]["args"] == {"value": 42}

    case = Case(node, verify=check)
    case.cheap.replies, case.dear.replies = [{"value": 41}], [{"value": 42}]
    parts: list[Any] = list(case.fast.stream({}, stream_mode="messages"))
    ((message, _),) = parts
    assert case.is_a_cascade()
    (chunk,) = message.tool_call_chunks
    assert (chunk["name"], chunk["args"]) == ("Product", '{"value": 42}')


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
@pytest.mark.parametrize("returns", sorted(RETURNS))
@pytest.mark.parametrize("kind", ["invoke", "ainvoke"])
async def test_the_messages_of_protocol_v3_are_those_that_stand(kind: str, returns: str) -> None:
    case = Case(NODES[kind](RETURNS[returns]))
    run = await case.fast.astream_events({}, version="v3")
    assert [(await message.output).text async for message in run.messages] == ["42 it is"]
    assert case.is_a_cascade()
