"""Many calls through a provider's Batch API: handed in, looked after, and given back one by one.

```
 Job(calls) ─► step() ─► hand in what is not under way already ─► look, less and less often ─► over
                 ▲                                                       │
                 └───────────── not before next_s ◄──────────────────────┘

 results[i]:  an answer, or None for a call that is to be made alone
```

A step may wait for the network, so whoever makes it does so off the event loop; between steps
nothing runs. A call is known by a digest of what it asks, and by how many equal ones came before
it: so after a restart the same calls find the batch they were handed in with.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import AIMessage

from graphroute.protocols import BatchService
from graphroute.runtime.batch_files import BatchFiles, HandedIn

logger = logging.getLogger(__name__)

FIRST_LOOK_S: Final = 5.0
LONGEST_LOOK_S: Final = 60.0
"""Pause before the first look and between later ones, which grow by half."""

MAX_FAULTS: Final = 20
"""Looks in a row that fail before the calls are made alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deferrable:
    """What must be known of a call to defer it: where to, and the call as that takes it."""

    service: BatchService
    body: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The same for calls that ask the same."""
        text = json.dumps(self.body, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(slots=True, eq=False)
class _Batch:
    """One batch: the indices of this job's calls, by the ids of its lines."""

    job: HandedIn
    calls: dict[str, int] = field(default_factory=dict)


class Job:
    """Calls of one service; one step at a time.

    results: by index, once known: an answer, None for a call to be made alone
    next_s: when the next step is worth making, on the job's clock; is_over: every call has a result
    """

    def __init__(
        self,
        calls: Sequence[Deferrable],
        files: BatchFiles,
        *,
        mine: set[str],
        first_look_s: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._calls, self._files, self._clock, self._wall = calls, files, clock, wall
        self._mine = mine
        self._service = calls[0].service
        self._batches: list[_Batch] | None = None
        self._pause_s, self._faults = first_look_s, 0
        self.results: dict[int, AIMessage | None] = {}
        self.next_s = clock()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return len(self.results) == len(self._calls)

    @property
    def price_share(self) -> float:
        """What these calls cost, as a share of their usual price."""
        return self._service.price_share

    def step(self) -> None:
        """Hand the calls in, or look how far they are. Never raises but for being stopped."""
        try:
            if self._batches is None:
                self._batches = self._begin()
            else:
                self._look(self._batches)
            self._faults = 0
        except Exception as fault:
            self._faults += 1
            logger.warning("a batch of %s: %s", self._service.name, fault)
            if self._batches is None or self._faults >= MAX_FAULTS:
                self._give_up()
        self.next_s = self._clock() + self._pause_s
        self._pause_s = min(LONGEST_LOOK_S, self._pause_s * 1.5)

    def abandon(self) -> None:
        """Nobody waits for it any more; whoever makes these calls again finds its batches."""
        for batch in self._batches or ():
            self._mine.discard(batch.job.job)

    def _give_up(self) -> None:
        self.abandon()
        for index in range(len(self._calls)):
            self.results.setdefault(index, None)

    # -- handing in

    def _begin(self) -> list[_Batch]:
        """Find the calls that are under way already, and hand the others in."""
        lines: dict[str, int] = {}
        seen: Counter[str] = Counter()
        for index, call in enumerate(self._calls):
            lines[f"{call.digest}-{seen[call.digest]}"] = index
            seen[call.digest] += 1
        batches: list[_Batch] = []
        for known in self._files.of(self._service.name, now_s=self._wall()):
            if known.job in self._mine:
                continue  # of another run that is waiting here: equal calls of two runs are two
            ours = {line: lines[line] for line in known.lines if line in lines}
            if ours and (job := self._with_batch(known)) is not None:
                self._mine.add(job.job)
                batches.append(_Batch(job=job, calls=ours))
                lines = {line: index for line, index in lines.items() if line not in ours}
        if lines:
            batches.append(self._hand_in(lines))
        return batches

    def _with_batch(self, known: HandedIn) -> HandedIn | None:
        """The job with its batch's id; None, forgetting it, where it never got one."""
        if known.batch:
            return known
        batch = self._service.find(known.job)
        if batch is None:
            self._files.remove(known.job)
            return None
        found = replace(known, batch=batch)
        self._files.put(found)
        return found

    def _hand_in(self, lines: Mapping[str, int]) -> _Batch:
        job = HandedIn(
            job=secrets.token_hex(12),
            service=self._service.name,
            lines=tuple(lines),
            at_s=self._wall(),
        )
        self._files.put(job)
        self._mine.add(job.job)
        try:
            bodies = {line: self._calls[index].body for line, index in lines.items()}
            batch = self._service.submit(bodies, job=job.job)
        except Exception:
            # It may have arrived although its answer did not.
            batch = self._found(job.job)
            if not batch:
                self._files.remove(job.job)
                self._mine.discard(job.job)
                raise
        job = replace(job, batch=batch)
        self._files.put(job)
        return _Batch(job=job, calls=dict(lines))

    def _found(self, job: str) -> str:
        with suppress(Exception):
            return self._service.find(job) or ""
        return ""

    # -- looking

    def _look(self, batches: list[_Batch]) -> None:
        for batch in list(batches):
            found = self._service.look(batch.job.batch)
            if not found.is_over:
                continue
            for line, index in batch.calls.items():
                self.results[index] = self._read(found.answers.get(line))
                if line in found.failures:
                    logger.info("a deferred call failed: %s", found.failures[line])
            batches.remove(batch)
            self._files.remove(batch.job.job)
            self._mine.discard(batch.job.job)

    def _read(self, body: Mapping[str, Any] | None) -> AIMessage | None:
        if body is None:
            return None
        try:
            message: AIMessage = self._service.message(body)
        except Exception as fault:
            logger.warning("a deferred answer cannot be read: %s", fault)
            return None
        return message


class Deferral:
    """Makes jobs; shared by all runs of an optimized graph.

    folder: where batches are noted until they are read, so that a restart finds them; None: nowhere
    first_look_s: seconds before the first look at a batch
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        first_look_s: float = FIRST_LOOK_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._files = BatchFiles(folder)
        self._mine: set[str] = set()
        self._first_look_s, self._clock, self._wall = first_look_s, clock, wall

    def job(self, calls: Sequence[Deferrable]) -> Job:
        """A job of these calls, all of one service."""
        return Job(
            calls,
            self._files,
            mine=self._mine,
            first_look_s=self._first_look_s,
            clock=self._clock,
            wall=self._wall,
        )
