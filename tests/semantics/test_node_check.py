"""`verify_output=`: a node whose update is refused is run again on the next model, if that is safe.

The cheap model answers 41 and the dear one, which is the graph's own, 42.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Send

from graphroute import Budget, Model, RouteHints, Verdict, optimize
from graphroute.errors import InvalidValue
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.spot_checks import FIRST


class State(TypedDict, total=False):
    text: str
    out: Annotated[list[str], operator.add]


Check = Callable[[Any, Any], Any]


def is_42(state: Any, update: Any) -> bool:
    assert "text" in state
    return "42" in update["out"][0]


class House:
    """A cheap and a dear model."""

    def __init__(self, cheap: Any = "41", dear: Any = "42", *, in_tokens: int = 10) -> None:
        self.cheap, self.dear = (
            ScriptedChat(
                name=name,
                replies=said if callable(said) else [said],
                in_tokens=in_tokens,
                out_tokens=4,
            )
            for name, said in (("cheap", cheap), ("dear", dear))
        )
        self.models = [
            Model("scripted:cheap", self.cheap, price_in_usd=1, price_out_usd=1, quality=0.6),
            Model("scripted:dear", self.dear, price_in_usd=20, price_out_usd=20, quality=0.95),
        ]

    def node(self) -> Any:
        dear = self.dear

        def answer(state: State) -> dict[str, Any]:
            return {"out": [dear.invoke(state["text"], max_tokens=8).text]}

        return answer

    def anode(self) -> Any:
        dear = self.dear

        async def answer(state: State) -> dict[str, Any]:
            return {"out": [(await dear.ainvoke(state["text"], max_tokens=8)).text]}

        return answer

    def graph(self, node: Any = None, *, schema: Any = State, saver: Any = None) -> Any:
        builder = StateGraph(schema)
        builder.add_node("answer", node or self.node())
        builder.add_edge(START, "answer")
        return builder.compile(checkpointer=saver)

    def optimized(
        self,
        node: Any = None,
        *,
        check: Check = is_42,
        budget: Any = None,
        graph: Any = None,
        at: str = "answer",
        options: Any = None,
        **hints: Any,
    ) -> Any:
        stated: dict[str, Any] = {
            "min_quality": 0.85,
            "max_output_tokens": 8,
            "verify_output": check,
        } | hints
        return optimize(
            graph or self.graph(node),
            models=self.models,
            objective="cost",
            budget=budget,
            nodes={at: RouteHints(**stated)},
            **(options or {}),
        )


ASKED = {"text": "What is 6 × 7?"}


def run(fast: Any, is_async: bool, given: Any = None, config: Any = None) -> Any:
    given = ASKED if given is None else given
    return asyncio.run(fast.ainvoke(given, config)) if is_async else fast.invoke(given, config)


BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH
def test_a_refused_update_has_the_node_run_again_on_the_next_model(is_async: bool) -> None:
    house = House()
    fast = house.optimized(house.anode() if is_async else None)
    planned = fast.plan.assignment("answer")
    stages = (planned.model, *planned.then)
    assert (planned.kind, stages[0], stages[-1]) == ("cascade", "scripted:cheap", "scripted:dear")
    assert run(fast, is_async)["out"] == ["42"]
    *refused, last = fast.records
    assert [r.model for r in fast.records] == [*stages[:-1], "scripted:dear"]
    assert all(r.quality == 0 and r.verdicts[0].passed is False for r in refused)
    assert (last.quality, last.is_again) == (1.0, True)
    assert last.why == f"a check refused the answer of {stages[-2]}"


@BOTH
def test_an_update_that_passes_is_the_only_one(is_async: bool) -> None:
    house = House("42")
    fast = house.optimized(house.anode() if is_async else None)
    assert run(fast, is_async)["out"] == ["42"]
    (record,) = fast.records
    assert (record.model, record.quality, record.why) == ("scripted:cheap", 1.0, "plan")


def test_where_all_are_refused_the_best_update_stands() -> None:
    house = House("a longer one", "short")
    fast = house.optimized(check=lambda state, update: min(0.4, len(update["out"][0]) / 100))
    assert fast.invoke(ASKED)["out"] == ["a longer one"]
    assert {r.model for r in fast.records} == {"scripted:cheap", "scripted:dear"}


@pytest.mark.parametrize(
    "check",
    [lambda state, update: 1 / 0, lambda state, update: None, lambda state, update: "yes"],
    ids=["raises", "says nothing", "says nonsense"],
)
def test_a_check_that_knows_nothing_refuses_nothing(check: Check) -> None:
    fast = House().optimized(check=check)
    assert fast.invoke(ASKED)["out"] == ["41"]
    (record,) = fast.records
    assert record.quality is None
    assert record.verdicts[0].passed is None


SAID: list[str] = []


def _writing(dear: ScriptedChat) -> Any:
    def answer(state: State) -> dict[str, Any]:
        SAID.append(state["text"])
        return {"out": [dear.invoke(state["text"], max_tokens=8).text]}

    return answer


def _streaming(dear: ScriptedChat) -> Any:
    def answer(state: State) -> dict[str, Any]:
        get_stream_writer()("begun")
        return {"out": [dear.invoke(state["text"], max_tokens=8).text]}

    return answer


@pytest.mark.parametrize(("make", "word"), [(_writing, "SAID"), (_streaming, "stream")])
def test_a_node_that_is_not_safe_runs_once_and_the_verdict_is_recorded(
    make: Any, word: str
) -> None:
    SAID.clear()
    house = House(dear="41")
    fast = house.optimized(make(house.dear), min_quality=None)
    (remark,) = [w for w in fast.plan.graph.warnings if "verify_output" in w]
    assert "'answer'" in remark
    assert "only recorded" in remark
    assert word.lower() in remark.lower() or "not proven" in remark
    assert fast.plan.assignment("answer").kind == "single"
    fast.invoke(ASKED)
    (record,) = fast.records
    assert record.quality == 0.0
    assert len(SAID) <= 1


def test_the_author_may_say_that_a_node_is_safe() -> None:
    SAID.clear()
    house = House()
    fast = house.optimized(_writing(house.dear), cache=True, options={"cache": False})
    assert fast.invoke(ASKED)["out"] == ["42"]
    assert len(SAID) == len(fast.records) > 1


def test_a_node_that_changed_its_state_in_place_is_not_run_again() -> None:
    house = House()
    dear = house.dear

    def answer(state: State) -> dict[str, Any]:
        state["text"] += "!"
        return {"out": [dear.invoke(state["text"], max_tokens=8).text]}

    fast = house.optimized(answer, cache=True, options={"cache": False})
    assert fast.plan.assignment("answer").kind == "cascade"
    assert fast.invoke(ASKED)["out"] == ["41"]
    assert len(fast.records) == 1


def test_what_fails_on_the_next_model_leaves_the_first_update() -> None:
    house = House()
    dear = house.dear

    def answer(state: State) -> dict[str, Any]:
        text = dear.invoke(state["text"], max_tokens=8).text
        if text == "42":
            raise ValueError(text)
        return {"out": [text]}

    fast = house.optimized(answer, cache=True, options={"cache": False})
    assert fast.invoke(ASKED)["out"] == ["41"]
    last = fast.records[-1]
    assert last.model == "scripted:dear"  # paid for, and on record
    assert last.fault == "its node then failed (ValueError), and an update that was refused stands"


@BOTH
def test_without_money_for_another_attempt_the_first_update_stands(is_async: bool) -> None:
    house = House(in_tokens=1_000)
    fast = house.optimized(house.anode() if is_async else None, budget=0.01)
    assert fast.plan.assignment("answer").kind == "cascade"
    assert run(fast, is_async, {"text": "What is 6 × 7? " * 100})["out"] == ["41"]
    assert {r.model for r in fast.records} == {"scripted:cheap"}  # the dear one takes $0.02


@BOTH
def test_parallel_visits_are_checked_each_by_itself(is_async: bool) -> None:
    house = House(lambda messages: "41" if "odd" in messages[-1].text else "42")
    builder = StateGraph(State)
    builder.add_node("answer", house.anode() if is_async else house.node())
    texts = [f"{'odd' if i % 2 else 'even'} {i}" for i in range(10)]
    builder.add_conditional_edges(
        START, lambda _: [Send("answer", {"text": text}) for text in texts], ["answer"]
    )
    builder.add_edge("answer", END)
    fast = house.optimized(graph=builder.compile())
    assert run(fast, is_async)["out"] == ["42"] * 10
    assert sum(r.model == "scripted:dear" for r in fast.records) == 5
    assert len(house.dear.calls) == 5


def test_a_node_of_a_subgraph_is_found_by_its_path() -> None:
    house = House()
    outer = StateGraph(State)
    outer.add_node("inner", house.graph())
    outer.add_edge(START, "inner")
    fast = house.optimized(graph=outer.compile(), at="inner/answer")
    assert fast.invoke(ASKED)["out"] == ["42"]
    assert {r.node for r in fast.records} == {"inner/answer"}


def test_no_token_of_a_refused_update_is_shown() -> None:
    house = House()
    dear = house.dear

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [dear.invoke(state["messages"], max_tokens=8)]}

    fast = house.optimized(
        graph=house.graph(answer, schema=MessagesState),
        check=lambda state, update: update["messages"][0].text == "42",
    )
    given = {"messages": [("user", "What is 6 × 7?")]}
    shown = [m.text for m, _ in fast.stream(given, stream_mode="messages") if m.type != "human"]
    assert "".join(shown) == "42"


def test_beside_a_check_of_the_answers_the_verdict_is_recorded() -> None:
    house = House()
    fast = house.optimized(
        verify=lambda sent, reply: "42" in reply.text, check=lambda state, update: 0.25
    )
    assert fast.invoke(ASKED)["out"] == ["42"]
    last = fast.records[-1]
    assert [v.score for v in last.verdicts] == [1.0, 0.25]
    assert last.quality == 0.25
    assert len(house.dear.calls) == 1


def test_what_is_kept_has_been_checked() -> None:
    house = House()
    checked: list[Any] = []

    def check(state: Any, update: Any) -> bool:
        checked.append(update)
        return is_42(state, update)

    fast = house.optimized(check=check, cache=True, options={"cache": "memory"})
    assert [fast.invoke(ASKED)["out"] for _ in range(3)] == [["42"]] * 3
    calls = len(house.cheap.calls) + len(house.dear.calls)
    assert len(checked) == calls == len(fast.records)


@BOTH
def test_what_the_check_asks_of_a_model_is_paid_by_the_run(is_async: bool) -> None:
    house = House()
    judge = ScriptedChat(name="cheap2", replies=["A"], in_tokens=5, out_tokens=1)
    house.models.append(Model("scripted:cheap2", judge, price_in_usd=1, price_out_usd=1))

    def check(state: Any, update: Any) -> bool:
        return judge.invoke("good?").text == "A"

    fast = house.optimized(
        house.anode() if is_async else None,
        check=check,
        models=("scripted:cheap",),
        min_quality=None,
    )
    run(fast, is_async)
    answer, asked = sorted(fast.records, key=lambda r: r.is_check)
    assert (asked.is_check, asked.model, asked.node) == (True, "scripted:cheap2", "answer")
    assert asked.cost_nano == 6_000
    assert (answer.quality, asked.quality) == (1.0, None)


def test_a_check_that_nothing_can_follow_is_paid_for_the_first_answers() -> None:
    house = House()
    judge = ScriptedChat(name="cheap2", replies=["A"], in_tokens=500, out_tokens=1)
    house.models.append(Model("scripted:cheap2", judge, price_in_usd=1, price_out_usd=1))

    def check(state: Any, update: Any) -> bool:
        return judge.invoke("good? " * 100).text == "A"

    fast = house.optimized(
        check=check, models=("scripted:cheap",), min_quality=None, options={"cache": False}
    )
    for _ in range(FIRST + 5):
        run(fast, is_async=False)
    judged = [record.quality is not None for record in fast.records if not record.is_check]
    assert judged == [True] * FIRST + [False] * 5


def test_a_run_that_pauses_for_money_goes_on_where_it_was() -> None:
    house = House()
    graph = house.graph(saver=InMemorySaver())
    fast = house.optimized(graph=graph, budget=Budget(per_run_usd=0.008, on_exceed="interrupt"))
    config = {"configurable": {"thread_id": "1"}}
    first = fast.invoke({"text": "What is 6 × 7? " * 1_500}, config)
    assert "__interrupt__" in first
    assert fast.records == ()
    assert fast.invoke(Command(resume=1.0), config)["out"] == ["42"]
    assert len(house.dear.calls) == 1


def test_a_check_that_is_stopped_loses_no_record() -> None:
    house = House()

    async def check(state: Any, update: Any) -> bool:
        await asyncio.Event().wait()
        return True

    fast = house.optimized(house.anode(), check=check)

    async def stopped() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fast.ainvoke(ASKED), 0.5)

    asyncio.run(stopped())
    assert [r.model for r in fast.records] == ["scripted:cheap"]


def test_a_graph_without_a_plan_of_its_own_only_records() -> None:
    house = House()
    fast = optimize(house.graph(), nodes={"answer": RouteHints(verify_output=is_42)})
    assert fast.invoke(ASKED)["out"] == ["42"]
    (record,) = fast.records
    assert record.quality == 1.0


def test_a_verdict_may_say_more() -> None:
    said = Verdict(score=0.9, passed=True, reason="close enough")
    fast = House().optimized(check=lambda state, update: said)
    fast.invoke(ASKED)
    assert fast.records[0].verdicts == (said,)


def test_what_is_no_function_is_refused_where_it_is_written() -> None:
    with pytest.raises(InvalidValue, match="verify_output"):
        RouteHints(verify_output=True)  # type: ignore[arg-type]


def test_a_node_that_is_no_function_is_said_to_have_no_check() -> None:
    house = House()
    outer = StateGraph(State)
    outer.add_node("inner", house.graph())
    outer.add_edge(START, "inner")
    fast = house.optimized(graph=outer.compile(), at="inner", min_quality=None)
    assert any("has no effect: it is a graph" in w for w in fast.plan.graph.warnings)
    assert fast.invoke(ASKED)["out"][0] in ("41", "42")
