"""The baseline that must be beaten: a table of mean outcomes per tag (subject, task, node).

It knows what no prompt scorer is told, which group each prompt is from, and nothing else. A router
below it has learned less about prompts than one would know from a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes

_PRIOR = 10.0


class TagTable:
    """Mean outcome of each model per tag, shrunk towards its overall mean by ten prompts' worth."""

    name = "tag table"

    def fit(self, data: Outcomes) -> TagTable:
        """Count the outcomes."""
        known = np.isfinite(data.correct)
        value = np.where(known, data.correct, 0.0)
        self._overall = value.sum(0) / np.maximum(known.sum(0), 1)
        self._of = {}
        tags = np.array(data.tags)
        for tag in dict.fromkeys(data.tags):
            chosen = tags == tag
            total = value[chosen].sum(0) + _PRIOR * self._overall
            self._of[tag] = total / (known[chosen].sum(0) + _PRIOR)
        return self

    def success(self, tags: Sequence[str]) -> Floats:
        """success[n, m] of prompts with these tags; unknown tags get the overall mean."""
        return np.array([self._of.get(tag, self._overall) for tag in tags])
