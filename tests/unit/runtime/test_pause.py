from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from graphroute.errors import BudgetExceeded, InvalidResume
from graphroute.ir.hints import Budget
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.pause import Pauses, RunState, fingerprint
from graphroute.runtime.periods import PeriodLedger
from tests.unit.runtime.situations import assignment_for, policy_for, routed, spec_for

CALL_USD = 0.00002
"""Each call has 10 tokens in and 10 out at one dollar a million."""


class State(TypedDict, total=False):
    item: int
    log: Annotated[list[str], operator.add]


def paid(name: str = "own", **facts: Any) -> ScriptedChat:
    """Answers `name 0`, `name 1`, …, so that an answer tells which call gave it."""
    replies = [f"{name} {n}" for n in range(50)]
    return ScriptedChat(
        name=name,
        **{"replies": replies, "in_tokens": 10, "out_tokens": 10, "max_tokens": 10, **facts},
    )


def made(chat: ScriptedChat) -> int:
    return len(chat.calls)


def graph_of(**nodes: Callable[[State], Any]) -> Any:
    builder: Any = StateGraph(State)
    last = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(last, name)
        last = name
    return builder.compile(checkpointer=InMemorySaver())


def policy_of(
    *chats: ScriptedChat, nodes: tuple[str, ...], per_run_usd: float, **facts: Any
) -> Any:
    names = [f"scripted:{chat.name}" for chat in chats]
    return policy_for(
        *(assignment_for(node, *names, cost_usd=CALL_USD) for node in nodes),
        chats=dict(zip(names, chats, strict=True)),
        budget=Budget(per_run_usd=per_run_usd, on_exceed="interrupt"),
        **facts,
    )


def thread(name: str = "1") -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def two_calls(chat: ScriptedChat) -> Callable[[State], State]:
    def node(state: State) -> State:
        return {"log": [chat.invoke("first").text, chat.invoke("second").text]}

    return node


def test_a_run_pauses_with_figures_and_goes_on_without_paying_twice() -> None:
    own = paid()
    fast = routed(
        graph_of(draft=two_calls(own)), policy_of(own, nodes=("draft",), per_run_usd=0.00004)
    )
    paused = fast.invoke({"item": 0}, thread())
    (stop,) = paused["__interrupt__"]
    assert made(own) == 1
    assert stop.value["node"] == "draft"
    assert stop.value["limit"] == "run"
    assert stop.value["spent_usd"] == pytest.approx(CALL_USD)
    assert stop.value["limit_usd"] == pytest.approx(0.00004)
    planned = stop.value["planned"]
    assert planned["model"] == "scripted:own"
    assert CALL_USD < planned["least_usd"] <= planned["worst_usd"]
    assert stop.value["cheapest"] == planned
    assert "Command(resume=X)" in stop.value["next_step"]
    done = fast.invoke(Command(resume=0.001), thread())
    assert done["log"] == ["own 0", "own 1"]
    assert made(own) == 2
    assert len({record.run_id for record in fast.records}) == 1
    assert sum(record.cost_nano for record in fast.records) == 2 * 20_000


async def test_async_and_streams_pause_and_replay_too() -> None:
    own = paid()

    async def node(state: State) -> State:
        first = [chunk async for chunk in own.astream("first")]
        second = await own.ainvoke("second")
        return {"log": ["".join(chunk.text for chunk in first), second.text]}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.00004))
    updates = [u async for u in fast.astream({"item": 0}, thread(), stream_mode="updates")]
    assert "__interrupt__" in updates[-1]
    parts = [
        part
        async for part in fast.astream(
            Command(resume={"budget": 0.001}), thread(), stream_mode=["updates", "messages"]
        )
    ]
    assert parts[-1] == ("updates", {"draft": {"log": ["own 0", "own 1"]}})
    said = "".join(part[0].text for mode, part in parts if mode == "messages")
    assert said == "own 0own 1"
    assert made(own) == 2


@pytest.mark.parametrize("answer", ["yes", -1, True, float("nan"), {"limit": 1}, [0.1]])
def test_another_answer_is_a_clear_error_and_the_pause_can_be_answered_again(answer: Any) -> None:
    own = paid()
    fast = routed(
        graph_of(draft=two_calls(own)), policy_of(own, nodes=("draft",), per_run_usd=0.00004)
    )
    fast.invoke({"item": 0}, thread())
    with pytest.raises(InvalidResume, match=r"node 'draft'.*what the whole run may cost"):
        fast.invoke(Command(resume=answer), thread())
    assert fast.invoke(Command(resume=0.001), thread())["log"] == ["own 0", "own 1"]
    assert made(own) == 2


