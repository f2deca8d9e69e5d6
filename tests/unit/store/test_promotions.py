"""The log of promotions: only added to, one step back at a time, whole after a kill."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from graphroute.errors import StoreUnavailable
from graphroute.store.promotions import FILE, Promotions, in_use, standing, undo


def log_in(folder: Path) -> Promotions:
    return Promotions(folder / FILE, clock=lambda: 1_800_000_000.0)


def promote(log: Promotions, new: str, subject: str = "scorer") -> None:
    with log.step() as step:
        old = in_use(step.entries(), subject)
        step.add(kind="promoted", subject=subject, old=old, new=new, why="better", facts={"n": 1})


def test_undoing_goes_back_one_step_after_the_other(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for new in ("0001", "0002", "0003"):
        promote(log, new)
    steps = []
    while (taken := undo(log, why="by hand")) is not None:
        steps.append((taken.new, in_use(log.entries(), "scorer")))
    assert steps == [("0003", "0002"), ("0002", "0001"), ("0001", "")]
    promote(log, "0004")
    assert in_use(log.entries(), "scorer") == "0004"
    assert [e.kind for e in log.entries()] == ["promoted"] * 3 + ["undone"] * 3 + ["promoted"]
    undone = log.entries()[3]
    assert (undone.old, undone.new, undone.why) == ("0003", "0002", "by hand")


def test_subjects_stand_for_themselves(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    promote(log, "0001", "scorer a")
    promote(log, "0002", "scorer b")
    with log.step() as step:
        step.add(kind="kept", subject="scorer a", old="0001", new="0001", why="no better")
        step.add(kind="planned", subject="plan app", old="draft: weak", new="draft: big", why="new")
    taken = undo(log, why="")
    assert taken is not None
    assert taken.subject == "scorer b"
    entries = log.entries()
    assert (in_use(entries, "scorer a"), in_use(entries, "scorer b")) == ("0001", "")
    assert [e.new for e in standing(entries)] == ["0001"]


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert log_in(tmp_path / "nowhere").entries() == ()
    assert not (tmp_path / "nowhere").exists()


def test_nothing_in_the_log_is_ever_changed_or_deleted(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    promote(log, "0001")
    db = sqlite3.connect(log.path)
    for statement in ("UPDATE entries SET new = 'x'", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            db.execute(statement)
    db.close()


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    promote(log, "0001")

    def fail() -> None:
        with log.step() as step:
            step.add(kind="promoted", subject="scorer", old="0001", new="0002", why="")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert in_use(log.entries(), "scorer") == "0001"


def test_a_file_that_is_none_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no database, and long enough to be looked at" * 50)
    with pytest.raises(StoreUnavailable, match="log of promotions"):
        log_in(tmp_path).entries()


def test_promotions_of_many_threads_are_one_after_the_other(tmp_path: Path) -> None:
    log = log_in(tmp_path)

    def work(number: int) -> None:
        for n in range(10):
            promote(log, f"{number}-{n}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = log.entries()
    assert len(entries) == 40
    assert all(a.new == b.old for a, b in pairwise(entries))


_ENDLESS = """
import sys
from pathlib import Path
from graphroute.store.promotions import Promotions, in_use
log, n = Promotions(Path(sys.argv[1])), 0
while True:
    n += 1
    with log.step() as step:
        old = in_use(step.entries(), "scorer")
        step.add(kind="promoted", subject="scorer", old=old, new=f"{n:04d}", why="")
    print(n, flush=True)
"""


def test_a_kill_leaves_the_old_or_the_new_and_the_log_whole(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _ENDLESS, str(log.path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = [int(process.stdout.readline()) for _ in range(5 + 7 * round_)][-1]
            process.kill()
        entries = log.entries()
        assert all(a.new == b.old for a, b in pairwise(entries))
        last = int(in_use(entries, "scorer"))
        assert last >= said
        promote(log, f"{last + 1:04d}")  # and it can go on
