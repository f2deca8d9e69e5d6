"""Seconds that the rest of a run takes, for any assignment, and the price of time that keeps it.

The supersteps of the plan count as often as they are still to come. A superstep lasts as long as
its slowest lane, so a node beside a slower one costs no time. The price μ of a second is first
asked of all lanes alike, which is quick but wastes speed where nobody waits for it; `relax` gives
that back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.problem import Bools, Floats, Problem
from graphroute.planning.allocate import Choice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """A superstep of several nodes: lane[j, k] and queue[j, k] of its j-th node."""

    weight: float
    nodes: NDArray[np.intp]
    lane: Floats
    queue: Floats


class Pace:
    """Times of one plan's supersteps as arrays; made once, never changed."""

    def __init__(self, problem: Problem) -> None:
        self._alone = np.zeros_like(problem.time_s)
        shared = []
        for step in problem.timeline:
            lanes = [problem.lanes_s(i, t) for i, t in zip(step.nodes, step.tasks, strict=True)]
            if len(step.nodes) == 1:
                self._alone[step.nodes[0]] += step.weight * lanes[0][0]
            else:
                shared.append(
                    _Shared(
                        weight=step.weight,
                        nodes=np.array(step.nodes, dtype=np.intp),
                        lane=np.array([lane for lane, _ in lanes]),
                        queue=np.array([queue for _, queue in lanes]),
                    )
                )
        self._shared = tuple(shared)
        self._rows = np.arange(len(problem.nodes))
        self._serial = self._alone.copy()
        for s in shared:
            np.add.at(self._serial, s.nodes, s.weight * s.lane)

    def serial_s(self, share: Floats) -> Floats:
        """serial[n, k]: seconds of each node if nothing ran beside it; share[n] still to come."""
        return self._serial * share[:, None]

    def seconds(self, choice: Choice, share: Floats) -> float:
        """Expected seconds of the rest."""
        total = float(self._alone[self._rows, choice] @ share)
        for s in self._shared:
            total += self._of(s, choice, share)[0]
        return total

    def _of(self, s: _Shared, choice: Choice, share: Floats) -> tuple[float, float, float]:
        """Seconds of one shared superstep over the rest; its slowest lane and queue of one run."""
        often = share[s.nodes]
        if not often.max() > 0:
            return 0.0, 0.0, 0.0
        here = np.arange(len(s.nodes))
        live = often > 0
        lane = float((s.lane[here, choice[s.nodes]] * live).max())
        queue = float((s.queue[here, choice[s.nodes]] * live).sum())
        return s.weight * float(often.max()) * max(lane, queue), lane, queue

    def relax(
        self, choice: Choice, share: Floats, value: Floats, cost: Floats, usd: float
    ) -> tuple[Choice, float]:
        """Better options where nobody waits for them and the money left (`usd`) pays them."""
        choice = choice.copy()
        for s in self._shared:
            _, lane, queue = self._of(s, choice, share)
            longest = max(lane, queue) * (1 + 1e-12)
            for j, i in enumerate(s.nodes):
                if self._alone[i].any() or not share[i] > 0 or not np.isfinite(value[i]).any():
                    continue
                more = cost[i] - cost[i, choice[i]]
                added = s.queue[j] - s.queue[j, choice[i]]
                fits: Bools = (s.lane[j] <= longest) & (queue + added <= longest) & (more <= usd)
                fits &= value[i] > value[i, choice[i]] + 1e-12
                if fits.any():
                    best = int(np.where(fits, value[i], -np.inf).argmax())
                    usd -= float(more[best])
                    queue += float(added[best])
                    choice[i] = best
        return choice, usd
