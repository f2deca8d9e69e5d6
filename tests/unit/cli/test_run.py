"""`graphroute run` and `graphroute report`: inputs, results, failures, files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).with_name("app.py")
GRAPH, POOL = f"{APP}:graph", f"{APP}:POOL"
Command = Callable[..., Any]


def test_records_of_a_run_calibrate_a_threshold(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"ticket": f"Prove it {i}"}) + "\n" for i in range(4))
    )
    words = ("run", GRAPH, "--models", POOL, "--inputs", "in.jsonl", "--json", "--output")
    assert command(*words, "plain.json").code == 0
    refused = command("calibrate", "--records", "plain.json", "--strong-share", "0.3")
    assert refused.code == 2
    assert "--keep-text" in refused.err
    assert command(*words, "kept.json", "--keep-text").code == 0
    share = ("--node", "classify", "--strong-share", "0.5", "--json")
    of_file = command("calibrate", "--records", "kept.json", *share)
    assert of_file.code == 0, of_file.err
    answer = json.loads(of_file.out)
    assert (answer["prompts"], answer["of"]) == (4, "need")
    assert answer["model"].startswith("router-lexical-0.")
    from graphroute.store.background import flush_all

    flush_all()
    of_store = command("calibrate", "--records", tmp_path / "home", *share)
    assert of_store.code == 0, of_store.err
    assert json.loads(of_store.out) == answer
    priced = ("--budget", "0.3", "--strong-usd", "1", "--weak-usd", "0", "--json")
    by_price = command("calibrate", "--records", "kept.json", *priced)
    assert by_price.code == 0, by_price.err
    assert json.loads(by_price.out)["wanted_share"] == pytest.approx(0.3)


def test_one_input_prints_the_final_state(command: Command) -> None:
    done = command("run", GRAPH, "--input", '{"ticket": "twice"}')
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"ticket": "twice", "topic": "billing", "reply": "billing"}
    assert "classify" in done.err, "the report goes to stderr"


def test_input_from_a_file_and_async(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"ticket": "late"}')
    done = command("run", GRAPH, "--input", "@in.json", "--async")
    assert done.code == 0, done.err
    assert json.loads(done.out)["ticket"] == "late"


def test_budget_decides_who_answers(command: Command) -> None:
    words = ("run", GRAPH, "--models", POOL, "--input", '{"ticket": "x"}', "--budget")
    assert json.loads(command(*words, "1").out)["topic"] == "billing"
    assert json.loads(command(*words, "0").out)["topic"] == "shipping"


def test_many_inputs_go_on_after_a_failure(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"ticket": "a"}\n\n{"ticket": "boom"}\n{"ticket": "b"}\n')
    done = command("run", GRAPH, "--inputs", "in.jsonl")
    assert done.code == 1
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [("output" in row, "error" in row) for row in rows] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert rows[1]["error"] == "RuntimeError: the ticket exploded"
    assert "1 of 3 inputs failed" in done.err
    assert "Traceback" not in done.err


def test_json_carries_results_and_report_which_report_reads(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('{"ticket": "a"}\n{"ticket": "b"}\n')
    done = command(
        "run", GRAPH, "--models", POOL, "--inputs", "in.jsonl", "--json", "--output", "run.json"
    )
    assert (done.code, done.out) == (0, ""), done.err
    data = json.loads((tmp_path / "run.json").read_text())
    assert data["schema"] == "graphroute.run/1"
    assert len(data["results"]) == 2
    assert data["report"]["totals"]["calls"] == 4
    again = command("report", "run.json", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out) == data["report"]
    table = command("report", "run.json")
    assert table.code == 0
    assert "classify" in table.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--input", "{}", "--inputs", "x.jsonl"],
        ["--input", "{not json"],
        ["--input", "@missing.json"],
        ["--inputs", "missing.jsonl"],
        ["--input", "{}", "--budget", "inf"],
    ],
)
def test_bad_inputs_are_misuse(command: Command, words: list[str]) -> None:
    done = command("run", GRAPH, *words)
    assert done.code == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_bad_line_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"ticket": "a"}\n{oops\n')
    done = command("run", GRAPH, "--inputs", "in.jsonl")
    assert done.code == 2
    assert "in.jsonl:2" in done.err


def test_empty_inputs_are_misuse(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n")
    assert command("run", GRAPH, "--inputs", "in.jsonl").code == 2


def test_report_without_a_file_says_where_records_are(command: Command) -> None:
    done = command("report", "--store", "nowhere")
    assert done.code == 2
    assert "fast.report()" in done.err
    assert not Path("nowhere").exists()
    (Path.cwd() / "x.json").write_text('{"schema": "other"}')
    assert command("report", "x.json").code == 2
    assert command("report", "missing.json").code == 2
