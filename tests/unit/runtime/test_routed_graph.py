from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel

from graphroute.errors import BudgetExceeded, PrivacyViolation
from graphroute.ir.hints import NANO, Budget, RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.routed_graph import unwrap
from tests.unit.runtime.situations import assignment_for, policy_for, routed, spec_for


class State(TypedDict, total=False):
    question: str
    answers: Annotated[list[str], operator.add]


def one_node(model: Any, *, name: str = "draft") -> Any:
    def node(state: State) -> State:
        return {"answers": [model.invoke(state["question"]).text]}

    async def anode(state: State) -> State:
        return {"answers": [(await model.ainvoke(state["question"])).text]}

    from langchain_core.runnables import RunnableLambda

    builder = StateGraph(State)
    builder.add_node(name, RunnableLambda(node, anode))
    builder.add_edge(START, name)
    builder.add_edge(name, END)
    return builder.compile()


def chat(name: str, **facts: Any) -> ScriptedChat:
    return ScriptedChat(name=name, **{"replies": [name], **facts})


async def test_a_call_goes_to_the_assigned_model_and_the_original_is_untouched() -> None:
    own, cheap = chat("own"), chat("cheap")
    graph = one_node(own)
    policy = policy_for(
        assignment_for("draft", "scripted:cheap"),
        chats={"scripted:cheap": cheap, "scripted:own": own},
    )
    fast = routed(graph, policy)
    assert fast.invoke({"question": "q"})["answers"] == ["cheap"]
    assert (await fast.ainvoke({"question": "q"}))["answers"] == ["cheap"]
    assert graph.invoke({"question": "q"})["answers"] == ["own"]
    assert type(fast).__name__ == "CompiledStateGraph"
    assert isinstance(fast, type(graph))
    assert unwrap(fast).invoke({"question": "q"})["answers"] == ["own"]
    assert [record.model for record in policy.records] == ["scripted:cheap"] * 2
    assert all(r.why == "plan" and r.own_model == "scripted:own" for r in policy.records)
    assert not any(record.fault for record in policy.records)


def test_streams_keep_their_pieces_and_come_from_the_assigned_model() -> None:
    own, cheap = chat("own"), chat("cheap", replies=["three short words"])
    policy = policy_for(
        assignment_for("draft", "scripted:cheap"),
        chats={"scripted:cheap": cheap, "scripted:own": own},
    )

    def node(state: State) -> State:
        return {"answers": [chunk.text for chunk in own.stream(state["question"])]}

    builder = StateGraph(State)
    builder.add_node("draft", node)
    builder.add_edge(START, "draft")
    fast = routed(builder.compile(), policy)
    assert "".join(fast.invoke({"question": "q"})["answers"]) == "three short words"
    tokens = [
        (message.text, meta["langgraph_node"])
        for message, meta in fast.stream({"question": "q"}, stream_mode="messages")
    ]
    assert len(tokens) >= 3
    assert "".join(text for text, _ in tokens) == "three short words"
    assert [r.out_tokens for r in policy.records] == [policy.records[0].out_tokens] * 2


def test_a_model_that_is_down_hands_over_and_is_passed_over_next_time() -> None:
    down = chat("down", replies=[ConnectionRefusedError("no server")])
    own, spare = chat("own"), chat("spare")
    policy = policy_for(
        assignment_for("draft", "scripted:down", "scripted:spare"),
        chats={"scripted:down": down, "scripted:spare": spare, "scripted:own": own},
    )
    fast = routed(one_node(own), policy)
    assert fast.invoke({"question": "q"})["answers"] == ["spare"]
    assert fast.invoke({"question": "q"})["answers"] == ["spare"]
    assert len(down.calls) == 1
    first, second = policy.records
    assert first.attempts[0].model == "scripted:down"
    assert "ConnectionRefusedError" in first.why
    assert second.why == "did not answer lately"


