"""A writer beside the run: what is put is written in batches, and a call pays only for the putting.

```
put() ─► deque ─► thread, every PAUSE_S ─► write(batch)        put: one append, no lock
                  └─ ends after IDLE_S without work; the next put() starts it again
flush(), and the end of the process ─► write(batch) in the calling thread
```

A process that is killed loses what was put in the last `PAUSE_S`. A batch that cannot be written
stays queued and is tried again after `RETRY_S`; beyond `LIMIT` items the oldest are dropped, so
that a full disk costs a run neither time nor memory without end.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

logger = logging.getLogger(__name__)

PAUSE_S: Final = 0.2
IDLE_S: Final = 2.0
RETRY_S: Final = 30.0
BATCH: Final = 5_000
LIMIT: Final = 100_000

Item = TypeVar("Item")


class Background(Generic[Item]):
    """Calls `write` with what was put, in order; `write` may raise, `put` and `flush` never do.

    >>> seen = []
    >>> queue = Background(seen.extend)
    >>> queue.put(1); queue.put(2)
    >>> queue.flush()
    True
    >>> seen
    [1, 2]
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._begin()
        _open.add(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._queue: deque[Item] = deque()
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._is_running = False
        self._retry_at = float("-inf")
        self._has_warned = False
        self.lost = 0

    def put(self, item: Item) -> None:
        """Take an item; returns at once."""
        if self._pid != os.getpid():
            self._begin()  # a fork: what the parent has queued, the parent writes
        if len(self._queue) >= LIMIT:
            self._drop_oldest()
        self._queue.append(item)
        if not self._is_running and self._clock() >= self._retry_at:
            self._start()

    def flush(self) -> bool:
        """Write all that was put so far, here and now; whether that worked."""
        if self._pid != os.getpid():
            self._begin()
        return self._drain()

    def _start(self) -> None:
        with self._starting:
            if self._is_running:
                return
            self._is_running = True
            thread = threading.Thread(target=self._run, name="graphroute-records", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is about to end, or there are no threads left
                self._is_running = False

    def _run(self) -> None:
        idle_since = self._clock()
        while True:
            # A pause that nothing cuts short: it gathers what many calls put into one batch.
            time.sleep(PAUSE_S)
            had = bool(self._queue)
            worked = self._drain()
            now = self._clock()
            if had and worked:
                idle_since = now
            if worked and now - idle_since < IDLE_S:
                continue
            with self._starting:
                self._is_running = False
                if worked and self._queue:  # put after the last look: nobody else would write it
                    self._is_running = True
                    continue
            return

    def _drain(self) -> bool:
        with self._writing:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                try:
                    self._write(batch)
                except Exception as fault:
                    self._failed(batch, fault)
                    return False
            return True

    def _failed(self, batch: Sequence[Item], fault: Exception) -> None:
        self._retry_at = self._clock() + RETRY_S
        self._queue.extendleft(reversed(batch))
        while len(self._queue) > LIMIT:
            self._drop_oldest()
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "call records cannot be kept now (%s: %s); runs go on without them",
                type(fault).__name__,
                fault,
            )

    def _drop_oldest(self) -> None:
        try:
            self._queue.popleft()
        except IndexError:  # the writer was faster
            return
        self.lost += 1


_open: weakref.WeakSet[Background[Any]] = weakref.WeakSet()


@atexit.register
def flush_all() -> None:
    """Write what is queued anywhere in this process; also done at its end."""
    for queue in list(_open):
        queue.flush()
