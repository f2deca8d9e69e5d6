"""Prompts as the rows a linear model is fitted on, with how much each bucket counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.scorers._hashing import BUCKETS, Ints, features
from graphroute.scorers._ridge import Rows, Singles, value_of
from graphroute.scorers._table import Table

_DENSE_SCALE = 0.15
"""Weight of the plain features against the words: more made transfer worse."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Read:
    """Rows over the buckets that count, with what is needed to make a table of their weights.

    kept: which buckets these are; centre[8], scale[8]: what made plain features dense columns
    """

    rows: Rows
    kept: Ints
    centre: Floats
    scale: Floats

    def table(self, weights: Singles, dense: Singles) -> Table:
        """The table that gives Φ w on any prompt, for weights[size, d] and dense[8, d]."""
        whole = np.zeros((BUCKETS, weights.shape[1]), np.float32)
        whole[self.kept] = weights
        value = np.zeros(BUCKETS, np.float32)
        value[self.kept] = self.rows.value
        mixed = dense.astype(np.float64) * self.scale[:, None]
        return Table.of(whole, value, dense=mixed, offset=self.centre @ mixed)


def rows_of(prompts: Sequence[str], progress: Callable[[int], None] | None = None) -> Read:
    """The prompts as rows to be fitted on."""
    buckets, bounds, plain = features(prompts, progress)
    centre, scale = plain.mean(0), _DENSE_SCALE / (plain.std(0) + 1e-2)
    dense = ((plain - centre) * scale).astype(np.float32)
    flat = np.ones(BUCKETS, np.float32)
    rows = Rows(buckets=buckets, bounds=bounds, dense=dense, value=flat)
    rows, kept = replace(rows, value=value_of(rows)).counting()
    return Read(rows=rows, kept=kept, centre=centre, scale=scale)