def test_all_models_failing_raises_what_the_graphs_own_model_says() -> None:
    own = chat("own", replies=[TimeoutError("own is slow")])
    down = chat("down", replies=[ConnectionError("down")])
    policy = policy_for(
        assignment_for("draft", "scripted:down"),
        chats={"scripted:down": down, "scripted:own": own},
    )
    with pytest.raises(TimeoutError, match="own is slow"):
        routed(one_node(own), policy).invoke({"question": "q"})
    assert policy.records[-1].error == "TimeoutError: own is slow"


def test_an_error_of_the_graphs_own_making_is_raised_as_it_was() -> None:
    own = chat("own", replies=[KeyError("mine")])
    policy = policy_for(
        assignment_for("draft", "scripted:own", "scripted:spare"),
        chats={"scripted:own": own, "scripted:spare": chat("spare")},
    )
    with pytest.raises(KeyError, match="mine"):
        routed(one_node(own), policy).invoke({"question": "q"})


def test_a_prompt_too_long_goes_to_a_model_with_room() -> None:
    own, tiny = chat("own"), chat("tiny")
    policy = policy_for(
        assignment_for("draft", "scripted:tiny"),
        chats={"scripted:tiny": tiny, "scripted:own": own},
        specs=(spec_for("scripted:tiny", context_tokens=200),),
    )
    fast = routed(one_node(own), policy)
    assert fast.invoke({"question": "short"})["answers"] == ["tiny"]
    assert fast.invoke({"question": "long " * 400})["answers"] == ["own"]
    assert "too long for 200" in policy.records[-1].why


def test_a_private_node_never_leaves_the_machine_even_if_its_own_model_is_cloud() -> None:
    own = chat("own")
    policy = policy_for(
        assignment_for("draft", "scripted:own"),
        chats={"scripted:own": own},
        hints={"draft": RouteHints(privacy="local")},
    )
    with pytest.raises(PrivacyViolation, match="node 'draft' is private"):
        routed(one_node(own), policy).invoke({"question": "q"})
    assert own.calls == ()


def fan_out(model: Any, width: int) -> Any:
    def split(state: State) -> list[Send]:
        return [Send("work", {"question": f"item {n}"}) for n in range(width)]

    def work(state: State) -> State:
        return {"answers": [model.invoke(state["question"]).text]}

    builder = StateGraph(State)
    builder.add_node("split", lambda state: {})
    builder.add_node("work", work)
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", split, ["work"])
    return builder.compile()


def test_a_parallel_fan_out_never_passes_the_budget_and_degrades_to_the_cheaper_model() -> None:
    own = chat("own", in_tokens=10, out_tokens=10, max_tokens=10)
    free = chat("free")
    budget = Budget(per_run_usd=0.0002)
    policy = policy_for(
        assignment_for("work", "scripted:own", "scripted:free", expected_visits=30.0),
        chats={"scripted:own": own, "scripted:free": free},
        specs=(spec_for("scripted:free", local=True, price=0.0),),
        budget=budget,
    )
    fast = routed(fan_out(own, 30), policy)
    for _ in range(5):
        before = len(policy.records)
        assert len(fast.invoke({"question": ""})["answers"]) == 30
        spent = sum(record.cost_nano for record in policy.records[before:])
        assert 0 < spent <= (budget.per_run_usd or 0) * NANO
        models = {record.model for record in policy.records[before:]}
        assert models == {"scripted:own", "scripted:free"}


def test_raise_stops_before_the_call_that_would_pass_the_budget() -> None:
    own = chat("own", in_tokens=10, out_tokens=10, max_tokens=10)
    policy = policy_for(
        assignment_for("draft", "scripted:own", "scripted:free"),
        chats={"scripted:own": own, "scripted:free": chat("free")},
        specs=(spec_for("scripted:free", local=True, price=0.0),),
        budget=Budget(per_run_usd=1e-7, on_exceed="raise"),
    )
    with pytest.raises(BudgetExceeded, match=r"node 'draft'.*\$0.000000"):
        routed(one_node(own), policy).invoke({"question": "q"})
    assert own.calls == ()


