from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import process_time
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import (
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from graphroute.frontend.callsites import look
from graphroute.frontend.findings import Findings
from graphroute.frontend.langgraph import walk

KEYS = ("question", "answer", "docs")
STYLE = "Answer as a careful expert would."


class Chat(FakeListChatModel):
    temperature: float | None = None
    max_tokens: int | None = None

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools, **kwargs)

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        shape = {"kwargs": {"method": "json_schema"}, "schema": schema}
        return self.bind(ls_structured_output_format=shape) | StrOutputParser()


def chat(name: str = "tiny", **facts: Any) -> Chat:
    return Chat(responses=["ok"], name=name, **facts)


llm, other = chat("llm"), chat("other")
POOL = {"small": llm, "large": other}


class Point(BaseModel):
    x: int
    y: int


class Report(BaseModel):
    title: str
    points: list[Point]


@tool
def lookup(city: str, day: str | None = None) -> str:
    """Look up the weather."""
    return city


def names(seen: Findings) -> list[str]:
    return [use.name.partition(":")[2] for use in seen.models]


def seen_in(node: Any) -> Findings:
    return look(node, channels=KEYS)


# Where a model can be met.


def test_global() -> None:
    def node(state: Any) -> Any:
        return {"answer": llm.invoke(state["question"])}

    seen = seen_in(node)
    assert names(seen) == ["llm"]
    assert seen.models[0].via == "global 'llm'"
    assert (seen.reads, seen.writes, seen.sight) == (frozenset({"question"}), ("answer",), "full")


def test_closure_default_partial_and_attribute() -> None:
    mine = chat("closure")

    def closure(state: Any) -> Any:
        return mine.invoke("x")

    def default(state: Any, model: Any = other) -> Any:
        return model.invoke("x")

    def wanting(model: Any, state: Any) -> Any:
        return model.invoke(state["docs"])

    class Service:
        def __init__(self) -> None:
            self.inner = self.Inner()

        class Inner:
            def __init__(self) -> None:
                self.llm = chat("deep")

        def run(self, state: Any) -> Any:
            return self.inner.llm.invoke(state["question"])

        def __call__(self, state: Any) -> Any:
            return self.run(state)

    assert [(names(seen_in(n)), seen_in(n).models[0].via) for n in (closure, default)] == [
        (["closure"], "closure 'mine'"),
        (["other"], "argument 'model'"),
    ]
    fixed = seen_in(functools.partial(wanting, llm))
    assert (names(fixed), fixed.reads) == (["llm"], frozenset({"docs"}))
    assert names(seen_in(Service().run)) == ["deep"]
    assert names(seen_in(Service())) == ["deep"]


async def test_async_stream_and_batch() -> None:
    async def node(state: Any) -> Any:
        parts = [part async for part in llm.astream(state["question"])]
        await other.ainvoke("x")
        return {"answer": parts}

    seen = seen_in(node)
    assert names(seen) == ["llm", "other"]
    assert (seen.reads, seen.sight) == (frozenset({"question"}), "full")


def test_a_models_own_method_as_the_node() -> None:
    assert names(seen_in(llm.invoke)) == ["llm"]
    assert names(seen_in((llm | StrOutputParser()).invoke)) == ["llm"]

    def node(state: Any) -> Any:
        call = llm.invoke
        return [call(text) for text in state["docs"]]

    assert names(seen_in(node)) == ["llm"]


def test_lambda_container_and_loop() -> None:
    assert names(seen_in(lambda state: llm.invoke(state["question"]))) == ["llm"]

    def node(state: Any) -> Any:
        return [model.invoke("x") for model in POOL.values()]

    seen = seen_in(node)
    assert (names(seen), seen.sight) == (["llm", "other"], "full")


def test_called_functions_with_the_model_as_argument() -> None:
    def innermost(model: Any, text: str) -> Any:
        return model.invoke(f"Please translate this text now: {text}")

    def between(model: Any, text: str) -> Any:
        return innermost(model, text)

    def node(state: Any) -> Any:
        return {"answer": between(llm, state["question"])}

    seen = seen_in(node)
    assert (names(seen), seen.sight) == (["llm"], "full")
    assert seen.prompts == ("Please translate this text now: {text}",)


