"""Exact where many nodes run side by side: a series of parallel blocks, never listed in full.

`exact` lists the combinations of nodes that share a superstep, which ten nodes and eight models
forbid. Here each block is asked what it does best under the prices of money and time, and only what
can still beat the best assignment known is listed (`_blocks`, `_lazy`); labels over the blocks then
prove the optimum as usual. Runs of another shape are solved as `exact` solves them.

>>> import numpy as np
>>> from graphroute.ir.problem import Problem, TimeStep
>>> n = 10
>>> quality = np.tile([0.9, 0.8, 0.6], (n, 1))
>>> problem = Problem(
...     nodes=tuple(f"n{i}" for i in range(n)), models=("big", "mid", "small"),
...     log_quality=np.log(quality), cost_usd=np.tile([0.03, 0.01, 0.001], (n, 1)),
...     time_s=np.tile([3.0, 2.0, 1.0], (n, 1)), feasible=np.ones((n, 3), dtype=bool),
...     weight=np.linspace(1, 2, n), budget_usd=0.2, deadline_s=2.5,
...     steps=(TimeStep(weight=1.0, nodes=tuple(range(n)), tasks=(1.0,) * n),),
... )
>>> found = build().solve(problem, time_limit_s=1.0)
>>> found.status, {problem.models[m] for m in found.choice}
('optimal', {'mid'})
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Problem, Solution
from graphroute.solvers._portfolio import run

REQUIRES: tuple[str, ...] = ("numpy",)
EXAMPLES: tuple[dict[str, object], ...] = ({}, {"epsilon": 1e-6})
RANK = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesParallel:
    """epsilon: part of the bound, in [0, 1), that labels may overlook; the solution's bound and gap
    say so. 0: the optimum is proved.
    """

    epsilon: float = 0.0
    name: ClassVar[str] = "series_parallel"
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset({"budget", "deadline", "memory", "wide"})

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:  # noqa: ARG002
        """The best assignment; bounded by a number of labels instead of the clock."""
        return run(problem, self.name, accepts=(self.epsilon,), most_listed=0)


def build(*, epsilon: float = 0.0) -> SeriesParallel:
    """The solver; `InvalidValue` for an `epsilon` outside [0, 1)."""
    if not 0 <= epsilon < 1:
        raise InvalidValue(
            f"epsilon={epsilon!r}", value=epsilon, next_step="use a number from 0 up to below 1"
        )
    return SeriesParallel(epsilon=epsilon)
