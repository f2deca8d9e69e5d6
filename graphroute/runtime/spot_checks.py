"""How often a check is paid for where its verdict can change nothing.

Between the answers of a cascade a check decides. Behind the last of them, and where no cascade is
planned, what it says only teaches later plans, and a check that asks a paid model about every
answer would cost more than it gains (`benchmarks/paid_checks.py`). So the first answers of each
model at a node are judged, and later ones as far as that costs a small share of the node's calls.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from graphroute.ir.record import CallRecord

FIRST: Final = 20
"""Answers of each model at a node that are judged in any case: a plan is made anew from so many."""

SHARE: Final = 0.05
"""Of what the node's own calls have cost: what the checks of all answers together may cost then."""


class SpotChecks:
    """Shared by all runs of an optimized graph; safe between threads. Money in nano-dollars.

    >>> checks = SpotChecks()
    >>> checks.is_due("draft", "m")
    True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._judged: Counter[tuple[str, str]] = Counter()
        self._paid: Counter[str] = Counter()
        self._spent: Counter[str] = Counter()

    def is_due(self, node: str, model: str) -> bool:
        """Whether an answer of `model` may be judged for money; it counts as judged then."""
        with self._lock:
            is_due = (
                self._judged[node, model] < FIRST or self._paid[node] <= SHARE * self._spent[node]
            )
            self._judged[node, model] += is_due
        return is_due

    def note(self, record: CallRecord) -> None:
        """Count what a finished call has cost: one of a node, or of its check."""
        counted = self._paid if record.is_check else self._spent
        with self._lock:
            counted[record.node] += record.cost_nano
