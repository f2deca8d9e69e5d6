"""Records under what a machine does to them: killed processes, a full disk, many writers."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from graphroute.store.background import PAUSE_S
from graphroute.store.records import RecordStore
from tests.unit.calls import NOW_S, call

pytestmark = pytest.mark.slow

WRITER = """
import sys, time
from pathlib import Path
from graphroute.store.records import RecordStore
from tests.unit.calls import call

store = RecordStore(Path(sys.argv[1]))
name, count, pause_s = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
for number in range(count):
    store.add(call(run_id=f"{name}-{number}", started_s=time.time()))
    print(time.time(), flush=True)
    time.sleep(pause_s)
"""

FULL = """
import resource, sys, time
from pathlib import Path
from graphroute.store.records import RecordStore
from tests.unit.calls import call

resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
store = RecordStore(Path(sys.argv[1]))
worked = True
for number in range(20_000):
    store.add(call(run_id=f"r{number}", started_s=time.time()))
    if number % 1_000 == 0:
        worked = store.flush()
print(worked, store.flush(), store.lost)
"""


def _started(code: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def _is_sound(path: Path) -> bool:
    db = sqlite3.connect(path)
    try:
        return bool(db.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    finally:
        db.close()


def test_killed_processes_lose_the_last_moments_only(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    for round_ in range(10):
        process = _started(WRITER, path, f"k{round_}", 100_000, 0.002)
        assert process.stdout is not None
        told = [float(process.stdout.readline()) for _ in range(200 + 20 * round_)]
        killed_s = time.time()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = {r.run_id for r in RecordStore(path).records() if r.run_id.startswith(f"k{round_}-")}
        # What was put well before the end is there: a pause, one batch, and a busy machine's delay.
        safe = [n for n, at_s in enumerate(told) if at_s < killed_s - PAUSE_S - 0.5]
        assert {f"k{round_}-{n}" for n in safe} <= kept
        assert _is_sound(path)
    assert not path.with_name("records.sqlite3.damaged").exists()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    processes = [_started(WRITER, path, f"p{n}", 1_000, 0) for n in range(6)]
    readings = 0
    while any(process.poll() is None for process in processes):
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        if path.exists():
            RecordStore(path).tally()
            readings += 1
    for process in processes:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
    kept = [record.run_id for record in RecordStore(path).records()]
    assert sorted(kept) == sorted(f"p{n}-{i}" for n in range(6) for i in range(1_000))
    assert readings > 0
    assert _is_sound(path)


def test_a_full_disk_costs_a_warning_and_the_records_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    process = _started(FULL, path)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert out.split()[:2] == ["False", "False"]
    assert errors.count("cannot be kept now") == 1
    assert "Traceback" not in errors
    # With room again the file works on, with what was written before.
    store = RecordStore(path)
    before = store.holdings().calls
    store.add(call(run_id="after", started_s=time.time()))
    assert store.holdings().calls == before + 1
    assert _is_sound(path)


def test_threads_of_one_process_lose_nothing_while_it_is_read_and_trimmed(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "records.sqlite3", clock=lambda: NOW_S)

    def add(name: int) -> None:
        for number in range(500):
            store.add(call(run_id=f"t{name}-{number}"))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store.tally()
    for thread in threads:
        thread.join()
    assert store.holdings().calls == 16 * 500
    assert store.lost == 0


def test_a_locked_file_does_not_hold_a_call(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    assert store.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    started = time.perf_counter()
    for number in range(1_000):
        store.add(call(run_id=f"r{number}"))
    assert time.perf_counter() - started < 0.5
    other.execute("ROLLBACK")
    other.close()
    assert store.holdings().calls == 1_001
