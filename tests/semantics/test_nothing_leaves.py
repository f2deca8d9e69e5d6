"""What a graph learns from stays on the machine: all of it works with every socket refused."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from graphroute import Model, RouteHints, Store, optimize, verify
from graphroute.cli import run
from graphroute.providers.scripted import ScriptedChat

SECRET = "the heirloom is in the attic"


class State(TypedDict, total=False):
    text: str


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who was to be reached; nobody is."""
    asked: list[Any] = []

    def refuse(*given: Any, **_named: Any) -> Any:
        asked.append(given)
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


@pytest.mark.parametrize("keep_text", [False, True])
def test_runs_records_feedback_reports_and_their_deletion_reach_nobody(
    refused: list[Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], keep_text: bool
) -> None:
    big = ScriptedChat(name="big", replies=["a good draft"])
    small = ScriptedChat(name="small", replies=["a draft"])
    builder = StateGraph(State)
    builder.add_node("draft", lambda s: {"text": big.invoke(s["text"], max_tokens=8).text})
    builder.add_edge(START, "draft")
    builder.add_edge("draft", END)
    fast = optimize(
        builder.compile(name="app"),
        models=[
            Model("scripted:big", big, price_in_usd=2, price_out_usd=8, quality=0.9),
            Model("scripted:small", small, price_in_usd=0.1, price_out_usd=0.4, quality=0.6),
        ],
        budget=0.01,
        nodes={"draft": RouteHints(verify=verify.regex("draft"))},
        store=Store(folder=tmp_path, keep_text=keep_text),
        learn=True,
    )
    for _ in range(3):
        fast.invoke({"text": SECRET})
    fast.feedback(fast.last_run_id, 0.5)
    assert fast.history().totals.verdicts == 4
    fast.replan()

    def written() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert (SECRET.encode() in written()) is keep_text
    store = ["--store", str(tmp_path)]
    for words in (["report", "--html"], ["records", "stats"], ["records", "export"]):
        assert run([*words, *store]) == 0
    assert run(["profile", "retrain", "--dry-run", *store]) == 0
    capfd.readouterr()
    assert run(["records", "clear", "--all", *store]) == 0
    assert capfd.readouterr().out == "deleted 3 calls\n"
    assert SECRET.encode() not in written()
    assert refused == []