def test_too_small_an_answer_asks_again() -> None:
    own = paid()
    fast = routed(
        graph_of(draft=two_calls(own)), policy_of(own, nodes=("draft",), per_run_usd=0.00004)
    )
    fast.invoke({"item": 0}, thread())
    again = fast.invoke(Command(resume=0.000045), thread())
    assert again["__interrupt__"][0].value["limit_usd"] == pytest.approx(0.000045)
    assert fast.invoke(Command(resume=0.001), thread())["log"] == ["own 0", "own 1"]
    assert made(own) == 2


def test_within_the_limit_that_was_given_a_cheaper_model_may_serve() -> None:
    own, cheap = paid(), paid("cheap")
    fast = routed(
        graph_of(draft=two_calls(own)),
        policy_of(
            own,
            cheap,
            nodes=("draft",),
            per_run_usd=0.00004,
            specs=(spec_for("scripted:cheap", price=0.1),),
        ),
    )
    (stop,) = fast.invoke({"item": 0}, thread())["__interrupt__"]
    assert stop.value["cheapest"]["model"] == "scripted:cheap"
    assert stop.value["cheapest"]["worst_usd"] < stop.value["planned"]["worst_usd"]
    assert fast.invoke(Command(resume=0.00004), thread())["log"] == ["own 0", "cheap 0"]


def test_the_nodes_own_interrupts_get_their_own_answers_in_any_order() -> None:
    own = paid()

    def node(state: State) -> State:
        log = [f"asked {interrupt('before?')}"]
        log.append(own.invoke("first").text)
        log.append(own.invoke("second").text)
        log.append(f"asked {interrupt('between?')}")
        log.append(own.invoke("third").text)
        log.append(f"asked {interrupt('after?')}")
        return {"log": log}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.00004))
    seen = []
    answer: Any = {"item": 0}
    for reply in ("a", 0.00005, "b", 0.0002, "c", None):
        out = fast.invoke(answer, thread())
        if reply is None:
            break
        (stop,) = out["__interrupt__"]
        seen.append(stop.value if isinstance(stop.value, str) else "budget")
        answer = Command(resume=reply)
    assert seen == ["before?", "budget", "between?", "budget", "after?"]
    assert out["log"] == ["asked a", "own 0", "own 1", "asked b", "own 2", "asked c"]
    assert made(own) == 3


def fan(chat: ScriptedChat, width: int) -> Any:
    def work(state: State) -> State:
        text = chat.invoke(f"item {state['item']}").text
        return {"log": [f"{text} {interrupt(state['item'])}"]}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_conditional_edges(
        START, lambda _: [Send("work", {"item": n}) for n in range(width)], ["work"]
    )
    return builder.compile(checkpointer=InMemorySaver())


def test_branches_pause_each_for_itself_and_one_answer_serves_them() -> None:
    own = paid()
    fast = routed(fan(own, 4), policy_of(own, nodes=("work",), per_run_usd=0.00001))
    stops = fast.invoke({"item": 0}, thread())["__interrupt__"]
    assert len(stops) == len({stop.id for stop in stops}) == 4
    assert own.calls == ()
    # As in LangGraph: several open interrupts are answered by id. Only one branch gets enough,
    # which is enough for all; each keeps its own answer apart from that of the node's interrupt.
    limits = {stop.id: 0.01 if n == 2 else 0.00001 for n, stop in enumerate(stops)}
    out = fast.invoke(Command(resume=limits), thread())
    for _ in range(3):
        stops = out["__interrupt__"]
        out = fast.invoke(
            Command(
                resume={s.id: f"ok {s.value}" if isinstance(s.value, int) else 0.01 for s in stops}
            ),
            thread(),
        )
        if "__interrupt__" not in out:
            break
    assert sorted(entry[-4:] for entry in out["log"]) == ["ok 0", "ok 1", "ok 2", "ok 3"]
    assert made(own) == 4