def test_functions_that_call_each_other_end() -> None:
    def ping(n: int) -> Any:
        return pong(n - 1) if n else llm.invoke("x")

    def pong(n: int) -> Any:
        return ping(n)

    assert names(seen_in(lambda state: ping(3))) == ["llm"]


def test_decorated_and_cached_functions() -> None:
    def retrying(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*args: Any) -> Any:
            return function(*args)

        return inner

    @retrying
    def node(state: Any) -> Any:
        return llm.invoke(state["question"])

    @functools.lru_cache
    def make() -> Any:
        return other

    assert names(seen_in(node)) == ["llm"]
    cached = seen_in(lambda state: make().invoke("x"))
    assert (names(cached), cached.sight) == (["other"], "full")


def test_property_is_read_and_not_called() -> None:
    class Lazy:
        is_walked = True

        @property
        def model(self) -> Any:
            if Lazy.is_walked:
                raise AssertionError("called")
            return llm

        @functools.cached_property
        def slow(self) -> Any:
            return other

        def run(self, state: Any) -> Any:
            return self.model.invoke("x"), self.slow.invoke("y")

    assert names(seen_in(Lazy().run)) == ["llm", "other"]


def test_made_in_the_node() -> None:
    def node(state: Any) -> Any:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model="gpt-5-mini", temperature=0.3, max_completion_tokens=99).invoke("x")

    def by_text(state: Any) -> Any:
        from langchain.chat_models import init_chat_model

        return init_chat_model("claude-sonnet-4").invoke(state["question"])

    def elsewhere(state: Any) -> Any:
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(model="tiny", base_url="http://127.0.0.1:8080/v1").invoke("x")

    seen = seen_in(node)
    (use,) = seen.models
    assert (use.name, use.temperature, use.max_output_tokens) == ("openai:gpt-5-mini", 0.3, 99)
    assert (seen.sight, seen.sight_reason) == (
        "partial",
        "openai:gpt-5-mini is made inside the node",
    )
    assert [use.name for use in seen_in(by_text).models] == ["anthropic:claude-sonnet-4"]
    assert [use.name for use in seen_in(elsewhere).models] == ["openai:tiny@127.0.0.1:8080"]


def test_settings_of_models_and_bindings() -> None:
    cold = chat("cold", temperature=0.0, max_tokens=7)
    bound = chat("bound").bind(temperature=0.5, max_tokens=20)
    (use,) = seen_in(lambda state: cold.invoke("x")).models
    assert (use.temperature, use.max_output_tokens) == (0.0, 7)
    (use,) = seen_in(lambda state: bound.invoke("x")).models
    assert (use.temperature, use.max_output_tokens) == (0.5, 20)


# LCEL.


def test_chain_with_everything() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be kind."), ("human", "{question}")])
    seen = seen_in(prompt | llm.bind_tools([lookup]).with_retry() | StrOutputParser())
    assert (names(seen), seen.prompts) == (["llm"], ("Be kind.", "{question}"))
    assert [(t.name, t.fields) for t in seen.tools] == [("lookup", 2)]
    assert (seen.reads, seen.sight) == (frozenset({"question"}), "full")


def test_other_runnables() -> None:
    third = chat("third")
    assert names(seen_in(RunnableParallel(a=llm, b=other))) == ["llm", "other"]
    branch = RunnableBranch((bool, llm), other)
    assert names(seen_in(branch)) == ["llm", "other"]
    falling = llm.with_fallbacks([other])
    assert [(u.name, u.via) for u in seen_in(falling | StrOutputParser()).models] == [
        ("Chat:llm", "chain step"),
        ("Chat:other", "fallback"),
    ]
    assert names(seen_in(RunnablePassthrough.assign(a=lambda s: third.invoke("x")))) == ["third"]
    assert names(seen_in(RunnableLambda(lambda s: third.invoke("x")))) == ["third"]


