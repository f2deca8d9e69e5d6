"""`graphroute report` over the store and `graphroute records`, as a user calls them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def test_every_form_says_the_same(ran: Command, tmp_path: Path) -> None:
    data = json.loads(ran("report", "--json").out)
    assert (data["schema"], data["runs"], data["totals"]["calls"]) == ("graphroute.span/1", 2, 4)
    rows = list(csv.DictReader(io.StringIO(ran("report", "--csv").out)))
    assert sum(int(row["calls"]) for row in rows) == 4
    assert [row["node"] for row in rows] == [row["node"] for row in data["rows"]]
    table = ran("report")
    assert "classify" in table.out
    assert "4 calls in 2 runs" in table.out
    done = ran("report", "--html", "--output", "page.html")
    assert (done.code, done.out) == (0, "")
    page = (tmp_path / "page.html").read_text()
    assert "classify" in page
    assert "<svg" in page
    assert "Graph app" in page
    assert ran("report", "--output", "report.txt").out == ""
    assert "classify on" in (tmp_path / "report.txt").read_text()


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["--since", "1h"], 4),
        (["--since", "2099-01-01"], 0),
        (["--until", "1h"], 0),
        (["--graph", "app"], 4),
        (["--graph", "nobody"], 0),
        (["--node", "classify"], 2),
    ],
)
def test_spans_choose(ran: Command, words: list[str], calls: int) -> None:
    assert json.loads(ran("report", "--json", *words).out)["totals"]["calls"] == calls


def test_an_empty_span_is_no_error(ran: Command) -> None:
    done = ran("report", "--until", "30d")
    assert done.code == 0
    assert "no model call is recorded in this span" in done.out


@pytest.mark.parametrize(
    "words",
    [
        ["report", "--since", "soon"],
        ["report", "--since", "1h", "--until", "7d"],
        ["report", "--json", "--csv"],
        ["report", "run.json", "--since", "7d"],
        ["report", "run.json", "--html"],
        ["report", "--store", "nowhere"],
        ["records", "stats", "--store", "nowhere"],
        ["records", "clear"],
        ["records", "clear", "--older-than", "x"],
    ],
)
def test_misuse_is_told(ran: Command, words: list[str]) -> None:
    done = ran(*words)
    assert done.code == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_records_are_counted_exported_and_deleted(ran: Command, tmp_path: Path) -> None:
    assert "4 calls of 2 runs" in ran("records", "stats").out
    data = json.loads(ran("records", "stats", "--json").out)
    assert (data["calls"], data["texts"]) == (4, 0)
    assert data["size_bytes"] > 0
    rows = [json.loads(line) for line in ran("records", "export").out.splitlines()]
    assert [row["node"] for row in rows] == ["classify", "reply"] * 2
    assert {row["prompt"] for row in rows} == {None}
    assert ran("records", "clear", "--dry-run").out == "would delete 4 calls\n"
    assert ran("records", "clear", "--older-than", "1d").out == "deleted 0 calls\n"
    assert ran("records", "clear", "--graph", "nobody").out == "deleted 0 calls\n"
    done = ran("records", "clear", "--all", "--json")
    assert json.loads(done.out) == {"schema": "graphroute.records/1", "deleted": 4, "matched": 4}
    assert "0 calls of 0 runs" in ran("records", "stats").out


def test_a_damaged_store_is_set_aside_and_told(ran: Command, tmp_path: Path) -> None:
    file = tmp_path / "home" / "records.sqlite3"
    file.write_bytes(b"nothing that SQLite knows" * 200)
    done = ran("report")
    assert done.code == 0
    assert "no model call" in done.out
    assert file.with_name("records.sqlite3.damaged").exists()
