"""Prompts as the rows a linear model is fitted on, with how much each bucket counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.scorers._hashing import BUCKETS, features
from graphroute.scorers._ridge import Rows, value_of

_DENSE_SCALE = 0.15
"""Weight of the plain features against the words: more made transfer worse."""


def rows_of(
    prompts: Sequence[str], progress: Callable[[int], None] | None = None
) -> tuple[Rows, Floats, Floats]:
    """Rows, and centre[8] and scale[8] that make plain features their dense columns."""
    buckets, bounds, plain = features(prompts, progress)
    centre, scale = plain.mean(0), _DENSE_SCALE / (plain.std(0) + 1e-2)
    dense = ((plain - centre) * scale).astype(np.float32)
    flat = np.ones(BUCKETS, np.float32)
    rows = Rows(buckets=buckets, bounds=bounds, dense=dense, value=flat)
    return replace(rows, value=value_of(rows)), centre, scale