def test_structured_output_in_the_code_and_bound() -> None:
    def node(state: Any) -> Any:
        return llm.with_structured_output(Report).invoke(state["question"])

    shaped = llm.with_structured_output(Report)
    parsed = llm | PydanticOutputParser(pydantic_object=Report)
    for candidate in (node, lambda state: shaped.invoke("x"), parsed):
        schema = seen_in(candidate).output_schema
        assert schema is not None
        assert (schema.name, schema.fields, schema.depth) == ("Report", 3, 2)


def test_tools_bound_in_the_node_are_not_run_there() -> None:
    @tool
    def thinking(text: str) -> str:
        """Think about a text."""
        return str(other.invoke(text).content)

    def asks(state: Any) -> Any:
        return llm.bind_tools([thinking, lookup]).invoke(state["question"])

    def runs(state: Any) -> Any:
        return thinking.invoke(state["question"])

    assert (names(seen_in(asks)), [t.name for t in seen_in(asks).tools]) == (
        ["llm"],
        ["thinking", "lookup"],
    )
    assert names(seen_in(runs)) == ["other"]


# Prompts.


def test_prompts_in_code() -> None:
    template = PromptTemplate.from_template("Translate into French: {question}")

    def node(state: Any) -> Any:
        """Not a prompt, though it is a long text."""
        print("this is a long line that is only printed")
        if not state["docs"]:
            raise ValueError("there are no documents in the state")
        text = STYLE + " Question: " + state["question"]
        llm.invoke([SystemMessage("Terse."), HumanMessage(content=f"Q: {state['answer']}")])
        llm.invoke([("system", "Shorter.")])
        llm.invoke(template.format(question="x"))
        return llm.invoke(text)

    assert set(seen_in(node).prompts) == {
        "Translate into French: {question}",
        STYLE + " Question: {question}",
        "Terse.",
        "Q: {answer}",
        "Shorter.",
    }


def test_long_texts_without_a_model_are_no_prompts() -> None:
    assert seen_in(lambda state: {"answer": "there is nothing to be done here"}).prompts == ()


def test_images() -> None:
    part = {"type": "image_url", "image_url": {"url": "{image}"}}
    prompt = ChatPromptTemplate.from_messages([("human", [{"type": "text", "text": "See"}, part])])
    seen = seen_in(prompt | llm)
    assert (seen.takes_images, seen.prompts) == (True, ("See",))
    assert not seen_in(ChatPromptTemplate.from_template("x {a}") | llm).takes_images


# What the state is read for.


@pytest.mark.parametrize(
    ("node", "reads"),
    [
        (lambda state: state.get("docs", []), {"docs"}),
        (lambda state: "docs" in state and state["answer"], {"docs", "answer"}),
        (lambda state: [d + state["question"] for d in state["docs"]], {"docs", "question"}),
        (lambda state: dict(state) | {}, None),
        (lambda state: {**state}, None),
        (lambda state: state[state["question"]], None),
        (lambda state: state.items(), None),
        (lambda state: [k + "x" for k in state], None),
        (lambda state: 1, set()),
    ],
)
def test_reads(node: Any, reads: set[str] | None) -> None:
    assert seen_in(node).reads == (None if reads is None else frozenset(reads))


def test_reads_through_another_name_count_as_all() -> None:
    def node(state: Any) -> Any:
        again = state
        return again["docs"]

    assert seen_in(node).reads is None


def test_writes_of_a_dict_filled_step_by_step() -> None:
    def node(state: Any) -> Any:
        update = {"answer": 1}
        update["docs"] = state["docs"]
        return update

    assert seen_in(node).writes == ("answer", "docs")


# What cannot be seen is said.


def test_model_from_the_run_is_partial() -> None:
    def node(state: Any, config: Any) -> Any:
        return config["configurable"]["model"].invoke("x")

    seen = seen_in(node)
    assert (seen.sight, seen.calls_unknown) == ("partial", True)
    assert seen.sight_reason == "calls .invoke() on an object only a run will tell"


