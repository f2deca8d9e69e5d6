"""`graphroute profile log|undo|retrain`, as a user calls them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from graphroute import registry
from graphroute.protocols import PromptScorer
from graphroute.scorers.traits import Traits
from graphroute.store.records import RecordStore
from tests.unit.calls import NOW_S, call

Command = Callable[..., Any]


@pytest.fixture
def judged(command: Command, tmp_path: Path) -> Command:
    """Six hundred judged calls: the more digits in a prompt, the worse the answer."""
    scorer = registry.build("scorers", "length")
    assert isinstance(scorer, PromptScorer)
    traits, random = Traits(scorer), Random("judged")
    store = RecordStore(tmp_path / "mine" / "records.sqlite3", clock=lambda: NOW_S)
    for n in range(600):
        digits = random.randrange(0, 30)
        quality = float(random.random() < 1 / (1 + math.exp((digits - 15) / 5)))
        packed = traits.packed("word " * 20 + "42 " * digits)
        store.add(call(run_id=f"r{n}", started_s=NOW_S + n, features=packed, quality=quality))
    assert store.flush()
    return command


def test_retrain_log_and_undo(judged: Command) -> None:
    where = ("--store", "mine")
    assert "nothing was promoted" in judged("profile", "log", *where).out
    dry = judged("profile", "retrain", "--scorer", "length", "--dry-run", *where)
    assert (dry.code, "would be put in use" in dry.out) == (0, True)
    assert "nothing was promoted" in judged("profile", "log", *where).out

    done = json.loads(judged("profile", "retrain", "--scorer", "length", "--json", *where).out)
    assert (done["is_promoted"], done["version"], done["answers"]) == (True, "0001", 600)
    assert 0 < done["gain"]["low"] < done["gain"]["mean"]
    again = judged("profile", "retrain", "--scorer", "length", *where)
    assert "stays as it is (0001)" in again.out

    log = judged("profile", "log", *where).out
    assert "put in use: what ships -> 0001" in log
    assert "by user" in log
    assert "tried, not better: 0001" in log
    assert judged("profile", "log", "--limit", "1", *where).out.count("\n") == 1

    undone = judged("profile", "undo", "--why", "it looked odd", *where)
    assert (undone.code, "what ships is in use" in undone.out) == (0, True)
    entries = json.loads(judged("profile", "log", "--json", *where).out)["entries"]
    assert [e["kind"] for e in entries] == ["promoted", "kept", "undone"]
    assert entries[-1]["why"] == "it looked odd"
    nothing = judged("profile", "undo", *where)
    assert (nothing.code, "no promotion to undo" in nothing.out) == (1, True)


def test_nothing_to_learn_from(command: Command) -> None:
    done = command("profile", "retrain")
    assert (done.code, "too few" in done.out) == (0, True)
    assert command("profile", "retrain", "--scorer", "structural").code == 2
    assert command("profile", "retrain", "--scorer", "nobody").code == 2
