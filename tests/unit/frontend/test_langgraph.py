from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from pydantic import BaseModel
from typing_extensions import TypedDict

from graphroute.errors import InvalidValue, UnknownNode
from graphroute.frontend.hints import route
from graphroute.frontend.langgraph import walk
from graphroute.ir.graph import Edge, Graph
from graphroute.ir.hints import RouteHints


class State(TypedDict):
    question: str
    answer: str
    items: Annotated[list[str], operator.add]
    rounds: int


class Small(TypedDict):
    question: str


def chat(name: str = "tiny") -> FakeListChatModel:
    return FakeListChatModel(responses=["ok"], name=name)


strong, weak = chat("strong"), chat("weak")


def step(state: State) -> dict[str, Any]:
    return {"answer": state["question"]}


def ask(state: State) -> dict[str, Any]:
    return {"answer": strong.invoke(state["question"]).content}


def ways(graph: Graph, source: str) -> set[tuple[str, str, str]]:
    return {(e.target, e.kind, e.label) for e in graph.edges if e.source == source}


def test_static_edges_joins_and_deferred() -> None:
    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, step, defer=name == "c")
    builder.add_edge(START, "a")
    builder.add_edge(START, "b")
    builder.add_edge(["a", "b"], "c")
    builder.add_edge("c", END)
    graph = walk(builder.compile(name="mine")).graph
    assert graph.name == "mine"
    assert graph.names == ("a", "b", "c")
    assert graph.state_keys == ("question", "answer", "items", "rounds")
    assert [n.deferred for n in graph.nodes] == [False, False, True]
    assert graph.edges == (
        Edge(source=START, target="a", probability=1.0),
        Edge(source=START, target="b", probability=1.0),
        Edge(source="c", target=END, probability=1.0),
        Edge(source="a", target="c", kind="join", probability=1.0),
        Edge(source="b", target="c", kind="join", probability=1.0),
    )


def branching(path: Any, path_map: Any = None) -> Graph:
    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, step)
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", path, path_map)
    return walk(builder.compile()).graph


def test_branch_with_path_map_keeps_the_labels() -> None:
    graph = branching(lambda state: state["rounds"] > 1, {True: "b", False: END})
    assert ways(graph, "a") == {("b", "conditional", "True"), (END, "conditional", "False")}


def test_branch_with_literal_hint() -> None:
    def choose(state: State) -> Literal["b", "c"]:
        return state["answer"]  # type: ignore[return-value]  # what the hint promises

    assert ways(branching(choose), "a") == {("b", "conditional", ""), ("c", "conditional", "")}


def test_branch_whose_returns_are_all_constants() -> None:
    def choose(state: State) -> str:
        if state["rounds"] > 3:
            return END
        return "b" if state["answer"] else "c"

    want = {(name, "conditional", "") for name in ("b", "c", END)}
    assert ways(branching(choose), "a") == want


def test_branch_with_unknown_ends_can_go_anywhere() -> None:
    def choose(state: State) -> str:
        return state["answer"]

    want = {(name, "conditional", "") for name in ("a", "b", "c", END)}
    assert ways(branching(choose), "a") == want


def test_one_unknown_return_opens_all_ends() -> None:
    def choose(state: State) -> str:
        return "b" if state["rounds"] else state["answer"]

    assert len(ways(branching(choose), "a")) == 4


def test_sends_found_in_a_comprehension() -> None:
    def fan(state: State) -> list[Send]:
        return [Send("b", {"question": item}) for item in state["items"]]

    assert ways(branching(fan), "a") == {("b", "send", "")}
    assert ways(branching(fan, ["b", "c"]), "a") == {("b", "send", ""), ("c", "conditional", "")}


def test_send_or_constant() -> None:
    def fan(state: State) -> Any:
        if not state["items"]:
            return "c"
        return [Send("b", {"question": item}) for item in state["items"]]

    assert ways(branching(fan), "a") == {("b", "send", ""), ("c", "conditional", "")}


def commanding(action: Any, **facts: Any) -> Graph:
    builder = StateGraph(State)
    builder.add_node("a", action, **facts)
    builder.add_node("b", step)
    builder.add_node("c", step)
    builder.add_edge(START, "a")
    return walk(builder.compile()).graph


