"""What is in the store's folder; what a run makes of one that is damaged, full or foreign."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from graphroute import Model, RouteHints, optimize
from graphroute.caches._table import Table
from graphroute.providers.scripted import ScriptedChat
from graphroute.store.background import flush_all

PROMPT, ANSWER = "the patient is called Wilhelmina", "she has the Ormskirk syndrome"
KEYS = {"right": "A" * 43 + "=", "wrong": "B" * 43 + "="}


class State(TypedDict, total=False):
    text: str
    said: str
    short: str


class Runs:
    """A graph whose outputs and answers are kept in a folder; each run is as in a new process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **hints: Any) -> None:
        self.folder, self.patch, self.hints = folder, monkeypatch, hints
        self.computed = 0

    def __call__(self, *, key: str | None = None) -> tuple[int, list[str]]:
        """(model calls, outcomes of the nodes) of a run, whose result has to be right."""
        if key is None:
            self.patch.delenv("GRAPHROUTE_CACHE_KEY", raising=False)
        else:
            self.patch.setenv("GRAPHROUTE_CACHE_KEY", KEYS[key])
        chat = ScriptedChat(name="own", temperature=0.0, replies=[ANSWER])
        builder = StateGraph(State)
        builder.add_node("ask", lambda s: {"said": chat.invoke(f"Note: {s['text']}").text})
        builder.add_node("shorten", lambda s: {"short": s["said"][:-1]})
        builder.add_edge(START, "ask")
        builder.add_edge("ask", "shorten")
        builder.add_edge("shorten", END)
        fast = optimize(
            builder.compile(),
            models=[Model("scripted:own", chat, local=True)],
            nodes={name: RouteHints(cache=True, **self.hints) for name in ("ask", "shorten")},
            cache=True,
            store=self.folder,
        )
        found = fast.invoke({"text": PROMPT})
        assert (found["said"], found["short"]) == (ANSWER, ANSWER[:-1])
        return len(chat.calls), [record.outcome for record in fast.node_records]


COLD, WARM = (1, ["computed", "computed"]), (0, ["hit", "hit"])


def _says(folder: Path) -> bool:
    """Whether any file of the folder holds a word of the prompt or of the answer."""
    words = [word.encode() for word in ("Wilhelmina", "Ormskirk")]
    flush_all()  # A journal that is deleted while this looks cannot be read.
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return any(word in path.read_bytes() for path in files for word in words)


def test_what_is_not_private_is_kept_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, monkeypatch)
    assert [runs(), runs()] == [COLD, WARM]
    assert _says(tmp_path)


def test_what_is_private_is_not_written_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, monkeypatch, privacy="local")
    assert [runs(), runs()] == [COLD, COLD]
    assert not _says(tmp_path)


@pytest.mark.parametrize("privacy", ["local", "any"])
def test_with_a_key_everything_is_kept_and_nothing_can_be_read(
    privacy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, monkeypatch, privacy=privacy)
    assert [runs(key="right"), runs(key="right")] == [COLD, WARM]
    assert not _says(tmp_path)


def test_another_key_or_none_finds_nothing_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, monkeypatch, privacy="local")
    assert runs(key="right") == COLD
    assert [runs(), runs(key="wrong"), runs(key="wrong")] == [COLD, COLD, WARM]
    assert runs(key="right") == WARM
    assert not _says(tmp_path)


def _flipped(raw: bytes) -> bytes:
    return raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda raw: raw[: len(raw) // 2], id="truncated"),
        pytest.param(_flipped, id="a flipped bit"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"\x80\x04K\x01.", id="foreign"),
        pytest.param(lambda raw: raw.replace(b".entry/1", b".entry/0", 1), id="older"),
    ],
)
def test_damaged_entries_are_computed_again(
    change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs(tmp_path, monkeypatch)
    assert runs() == COLD
    with closing(sqlite3.connect(tmp_path / "cache" / "cache.db")) as db:
        rows = db.execute("SELECT rowid, value FROM Cache").fetchall()
        assert len(rows) >= 3
        for rowid, value in rows:
            db.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (change(value), rowid))
        db.commit()
    assert runs() == COLD
    assert any("is not used" in record.getMessage() for record in caplog.records)
    assert runs() == WARM


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "no space left"), sqlite3.OperationalError("disk is full")]
)
def test_a_full_disk_costs_runs_nothing_but_the_cache(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise fault

    runs = Runs(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Table, "put", full)
        assert [runs(), runs()] == [COLD, COLD]
    assert [runs(), runs()] == [COLD, WARM]


def test_a_folder_that_is_a_file_costs_runs_nothing_but_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("mine")
    runs = Runs(tmp_path, monkeypatch)
    assert [runs(), runs()] == [COLD, COLD]
    assert (tmp_path / "cache").read_text() == "mine"
