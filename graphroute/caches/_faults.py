"""Faults of a backend: counted, told once each, and after a grave one its kind of work rests."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

logger = logging.getLogger(__name__)

REST_S: Final = 60.0
"""After a fault that will not go away by itself, how long the same is not tried again."""

T = TypeVar("T")


class Faults:
    """Runs operations on a folder so that none of them fails.

    >>> faults = Faults(Path("cache"))
    >>> faults.tried("read", lambda: 7, 0), faults.count
    (7, 0)
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._folder, self._clock = folder, clock
        self._lock = threading.Lock()
        self._told: set[tuple[str, type]] = set()
        self._rests_until: dict[str, float] = {}

    def tried(self, doing: str, do: Callable[[], T], otherwise: T) -> T:
        """What `do` gives; `otherwise` where it fails, or has failed gravely a moment ago."""
        if self._clock() < self._rests_until.get(doing, float("-inf")):
            self.count += 1
            return otherwise
        try:
            return do()
        except Exception as fault:
            self._lost(doing, fault)
            return otherwise

    def _lost(self, doing: str, fault: Exception) -> None:
        with self._lock:
            self.count += 1
            is_new = (doing, type(fault)) not in self._told
            self._told.add((doing, type(fault)))
            if _is_grave(fault):
                self._rests_until[doing] = self._clock() + REST_S
        logger.log(
            logging.WARNING if is_new else logging.DEBUG,
            "cannot %s the cache in %r, which goes on without it (%s: %s)",
            doing,
            str(self._folder),
            type(fault).__name__,
            fault or "another process is writing to it",
        )

    def wake(self) -> None:
        """Try again at once: what was wrong may have been mended."""
        self._rests_until.clear()


def _is_grave(fault: Exception) -> bool:
    """Whether the folder cannot be used at all; a lock or a full disk may pass."""
    if isinstance(fault, sqlite3.OperationalError):
        return "unable to open" in str(fault) or "readonly" in str(fault)
    return isinstance(
        fault, (sqlite3.DatabaseError, PermissionError, FileExistsError, NotADirectoryError)
    )