def test_a_long_answer_is_capped_so_that_the_worst_case_fits() -> None:
    own = chat("own", replies=["word " * 5000])
    policy = policy_for(
        assignment_for("draft", "scripted:own"),
        chats={"scripted:own": own},
        specs=(spec_for("scripted:own", max_output_tokens=100_000),),
        budget=Budget(per_run_usd=0.001),
    )
    routed(one_node(own), policy).invoke({"question": "q"})
    (record,) = policy.records
    assert record.cap_tokens is not None
    assert 0 < record.cost_nano <= 1_000_000
    assert own.calls[0].kwargs["max_tokens"] == record.cap_tokens


class Ticket(BaseModel):
    name: str
    urgent: bool


def test_lcel_tools_and_structured_output_are_routed_and_parsed() -> None:
    own = chat("own", replies=[{"name": "own", "urgent": False}])
    cheap = chat("cheap", replies=[{"name": "Ada", "urgent": True}])
    policy = policy_for(
        assignment_for("draft", "scripted:cheap"),
        chats={"scripted:cheap": cheap, "scripted:own": own},
    )
    chain = ChatPromptTemplate.from_template("extract: {question}") | own.with_structured_output(
        Ticket
    )

    def node(state: State) -> State:
        found = chain.invoke({"question": state["question"]})
        assert isinstance(found, Ticket)
        return {"answers": [found.name]}

    builder = StateGraph(State)
    builder.add_node("draft", node)
    builder.add_edge(START, "draft")
    fast = routed(builder.compile(), policy)
    assert fast.invoke({"question": "q"})["answers"] == ["Ada"]
    assert cheap.calls[0].kwargs["tools"][0]["function"]["name"] == "Ticket"
    assert policy.records[0].fault is None


def test_a_fault_in_routing_leaves_the_call_to_the_graphs_own_model() -> None:
    class Broken:
        def difficulty(self, prompts: Any) -> Any:
            raise RuntimeError("scorer is broken")

    own, cheap = chat("own"), chat("cheap")
    policy = policy_for(
        chats={"scripted:cheap": cheap, "scripted:own": own},
        specs=(spec_for("scripted:cheap", price=0.1), spec_for("scripted:own", price=9.0)),
        prompts=Broken(),
    )
    assert routed(one_node(own), policy).invoke({"question": "q"})["answers"] == ["own"]
    assert policy.records[0].fault == "RuntimeError: scorer is broken"


def test_nested_graphs_are_named_by_path_and_the_outer_plan_wins() -> None:
    own, inner_model, outer_model = chat("own"), chat("inner"), chat("outer")
    chats = {f"scripted:{c.name}": c for c in (own, inner_model, outer_model)}
    inner = routed(
        one_node(own), policy_for(assignment_for("draft", "scripted:inner"), chats=chats)
    )
    builder = StateGraph(State)
    builder.add_node("team", inner)
    builder.add_edge(START, "team")
    plain_outer = builder.compile()
    assert plain_outer.invoke({"question": "q"})["answers"] == ["inner"]
    outer_policy = policy_for(assignment_for("team/draft", "scripted:outer"), chats=chats)
    outer = routed(plain_outer, outer_policy)
    assert outer.invoke({"question": "q"})["answers"] == ["outer"]
    assert outer_policy.records[0].node == "team/draft"


def test_checkpoints_copies_and_missing_thread_ids_stay_langgraphs() -> None:
    own, cheap = chat("own"), chat("cheap")
    policy = policy_for(
        assignment_for("draft", "scripted:cheap"),
        chats={"scripted:cheap": cheap, "scripted:own": own},
    )
    plain = one_node(own)
    fast = routed(plain, policy).copy(update={"checkpointer": InMemorySaver()})
    with pytest.raises(ValueError, match="thread_id"):
        fast.invoke({"question": "q"})
    config = {"configurable": {"thread_id": "1"}}
    fast.invoke({"question": "q"}, config)
    assert fast.get_state(config).values["answers"] == ["cheap"]
    assert "__pregel_graphroute" not in str(list(fast.get_state_history(config)))
    again = fast.with_config(tags=["t"])
    assert again.plan is policy.plan
    assert again.invoke({"question": "q"}, config)["answers"] == ["cheap", "cheap"]
    assert config == {"configurable": {"thread_id": "1"}}


