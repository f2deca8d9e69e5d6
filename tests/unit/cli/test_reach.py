"""`graphroute models`, `graphroute doctor`, and what all commands have in common."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphroute import cli

APP = Path(__file__).with_name("app.py")
GRAPH, POOL = f"{APP}:graph", f"{APP}:POOL"
Command = Callable[..., Any]


def test_models_tells_what_is_missing_and_what_to_do(command: Command) -> None:
    done = command("models", "--json")
    assert done.code == 0, done.err
    found = {item["provider"]: item for item in json.loads(done.out)["providers"]}
    assert "scripted" not in found
    assert found["ollama"]["is_ok"] is False
    assert found["ollama"]["next_step"]
    assert "OPENAI_API_KEY" in found["openai"]["detail"] + found["openai"]["next_step"]
    assert command("models").code == 0


def test_doctor_of_a_sound_graph(command: Command) -> None:
    done = command("doctor", GRAPH, "--models", POOL, "--json")
    data = json.loads(done.out)
    assert done.code == 0, data
    assert data["is_well"] is True
    plan = [check for check in data["checks"] if check["what"] == "plan"]
    assert plan[0]["level"] == "ok"


def test_doctor_names_nodes_without_a_limit(command: Command) -> None:
    checks = json.loads(command("doctor", GRAPH, "--json").out)["checks"]
    said = [c for c in checks if c["what"] == "node 'classify'"]
    assert said
    assert "max_output_tokens" in said[0]["next_step"]
    assert any(c["what"] == "pool" for c in checks)


def test_doctor_exits_1_on_a_problem(command: Command) -> None:
    done = command("doctor", f"{APP}:no_model", "--json")
    assert done.code == 1
    assert json.loads(done.out)["is_well"] is False
    assert command("doctor", GRAPH, "--models", "openai:none-such", "--budget", "1").code == 1


def test_doctor_without_target_looks_at_providers(command: Command) -> None:
    done = command("doctor")
    assert "ollama" in done.out
    assert "→" in done.out


def test_every_command_has_help(command: Command) -> None:
    assert {"plan", "run", "models", "doctor", "report", "demo"} <= set(cli.command_names())
    for name in cli.command_names():
        done = command(name, "--help")
        assert done.code == 0, name
        assert "Usage" in done.out


def test_version_and_no_arguments(command: Command) -> None:
    assert command("--version").out.startswith("graphroute ")
    assert command("nonsense").code == 2


def test_an_unexpected_error_is_one_line_unless_debug(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise KeyError("inside\nmore")

    monkeypatch.setattr("graphroute.cli.models.reach", broken)
    done = command("models")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "--debug" in done.err
    assert "Traceback" in command("models", "--debug").err


def test_a_closed_pipe_is_no_traceback() -> None:
    """As in `graphroute plan --schema | head -1`; a real process, since it closes real pipes."""
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'from graphroute.cli import main; main()',"
        " 'plan', '--schema'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "p.stdout.close()\n"
        "print(p.stderr.read().decode(), end='')\n"
        "p.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Traceback" not in done.stdout
    assert "BrokenPipe" not in done.stdout
