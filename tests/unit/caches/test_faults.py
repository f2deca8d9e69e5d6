"""Faults are counted, told once each, and a grave one is not run into again for a while."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from graphroute.caches._faults import REST_S, Faults


def failing(fault: Exception) -> int:
    raise fault


def test_a_passing_fault_is_tried_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(Path("here"))
    with caplog.at_level(logging.DEBUG):
        locked = sqlite3.OperationalError("database is locked")
        for _ in range(3):
            assert faults.tried("read", lambda: failing(locked), 7) == 7
        assert faults.tried("read", lambda: 5, 7) == 5
        faults.tried("write to", lambda: failing(OSError("full")), 0)
    assert faults.count == 4
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.DEBUG, logging.DEBUG, logging.WARNING]
    assert "cannot read the cache in 'here'" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    "grave",
    [
        sqlite3.DatabaseError("file is not a database"),
        sqlite3.OperationalError("unable to open database file"),
        PermissionError("no"),
    ],
)
def test_after_a_grave_one_the_same_rests(grave: Exception) -> None:
    now = [0.0]
    faults = Faults(Path("here"), clock=lambda: now[0])
    assert faults.tried("write to", lambda: failing(grave), 0) == 0
    assert faults.tried("write to", lambda: 5, 0) == 0
    assert faults.tried("read", lambda: 5, 0) == 5, "what else there is to do goes on"
    now[0] = REST_S + 1
    assert faults.tried("write to", lambda: 5, 0) == 5
    faults.tried("write to", lambda: failing(grave), 0)
    faults.wake()
    assert faults.tried("write to", lambda: 5, 0) == 5


def test_what_ends_the_program_is_no_fault() -> None:
    def stopped() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Faults(Path("here")).tried("read", stopped, 0)
