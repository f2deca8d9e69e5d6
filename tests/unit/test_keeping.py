"""An optimized graph leaves records, takes feedback and shows its history, also to others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, Store, optimize, private
from graphroute.errors import InvalidValue, UnknownNode
from graphroute.ir.verdict import Verdict
from graphroute.keeping import folder, home, stated
from graphroute.providers.scripted import ScriptedChat
from graphroute.store.records import FILE, RecordStore


class State(TypedDict):
    """One text."""

    text: str


STRONG = ScriptedChat(name="strong", replies=["a long and private answer"])


def graph_of() -> Any:
    builder = StateGraph(State)
    builder.add_node("draft", lambda state: {"text": STRONG.invoke(state["text"]).text})
    builder.add_node("check", lambda state: {"text": STRONG.invoke(state["text"]).text})
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "check")
    return builder.compile(name="app")


def kept(folder: Path) -> RecordStore:
    return RecordStore(folder / FILE)


def fast_of(store: Any, **changes: Any) -> Any:
    pool = [
        Model("scripted:strong", STRONG, price_in_usd=2.0, price_out_usd=8.0, quality=0.9),
        Model("scripted:weak", ScriptedChat(name="weak", replies=["ok"]), local=True, quality=0.4),
    ]
    return optimize(graph_of(), models=pool, store=store, **changes)


def flushed(fast: Any) -> None:
    assert fast.__dict__["_graphroute"].store.flush()


def test_calls_are_recorded_with_what_the_plan_foretold(tmp_path: Path) -> None:
    fast = fast_of(tmp_path)
    fast.invoke({"text": "hello"})
    flushed(fast)
    records = list(kept(tmp_path).records())
    assert [(r.node, r.graph_name) for r in records] == [("draft", "app"), ("check", "app")]
    for record in records:
        planned = fast.plan.assignment(record.node)
        assert record.graph == fast.plan.graph.fingerprint
        assert record.predicted_quality == pytest.approx(planned.quality)
        assert record.predicted_cost_nano == round(
            planned.cost_usd * 1e9 / (planned.expected_visits * planned.expected_calls)
        )
    assert records == [r for r in fast.records if r.run_id == fast.last_run_id], (
        "the same as in memory"
    )


def test_nothing_is_written_by_optimizing_alone_or_where_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHROUTE_HOME", str(tmp_path / "home"))
    off = fast_of(False)
    off.invoke({"text": "hello"})
    assert off.history() is None
    assert len(off.records) == 2
    assert not (tmp_path / "home").exists()
    on = fast_of(None)
    on.invoke({"text": "hello"})
    flushed(on)
    assert (tmp_path / "home" / FILE).exists()


def test_feedback_reaches_memory_store_and_report(tmp_path: Path) -> None:
    nodes = {"draft": RouteHints(weight=3.0), "check": RouteHints(weight=1.0)}
    fast = fast_of(tmp_path, nodes=nodes)
    assert fast.last_run_id == ""
    fast.invoke({"text": "one"})
    fast.feedback(fast.last_run_id, True)
    fast.feedback(fast.last_run_id, 0.0, node="check", reason="too short")
    policy = fast.__dict__["_graphroute"].policy
    assert [(c.node, c.score, c.weight) for c in policy.credits] == [
        ("draft", 1.0, 0.75),
        ("check", 1.0, 0.25),
        ("check", 0.0, 1.0),
    ]
    report = fast.history()
    rows = {row.node: row for row in report.rows}
    assert rows["draft"].quality == 1.0
    assert rows["check"].quality == pytest.approx(0.2)
    assert {c.source for c, _ in kept(tmp_path).credits()} == {"user"}


def test_the_last_verdict_of_a_source_on_a_run_or_node_stands(tmp_path: Path) -> None:
    fast = fast_of(tmp_path, learn=True)
    fast.invoke({"text": "one"})
    for _ in range(50):
        fast.feedback(fast.last_run_id, False)
    row = fast.history().totals
    assert (row.verdicts, row.judged, row.quality) == (2, pytest.approx(1.0), 0.0)
    fast.feedback(fast.last_run_id, True)
    fast.feedback(fast.last_run_id, 0.5, node="check")
    fast.feedback(fast.last_run_id, 1.0, node="check")
    judge = Verdict(score=0.0, passed=False, source="langsmith")
    fast.feedback(fast.last_run_id, judge)
    fast.feedback(fast.last_run_id, judge)
    policy = fast.__dict__["_graphroute"].policy
    assert [(c.node, c.score, c.source) for c in policy.credits] == [
        ("draft", 1.0, "user"),
        ("check", 1.0, "user"),
        ("check", 1.0, "user"),
        ("draft", 0.0, "langsmith"),
        ("check", 0.0, "langsmith"),
    ]
    assert fast.history().totals.judged == pytest.approx(3.0)
    later = fast_of(tmp_path)
    later.feedback(fast.last_run_id, 0.0, node="check")
    rows = {row.node: row.quality for row in later.history().rows}
    assert rows == pytest.approx({"draft": 0.5, "check": 0.25})


def test_feedback_may_come_from_another_process(tmp_path: Path) -> None:
    first = fast_of(tmp_path)
    first.invoke({"text": "one"}, {"metadata": {"graphroute_run_id": "ticket-17"}})
    flushed(first)
    later = fast_of(tmp_path)
    later.feedback("ticket-17", False)
    assert later.history().totals.quality == 0.0
    with pytest.raises(UnknownNode):
        later.feedback("ticket-17", False, node="nobody")
    with pytest.raises(InvalidValue, match="no call of a run"):
        later.feedback("ticket-18", False)
    with pytest.raises(InvalidValue, match="feedback score"):
        later.feedback("ticket-17", "good")


async def test_a_run_is_called_as_its_config_says(tmp_path: Path) -> None:
    fast = fast_of(tmp_path)
    number = UUID(int=5)
    await fast.ainvoke({"text": "x"}, {"run_id": number})
    assert fast.last_run_id == str(number)
    assert {r.run_id for r in fast.records} == {str(number)}
    fast.with_config(metadata={"graphroute_run_id": "bound"}).invoke({"text": "x"})
    assert fast.records[-1].run_id == "bound"
    fast.invoke({"text": "x"})
    assert fast.last_run_id not in ("bound", str(number))


@pytest.mark.parametrize(
    "run_id", [UUID(int=5), 17, 0, "x" * 500, "odd \ud800"], ids=["uuid", "17", "0", "long", "odd"]
)
def test_feedback_finds_a_run_by_the_very_id_that_it_was_given(tmp_path: Path, run_id: Any) -> None:
    fast = fast_of(tmp_path)
    fast.invoke({"text": "x"}, {"metadata": {"graphroute_run_id": run_id}})
    fast.feedback(run_id, True)
    fast.feedback(fast.last_run_id, 0.5, node="draft")
    assert fast.history().totals.verdicts == 3
    later = fast_of(tmp_path)
    later.feedback(run_id, True, node="check")
    assert later.history().totals.verdicts == 4


@pytest.mark.parametrize("run_id", [None, "", "unknown", 3, UUID(int=6)], ids=repr)
def test_feedback_on_what_is_no_run_is_refused(tmp_path: Path, run_id: Any) -> None:
    fast = fast_of(tmp_path)
    fast.invoke({"text": "x"})
    with pytest.raises(InvalidValue, match=r"no call of a run|feedback on no run"):
        fast.feedback(run_id, True)


def test_copies_share_feedback_and_history(tmp_path: Path) -> None:
    fast = fast_of(tmp_path)
    copy = fast.with_config(tags=["x"])
    copy.invoke({"text": "x"})
    fast.feedback(copy.last_run_id, True)
    assert copy.history().totals.verdicts == 2


def test_history_is_that_of_this_graph_and_span(tmp_path: Path) -> None:
    fast = fast_of(tmp_path)
    fast.invoke({"text": "x"})
    other = optimize(
        StateGraph(State)
        .add_node("only", lambda state: {"text": STRONG.invoke("hi").text})
        .add_edge(START, "only")
        .compile(name="other"),
        store=tmp_path,
    )
    other.invoke({"text": "x"})
    flushed(other)
    assert {row.node for row in fast.history().rows} == {"draft", "check"}
    assert fast.history(until_s=1.0).totals.calls == 0
    assert other.history().shapes[0].name == "other"


def test_a_store_that_fails_never_breaks_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    fast = fast_of(tmp_path / "file")
    for _ in range(3):
        assert fast.invoke({"text": "x"})["text"]
    assert not fast.__dict__["_graphroute"].store.flush()
    fast.feedback(fast.last_run_id, True)
    told = [r for r in caplog.records if "cannot be kept" in r.message]
    assert len(told) == 1


def test_a_sink_that_raises_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    fast = fast_of(False)
    policy = fast.__dict__["_graphroute"].policy
    seen: list[Any] = []

    def sink(record: Any) -> None:
        seen.append(record)
        raise RuntimeError("no more")

    policy.sink = sink
    fast.invoke({"text": "x"})
    assert len(seen) == 1
    assert "records are no longer kept" in caplog.text


@pytest.mark.parametrize("bad", ["", "  "], ids=repr)
def test_a_folder_without_a_name_is_not_the_one_we_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for store in (bad, "Store"):
        with pytest.raises(InvalidValue, match="folder="):
            fast_of(Store(folder=bad) if store == "Store" else store)
    fast = fast_of(".")
    fast.invoke({"text": "x"})
    flushed(fast)
    assert (tmp_path / FILE).exists(), "this folder, if that is what is said"


@pytest.mark.parametrize("bad", [42, ["folder"], object()], ids=["number", "list", "object"])
def test_what_is_no_store_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidValue, match="store="):
        fast_of(bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"max_rows": 0},
        {"max_rows": 1.5},
        {"max_age_days": 0},
        {"keep_text": "no"},
        {"records": 1},
        {"folder": 3},
    ],
    ids=str,
)
def test_limits_of_a_store_are_checked(changes: Any) -> None:
    with pytest.raises(InvalidValue):
        Store(**changes)


def test_a_store_is_a_folder_or_more(tmp_path: Path) -> None:
    assert folder(stated(str(tmp_path))) == tmp_path
    assert folder(stated(Store(folder=tmp_path, keep_text=True))) == tmp_path
    assert folder(stated(None)) == home() == folder(stated(True))
    assert stated(False).records is False


class Private(TypedDict, total=False):
    """What one node reads is the user's own, by the node's word or by the key's."""

    text: str
    own: Annotated[str, private]
    out: str


