"""The assignment problem in arrays, and its solution; the only data module with NumPy in it.

```
max  Σᵢ weight[i] · log_quality[i, xᵢ]     s.t.  Σᵢ cost_usd[i, xᵢ] ≤ budget_usd,  feasible[i, xᵢ]
```

(The multiple-choice knapsack problem: Kellerer, Pferschy, Pisinger, Knapsack Problems, ch. 11.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.hints import Objective

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Status = Literal["optimal", "feasible", "infeasible", "time_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Why a model may not serve a node."""

    node: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """n nodes × m models.

    log_quality[n, m]: log-probability of a good answer, ≤ 0
    cost_usd[n, m]: expected spend of the node over a whole run, visits included
    time_s[n, m]: expected seconds of one visit
    feasible[n, m]: False where a mask forbids the pair; `masks` says why
    weight[n]: ≥ 0, visits included
    """

    nodes: tuple[str, ...]
    models: tuple[str, ...]
    log_quality: Floats
    cost_usd: Floats
    time_s: Floats
    feasible: Bools
    weight: Floats
    masks: tuple[Mask, ...] = ()
    budget_usd: float | None = None
    objective: Objective = "quality"
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a solver found.

    choice: index of the model for each node, empty if infeasible
    value: objective of `choice`; bound: no assignment is better than this; gap = bound − value,
        relative to max(|bound|, 1e-9)
    shadow_price: gain in the objective per further USD of budget, 0 where the budget does not bind
    limit: where infeasible, the limit that fails; needed: the smallest value of it that works
    """

    status: Status
    solver: str
    choice: tuple[int, ...] = ()
    value: float = float("-inf")
    bound: float = float("inf")
    gap: float = float("inf")
    shadow_price: float = 0.0
    ms: float = 0.0
    limit: str = ""
    needed: float | None = None