def test_command_destinations_declared() -> None:
    def go(state: State) -> Command[Literal["b", "__end__"]]:
        return Command(goto=state["answer"], update={"rounds": 1})  # type: ignore[arg-type]

    graph = commanding(go)
    assert ways(graph, "a") == {("b", "command", ""), (END, "command", "")}
    assert graph.node("a").writes == ("rounds",)
    labelled = commanding(lambda s: Command(goto="b"), destinations={"b": "again"})
    assert ways(labelled, "a") == {("b", "command", "again")}


def test_command_goto_found_in_code() -> None:
    def go(state: State):  # type: ignore[no-untyped-def]  # no hint is the case under test
        return Command(goto="b" if state["rounds"] else END)

    assert ways(commanding(go), "a") == {("b", "command", ""), (END, "command", "")}


def test_command_goto_through_a_variable_takes_the_names_in_the_code() -> None:
    def go(state: State):  # type: ignore[no-untyped-def]  # no hint is the case under test
        target = {"yes": "b", "no": "c"}[state["answer"]]
        return Command(goto=target)

    assert ways(commanding(go), "a") == {("b", "command", ""), ("c", "command", "")}


def test_command_goto_unknown_can_go_anywhere() -> None:
    def go(state: State):  # type: ignore[no-untyped-def]  # no hint is the case under test
        return Command(goto=state["answer"])

    assert {t for t, _, _ in ways(commanding(go), "a")} == {"a", "b", "c", END}


def test_error_handler_is_a_way_of_probability_zero() -> None:
    builder = StateGraph(State)
    builder.add_node("a", step, error_handler=lambda state: {"answer": "sorry"})
    builder.add_edge(START, "a")
    graph = walk(builder.compile()).graph
    (edge,) = (e for e in graph.edges if e.label == "error")
    assert (edge.source, edge.probability) == ("a", 0.0)
    assert edge.target in graph.names


def nest(inner: Any, name: str) -> Any:
    builder = StateGraph(State)
    builder.add_node(name, inner)
    builder.add_edge(START, name)
    builder.add_edge(name, END)
    return builder.compile()


def test_subgraphs_three_deep() -> None:
    graph = walk(nest(nest(nest(ask, "leaf"), "low"), "high")).graph
    assert graph.names == ("high", "high/low", "high/low/leaf")
    assert [n.kind for n in graph.nodes] == ["subgraph", "subgraph", "llm"]
    assert graph.scopes == ("", "high", "high/low")
    assert ways(graph, "high/low/__start__") == {("high/low/leaf", "static", "")}
    assert ways(graph, "high/low/leaf") == {("high/low/__end__", "static", "")}


def test_graph_called_inside_a_function_is_a_scope_too() -> None:
    inner = nest(ask, "leaf")

    def call(state: State) -> dict[str, Any]:
        return {"answer": inner.invoke({"question": state["question"]})["answer"]}

    graph = walk(nest(call, "outer")).graph
    assert graph.names == ("outer", "outer/leaf")
    assert graph.node("outer").kind == "subgraph"


def test_graph_that_calls_itself_ends() -> None:
    holder: dict[str, Any] = {}

    def again(state: State) -> dict[str, Any]:
        return {"answer": holder["graph"].invoke(state)["answer"]}

    holder["graph"] = nest(again, "again")
    graph = walk(holder["graph"]).graph
    assert graph.names == ("again",)


def test_command_to_the_parent_is_an_edge_of_the_subgraph() -> None:
    def leave(state: State):  # type: ignore[no-untyped-def]  # no hint is the case under test
        return Command(goto="after", graph=Command.PARENT)

    builder = StateGraph(State)
    builder.add_node("sub", nest(leave, "leaf"))
    builder.add_node("after", step)
    builder.add_edge(START, "sub")
    graph = walk(builder.compile()).graph
    assert ways(graph, "sub") == {("after", "command", "")}


def test_model_in_a_conditional_edge_makes_a_router() -> None:
    def choose(state: State) -> Literal["b", "c"]:
        return weak.invoke("Which way is the better one?").content  # type: ignore[return-value]

    node = branching(choose).node("a")
    assert node.kind == "router"
    assert [(m.name, m.via) for m in node.models] == [("FakeListChatModel:weak", "global 'weak'")]
    assert node.prompts == ("Which way is the better one?",)
    assert node.may_call_model