def test_calls_side_by_side_in_one_node_pause_it_once() -> None:
    own = paid()

    def node(state: State) -> State:
        answers = own.batch([f"item {n}" for n in range(4)])
        return {"log": [str(len(answers)), interrupt("mine?")]}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.00001))
    assert len(fast.invoke({"item": 0}, thread())["__interrupt__"]) == 1
    (stop,) = fast.invoke(Command(resume=0.01), thread())["__interrupt__"]
    assert stop.value == "mine?"
    assert fast.invoke(Command(resume="yes"), thread())["log"] == ["4", "yes"]
    assert made(own) == 4


def test_subgraphs_pause_and_keep_what_they_paid() -> None:
    own = paid()
    inner: Any = StateGraph(State)
    inner.add_node("first", lambda s: {"log": [own.invoke("first").text]})
    inner.add_node("second", two_calls(own))
    inner.add_edge(START, "first")
    inner.add_edge("first", "second")
    compiled = inner.compile()

    def team(state: State) -> State:
        before = own.invoke("before").text
        return {"log": [before, *compiled.invoke({"item": 0})["log"]]}

    fast = routed(
        graph_of(team=team),
        policy_of(own, nodes=("team", "team/first", "team/second"), per_run_usd=0.00006),
    )
    assert "__interrupt__" in fast.invoke({"item": 0}, thread())
    before = made(own)
    assert before >= 2
    out = fast.invoke(Command(resume=0.01), thread())
    assert out["log"] == ["own 0", "own 1", "own 2", "own 3"]
    assert made(own) == 4


def test_an_optimized_graph_inside_a_plain_one_pauses_the_whole_run() -> None:
    own = paid()
    builder: Any = StateGraph(State)
    builder.add_node("draft", two_calls(own))
    builder.add_edge(START, "draft")
    inner = routed(builder.compile(), policy_of(own, nodes=("draft",), per_run_usd=0.00004))
    outer = graph_of(team=inner)
    assert "__interrupt__" in outer.invoke({"item": 0}, thread())
    assert outer.invoke(Command(resume=0.001), thread())["log"] == ["own 0", "own 1"]
    assert made(own) == 2


def test_generate_tools_and_early_ends_of_streams_are_replayed_as_they_were() -> None:
    own = paid(replies=[{"x": 1}, "2", "3", "4", "5", "6", "seven eight nine", "last"])
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    attempts: list[Any] = []

    def node(state: State) -> State:
        call = own.bind_tools([tool], tool_choice="add").invoke("first")
        many = own.generate([[HumanMessage(letter)] for letter in "abcde"])
        stream: Any = own.stream("cut off")
        piece = next(stream)
        stream.close()
        attempts.append((call.tool_calls, [g[0].text for g in many.generations], piece.text))
        return {"log": [own.invoke("last " * 100).text]}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.0003))
    out = fast.invoke({"item": 0}, thread())
    assert "__interrupt__" in out
    before = made(own)
    assert fast.invoke(Command(resume=0.01), thread())["log"] == ["last"]
    assert made(own) == before + 1
    first, second = attempts
    assert first == second
    assert first[0][0]["name"] == "add"


def test_without_a_checkpointer_the_limit_is_an_error_that_says_what_is_missing() -> None:
    own = paid()
    builder: Any = StateGraph(State)
    builder.add_node("draft", two_calls(own))
    builder.add_edge(START, "draft")
    fast = routed(builder.compile(), policy_of(own, nodes=("draft",), per_run_usd=0.00004))
    with pytest.raises(BudgetExceeded, match=r"node 'draft'.*checkpointer.*thread_id"):
        fast.invoke({"item": 0})


def test_a_new_run_of_the_thread_starts_anew_and_a_retry_without_answer_pauses_again() -> None:
    own = paid()
    fast = routed(
        graph_of(draft=two_calls(own)), policy_of(own, nodes=("draft",), per_run_usd=0.00004)
    )
    fast.invoke({"item": 0}, thread())
    assert "__interrupt__" in fast.invoke(None, thread())
    assert made(own) == 1
    assert "__interrupt__" in fast.invoke({"item": 1}, thread())
    assert made(own) == 2
    assert "__interrupt__" in fast.invoke({"item": 0}, thread("2"))
    assert len({record.run_id for record in fast.records}) == 3


def test_a_failed_node_that_is_run_again_asks_its_models_anew() -> None:
    own = paid()
    bad = ["own 0"]

    def node(state: State) -> State:
        text = own.invoke("first").text
        if text in bad:
            raise ValueError("cannot be parsed")
        return {"log": [text]}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.01))
    with pytest.raises(ValueError, match="parsed"):
        fast.invoke({"item": 0}, thread())
    assert fast.invoke(None, thread())["log"] == ["own 1"]
    assert len({record.run_id for record in fast.records}) == 1


