"""Hashed words to a short vector: `x(q) = (Σ_b table[b] − …)/length + plain features`.

The common last step of the linear scorer and of matrix factorization at run time. A further column
holds the square of how much each bucket counts, so that a prompt's length comes with the same
gather. On disk the table has eight bits a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats
from graphroute.scorers import _store
from graphroute.scorers._hashing import BUCKETS, PLAIN, seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Weights of a hashed embedding of d numbers.

    table[BUCKETS, d + 1]: weights times what the bucket counts, and that squared
    dense[8, d]: weights of the plain features; offset[d]: taken off at the end
    """

    table: NDArray[np.float32]
    dense: Floats
    offset: Floats

    @classmethod
    def of(cls, weights: NDArray[np.float32], value: NDArray[np.float32], **rest: Floats) -> Table:
        """From weights[BUCKETS, d] and what each bucket counts."""
        return cls(table=np.column_stack((weights * value[:, None], value**2)), **rest)

    def one(self, prompt: str) -> Floats:
        """x[d] of one prompt."""
        buckets, plain = seen(prompt)
        sums = np.add.reduce(self.table.take(buckets, axis=0), axis=0)
        square = float(sums[-1])
        out: Floats = plain @ self.dense - self.offset
        return out + sums[:-1] / math.sqrt(square) if square > 0 else out

    def vectors(self, prompts: Sequence[str]) -> Floats:
        """x[n, d] of prompts."""
        out = np.empty((len(prompts), self.dense.shape[1]))
        for i, prompt in enumerate(prompts):
            out[i] = self.one(prompt)
        return out

    def mixed(self, mix: Floats) -> Table:
        """The table of `x @ mix`, for mix[d, k]."""
        return Table(
            table=np.column_stack((self.table[:, :-1] @ mix, self.table[:, -1])).astype(np.float32),
            dense=self.dense @ mix,
            offset=self.offset @ mix,
        )

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Plain arrays to be stored."""
        step = np.maximum(np.abs(self.table).max(0), 1e-12) / 127
        return {
            "table": np.rint(self.table / step).astype(np.int8),
            "step": step,
            "dense": self.dense,
            "offset": self.offset,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]], folder: Path) -> Table:
        """From stored arrays; `InvalidValue` if their shapes do not agree."""
        ndims = {"table": 2, "step": 1, "dense": 2, "offset": 1}
        found = {k: _store.array(arrays, k, ndim=d, folder=folder) for k, d in ndims.items()}
        size = len(found["offset"])
        expected = {
            "table": (BUCKETS, size + 1),
            "step": (size + 1,),
            "dense": (len(PLAIN), size),
            "offset": (size,),
        }
        if wrong := [name for name, shape in expected.items() if found[name].shape != shape]:
            raise InvalidValue(
                f"weights in {folder.name!r}: {', '.join(wrong)} of another shape than expected",
                path=str(folder),
                next_step="train again with this version",
            )
        return cls(
            table=(found["table"] * found["step"]).astype(np.float32),
            dense=found["dense"].astype(np.float64),
            offset=found["offset"].astype(np.float64),
        )
