"""Run one command as `graphroute` would be run, without a new process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from graphroute.cli import run

APP = Path(__file__).with_name("app.py")
GRAPH, POOL = f"{APP}:graph", f"{APP}:POOL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Calls the command line in an empty folder with no key set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GRAPHROUTE_HOME", str(tmp_path / "home"))
    # A port that nothing listens on: whatever runs on this machine must not matter.
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GRAPHROUTE_DEBUG"):
        monkeypatch.delenv(key, raising=False)

    def call(*words: str | Path) -> Done:
        capfd.readouterr()
        code = run([str(word) for word in words])
        out, err = capfd.readouterr()
        return Done(code=code, out=out, err=err)

    return call


@pytest.fixture
def ran(command: Command, tmp_path: Path) -> Command:
    """Two runs of four calls are recorded."""
    from graphroute.store.background import flush_all

    (tmp_path / "in.jsonl").write_text('{"ticket": "a secret"}\n{"ticket": "b"}\n')
    done = command("run", GRAPH, "--models", POOL, "--inputs", "in.jsonl")
    assert done.code == 0, done.err
    flush_all()
    return command
