"""What a node's own runs showed of its models: answers found good and bad, as counts.

They are the best source there is of how good a model is at a step, and are joined with the prior of
the scorer by how many they are (`planning.posterior`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphroute.errors import InvalidValue
from graphroute.ir.record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Judged answers of one model at one node, each split into good + bad = 1; finite and ≥ 0.

    borrowed: how many of them are no answers of this node but what like nodes say (≤ good + bad)

    >>> Evidence(good=3, bad=1).answers
    4
    """

    good: float
    bad: float
    borrowed: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (
            ("good", self.good),
            ("bad", self.bad),
            ("borrowed", self.borrowed),
        ):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value) or value < 0:
                raise InvalidValue(
                    f"{name}={value!r}", value=value, next_step="use a finite number ≥ 0"
                )

    @property
    def answers(self) -> float:
        """How many answers it is worth."""
        return self.good + self.bad

    @property
    def judged(self) -> float:
        """How many answers of this very node were judged."""
        return max(0.0, self.good + self.bad - self.borrowed)


def evidence_of(records: Iterable[CallRecord]) -> Mapping[tuple[str, str], Evidence]:
    """Counts by (node, model) of the records that carry a verdict.

    A score between 0 and 1 counts in part for both sides; a call that failed has no verdict.
    """
    sums: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.quality is None:
            continue
        here = sums.setdefault((record.node, record.model), [0.0, 0.0])
        here[0] += record.quality
        here[1] += 1 - record.quality
    return {key: Evidence(good=good, bad=bad) for key, (good, bad) in sums.items()}