def test_builtin_is_opaque() -> None:
    seen = seen_in(math.sqrt)
    assert (seen.sight, bool(seen.sight_reason)) == ("opaque", True)


def test_raw_clients_and_threads() -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="none")

    def raw(state: Any) -> Any:
        return client.chat.completions.create(model="gpt-5", messages=[])

    def made(state: Any) -> Any:
        from openai import OpenAI

        return OpenAI().responses.create(model="gpt-5", input="x")

    def threads(state: Any) -> Any:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(llm.invoke, state["docs"]))

    for node in (raw, made):
        seen = seen_in(node)
        assert seen.calls_unseen
        assert seen.calls_unseen[0].startswith("call cannot be seen: raw SDK client"), node
    seen = seen_in(threads)
    assert names(seen) == ["llm"]
    assert seen.warnings[0].startswith("starts threads of its own")


def test_unseen_calls_reach_the_graph_as_kind_and_warning() -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="none")

    class State(TypedDict):
        question: str

    builder = StateGraph(State)
    builder.add_node("raw", lambda state: client.responses.create(input=state["question"]))
    builder.add_edge(START, "raw")
    graph = walk(builder.compile()).graph
    assert graph.node("raw").kind == "unknown"
    assert graph.node("raw").may_call_model
    assert graph.warnings[0].startswith("node 'raw': call cannot be seen: raw SDK client")


# Nothing of the user's runs.


class Trap:
    """Raises at every touch a careless walk could make."""

    def __init__(self) -> None:
        object.__setattr__(self, "llm", llm)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"touched {name}")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"touched {name}")

    def _fail(self, *args: Any) -> Any:
        raise AssertionError("called")

    __eq__ = __ne__ = __repr__ = __str__ = __len__ = __iter__ = __bool__ = __call__ = _fail
    __hash__ = __contains__ = __getitem__ = __instancecheck__ = _fail

    @property  # type: ignore[misc]  # a proxy's trick: its class is what it says it is
    def __class__(self) -> Any:
        raise AssertionError("asked for the class")

    @property
    def prop(self) -> Any:
        raise AssertionError("called the property")

    def method(self, state: Any) -> Any:
        raise AssertionError(self.prop)


def test_user_code_is_never_called() -> None:
    trap = Trap()
    many = [trap, {"a": trap}, (trap,)]

    def node(state: Any, fallback: Any = trap) -> Any:
        if trap == state or trap in many or not trap:
            return repr(trap), many, fallback.prop
        trap(state)
        return {"answer": trap.method(state), "docs": trap.llm.invoke(trap.prop)}

    class Carrier:
        def __init__(self) -> None:
            self.trap = trap

        def __call__(self, state: Any) -> Any:
            return self.trap.llm.invoke(f"{self.trap} {self.trap.prop}")

    for candidate in (node, Carrier(), functools.partial(node, fallback=trap)):
        assert names(seen_in(candidate)) == ["llm"]


def test_no_module_is_imported() -> None:
    def node(state: Any) -> Any:
        import this  # prints when it is imported

        return this.ask(state)  # type: ignore[attr-defined]  # only read

    seen_in(node)
    assert "this" not in sys.modules


def test_hundred_nodes_in_a_tenth_of_a_second() -> None:
    class State(TypedDict):
        question: str
        answer: str

    def make(model: Any) -> Any:
        def node(state: Any) -> Any:
            return {"answer": model.invoke(f"Answer this question well: {state['question']}")}

        return node

    builder = StateGraph(State)
    last = START
    for index in range(100):
        name = f"n{index}"
        builder.add_node(name, make(chat(name)))
        builder.add_edge(last, name)
        last = name
    graph = builder.compile()
    took_s = []
    for _ in range(5):
        start = process_time()  # not the clock: other work on this machine does not count
        walked = walk(graph)
        took_s.append(process_time() - start)
    assert len(walked.chats) == 100
    assert min(took_s) < 0.1