def test_a_full_month_pauses_the_run_until_there_is_money_again(tmp_path: Any) -> None:
    own = paid()
    periods = PeriodLedger(tmp_path / "ledger.sqlite3", month_nano=40_000)
    policy = policy_of(own, nodes=("draft",), per_run_usd=1.0, periods=periods)
    fast = routed(graph_of(draft=two_calls(own)), policy)
    (stop,) = fast.invoke({"item": 0}, thread())["__interrupt__"]
    assert stop.value["limit"] == "month"
    assert "raise it or wait" in stop.value["next_step"]
    assert "__interrupt__" in fast.invoke(Command(resume=2.0), thread())
    periods.month_nano = 1_000_000
    assert fast.invoke(Command(resume=2.0), thread())["log"] == ["own 0", "own 1"]
    assert made(own) == 2
    periods.close()


async def test_an_async_fan_out_pauses_each_branch_and_pays_each_once() -> None:
    own = paid()

    async def work(state: State) -> State:
        first = await own.ainvoke(f"first {state['item']}")
        second = await own.ainvoke(f"second {state['item']}")
        return {"log": [f"{first.text}, {second.text}"]}

    builder: Any = StateGraph(State)
    builder.add_node("work", work)
    builder.add_conditional_edges(
        START, lambda _: [Send("work", {"item": n}) for n in range(8)], ["work"]
    )
    fast = routed(
        builder.compile(checkpointer=InMemorySaver()),
        policy_of(own, nodes=("work",), per_run_usd=0.0002),
    )
    out = await fast.ainvoke({"item": 0}, thread())
    limit = 0.0002
    while stops := out.get("__interrupt__"):
        assert sum(r.cost_nano for r in fast.records) <= limit * 1e9
        limit += 0.0001
        out = await fast.ainvoke(Command(resume={stop.id: limit for stop in stops}), thread())
    assert len(out["log"]) == 8
    assert made(own) == 16
    assert sorted(" ".join(out["log"]).replace(",", "").split()[1::2]) == sorted(
        str(n) for n in range(16)
    )


def test_fallbacks_around_a_model_do_not_hide_the_pause() -> None:
    own, other = paid(), paid("other")
    safe = own.with_fallbacks([other])

    def node(state: State) -> State:
        return {"log": [safe.invoke("first").text, safe.invoke("second").text]}

    fast = routed(graph_of(draft=node), policy_of(own, nodes=("draft",), per_run_usd=0.00004))
    assert len(fast.invoke({"item": 0}, thread())["__interrupt__"]) == 1
    assert fast.invoke(Command(resume=0.001), thread())["log"] == ["own 0", "own 1"]
    assert (made(own), made(other)) == (2, 0)


def test_old_runs_are_dropped_and_paused_ones_kept_longer() -> None:
    pauses = Pauses(max_runs=2, max_paused=1)
    states = [RunState(key=(str(n), ""), ledger=Ledger(limit_nano=1)) for n in range(5)]
    for state in states[:2]:
        pauses.add(state)
    pauses.keep(states[0])
    for state in states[2:]:
        pauses.add(state)

    def has(number: int) -> bool:
        key = (str(number), "")
        return pauses.resumed(key, resumes=True, retries=False) is not None

    pauses.keep(states[4])
    assert [n for n in range(5) if has(n)] == [3, 4]


def test_the_fingerprint_sees_what_is_asked_and_nothing_else() -> None:
    base = fingerprint("m", [HumanMessage("a")], None, {"temperature": 0})
    assert base == fingerprint("m", [HumanMessage("a", id="other")], None, {"temperature": 0})
    assert base != fingerprint("m", [HumanMessage("b")], None, {"temperature": 0})
    assert base != fingerprint("m", [AIMessage("a")], None, {"temperature": 0})
    assert base != fingerprint("m", [HumanMessage("a")], ["x"], {"temperature": 0})
    assert base != fingerprint("m", [HumanMessage("a")], None, {"temperature": 1})
    assert fingerprint("m", [AIMessageChunk(content="a")], None, {"f": object()}) == fingerprint(
        "m", [AIMessageChunk(content="a")], None, {"f": object()}
    )