@pytest.mark.parametrize("way", ["node", "called", "own thread"])
def test_what_an_inner_optimized_graph_keeps_private_stays_so_in_an_outer_one(way: str) -> None:
    own, cloud = chat("own"), chat("cloud")
    chats = {"scripted:own": own, "scripted:cloud": cloud}
    private = policy_for(chats=chats, hints={"draft": RouteHints(privacy="local")})
    inner = routed(one_node(own).copy({"checkpointer": InMemorySaver()}), private)

    def called(state: State) -> State:
        config: Any = {"configurable": {"thread_id": "7"}} if way == "own thread" else None
        return {"answers": inner.invoke({"question": state["question"]}, config)["answers"]}

    builder = StateGraph(State)
    builder.add_node("1", inner if way == "node" else called)
    builder.add_edge(START, "1")
    outer = routed(
        builder.compile(checkpointer=InMemorySaver()),
        policy_for(assignment_for("1/draft", "scripted:cloud"), chats=chats),
    )
    with pytest.raises(PrivacyViolation):
        outer.invoke({"question": "q"}, {"configurable": {"thread_id": "1"}})
    assert own.calls == cloud.calls == ()


def fan_out_async(model: Any, width: int) -> Any:
    def split(state: State) -> list[Send]:
        return [Send("work", {"question": f"item {n}"}) for n in range(width)]

    async def work(state: State) -> State:
        return {"answers": [(await model.ainvoke(state["question"])).text]}

    builder = StateGraph(State)
    builder.add_node("split", lambda state: {})
    builder.add_node("work", work)
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", split, ["work"])
    return builder.compile()


async def test_a_fan_out_waits_for_its_own_reservations_instead_of_dying_of_them() -> None:
    own = chat("own", in_tokens=10, out_tokens=10)
    budget = Budget(per_run_usd=0.0125)
    policy = policy_for(
        assignment_for("work", "scripted:own", expected_visits=3.0),
        chats={"scripted:own": own},
        specs=(spec_for("scripted:own", price=10.0, max_output_tokens=1000),),
        budget=budget,
    )
    assert len((await routed(fan_out_async(own, 20), policy).ainvoke({}))["answers"]) == 20
    assert len(routed(fan_out(own, 20), policy).invoke({})["answers"]) == 20
    assert sum(r.cost_nano for r in policy.records) == 40 * 200_000


def test_the_nodes_own_limit_is_sent_along_and_keeps_the_budget() -> None:
    own = chat("own", replies=["word " * 5000])
    policy = policy_for(
        assignment_for("draft", "scripted:own"),
        chats={"scripted:own": own},
        hints={"draft": RouteHints(max_output_tokens=100)},
        budget=Budget(per_run_usd=0.01),
    )
    routed(one_node(own), policy).invoke({"question": "q"})
    assert own.calls[0].kwargs["max_tokens"] == 100
    assert policy.records[0].out_tokens == 100


def test_a_file_counts_and_an_unreported_answer_counts_at_most() -> None:
    own = chat("own")
    policy = policy_for(
        assignment_for("draft", "scripted:own"),
        chats={"scripted:own": own},
        budget=Budget(per_run_usd=0.05),
    )
    paper = {"type": "file", "file_id": "f-1", "mime_type": "application/pdf"}
    builder = StateGraph(State)
    builder.add_node("draft", lambda _: {"answers": [own.invoke([HumanMessage([paper])]).text]})
    builder.add_edge(START, "draft")
    with pytest.raises(BudgetExceeded):
        routed(builder.compile(), policy).invoke({"question": "q"})
    assert own.calls == ()