def test_model_at_the_entry_is_told() -> None:
    builder = StateGraph(State)
    builder.add_node("a", step)
    builder.add_conditional_edges(START, lambda state: str(weak.invoke("x").content), ["a"])
    walked = walk(builder.compile())
    assert "conditional edge at '__start__' calls a model" in walked.graph.warnings[0]


def test_chats_are_the_original_objects() -> None:
    walked = walk(nest(ask, "a"))
    assert list(walked.chats) == ["FakeListChatModel:strong"]
    assert walked.chats["FakeListChatModel:strong"] is strong


def test_functional_api() -> None:
    @task
    def summarise(text: str) -> str:
        return str(strong.invoke(f"Summarise the following text: {text}").content)

    @task(name="renamed")  # type: ignore[arg-type]  # the overload asks for an async function
    def collect(parts: list[str]) -> str:
        return summarise("".join(parts)).result()

    @entrypoint()
    def flow(texts: list[str]) -> str:
        return collect([summarise(t).result() for t in texts]).result()  # type: ignore[arg-type]  # dito

    graph = walk(flow).graph
    # The names a run gives its tasks: each in the namespace of its caller.
    assert set(graph.names) == {"flow", "flow/summarise", "flow/renamed", "flow/renamed/summarise"}
    assert {n.name: n.kind for n in graph.nodes} == {
        "flow": "subgraph",
        "flow/summarise": "llm",
        "flow/renamed": "subgraph",
        "flow/renamed/summarise": "llm",
    }
    assert ways(graph, START) == {("flow", "static", "")}
    assert ways(graph, "flow") == {(END, "static", "")}
    assert ways(graph, "flow/__start__") == {
        ("flow/summarise", "send", ""),
        ("flow/renamed", "send", ""),
    }
    assert ways(graph, "flow/summarise") == {("flow/__end__", "static", "")}


def test_task_that_calls_itself_ends() -> None:
    @task
    def again(n: int) -> int:
        return again(n - 1).result() if n else 0

    @entrypoint()
    def flow(n: int) -> int:
        return again(n).result()

    assert walk(flow).graph.names == ("flow", "flow/again")


def test_pydantic_state() -> None:
    class Strict(BaseModel):
        question: str
        answer: str = ""
        count: int = 0

    def answer(state: Strict) -> dict[str, Any]:
        return {"answer": strong.invoke(state.question).content}

    def copy(state: Strict) -> dict[str, Any]:
        return state.model_dump()

    builder = StateGraph(Strict)
    builder.add_node("a", answer)
    builder.add_node("b", copy)
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    graph = walk(builder.compile()).graph
    assert graph.node("a").reads == ("question",)
    assert graph.node("a").writes == ("answer",)
    assert graph.node("b").reads == ("question", "answer", "count")


def test_input_schema_narrows_the_reads() -> None:
    def whole(state: Small) -> dict[str, Any]:
        return {"answer": str(state)}

    builder = StateGraph(State)
    builder.add_node("a", whole)
    builder.add_edge(START, "a")
    assert walk(builder.compile()).graph.node("a").reads == ("question",)


class Answer(BaseModel):
    text: str
    pages: list[int]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class ToolChat(FakeListChatModel):
    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)


@pytest.mark.parametrize("maker", ["create_agent", "create_react_agent"])
@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_prebuilt_agents(maker: str) -> None:
    model = ToolChat(responses=["ok"], name="agent")
    if maker == "create_agent":
        agents = pytest.importorskip("langchain.agents")
        agent = agents.create_agent(
            model,
            [add],
            system_prompt="Be nice.",
            response_format=agents.structured_output.ToolStrategy(Answer),
        )
        asks, shaped = "work/model", "work/model"
    else:
        from langgraph.prebuilt import create_react_agent

        agent = create_react_agent(model, [add], prompt="Be nice.", response_format=Answer)
        asks, shaped = "work/agent", "work/generate_structured_response"
    walked = walk(nest(agent, "work"))
    node = walked.graph.node(asks)
    assert (node.kind, node.sight) == ("llm", "full")
    assert [m.name for m in node.models] == ["ToolChat:agent"]
    assert node.prompts == ("Be nice.",)
    assert [(t.name, t.fields) for t in node.tools] == [("add", 2)]
    schema = walked.graph.node(shaped).output_schema
    assert schema is not None
    assert (schema.name, schema.fields) == ("Answer", 2)
    tools = walked.graph.node("work/tools")
    assert (tools.kind, tools.models) == ("tool", ())
    assert ("work/tools", "send", "") in ways(walked.graph, asks)
    assert walked.chats["ToolChat:agent"] is model
    assert walked.graph.warnings == ()


