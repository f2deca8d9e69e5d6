"""Who judges in a profile is paid from its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import BaseMessage
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, verify
from graphroute.frontend.langgraph import walk
from graphroute.ir.hints import NANO
from graphroute.ir.tally import Span
from graphroute.planning.observe import observe
from graphroute.profiling import NodeProfileReport, profile
from graphroute.providers.scripted import ScriptedChat
from graphroute.store.background import flush_all
from graphroute.store.records import RecordStore

INPUTS = 4


class State(TypedDict, total=False):
    q: int
    label: str


def honest(messages: list[BaseMessage]) -> str:
    return "A" if "A = good" in messages[-1].text else "B"


class Judged:
    """One node on one of two models at 1 USD per million tokens, and a judge."""

    def __init__(self, *, judge_price: float = 1.0) -> None:
        names = ("own", "other")
        own, other = (ScriptedChat(name=n, replies=[n], temperature=0) for n in names)
        self.judge = ScriptedChat(name="judge", replies=honest)
        builder = StateGraph(State)
        builder.add_node(
            "label", lambda s: {"label": own.invoke(f"label {s['q']}", max_tokens=8).text}
        )
        builder.add_edge(START, "label")
        self.graph = builder.compile()
        pool = (
            ("scripted:own", own, 1.0),
            ("scripted:other", other, 1.0),
            ("scripted:judge", self.judge, judge_price),
        )
        self.pool = [
            Model(name, chat, price_in_usd=price, price_out_usd=price, quality=0.5)
            for name, chat, price in pool
        ]

    def profile(self, *, hints: dict[str, Any] | None = None, **more: Any) -> NodeProfileReport:
        allowed = ("scripted:own", "scripted:other")
        given = {"store": False, "influence": False, "models": self.pool}
        nodes = {"label": RouteHints(models=allowed, **(hints or {}))}
        inputs = [{"q": n} for n in range(INPUTS)]
        return profile(self.graph, inputs, nodes=nodes, **{**given, **more})


@pytest.mark.parametrize("by", ["judge", "verify"])
def test_a_judge_is_paid_and_its_price_is_learnt(by: str, tmp_path: Path) -> None:
    found = Judged()
    check = verify.judge(found.judge)
    how: dict[str, Any] = {"judge": check} if by == "judge" else {"hints": {"verify": check}}
    told = found.profile(store=tmp_path, **how)
    flush_all()
    records = tuple(RecordStore(tmp_path / "records.sqlite3").records(Span()))
    checks = [record for record in records if record.is_check]
    assert len(found.judge.calls) == len(checks) == 2 * 2 * INPUTS
    assert told.spent_usd == pytest.approx(sum(r.cost_nano for r in records) / NANO)
    assert sum(record.cost_nano for record in checks) > 0.5 * told.spent_usd * NANO
    assert {cell.model for cell in told.cells} == {"scripted:own", "scripted:other"}
    seen = observe(records, walk(found.graph).graph)
    answers = 2 * INPUTS
    expected = sum(record.cost_nano for record in checks) / NANO / answers
    assert seen.check_usd == {"label": pytest.approx(expected)}


def test_a_judge_that_the_budget_does_not_suffice_for_is_not_asked() -> None:
    found = Judged(judge_price=100.0)
    told = found.profile(judge=verify.judge(found.judge), budget=0.01)
    assert told.spent_usd <= 0.01
    assert len(found.judge.calls) == 0
    assert told.calls > 0
    assert all(cell.quality is None for cell in told.cells)
