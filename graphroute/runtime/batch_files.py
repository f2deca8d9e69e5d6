"""Which batches have been handed in and not been read yet, kept in files.

A batch may run for a day. A process that is killed meanwhile and started again finds here that the
calls it makes anew are under way already, and waits for the same batch instead of paying twice.

One file for each job, written whole or not at all: without its batch's id before it is handed in,
and then with it. A file without an id means that the process died in between; the provider is asked
for a batch of that job. What cannot be written or read costs no run anything but that safety.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from graphroute.ir.whole_file import write_whole

logger = logging.getLogger(__name__)

KEPT_S = 7 * 86_400.0
"""A batch older than this has ended long ago; its file is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """A job: its lines' ids, the service it went to, and its batch, `""` while that is not known.

    at_s: when, in seconds since 1970
    """

    job: str
    service: str
    lines: tuple[str, ...]
    at_s: float
    batch: str = ""


class BatchFiles:
    """The jobs of a folder; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def put(self, job: HandedIn) -> None:
        """Keep a job, in place of what was kept of it."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(asdict(job))
            write_whole(self._path(job.job), text.encode(), is_private=True, is_synced=True)
        except OSError as fault:
            logger.warning("batch %s is not kept for a restart: %s", job.batch or job.job, fault)

    def remove(self, job: str) -> None:
        """Forget a job: its answers have been read."""
        if self._folder is not None:
            with suppress(OSError):
                self._path(job).unlink(missing_ok=True)

    def of(self, service: str, *, now_s: float) -> Iterator[HandedIn]:
        """The jobs of a service, oldest first; those too old are removed."""
        if self._folder is None or not self._folder.is_dir():
            return
        found = [job for path in self._folder.glob("*.json") if (job := _read(path)) is not None]
        for job in sorted(found, key=lambda each: (each.at_s, each.job)):
            if now_s - job.at_s > KEPT_S:
                self.remove(job.job)
            elif job.service == service:
                yield job

    def _path(self, job: str) -> Path:
        if self._folder is None:  # pragma: no cover - callers have looked
            raise ValueError("no folder")
        return self._folder / f"{job}.json"


def _read(path: Path) -> HandedIn | None:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        job = HandedIn(
            job=str(row["job"]),
            service=str(row["service"]),
            lines=tuple(str(line) for line in row["lines"]),
            at_s=float(row["at_s"]),
            batch=str(row["batch"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # The name is used as a file's: a foreign file must not lead anywhere else.
    return job if job.job == path.stem else None
