"""A whole profile on scripted models: what is asked, what is never asked, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from graphroute import Model, RouteHints, Store, optimize, verify
from graphroute.errors import InfeasibleBudget, InvalidValue, UnknownNode
from graphroute.ir.hints import NANO
from graphroute.ir.verdict import Verdict
from graphroute.profiling import NodeProfileReport, Progress, profile
from graphroute.providers.scripted import ScriptedChat
from graphroute.store.background import flush_all


class State(TypedDict, total=False):
    q: int
    label: str
    reply: str


def _script(every: int) -> Callable[[list[BaseMessage]], str]:
    """Right on each question whose number `every` divides."""

    def reply(messages: list[BaseMessage]) -> str:
        text = messages[-1].text
        number = int(text.rpartition(" ")[2])
        if number % every:
            return "no idea"
        return "good" if text.startswith("label") else f"Dear {text}"

    return reply


class Two:
    """A chain of two nodes on a strong model, and a weak one beside it."""

    def __init__(self, *, weak_every: int = 2) -> None:
        self.strong = ScriptedChat(name="strong", replies=_script(1), temperature=0, out_tokens=20)
        self.weak = ScriptedChat(
            name="weak", replies=_script(weak_every), temperature=0, out_tokens=20
        )
        self.visited = 0
        builder = StateGraph(State)
        builder.add_node("label", self._label)
        builder.add_node("reply", self._reply)
        builder.add_edge(START, "label")
        builder.add_edge("label", "reply")
        self.graph = builder.compile()
        self.pool = [
            Model("scripted:strong", self.strong, price_in_usd=1.0, price_out_usd=3.0, quality=0.9),
            Model("scripted:weak", self.weak, local=True, quality=0.5),
        ]
        self.nodes = {
            "label": RouteHints(verify=verify.regex("good", full=True)),
            "reply": RouteHints(verify=verify.regex("^Dear")),
        }

    def _label(self, state: State) -> State:
        self.visited += 1
        return {"label": self.strong.invoke(f"label {state['q']}").text}

    def _reply(self, state: State) -> State:
        return {"reply": self.strong.invoke(f"{state['label']} reply {state['q']}").text}

    @property
    def asked(self) -> int:
        return len(self.strong.calls) + len(self.weak.calls)

    def profile(self, inputs: int = 8, **more: Any) -> NodeProfileReport:
        given = {"models": self.pool, "nodes": self.nodes, "store": False, "influence": False}
        return profile(self.graph, [{"q": n} for n in range(inputs)], **{**given, **more})


def _quality(found: NodeProfileReport) -> dict[tuple[str, str], float]:
    return {
        (cell.node, cell.model.split(":")[1]): cell.quality.mean
        for cell in found.cells
        if cell.quality is not None
    }


def test_each_call_is_asked_once_of_each_model() -> None:
    two = Two()
    found = two.profile(8)
    assert two.visited == 8, "the graph itself ran once per input"
    assert (len(two.strong.calls), len(two.weak.calls)) == (16, 16)
    assert found.calls == 32
    assert found.whole_calls == 2**2 * 16
    assert _quality(found) == {
        ("label", "strong"): 1.0,
        ("label", "weak"): 0.5,
        ("reply", "strong"): 1.0,
        ("reply", "weak"): 0.5,
    }
    assert {cell.judged_by for cell in found.cells} == {"verify"}
    assert found.base == {"label": "scripted:strong", "reply": "scripted:strong"}


def test_a_replay_sends_the_very_messages_of_the_run() -> None:
    two = Two()
    two.profile(3)

    def sent(chat: ScriptedChat) -> list[str]:
        return sorted(call.messages[-1].text for call in chat.calls)

    assert sent(two.weak) == sent(two.strong)
    assert "good reply 1" in sent(two.weak), "with what the strong model had answered before"


def test_figures_are_those_of_the_calls() -> None:
    two = Two()
    found = two.profile(4)
    strong = found.cell("label", "scripted:strong")
    assert strong is not None
    assert strong.cost_usd is not None
    assert strong.cost_usd.mean == pytest.approx((2 * 1.0 + 20 * 3.0) / 1e6, rel=0.05)
    assert strong.out_tokens is not None
    assert strong.out_tokens.mean == 20
    weak = found.cell("label", "scripted:weak")
    assert weak is not None
    assert weak.cost_usd is not None
    assert weak.cost_usd.mean == 0.0
    spent = sum(record.cost_nano for record in found.records)
    assert found.spent_usd == pytest.approx(spent / NANO)


@pytest.mark.parametrize("budget", [0.0, 1e-5, 1e-4, 3e-4, 6e-4, 1e-3])
def test_a_profile_never_costs_more_than_its_budget(budget: float) -> None:
    two = Two()
    pool = [*two.pool, Model("scripted:dear", two.strong, price_in_usd=20.0, price_out_usd=60.0)]
    found = two.profile(10, models=pool, budget=budget, influence=True, score=lambda *_: 1.0)
    assert found.spent_usd <= budget
    assert found.spent_usd >= sum(r.cost_nano for r in found.records) / NANO - 1e-12


@pytest.mark.parametrize("budget", [0.0, 1e-5])
def test_a_budget_below_one_run_says_so_and_what_would_do(budget: float) -> None:
    found = Two().profile(3, budget=budget)
    assert (found.runs, found.calls) == (0, 0)
    assert found.stopped in found.notes
    assert found.stopped.startswith("3 of 3 inputs were not run: the budget")
    assert not any("no run came there" in note for note in found.notes)
    needed_usd = float(found.stopped.rpartition("$")[2])
    again = Two().profile(3, budget=needed_usd)
    assert again.runs > 0
    assert Two().profile(3).stopped == ""


def test_a_small_budget_goes_where_it_matters() -> None:
    """Two models alike in price, of which one is plainly worse: the close pair is asked more."""
    two = Two()
    close = ScriptedChat(name="close", replies=_script(1), temperature=0, out_tokens=20)
    bad = ScriptedChat(name="bad", replies=["no"], temperature=0, out_tokens=20)
    pool = [
        two.pool[0],
        Model("scripted:close", close, quality=0.9, price_in_usd=1.0, price_out_usd=3.0),
        Model("scripted:bad", bad, quality=0.9, price_in_usd=1.0, price_out_usd=3.0),
    ]
    full = two.profile(40, models=pool)
    two = Two()
    pool[0] = two.pool[0]
    before = len(close.calls), len(bad.calls)
    found = two.profile(40, models=pool, budget=full.spent_usd * 0.6)
    asked_close, asked_bad = len(close.calls) - before[0], len(bad.calls) - before[1]
    assert asked_close > 2 * asked_bad > 0
    assert found.spent_usd <= full.spent_usd * 0.6


def test_a_second_call_goes_on_where_the_first_was_stopped(tmp_path: Path) -> None:
    whole, two, state = Two(), Two(), tmp_path / "state.jsonl"
    expected = whole.profile(6)

    def stop_at(most: int) -> Callable[[Progress], None]:
        def progress(at: Progress) -> None:
            if at.doing == "replays" and at.done == most:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        two.profile(6, state=state, progress=stop_at(3))
    assert two.asked == 12 + 3
    with state.open("a") as file:
        file.write('{"outcome": {"cal')  # killed while it wrote
    found = two.profile(6, state=state)
    assert (two.visited, two.asked) == (6, 24), "nothing was run or asked twice"
    assert _quality(found) == _quality(expected)
    assert found.spent_usd == pytest.approx(expected.spent_usd)
    again = two.profile(6, state=state)
    assert (two.asked, again.calls) == (24, 24)
    two.profile(7, state=state)
    assert (two.visited, two.asked) == (7, 28), "one more input is one more run"


def test_the_budget_holds_over_all_sessions(tmp_path: Path) -> None:
    two, state = Two(), tmp_path / "state.jsonl"
    first = two.profile(3, state=state)
    asked = two.asked
    again = two.profile(6, state=state, budget=first.spent_usd)
    assert again.spent_usd == first.spent_usd
    assert len(two.strong.calls) == 6
    assert two.asked == asked


def test_the_state_of_another_graph_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    Two().profile(1, state=state)
    with pytest.raises(InvalidValue, match="another graph"):
        Two().profile(1, state=state, seed=1)
    (tmp_path / "odd").write_text("hello\n")
    with pytest.raises(InvalidValue, match="no JSON"):
        Two().profile(1, state=tmp_path / "odd")
    with pytest.raises(InvalidValue, match="cannot use"):
        Two().profile(1, state=tmp_path / "nowhere" / "state")


def test_private_calls_stay_here_and_are_not_written_down(tmp_path: Path) -> None:
    two, state = Two(), tmp_path / "state.jsonl"
    nodes = {**two.nodes, "label": RouteHints(privacy="local", verify=two.nodes["label"].verify)}
    found = two.profile(4, nodes=nodes, state=state)
    assert two.strong.calls == (), "what a private node writes is private too"
    assert {cell.model for cell in found.cells} == {"scripted:weak"}
    assert "label 1" not in state.read_text()
    assert any("no file can hold" in note for note in found.notes)
    assert state.stat().st_mode & 0o077 == 0


def test_nothing_that_quotes_a_private_call_is_written_down(tmp_path: Path) -> None:
    def quotes(messages: Any, reply: Any) -> Verdict:
        return Verdict(score=0.0, passed=False, reason=f"not of {messages[-1].text}: {reply.text}")

    def answered(messages: Any) -> Any:
        if messages[-1].text.endswith(" 2"):
            return ValueError(f"cannot read {messages[-1].text}")
        return "SECRET answer"

    chat = ScriptedChat(name="here", replies=answered, temperature=0)
    builder = StateGraph(State)
    builder.add_node("label", lambda s: {"label": chat.invoke(f"SECRET {s['q']}").text})
    builder.add_edge(START, "label")
    found = profile(
        builder.compile(),
        [{"q": n} for n in range(4)],
        models=[Model("scripted:here", chat, local=True)],
        nodes={"label": RouteHints(privacy="local", verify=quotes)},
        store=Store(folder=tmp_path, keep_text=True),
        state=tmp_path / "state.jsonl",
        influence=False,
    )
    flush_all()
    assert found.runs == 4
    assert found.cells[0].quality is not None
    assert any("the first with ValueError;" in note for note in found.notes)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"SECRET" not in path.read_bytes(), path


def test_declared_nodes_are_not_replayed() -> None:
    two = Two()
    found = two.profile(4, skip=["reply"])
    assert all(call.messages[-1].text.startswith("label") for call in two.weak.calls)
    assert found.skipped == {"reply": "its author says so"}
    with pytest.raises(UnknownNode, match="no node 'answer'"):
        two.profile(4, skip=["answer"])


def test_a_reference_of_no_node_is_refused_before_anything_is_asked() -> None:
    two = Two()
    inputs = [{"input": {"q": 1}, "reference": {"label": "good", "lable": "good", "x/y": "good"}}]
    with pytest.raises(UnknownNode, match="no node: 'lable', 'x/y'; graph 'LangGraph' has label"):
        profile(two.graph, inputs, models=two.pool, store=False)
    assert two.asked == 0


def test_a_reference_reaches_inside_of_graphs_and_a_void_one_is_told() -> None:
    two = Two()
    builder = StateGraph(State)
    builder.add_node("both", two.graph)
    builder.add_node("plain", lambda state: {"label": state["label"].upper()})
    builder.add_edge(START, "both")
    builder.add_edge("both", "plain")
    right = {"both/label": "good", "plain": "GOOD"}
    inputs = [{"input": {"q": 1}, "reference": right}]
    found = profile(builder.compile(), inputs, models=two.pool, store=False)
    assert _quality(found)["both/label", "strong"] == 1.0
    void = "plain: its 'reference' judged nothing, since no model was called there"
    assert [note for note in found.notes if "judged nothing" in note] == [void]
    for wrong in ("label", "both/lable"):
        inputs = [{"input": {"q": 1}, "reference": {wrong: "good"}}]
        with pytest.raises(UnknownNode, match=wrong):
            profile(builder.compile(), inputs, models=two.pool, store=False)


@tool
def look_up(q: str) -> str:
    """Look it up."""
    return q


def _one(ask: Callable[[ScriptedChat, State], Any]) -> tuple[Any, ScriptedChat, list[Model]]:
    strong = ScriptedChat(name="strong", temperature=0, replies=[{"q": "x"}])
    weak = ScriptedChat(name="weak", temperature=0, replies=[{"q": "y"}])
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"reply": str(ask(strong, state))})
    builder.add_edge(START, "ask")
    pool = [
        Model("scripted:strong", strong, price_in_usd=1, price_out_usd=1),
        Model("scripted:weak", weak, local=True),
    ]
    return builder.compile(), weak, pool


def test_tools_go_along_and_a_tool_call_is_judged() -> None:
    graph, weak, pool = _one(lambda m, s: m.bind_tools([look_up]).invoke(f"find {s['q']}"))
    found = profile(
        graph, [{"input": {"q": 1}, "reference": {"ask": {"q": "x"}}}], models=pool, store=False
    )
    [call] = weak.calls
    assert call.kwargs["tools"][0]["function"]["name"] == "look_up"
    assert _quality(found) == {("ask", "strong"): 1.0, ("ask", "weak"): 0.0}
    assert {cell.judged_by for cell in found.cells} == {"reference"}


def test_what_the_provider_would_carry_out_is_not_replayed() -> None:
    def ask(model: ScriptedChat, _: State) -> Any:
        model.replies = ["found"]
        return model.invoke("find", tools=[{"type": "web_search"}])

    graph, weak, pool = _one(ask)
    found = profile(graph, [{"q": 1}], models=pool, store=False)
    assert weak.calls == ()
    assert "web_search" in found.skipped["ask"]


def test_the_graph_is_not_run_again_where_its_code_may_act() -> None:
    two = Two()
    sent: list[str] = []

    def post(state: State) -> State:
        sent.append(state["reply"])
        return {}

    builder = StateGraph(State)
    builder.add_node("label", two._label)
    builder.add_node("post", post)
    builder.add_edge(START, "label")
    builder.add_edge("label", "post")
    graph = builder.compile()
    given: dict[str, Any] = {"models": two.pool, "nodes": {"label": two.nodes["label"]}}
    inputs = [{"input": {"q": n, "reply": "r"}, "expected": {"label": "good"}} for n in range(4)]
    found = profile(graph, inputs, store=False, **given)
    assert len(sent) == 4
    assert found.influences == ()
    assert any("influence on the end was not measured: node" in note for note in found.notes)
    forced = profile(graph, inputs, store=False, influence=True, **given)
    assert len(sent) == 4 + 4 + 4
    assert forced.influences[0].effect.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("given", "told"),
    [(5.0, "float"), (float("nan"), "float"), ("1", "str"), (KeyError("q"), "KeyError")],
    ids=["5", "nan", "text", "raises"],
)
def test_a_score_of_the_end_that_is_none_spoils_nothing(given: Any, told: str) -> None:
    def score(state: Any, example: Any) -> Any:
        if isinstance(given, Exception) and example.input["q"] == 1:
            raise given
        return given if example.input["q"] == 1 else True

    found = Two().profile(3, score=score)
    assert found.runs == 3
    assert found.end is not None
    assert (found.end.mean, found.end.count) == (1.0, 2)
    assert f"score= gave a {told} that is none in [0, 1]" in found.notes


def test_interventions_find_which_node_matters() -> None:
    """The end is the label alone: the other node, as bad as it is, changes nothing."""
    two = Two(weak_every=1000)
    found = two.profile(
        6, influence=True, score=lambda state, _: float(state["label"] == "good"), influence_runs=5
    )
    effects = {each.node: each for each in found.influences}
    # The weak model knows nothing but question 0.
    assert effects["label"].effect.count == 5
    assert effects["label"].effect.mean >= 0.8
    assert effects["reply"].effect.mean == 0.0
    assert effects["label"].stronger == "scripted:strong"
    assert (effects["label"].slope or 0.0) > 0.8
    assert effects["reply"].slope == 0.0
    # The runs' own answers came from memory: only what had changed was asked again.
    assert len(two.strong.calls) <= 12 + 5


def test_optimize_plans_by_what_was_found(tmp_path: Path) -> None:
    """The cheap model is as good as the strong one, which no prior says."""
    two = Two(weak_every=1)
    pool = [*two.pool[:1], Model("scripted:weak", two.weak, local=True, quality=0.05)]
    store = tmp_path / "store"

    def planned() -> list[float]:
        fast = optimize(two.graph, models=pool, nodes=two.nodes, store=store)
        return [
            dict(zip((a.model, *a.fallbacks), a.qualities, strict=False))["scripted:weak"]
            for a in fast.plan.assignments
        ]

    before = planned()
    two.profile(30, models=pool, store=store)
    flush_all()
    after = planned()
    assert all(new > old + 0.2 for old, new in zip(before, after, strict=True))
    fast = optimize(two.graph, models=pool, nodes=two.nodes, store=store)
    assert all(a.judged >= 55 for a in fast.plan.assignments)


def test_replays_count_as_calls_but_not_as_runs_and_save_nothing(tmp_path: Path) -> None:
    two = Two()
    two.profile(3, store=tmp_path)
    flush_all()
    history = optimize(two.graph, models=two.pool, nodes=two.nodes, store=tmp_path).history()
    assert history.totals.calls == 12
    assert history.runs == 3
    weak = [row for row in history.rows if row.model == "scripted:weak" and row.node]
    assert sum(row.saved_usd or 0.0 for row in weak) == 0.0


def test_a_model_that_keeps_failing_is_given_up() -> None:
    two = Two()
    down = ScriptedChat(name="down", replies=[ConnectionError("down")])
    found = two.profile(8, models=[*two.pool, Model("scripted:down", down, local=True)])
    assert len(down.calls) == 6, "three calls at each of two nodes"
    cell = found.cell("label", "scripted:down")
    assert cell is not None
    assert (cell.asked, cell.failed, cell.quality) == (3, 3, None)
    assert any("scripted:down failed" in note for note in found.notes)
    assert ("label", "scripted:down") not in found.evidence


def test_time_that_is_up_ends_it() -> None:
    two, ticks = Two(), count()
    found = two.profile(8, max_s=5.0, clock=lambda: float(next(ticks)))
    assert 0 < len(two.strong.calls) < 16
    assert any("time" in note for note in found.notes)


def test_more_workers_find_the_same() -> None:
    assert _quality(Two().profile(8, workers=4)) == _quality(Two().profile(8))


def test_the_same_seed_asks_in_the_same_order() -> None:
    def order(seed: int) -> list[str]:
        two = Two()
        two.profile(8, seed=seed)
        return [call.messages[-1].text for call in two.weak.calls]

    assert order(3) == order(3) != order(4)


def test_async_graphs() -> None:
    two = Two()

    async def label(state: State) -> State:
        return {"label": (await two.strong.ainvoke(f"label {state['q']}")).text}

    builder = StateGraph(State)
    builder.add_node("label", label)
    builder.add_edge(START, "label")
    found = profile(
        builder.compile(),
        [{"q": n} for n in range(4)],
        models=two.pool,
        nodes={"label": two.nodes["label"]},
        store=False,
        is_async=True,
    )
    assert _quality(found) == {("label", "strong"): 1.0, ("label", "weak"): 0.5}


def test_a_run_that_waits_for_a_person_is_profiled_up_to_there() -> None:
    two = Two()

    def ask(state: State) -> State:
        return {"reply": interrupt("sure?")}

    builder = StateGraph(State)
    builder.add_node("label", two._label)
    builder.add_node("ask", ask)
    builder.add_edge(START, "label")
    builder.add_edge("label", "ask")
    from langgraph.checkpoint.memory import InMemorySaver

    found = profile(
        builder.compile(checkpointer=InMemorySaver()),
        [{"input": {"q": n}, "expected": {"label": "good"}} for n in range(3)],
        models=two.pool,
        nodes={"label": two.nodes["label"]},
        store=False,
    )
    assert found.end is None
    assert found.calls == 6
    assert two.visited == 3


def test_what_nothing_judges_is_said() -> None:
    two = Two()
    found = two.profile(2, nodes={})
    assert {cell.quality for cell in found.cells} == {None}
    assert all(cell.took_s is not None for cell in found.cells)
    assert sum("nothing tells a good answer" in note for note in found.notes) == 2
    judged = two.profile(2, nodes={}, judge=lambda _, reply: "good" in reply.text)
    assert _quality(judged)["label", "strong"] == 1.0


def test_failed_runs_are_profiled_up_to_there_and_told() -> None:
    two = Two()

    def broken(state: State) -> State:
        raise RuntimeError("no post today")

    builder = StateGraph(State)
    builder.add_node("label", two._label)
    builder.add_node("post", broken)
    builder.add_edge(START, "label")
    builder.add_edge("label", "post")
    found = profile(
        builder.compile(),
        [{"q": 1}],
        models=two.pool,
        nodes={"label": two.nodes["label"]},
        store=False,
    )
    assert found.calls == 2
    assert any("no post today" in note for note in found.notes)


def test_a_limit_for_later_runs_that_none_can_keep_is_refused() -> None:
    two = Two()
    with pytest.raises(InfeasibleBudget):
        two.profile(2, models=two.pool[:1], per_run=1e-9)
    assert two.asked == 0
    assert two.profile(2, per_run=1e-4).calls == 8


@pytest.mark.parametrize(
    "wrong",
    [{"budget": -1}, {"workers": 0}, {"max_s": float("nan")}, {"influence_runs": 1.5}],
)
def test_impossible_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=next(iter(wrong))):
        Two().profile(1, **wrong)


def test_no_inputs_are_refused() -> None:
    with pytest.raises(InvalidValue, match="no inputs"):
        Two().profile(0)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    flush_all()
