"""`graphroute profile TARGET`, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).with_name("app.py")
GRAPH, POOL = f"{APP}:graph", f"{APP}:POOL"
Command = Callable[..., Any]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    lines = [
        {
            "input": {"ticket": f"number {n}"},
            "expected": {"topic": "billing"},
            "reference": {"classify": "billing", "reply": "billing"},
        }
        for n in range(4)
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_target_is_profiled(command: Command, inputs: Path) -> None:
    done = command(
        "profile", GRAPH, "--inputs", inputs, "--models", POOL, "--json", "--influence", "on"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    quality = {(c["node"], c["model"]): c["quality"]["mean"] for c in found["cells"]}
    assert quality == {
        ("classify", "scripted:strong"): 1.0,
        ("classify", "scripted:weak"): 0.0,
        ("reply", "scripted:strong"): 1.0,
        ("reply", "scripted:weak"): 0.0,
    }
    assert [each["effect"]["mean"] for each in found["influences"]] == [1.0, 0.0]
    assert found["end"]["mean"] == 1.0


def test_what_was_found_is_recorded_and_shown(command: Command, inputs: Path) -> None:
    done = command("profile", GRAPH, "--inputs", inputs, "--models", POOL)
    assert done.code == 0, done.err
    assert "95 % intervals" in done.out
    assert "scripted:weak" in done.out
    rows = json.loads(command("profile", "show", "--json").out)["rows"]
    judged = {(row["node"], row["model"]): row["judged"] for row in rows}
    assert judged["classify", "scripted:weak"] == pytest.approx(4, abs=0.1)


def test_it_goes_on_from_its_state_and_keeps_its_budget(
    command: Command, inputs: Path, tmp_path: Path
) -> None:
    words = ("profile", GRAPH, "--inputs", inputs, "--models", POOL, "--json", "--state", "state")
    first = json.loads(command(*words, "--budget", "0.0005").out)
    assert first["spent_usd"] <= 0.0005
    again = json.loads(command(*words, "--budget", "0.0005").out)
    assert again["calls"] >= first["calls"]
    assert again["spent_usd"] <= 0.0005
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("limit", [("--budget", "0"), ("--budget", "1e-7"), ("--max-minutes", "0")])
def test_a_profile_of_nothing_fails_and_says_why(
    command: Command, inputs: Path, limit: tuple[str, str]
) -> None:
    done = command("profile", GRAPH, "--inputs", inputs, "--models", POOL, "--json", *limit)
    assert done.code == 1
    found = json.loads(done.out)
    assert (found["runs"], found["spent_usd"]) == (0, 0.0)
    assert f"nothing was profiled: {found['stopped']}" in done.err
    what = "budget" if limit[0] == "--budget" else "time"
    assert f"4 of 4 inputs were not run: the {what}" in found["stopped"]
    assert ("needs a budget of about $" in done.err) == (what == "budget")


def test_a_score_of_ones_own(command: Command, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "judging.py").write_text("def half(state, example):\n    return 0.5\n\nno = 3\n")
    words = ("profile", GRAPH, "--inputs", inputs, "--models", POOL, "--json")
    done = command(*words, "--score", "judging.py:half")
    assert json.loads(done.out)["end"]["mean"] == 0.5
    for wrong in ("judging.py:no", "judging.py:none", "nowhere.py:half"):
        done = command(*words, "--score", wrong)
        assert (done.code, done.out) == (2, "")
        assert wrong in done.err


def test_output_is_text_without_colours(command: Command, inputs: Path, tmp_path: Path) -> None:
    done = command(
        "profile", GRAPH, "--inputs", inputs, "--models", POOL, "--skip", "reply", "--output", "a"
    )
    assert (done.code, done.out) == (0, ""), done.err
    text = (tmp_path / "a").read_text()
    assert "reply: not replayed, its author says so" in text
    assert "\x1b" not in text


def test_misuse_is_told(command: Command, inputs: Path) -> None:
    assert "--inputs is needed" in command("profile", GRAPH).err
    done = command("profile", GRAPH, "--inputs", inputs, "--influence", "maybe")
    assert (done.code, "use on, off or auto" in done.err) == (2, True)
    done = command("profile", GRAPH, "--inputs", inputs, "--skip", "nobody")
    assert done.code == 2
