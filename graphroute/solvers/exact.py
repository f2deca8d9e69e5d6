"""The exact solver: label setting with Lagrangian bounds, for graphs people draw by hand.

>>> import numpy as np
>>> from graphroute.ir.problem import Problem
>>> problem = Problem(
...     nodes=("draft", "check"), models=("big", "small"),
...     log_quality=np.log([[0.9, 0.5], [0.9, 0.85]]),
...     cost_usd=np.array([[0.02, 0.001], [0.02, 0.001]]),
...     time_s=np.ones((2, 2)), feasible=np.ones((2, 2), dtype=bool), weight=np.ones(2),
...     budget_usd=0.03,
... )
>>> found = build().solve(problem, time_limit_s=1.0)
>>> found.status, [problem.models[m] for m in found.choice]
('optimal', ['big', 'small'])
"""

from __future__ import annotations

from typing import ClassVar

from graphroute.ir.problem import Problem, Solution
from graphroute.solvers._portfolio import run

REQUIRES: tuple[str, ...] = ("numpy",)
EXAMPLES: tuple[dict[str, object], ...] = ({},)
RANK = 10


class Exact:
    """Proves what it returns unless the labels outgrow their limit; then it says "feasible"."""

    name = "exact"
    CAPABILITIES: ClassVar[frozenset[str]] = frozenset({"budget", "deadline", "memory"})

    def solve(self, problem: Problem, *, time_limit_s: float) -> Solution:  # noqa: ARG002
        """The best assignment; bounded by a number of labels instead of the clock."""
        return run(problem, self.name)


def build() -> Exact:
    """The solver; it has no options."""
    return Exact()