@pytest.mark.parametrize("by", ["node", "key"])
def test_of_private_nodes_nothing_is_written_with_leave_to_keep_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    def answered(messages: Any) -> Any:
        if "fails" in messages[-1].text:
            return ValueError(f"cannot read {messages[-1].text}")
        return f"about {messages[-1].text}"

    chat = ScriptedChat(name="here", replies=answered)
    key = "text" if by == "node" else "own"

    def inner(state: Any) -> Any:
        try:
            return {"out": chat.invoke(state[key]).text}
        except ValueError:
            return {"out": "-"}

    builder = StateGraph(Private)
    builder.add_node("inner", inner)
    builder.add_edge(START, "inner")

    def check(messages: Any, reply: Any) -> Verdict:
        return Verdict(score=0.2, passed=False, reason=f"bad: {reply.text}")

    fast = optimize(
        builder.compile(),
        models=[Model("scripted:here", chat, local=True)],
        nodes={"inner": RouteHints(verify=check, privacy="local" if by == "node" else None)},
        store=Store(folder=tmp_path, keep_text=True),
        learn=True,
    )
    for text in ("SECRET", "SECRET fails"):
        fast.invoke({key: text})
        fast.feedback(fast.last_run_id, 0.5, reason="SECRET was not answered")
        fast.feedback(fast.last_run_id, 0.5, node="inner", reason="SECRET was not answered")
    assert {r.is_private for r in fast.records} == {True}
    assert "SECRET" in fast.records[0].verdicts[0].reason, "in memory it is all there"
    assert "SECRET" in (fast.records[-1].error or "")
    assert fast.history().totals.calls == len(fast.records)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"SECRET" not in path.read_bytes(), path
    first, *_, last = kept(tmp_path).records()
    assert (first.verdicts[0].score, first.prompt, first.answer) == (0.2, None, None)
    assert last.error == "ValueError"
    policy = fast.__dict__["_graphroute"].policy
    policy.record(replace(first, fault="ValueError: SECRET"))
    assert "routing fault at node 'inner': ValueError" in caplog.text
    assert "SECRET" not in caplog.text
