"""The assignment problem in arrays, and its solution; the only data module with NumPy in it.

```
max  Σᵢ weight[i] · log_quality[i, xᵢ]     s.t.  Σᵢ cost_usd[i, xᵢ] ≤ budget_usd,  feasible[i, xᵢ]
```

(The multiple-choice knapsack problem: Kellerer, Pferschy, Pisinger, Knapsack Problems, ch. 11.)

A column is an *option* of a node. The first columns are the models of the pool, one each; behind
them stand the few sequences of models that are worth having at that node (`extras`), so the same
column behind the models means another sequence at each node:

```
            big   mini  small │ extra 0            extra 1
 classify    ·     ·     ·    │   –                  –            (– : no such option)
 draft       ·     ·     ·    │ small, then big    mini, then big
```
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
OptionKind = Literal["single", "iterations", "cascade", "packed"]

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
class Option:
    """One way to serve a node.

    kind: `single`: one model; `iterations`: the models of the first round of a loop, of the second,
        …, the last of them for all later rounds; `cascade`: asked in this order until a check
        accepts the answer; `packed`: one model that gets `batch` tasks in one prompt
    models: indices into the pool, in order; shares: expected calls of each, ≥ 0, as a multiple of
        the node's expected calls
    so_far: of a cascade, the probability of a good result where this model is the last one asked
    """

    kind: OptionKind
    models: tuple[int, ...]
    shares: tuple[float, ...]
    batch: int = 1
    so_far: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeStep:
    """Nodes that run in one superstep: indices, tasks of each, and how often it happens (≥ 0)."""

    weight: float
    nodes: tuple[int, ...]
    tasks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """n nodes × k options, of which the first m are the models of the pool.

    log_quality[n, k]: log-probability of a good result, ≤ 0
    cost_usd[n, k]: expected spend of the node over a whole run, visits included
    time_s[n, k]: expected seconds of one visit
    feasible[n, k]: False where a mask forbids the option; `masks` says why, for single models
    weight[n]: ≥ 0, visits included
    extras[n]: the options of each node behind the models; empty: models only
    device_s[n, k]: the part of time_s on this machine's device (None: all of it where `local`)
    visits[n, k]: expected visits where they hang on the option (None: nowhere)
    local[m]: the model runs on this machine's one device, where calls queue
    steps: supersteps of the run, for its time; empty: every node runs after the other, once
    held_usd[n, m]: what a run has to have before a visit on each model, as the worst case of a call
        is put aside first (None: what the visit costs)
    memory_bytes[m], load_s[m]: what a local model takes to hold and to load, 0 for others
    memory_limit_bytes: what all local models of a plan may take together
    deadline_s: what the run may take as expected; promised_s: when it must have ended, where that
        leaves a margin for runs that take longer
    """

    nodes: tuple[str, ...]
    models: tuple[str, ...]
    log_quality: Floats
    cost_usd: Floats
    time_s: Floats
    feasible: Bools
    weight: Floats
    extras: tuple[tuple[Option, ...], ...] = ()
    device_s: Floats | None = None
    visits: Floats | None = None
    held_usd: Floats | None = None
    masks: tuple[Mask, ...] = ()
    budget_usd: float | None = None
    objective: Objective = "quality"
    deadline_s: float | None = None
    promised_s: float | None = None
    local: tuple[bool, ...] = ()
    steps: tuple[TimeStep, ...] = ()
    memory_bytes: tuple[int, ...] = ()
    load_s: tuple[float, ...] = ()
    memory_limit_bytes: int | None = None

    @property
    def width(self) -> int:
        """Number of columns: models and extras."""
        return int(self.log_quality.shape[1])

    def is_local(self, model: int) -> bool:
        """Whether the model with this index runs on this machine."""
        return bool(self.local) and self.local[model]

    def option(self, node: int, column: int) -> Option:
        """What a column means at a node."""
        if column < len(self.models):
            return Option(kind="single", models=(column,), shares=(1.0,))
        return self.extras[node][column - len(self.models)]

    def held(self, choice: Sequence[int]) -> frozenset[int]:
        """The models that an assignment uses, those of later rounds included."""
        return frozenset(m for i, k in enumerate(choice) for m in self.option(i, k).models)

    def holds(self, model: int) -> Bools:
        """holds[n, k]: the option uses this model."""
        found = np.zeros(self.log_quality.shape, dtype=bool)
        found[:, model] = True
        for i, options in enumerate(self.extras):
            for e, option in enumerate(options):
                found[i, len(self.models) + e] = model in option.models
        return found

    @property
    def on_device_s(self) -> Floats:
        """Seconds of one visit on this machine's device: `device_s`, or what `local` says."""
        if self.device_s is not None:
            return self.device_s
        if not any(self.local):
            return np.zeros_like(self.time_s)
        return np.where(np.array(self.local)[None, :], self.time_s, 0.0)

    @property
    def timeline(self) -> tuple[TimeStep, ...]:
        """`steps`, or one step per node where none are given."""
        return self.steps or tuple(
            TimeStep(weight=1.0, nodes=(i,), tasks=(1.0,)) for i in range(len(self.nodes))
        )

    def lanes_s(self, node: int, tasks: float) -> tuple[Floats, Floats]:
        """lane[k], queue[k]: seconds that `tasks` calls of a node take in one superstep under each
        option, and how many of them on this machine's device.
        """
        device = (
            self.device_s[node]
            if self.device_s is not None
            else np.where(self.local, self.time_s[node], 0.0)
            if any(self.local)
            else np.zeros_like(self.time_s[node])
        )
        queue = tasks * device
        cloud = max(1.0, tasks / PARALLEL_CALLS) * (self.time_s[node] - device)
        return queue + cloud, queue

    def lane_s(self, node: int, column: int, tasks: Floats) -> tuple[Floats, Floats]:
        """lane[r], queue[r]: as `lanes_s`, of one option for several numbers of tasks."""
        device = float(self.on_device_s[node, column])
        queue = tasks * device
        cloud = np.maximum(1.0, tasks / PARALLEL_CALLS) * (self.time_s[node, column] - device)
        return queue + cloud, queue

    def step_s(self, step: TimeStep, choice: Sequence[int]) -> float:
        """Seconds of one superstep: its slowest lane, or its calls on the device one by one."""
        slowest = queued = 0.0
        for node, tasks in zip(step.nodes, step.tasks, strict=True):
            lane, queue = self.lanes_s(node, tasks)
            slowest = max(slowest, float(lane[choice[node]]))
            queued += float(queue[choice[node]])
        return max(slowest, queued)

    def latency_s(self, choice: Sequence[int]) -> float:
        """Expected seconds of a whole run: every superstep as long as its slowest lane, and each
        local model of the plan loaded once.
        """
        run = sum(step.weight * self.step_s(step, choice) for step in self.timeline)
        return run + (sum(self.load_s[m] for m in self.held(choice)) if self.load_s else 0.0)

    def spend_usd(self, choice: Sequence[int]) -> float:
        """Expected USD of a whole run."""
        return float(sum(self.cost_usd[i, k] for i, k in enumerate(choice)))

    def value_of(self, choice: Sequence[int]) -> float:
        """The objective, to be made large: Σ w·log q, −USD or −seconds."""
        if self.objective == "cost":
            return -self.spend_usd(choice)
        if self.objective == "latency":
            return -self.latency_s(choice)
        return float(sum(self.weight[i] * self.log_quality[i, k] for i, k in enumerate(choice)))

    def resident_bytes(self, choice: Sequence[int]) -> int:
        """Memory that the plan's local models take together."""
        return sum(self.memory_bytes[m] for m in self.held(choice)) if self.memory_bytes else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that takes part in a conflict, and the smallest value with which there is a plan
    while all other limits stay; None where there is no such value.
    """

    name: str
    value: float
    needed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """What a solver found.

    choice: column of the option for each node, empty if infeasible
    value: objective of `choice`; bound: no assignment is better than this; gap = bound − value,
        relative to max(|bound|, 1e-9)
    shadow_price: gain in the objective per further USD of budget, 0 where the budget does not
        bind; time_price: the same per second of the deadline
    limit: where infeasible, the limit that fails; needed: the smallest value of it that works
    conflict: where infeasible, the smallest set of limits that cannot be kept together
    together: where moving one limit is not enough, all that must move, with values that do
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
    together: tuple[Limit, ...] = ()
