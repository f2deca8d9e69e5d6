"""Judged answers while the graph runs: counts that forget, and the last scores one by one.

Each new answer of a model at a node makes the older ones count 2^(−1/half_life) as much. After an
alarm what was known is set back to `DOUBT` answers and those since the change, so that the
posterior is wide again and what is new decides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

from graphroute.ir.evidence import Evidence

Key = tuple[str, str]

DOUBT: Final = 4.0
"""Answers that all before a change are worth after it."""

FEW: Final = 5.0
"""New answers of a model at a node that may be worth a new plan."""

RECENT: Final = 256
"""Scores that are kept one by one, to find those since a change."""


class Answers:
    """Evidence by (node, model); every method may be called from any thread.

    >>> answers = Answers({}, half_life=100)
    >>> for score in [1.0] * 50 + [0.0] * 10:
    ...     answers.add("draft", "m", score)
    >>> answers.widen("draft", "m", since=10)
    >>> found = answers.evidence()["draft", "m"]
    >>> round(found.answers), found.bad > found.good
    (14, True)
    """

    def __init__(self, start: Mapping[Key, Evidence], *, half_life: float) -> None:
        self._rate = 2 ** (-1 / half_life)
        self._counts = {key: [seen.good, seen.bad] for key, seen in start.items()}
        self._recent: dict[Key, deque[float]] = {}
        self._fresh: dict[Key, float] = {}
        self._lock = threading.Lock()

    def add(
        self, node: str, model: str, score: float, weight: float = 1.0, *, is_usual: bool = True
    ) -> None:
        """Count an answer with a score in [0, 1], or the part `weight` of one.

        is_usual: the question is a sample of the node's, so that drift is looked for in its score
        """
        with self._lock:
            here = self._counts.setdefault((node, model), [0.0, 0.0])
            fade = self._rate**weight
            here[0] = fade * here[0] + weight * score
            here[1] = fade * here[1] + weight * (1 - score)
            if weight >= 1 and is_usual:
                recent = self._recent.setdefault((node, model), deque(maxlen=RECENT))
                recent.append(score)
            self._fresh[node, model] = self._fresh.get((node, model), 0.0) + weight

    def take_back(self, node: str, model: str, score: float, weight: float = 1.0) -> None:
        """Count an answer no longer that `add` has counted with this score and weight.

        >>> answers = Answers({}, half_life=100)
        >>> answers.add("draft", "m", 1.0)
        >>> answers.take_back("draft", "m", 1.0)
        >>> answers.count("draft", "m")
        0.0
        """
        with self._lock:
            here = self._counts.setdefault((node, model), [0.0, 0.0])
            # By now it may count a little less; what is left is never below nothing.
            here[0] = max(0.0, here[0] - weight * score)
            here[1] = max(0.0, here[1] - weight * (1 - score))
            recent = self._recent.get((node, model))
            if weight >= 1 and recent and score in recent:
                recent.remove(score)

    def widen(self, node: str, model: str, *, since: int) -> None:
        """Of what was before the last `since` answers, believe `DOUBT` answers' worth at most."""
        with self._lock:
            good, bad = self._counts.get((node, model), [0.0, 0.0])
            recent = list(self._recent.get((node, model), ()))[-since:] if since > 0 else []
            new_good, new_bad = sum(recent), len(recent) - sum(recent)
            old = max(0.0, good - new_good), max(0.0, bad - new_bad)
            share = min(1.0, DOUBT / max(sum(old), 1e-9))
            self._counts[node, model] = [new_good + share * old[0], new_bad + share * old[1]]

    def planned(self) -> None:
        """A plan was made from what is known now."""
        with self._lock:
            self._fresh.clear()

    @property
    def since_plan(self) -> float:
        """Answers since the last plan."""
        with self._lock:
            return sum(self._fresh.values())

    @property
    def grown(self) -> float:
        """Largest part that is new of what is known of a model at a node, of `FEW` new at least."""
        with self._lock:
            shares = (
                new / max(sum(self._counts[key]), new)
                for key, new in self._fresh.items()
                if new >= FEW
            )
            return max(shares, default=0.0)

    def evidence(self) -> Mapping[Key, Evidence]:
        """What is known now."""
        with self._lock:
            return {key: Evidence(good=g, bad=b) for key, (g, b) in self._counts.items()}

    def count(self, node: str, model: str) -> float:
        """How many answers of a model at a node are known, as much as each counts."""
        with self._lock:
            return sum(self._counts.get((node, model), (0.0, 0.0)))

    @property
    def total(self) -> float:
        """All answers, as much as each counts."""
        with self._lock:
            return sum(map(sum, self._counts.values()))