def test_middleware_that_swaps_the_model() -> None:
    agents = pytest.importorskip("langchain.agents")
    middleware = pytest.importorskip("langchain.agents.middleware")
    other = ToolChat(responses=["ok"], name="other")

    @middleware.wrap_model_call  # type: ignore[untyped-decorator]  # from an optional package
    def swap(request: Any, handler: Any) -> Any:
        return handler(request.override(model=other))

    model = ToolChat(responses=["ok"], name="agent")
    graph = walk(agents.create_agent(model, [add], middleware=[swap])).graph
    found = {use.name for use in graph.node("model").models}
    assert found == {"ToolChat:agent", "ToolChat:other"}


def test_model_inside_a_tool() -> None:
    from langgraph.prebuilt import ToolNode

    @tool
    def search(query: str) -> str:
        """Look something up."""
        return str(weak.invoke(query).content)

    node = walk(nest(ToolNode([search, add]), "tools")).graph.node("tools")
    assert node.kind == "tool"
    assert [m.name for m in node.models] == ["FakeListChatModel:weak"]
    assert [t.name for t in node.tools] == ["search", "add"]


def test_hints_from_decorator_and_by_name() -> None:
    @route(pin="a:b", weight=2)
    def marked(state: State) -> dict[str, Any]:
        return ask(state)

    inner = route(privacy="local")(nest(marked, "leaf"))
    graph = walk(
        nest(inner, "sub"),
        hints={"sub": RouteHints(min_quality=0.5), "sub/leaf": RouteHints(pin="c:d")},
    ).graph
    leaf = graph.node("sub/leaf").hints
    assert leaf == RouteHints(pin="c:d", weight=2, privacy="local", min_quality=0.5)
    assert graph.node("sub").hints == RouteHints(privacy="local", min_quality=0.5)


def test_unknown_nodes_are_told_together() -> None:
    graph = nest(nest(ask, "leaf"), "sub")
    with pytest.raises(UnknownNode) as caught:
        walk(graph, hints={"sbu": RouteHints(), "leaf": RouteHints(), "qqqq": RouteHints()})
    text = str(caught.value)
    assert "'sbu' (do you mean 'sub'?)" in text
    assert "'leaf' (do you mean 'sub/leaf'?)" in text
    assert "'qqqq'" in text
    assert text.endswith("nodes are 'sub', 'sub/leaf'")
    assert caught.value.facts["unknown"] == ("sbu", "leaf", "qqqq")


def test_hints_of_a_wrong_type() -> None:
    with pytest.raises(InvalidValue, match=r"node 'a': dict is no RouteHints"):
        walk(nest(ask, "a"), hints={"a": {"pin": "x"}})  # type: ignore[dict-item]


def test_what_is_no_compiled_graph() -> None:
    with pytest.raises(InvalidValue, match=r"StateGraph is no compiled graph; call .compile\(\)"):
        walk(StateGraph(State))
    with pytest.raises(InvalidValue, match="int is no compiled graph"):
        walk(3)


def test_same_graph_same_data() -> None:
    def build() -> Any:
        builder = StateGraph(State)
        for name in "abcdefgh":
            builder.add_node(name, ask)
            builder.add_edge(START, name)
            builder.add_edge(name, END)
        return builder.compile()

    assert walk(build()).graph == walk(build()).graph


def test_recursion_limit_of_the_graph() -> None:
    graph = nest(ask, "a")
    assert walk(graph.with_config(recursion_limit=7)).graph.recursion_limit == 7
