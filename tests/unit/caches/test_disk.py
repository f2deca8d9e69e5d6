"""The disk cache loses rather than fails, and never runs what lies in its folder."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import diskcache
import pytest

from graphroute.caches import disk
from graphroute.caches.disk import DiskCache

LONG = b"v" * 200_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Iterator[DiskCache]:
    made = disk.build(folder)
    yield made
    made.close()


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# -- what others may have put into the folder


def test_a_foreign_pickle_is_never_loaded(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sprung = tmp_path / "sprung"
    plain = diskcache.Cache(str(folder))
    plain.set("short", Trap(sprung))
    plain.set("long", [Trap(sprung), "x" * 200_000])  # a pickle in a file of its own
    plain.set(("a", "pickled", Trap(tmp_path / "key")), b"v")
    plain.set("tagged", b"v", tag=sqlite3.Binary(pickle.dumps(Trap(sprung))))
    plain.close()
    cache = disk.build(folder)
    assert cache.get("short") is None
    assert cache.get("long") is None
    assert cache.get("tagged") == b"v"
    assert {entry.key for entry in cache.entries()} == {"short", "long", "tagged"}
    cache.put("short", b"mine")
    assert cache.get("short") == b"mine"
    assert cache.clear(node="x") == 0
    cache.clear()
    assert cache.entries() == ()
    cache.close()
    assert not sprung.exists()
    assert not (tmp_path / "key").exists()
    assert any("ForeignRow" in text for text in warnings(caplog))
    # The trap itself works.
    pickle.loads(pickle.dumps(Trap(sprung))).close()
    assert sprung.exists()


def test_file_names_in_rows_do_not_lead_out_of_the_folder(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "precious.val"
    outside.write_bytes(b"not the cache's")
    cache = disk.build(folder)
    cache.put("k", LONG)
    cache.close()
    with sqlite3.connect(folder / "cache.db") as db:
        db.execute("UPDATE Cache SET filename = '../precious.val' WHERE key = 'k'")
    db.close()
    assert cache.get("k") is None
    cache.delete("k")
    cache.put("k", b"new")
    cache.clear()
    cache.close()
    assert outside.read_bytes() == b"not the cache's"
    assert warnings(caplog)


def test_a_value_file_that_is_gone_is_a_miss(cache: DiskCache, folder: Path) -> None:
    cache.put("k", LONG)
    (only,) = folder.glob("??/??/*.val")
    only.unlink()
    assert cache.get("k") is None
    assert cache.stats().faults == 0, "another process may just have thrown it out"
    cache.put("k", LONG)
    assert cache.get("k") == LONG


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "a folder", "zeroed pages"])
def test_a_damaged_table_is_no_cache_and_clear_mends_it(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = disk.build(folder)
    for number in range(200):
        cache.put(f"k{number}", bytes(2000))
    cache.put("k", LONG)
    cache.close()
    table = folder / "cache.db"
    raw = table.read_bytes()
    for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    if damage == "a folder":
        table.mkdir()
    else:
        table.write_bytes(
            {
                "garbage": b"\x07no table at all" * 5000,
                "truncated": raw[: len(raw) // 2],
                "empty": b"",
                "zeroed pages": raw[:4096] + bytes(len(raw) - 4096),
            }[damage]
        )
    cache = disk.build(folder)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            cache.put("new", b"v")
            assert cache.get("new") in (None, b"v")
            assert cache.get("k") in (None, LONG)
            cache.entries()
            cache.stats()
    if damage == "empty":
        assert cache.get("new") == b"v", "an empty file is an empty cache"
    else:
        assert 1 <= len(warnings(caplog)) <= 8, "told, but not each time"
    if damage != "a folder":
        cache.clear()
        cache.put("new", b"v")
        assert cache.get("new") == b"v"
        assert cache.get("k") is None
    cache.close()


# -- what the machine may refuse


def test_a_folder_that_cannot_be_made_is_no_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = disk.build(tmp_path / "file" / "cache")
    for _ in range(5):
        cache.put("k", b"v")
        assert cache.get("k") is None
    assert cache.entries() == ()
    assert cache.clear() == 0
    assert len(warnings(caplog)) == 1
    assert cache.stats().faults >= 5
    cache.close()


READ_ONLY = """
import os, sys, logging
from pathlib import Path
from graphroute.caches import disk
logging.basicConfig(level=logging.WARNING, format="LOG %(message)s", stream=sys.stdout)
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
cache = disk.build(Path(sys.argv[1]))
cache.put("new", b"v")
print("old", cache.get("old"), "new", cache.get("new"))
cache.close()
"""


def test_a_read_only_folder_is_no_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = disk.build(folder)
    cache.put("old", b"v")
    cache.close()
    # Open to read for everyone on the way there, to write for nobody.
    for path in (*tmp_path.parents, tmp_path):
        if str(path).startswith("/tmp/") and path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o055)
    for path in folder.rglob("*"):
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "new None" in done.stdout
    assert "LOG cannot write to the cache" in done.stdout


FULL = """
import logging, resource, signal, sys
from pathlib import Path
from graphroute.caches import disk
logging.basicConfig(level=logging.WARNING, format="LOG %(message)s", stream=sys.stdout)
cache = disk.build(Path(sys.argv[1]))
cache.put("small", b"v")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
for number in range(40):
    cache.put(f"row{number}", bytes(30_000))
    cache.put(f"file{number}", bytes(400_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("small", cache.get("small"), "file", cache.get("file3"))
cache.put("after", bytes(400_000))
print("after", len(cache.get("after") or b""))
cache.close()
"""


def test_a_full_disk_loses_what_does_not_fit_and_nothing_else(folder: Path) -> None:
    """Files that may not grow any more stand for a disk that is full."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "small b'v' file None" in done.stdout
    assert "after 400000" in done.stdout
    assert 1 <= done.stdout.count("LOG ") <= 4, done.stdout
    (_only,) = folder.glob("??/??/*.val")  # no half-written file is left


def test_a_row_that_cannot_be_written_leaves_no_file(
    cache: DiskCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("k", b"v")
    store = cache._table._store

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(store, "_row_insert", full)
    cache.put("long", LONG)
    assert cache.get("long") is None
    assert not list(folder.glob("??/??/*.val"))
    assert cache.get("k") == b"v"


def test_another_process_that_writes_for_long_costs_puts_not_reads(folder: Path) -> None:
    cache = DiskCache(folder, busy_s=0.05)
    cache.put("k", b"v")
    other = sqlite3.connect(folder / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put("lost", b"v")
    assert cache.get("k") == b"v"
    assert cache.get("lost") is None
    other.execute("ROLLBACK")
    other.close()
    cache.put("lost", b"v")
    assert cache.get("lost") == b"v"
    assert cache.stats().faults == 1
    cache.close()


# -- several caches on one folder


def test_look_ups_are_counted_over_processes(folder: Path) -> None:
    first, second = disk.build(folder), disk.build(folder)
    first.put("k", b"v")
    assert first.get("k") == second.get("k") == b"v"
    assert second.get("none") is None
    second.close()
    assert (first.stats().hits, first.stats().misses) == (2, 1)
    assert first.entries()[0].hits == 2
    first.close()
    third = disk.build(folder)
    assert (third.stats().hits, third.entries()[0].hits) == (2, 2)
    third.close()


def test_a_cache_that_is_dropped_has_its_look_ups_noted(folder: Path) -> None:
    cache = disk.build(folder)
    cache.put("k", b"v")
    assert cache.get("k") == b"v"
    del cache
    again = disk.build(folder)
    assert again.stats().hits == 1
    again.close()


def test_what_was_used_lately_stays(folder: Path) -> None:
    cache = disk.build(folder, limit_bytes=2_000_000)
    for number in range(15):
        cache.put(f"k{number}", bytes(100_000))
    assert cache.get("k0") is not None
    cache._table.note()
    for number in range(15, 30):
        cache.put(f"k{number}", bytes(100_000))
    assert cache.get("k0") is not None
    assert cache.get("k1") is None
    cache.close()


def test_a_fork_goes_on_with_connections_of_its_own(cache: DiskCache, folder: Path) -> None:
    cache.put("k", b"v")
    assert cache.get("k") == b"v"
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        cache.put("child", b"c")
        is_right = cache.get("k") == b"v" and cache.get("child") == b"c"
        os._exit(0 if is_right and cache.stats().faults == 0 else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.get("child") == b"c"
    cache.put("parent", b"p")
    assert cache.get("parent") == b"p"
    assert cache.stats().faults == 0


def test_clear_sweeps_files_that_nobody_knows(cache: DiskCache, folder: Path) -> None:
    cache.put("k", LONG)
    orphan = folder / "ab" / "cd" / f"{'e' * 28}.val"
    fresh = folder / "ab" / "cd" / f"{'f' * 28}.val"
    foreign = folder / "ab" / "cd" / "mine.val"
    orphan.parent.mkdir(parents=True)
    for path in (orphan, fresh, foreign):
        path.write_bytes(b"left by a process that was killed")
    os.utime(orphan, (1000.0, 1000.0))
    cache.clear()
    assert not orphan.exists()
    assert fresh.exists(), "another process may be about to write its row"
    assert foreign.exists()


def test_the_folder_is_for_its_owner_only(cache: DiskCache, folder: Path) -> None:
    cache.put("k", b"v")
    assert folder.stat().st_mode & 0o077 == 0
