"""Caches under threads, processes and kills; what is found is always what was put."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from graphroute.caches import disk, layered, memory
from graphroute.protocols import Cache
from graphroute.runtime.lease import Leases

THREADS, ROUNDS = 64, 100


def value_of(key: str, size: int) -> bytes:
    """A value that tells its key and whether all of it is there."""
    return (key.encode() + b"|") * (size // (len(key) + 1) + 1)


def is_whole(key: str, value: bytes) -> bool:
    return value.replace(key.encode() + b"|", b"") == b""


def work(cache: Cache, seed: int, rounds: int) -> list[str]:
    """Random use of a few keys; what was found that no put of this key can have written."""
    drawn = random.Random(seed)
    wrong = []
    for _ in range(rounds):
        key = f"key{drawn.randrange(40)}"
        match drawn.randrange(10):
            case 0 | 1 | 2:
                size = drawn.choice((10, 2_000, 90_000))
                cache.put(key, value_of(key, size), tags={"node": key})
            case 3:
                cache.delete(key)
            case _:
                found = cache.get(key)
                if found is not None and not is_whole(key, found):
                    wrong.append(key)
    return wrong


def built(kind: str, folder: Path) -> Cache:
    limit = 3_000_000
    if kind == "memory":
        return memory.build(limit)
    if kind == "disk":
        return disk.build(folder, limit_bytes=limit)
    if kind == "sealed":
        return disk.build(folder, limit_bytes=limit, key="A" * 43 + "=")
    return layered.build(folder, memory_bytes=limit // 3, limit_bytes=limit)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "disk", "sealed", "layered"])
def test_threads(kind: str, tmp_path: Path) -> None:
    cache = built(kind, tmp_path)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda seed: work(cache, seed, ROUNDS), range(THREADS)))
    assert [wrong for wrong in found if wrong] == []
    stats = cache.stats()
    assert stats.faults == 0
    assert stats.hits > 0
    if kind != "layered":
        # Disk counts the table's own pages too, so what entries take may be less.
        assert stats.size_bytes <= 3_000_000
    cache.close()


def in_process(folder: str, seed: int) -> tuple[list[str], int]:
    cache = disk.build(folder, limit_bytes=3_000_000)
    wrong = work(cache, seed, 400)
    faults = cache.stats().faults
    cache.close()
    return wrong, faults


@pytest.mark.slow
def test_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        found = pool.starmap(in_process, [(str(tmp_path), seed) for seed in range(8)])
    assert found == [([], 0)] * 8


PUTTER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.stress.test_caches import value_of
from graphroute.caches import disk
cache = disk.build(sys.argv[1], limit_bytes=20_000_000)
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    key = f"key{number % 60}"
    cache.put(key, value_of(key, (50, 5_000, 150_000)[number % 3]), tags={"node": key})
"""


@pytest.mark.slow
def test_a_process_killed_in_the_middle_of_puts_leaves_whole_entries(tmp_path: Path) -> None:
    folder, root = tmp_path / "cache", str(Path(__file__).parents[2])
    drawn = random.Random(3)
    for number in range(25):
        with subprocess.Popen(
            [sys.executable, "-c", PUTTER, str(folder), str(number * 7), root],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(drawn.uniform(0.0, 0.05))  # when to kill, not what to wait for
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        cache = disk.build(folder)
        entries = cache.entries()
        for entry in entries:
            value = cache.get(entry.key)
            assert value is not None
            assert is_whole(entry.key, value)
        cache.put("after", value_of("after", 9))
        assert cache.get("after") == value_of("after", 9)
        assert cache.stats().faults == 0
        cache.close()
    assert entries
    # What the killed left half done is swept away.
    for orphan in folder.glob("??/??/*.val"):
        os.utime(orphan, (1000.0, 1000.0))
    cache = disk.build(folder)
    cache.clear()
    cache.close()
    assert not list(folder.glob("??/??/*.val"))


def ask_all(folder: str, start: Barrier) -> list[str]:
    """Answer 30 questions as a shared run would: one asks, the others look until it is there."""
    cache, leases = disk.build(f"{folder}/cache"), Leases(Path(folder) / "leases.db")
    asked: list[str] = []
    start.wait()
    lock = threading.Lock()

    def ask(question: int) -> None:
        key = f"q{question}"
        while cache.get(key) is None:
            if leases.take(key):
                # Between the look and the lease another may have finished.
                if cache.get(key) is None:
                    with lock:
                        asked.append(key)
                    time.sleep(0.01)  # the model thinks
                    cache.put(key, b"answer")
                leases.release(key)
                return
            time.sleep(0.002)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(30)))
    cache.close()
    leases.close()
    return asked


@pytest.mark.slow
def test_two_processes_ask_each_question_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(3) as pool:
        start = manager.Barrier(3)
        found = pool.starmap(ask_all, [(str(tmp_path), start)] * 3)
    asked = sorted(key for keys in found for key in keys)
    assert asked == sorted(f"q{question}" for question in range(30))
    assert sum(bool(keys) for keys in found) >= 2, "the processes were not at work together"
