"""When to try to learn a better scorer: beside the runs, one attempt at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

AFTER_DRIFT: Final = 0.25
"""Part of the usual number of new answers after which an attempt is made once something drifts."""


class Retrainer:
    """Asks for an attempt once enough answers are new; beside the runs, one at a time.

    train: makes the attempt; after: new judged answers that it is worth at most so often; 0: never
    """

    def __init__(self, train: Callable[[], object], *, after: int) -> None:
        self._train, self._after = train, after
        self._new = 0.0
        self._has_drifted = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def judged(self, answers: float = 1.0) -> None:
        """So many answers more have been judged."""
        with self._lock:
            self._new += answers
            wanted = self._after * (AFTER_DRIFT if self._has_drifted else 1.0)
            is_busy = self._thread is not None and self._thread.is_alive()
            if not self._after or self._new < wanted or is_busy:
                return
            self._new, self._has_drifted = 0.0, False
            self._thread = threading.Thread(
                target=self._run, name="graphroute-retraining", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is about to end
                self._thread = None

    def drifted(self) -> None:
        """Something has changed, so that fewer new answers are worth an attempt."""
        with self._lock:
            self._has_drifted = True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until the attempt that is being made has ended; whether none is any more."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        try:
            self._train()
        except Exception as fault:
            logger.warning("the scorer stays as it is: %s: %s", type(fault).__name__, fault)
