"""The writer beside the run: order, retries, bounds, forks, and that `put` never waits."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

import pytest

from graphroute.store import background
from graphroute.store.background import Background


class Sink:
    """Takes batches, or refuses them."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.fault: Exception | None = None
        self.came = threading.Event()

    def __call__(self, items: Sequence[int]) -> None:
        if self.fault is not None:
            raise self.fault
        self.seen += items
        self.came.set()


def test_a_thread_writes_what_is_put_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE_S", 0.001)
    monkeypatch.setattr(background, "IDLE_S", 0.01)
    sink = Sink()
    queue: Background[int] = Background(sink)
    queue.put(1)
    assert sink.came.wait(10)
    writers = [t for t in threading.enumerate() if t.name == "graphroute-records"]
    for thread in writers:
        thread.join(10)
        assert not thread.is_alive()
    sink.came.clear()
    queue.put(2)
    assert sink.came.wait(10), "the next put starts it again"
    assert sink.seen == [1, 2]


def test_order_holds_over_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "BATCH", 7)
    sink = Sink()
    queue: Background[int] = Background(sink)
    for number in range(100):
        queue.put(number)
    assert queue.flush()
    assert sink.seen == list(range(100))


def test_a_failed_batch_is_kept_told_once_and_written_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Sink()
    sink.fault = OSError("No space left on device")
    queue: Background[int] = Background(sink)
    for number in range(10):
        queue.put(number)
    with caplog.at_level(logging.WARNING):
        assert not queue.flush()
        assert not queue.flush()
    assert [r.message for r in caplog.records] == [
        "call records cannot be kept now (OSError: No space left on device); "
        "runs go on without them"
    ]
    sink.fault = None
    queue.put(10)
    assert queue.flush()
    assert sink.seen == list(range(11))


def test_no_thread_is_started_before_the_next_try() -> None:
    now = [0.0]
    sink = Sink()
    sink.fault = OSError("gone")
    queue: Background[int] = Background(sink, clock=lambda: now[0])
    assert queue.flush()
    queue._queue.append(0)
    assert not queue.flush()
    queue.put(1)
    assert not queue._is_running, "within RETRY_S the disk is left alone"
    now[0] = background.RETRY_S + 1
    sink.fault = None
    queue.put(2)
    assert sink.came.wait(10)
    assert queue.flush()
    assert sink.seen == [0, 1, 2]


def test_what_cannot_be_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LIMIT", 5)
    sink = Sink()
    sink.fault = OSError("full")
    queue: Background[int] = Background(sink)
    for number in range(12):
        queue.put(number)
    queue.flush()
    assert queue.lost == 7
    sink.fault = None
    assert queue.flush()
    assert sink.seen == [7, 8, 9, 10, 11]


def test_puts_from_many_threads_all_arrive() -> None:
    sink = Sink()
    queue: Background[int] = Background(sink)

    def put(start: int) -> None:
        for number in range(start, start + 500):
            queue.put(number)

    threads = [threading.Thread(target=put, args=(500 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.flush()
    assert sorted(sink.seen) == list(range(4000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_writes_its_own_items_only() -> None:
    sink = Sink()
    queue: Background[int] = Background(sink)
    with queue._writing:  # as if the writer were at work in the very moment of the fork
        queue.put(1)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            queue.put(2)
            worked = queue.flush()
            os.write(writing, f"{worked} {sink.seen}".encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            assert told.read() == "True [2]"
        os.waitpid(child, 0)
    assert queue.flush()
    assert sink.seen == [1]
