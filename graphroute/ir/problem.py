"""The assignment problem in arrays, and its solution; the only data module with NumPy in it.

```
max  Σᵢ weight[i] · log_quality[i, xᵢ]     s.t.  Σᵢ cost_usd[i, xᵢ] ≤ budget_usd,  feasible[i, xᵢ]
```

(The multiple-choice knapsack problem: Kellerer, Pferschy, Pisinger, Knapsack Problems, ch. 11.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.hints import Objective

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Status = Literal["optimal", "feasible", "infeasible", "time_limit"]

PARALLEL_CALLS = 6.0
"""Cloud calls of one node that run at once: LangGraph's threads for a fan-out on two cores."""

SLACK = 1e-9
"""Relative tolerance of a limit, so that rounding does not make a plan infeasible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Why a model may not serve a node."""

    node: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeStep:
    """Nodes that run in one superstep: indices, tasks of each, and how often it happens (≥ 0)."""

    weight: float
    nodes: tuple[int, ...]
    tasks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """n nodes × m models.

    log_quality[n, m]: log-probability of a good answer, ≤ 0
    cost_usd[n, m]: expected spend of the node over a whole run, visits included
    time_s[n, m]: expected seconds of one visit
    feasible[n, m]: False where a mask forbids the pair; `masks` says why
    weight[n]: ≥ 0, visits included
    local[m]: the model runs on this machine's one device, where calls queue
    steps: supersteps of the run, for its time; empty: every node runs after the other, once
    memory_bytes[m], load_s[m]: what a local model takes to hold and to load, 0 for others
    memory_limit_bytes: what all local models of a plan may take together
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
    local: tuple[bool, ...] = ()
    steps: tuple[TimeStep, ...] = ()
    memory_bytes: tuple[int, ...] = ()
    load_s: tuple[float, ...] = ()
    memory_limit_bytes: int | None = None

    def is_local(self, model: int) -> bool:
        """Whether the model with this index runs on this machine."""
        return bool(self.local) and self.local[model]

    @property
    def timeline(self) -> tuple[TimeStep, ...]:
        """`steps`, or one step per node where none are given."""
        return self.steps or tuple(
            TimeStep(weight=1.0, nodes=(i,), tasks=(1.0,)) for i in range(len(self.nodes))
        )

    def lane_s(self, node: int, tasks: float, model: int) -> float:
        """Seconds that `tasks` calls of one node take in one superstep."""
        rounds = tasks if self.is_local(model) else max(1.0, tasks / PARALLEL_CALLS)
        return rounds * float(self.time_s[node, model])

    def step_s(self, step: TimeStep, choice: Sequence[int]) -> float:
        """Seconds of one superstep: its slowest cloud lane, or its local lanes one by one."""
        cloud = queue = 0.0
        for node, tasks in zip(step.nodes, step.tasks, strict=True):
            model = choice[node]
            if self.is_local(model):
                queue += self.lane_s(node, tasks, model)
            else:
                cloud = max(cloud, self.lane_s(node, tasks, model))
        return max(cloud, queue)

    def latency_s(self, choice: Sequence[int]) -> float:
        """Expected seconds of a whole run: every superstep as long as its slowest lane, and each
        local model of the plan loaded once.
        """
        run = sum(step.weight * self.step_s(step, choice) for step in self.timeline)
        return run + sum(self.load_s[m] for m in set(choice) if self.load_s)

    def spend_usd(self, choice: Sequence[int]) -> float:
        """Expected USD of a whole run."""
        return float(sum(self.cost_usd[i, m] for i, m in enumerate(choice)))

    def value_of(self, choice: Sequence[int]) -> float:
        """The objective, to be made large: Σ w·log q, −USD or −seconds."""
        if self.objective == "cost":
            return -self.spend_usd(choice)
        if self.objective == "latency":
            return -self.latency_s(choice)
        return float(sum(self.weight[i] * self.log_quality[i, m] for i, m in enumerate(choice)))

    def resident_bytes(self, choice: Sequence[int]) -> int:
        """Memory that the plan's local models take together."""
        return sum(self.memory_bytes[m] for m in set(choice)) if self.memory_bytes else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that takes part in a conflict, and the smallest value that would end it alone."""

    name: str
    value: float
    needed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a solver found.

    choice: index of the model for each node, empty if infeasible
    value: objective of `choice`; bound: no assignment is better than this; gap = bound − value,
        relative to max(|bound|, 1e-9)
    shadow_price: gain in the objective per further USD of budget, 0 where the budget does not
        bind; time_price: the same per second of the deadline
    limit: where infeasible, the limit that fails; needed: the smallest value of it that works
    conflict: where infeasible, the smallest set of limits that cannot be kept together
    """

    status: Status
    solver: str
    choice: tuple[int, ...] = ()
    value: float = float("-inf")
    bound: float = float("inf")
    gap: float = float("inf")
    shadow_price: float = 0.0
    time_price: float = 0.0
    ms: float = 0.0
    limit: str = ""
    needed: float | None = None
    conflict: tuple[Limit, ...] = ()
