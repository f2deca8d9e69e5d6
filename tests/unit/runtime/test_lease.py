"""Leases: one process at a time, free at once when its process is gone."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphroute.runtime.lease import Leases


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "leases.db"


@pytest.fixture
def leases(path: Path) -> Iterator[Leases]:
    made = Leases(path)
    yield made
    made.close()


def test_of_two_one_gets_the_lease(path: Path, leases: Leases) -> None:
    other = Leases(path)
    assert leases.take("k")
    assert not other.take("k")
    assert leases.take("k"), "its holder gets it again"
    assert other.is_held("k")
    assert other.take("another")
    other.release("k")
    assert other.is_held("k"), "a lease is given back by its holder only"
    leases.release("k")
    assert not other.is_held("k")
    assert other.take("k")
    other.close()
    assert leases.take("k"), "closing gives back"


def test_a_lease_ends_with_its_time_unless_it_is_renewed(path: Path) -> None:
    now = [1000.0]
    one, other = (Leases(path, ttl_s=10, clock=lambda: now[0]) for _ in range(2))
    assert one.take("k")
    now[0] += 8
    assert one.renew("k")
    now[0] += 8
    assert not other.take("k")
    now[0] += 3
    assert not one.is_held("k")
    assert other.take("k")
    assert not one.renew("k"), "it has gone to another"
    one.release("k")
    assert other.is_held("k"), "and is not given back by who had it before"
    one.close()
    other.close()


def test_a_clock_that_was_far_ahead_locks_nothing(path: Path) -> None:
    ahead = Leases(path, ttl_s=10, clock=lambda: 1e12)
    assert ahead.take("k")
    right = Leases(path, ttl_s=10, clock=lambda: 1000.0)
    assert right.take("k")
    ahead.close()
    right.close()


CHILD = """
import os, signal, sys
from pathlib import Path
from graphroute.runtime.lease import Leases
leases = Leases(Path(sys.argv[1]))
print(leases.take("k"), flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lease_of_a_killed_process_is_free_at_once(path: Path, leases: Leases) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert not leases.take("k")
        assert leases.is_held("k")
        child.communicate("die\n")
    assert not leases.is_held("k")
    assert leases.take("k")


def test_a_process_on_another_machine_is_believed_until_its_time_is_over(path: Path) -> None:
    now = [1000.0]
    far, near = (Leases(path, ttl_s=10, clock=lambda: now[0]) for _ in range(2))
    far._host = "elsewhere"
    assert far.take("k")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE leases SET pid = 1, born = 0")
    db.close()
    assert not near.take("k")
    now[0] += 11
    assert near.take("k")
    far.close()
    near.close()


def test_where_the_file_cannot_be_used_everyone_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for path in (blocked / "leases.db", tmp_path / "damaged.db"):
        (tmp_path / "damaged.db").write_bytes(b"no database" * 1000)
        caplog.clear()
        leases = Leases(path)
        with caplog.at_level(logging.WARNING):
            assert leases.take("k")
            assert leases.take("k")
            assert leases.renew("k")
            assert not leases.is_held("k")
            leases.release("k")
        leases.close()
        assert [r.levelname for r in caplog.records] == ["WARNING"], "told once"


def test_a_forked_process_holds_no_lease_of_its_parent(path: Path, leases: Leases) -> None:
    assert leases.take("k")
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        leases.release("k")
        is_taken = leases.take("k")
        os._exit(1 if is_taken else 0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert leases.is_held("k")
