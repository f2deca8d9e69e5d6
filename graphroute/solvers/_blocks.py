"""Nodes that run beside one another, without listing all combinations of their options.

A run of supersteps is a series of parallel blocks wherever each node shares one superstep at most:

```
 ├── plan ──┤├── search ──┤├── write ──┤        ten nodes, eight models: 8¹⁰ combinations
            ├── lookup ──┤
            ├──   …    ──┤
```

Such a block takes as long as its slowest lane. Given that lane's time T, its nodes choose each for
itself among the options that take no longer, so what a block does best under prices for money and
time is found by trying each T. That gives a bound, and by column generation (see `_master`) the
prices and a first assignment; then, for each T, label setting over the nodes keeps the combinations
that the bounds of several prices leave a chance to beat what is known. (Two-terminal
series-parallel networks: J. Valdes, R. Tarjan, E. Lawler, The recognition of series parallel
digraphs, SIAM Journal on Computing 11(2), 1982; time-cost trade-off in them by dynamic programming:
P. De, E. Dunne, J. Ghosh, C. Wells, European Journal of Operational Research 81(2), 1995.)

Calls that queue on this machine's device make the block last at least their sum; the bound splits
the price of the block's time between the slowest lane and the queue by `SPLITS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from graphroute.ir.problem import Bools, Floats, Ints, Problem, TimeStep
from graphroute.solvers._choices import TooManyCombinations, undominated

SPLITS = (0.0, 0.5, 1.0)
"""Shares of the price of a block's time that its queue pays; the slowest lane pays the rest."""

MOST_LABELS = 4096
"""Combinations of one block that are kept side by side."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Block:
    """The nodes of one superstep: value[i, k], cost[i, k], alone[i, k] (seconds in supersteps of
    its own), lane[i, k] and queue[i, k] in this one; value −inf where there is no such option.

    columns[k]: the option's column in the problem; ends: the times that a slowest lane can have
    worth_s: what a second counts in the objective itself
    """

    nodes: tuple[int, ...]
    columns: tuple[int, ...]
    weight: float
    worth_s: float
    value: Floats
    cost: Floats
    alone: Floats
    lane: Floats
    queue: Floats
    ends: Floats

    @classmethod
    def of(
        cls, problem: Problem, step: TimeStep, order: list[int], value: Floats, alone: Floats
    ) -> Block:
        """The block of one superstep; `value` and `alone` are of all nodes, by column."""
        nodes = list(step.nodes)
        lanes = [problem.lanes_s(n, t) for n, t in zip(step.nodes, step.tasks, strict=True)]
        exists = problem.feasible[nodes][:, order]
        lane = np.array([each for each, _ in lanes])[:, order]
        first = np.where(exists, lane, np.inf).min(axis=1).max()
        ends = np.unique(lane[exists & (lane >= first)])
        is_timed_value = problem.objective == "latency"
        worth = np.zeros_like(lane) if is_timed_value else value[nodes][:, order]
        return cls(
            nodes=step.nodes,
            columns=tuple(order),
            weight=step.weight,
            worth_s=1.0 if is_timed_value else 0.0,
            value=np.where(exists, worth, -np.inf),
            cost=problem.cost_usd[nodes][:, order],
            alone=alone[nodes][:, order],
            lane=lane,
            queue=np.array([each for _, each in lanes])[:, order],
            ends=ends,
        )

    def scores(self, lam: Floats, mu: Floats) -> Floats:
        """score[j, s, i, k]: value of an option less its part at the j-th prices and s-th split."""
        time = (mu + self.worth_s)[:, None, None, None]
        split = np.array(SPLITS)[None, :, None, None]
        found: Floats = (
            self.value - lam[:, None, None, None] * self.cost - time * self.alone
        ) - time * self.weight * split * self.queue
        return found

    def lane_price(self, mu: Floats) -> Floats:
        """price[j, s]: of a second of the slowest lane."""
        found: Floats = (mu + self.worth_s)[:, None] * self.weight * (1 - np.array(SPLITS))
        return found

    def best(self, lam: Floats, mu: Floats) -> tuple[Floats, Ints]:
        """Bounds on the block under each pair of prices, and what its nodes pick for each end.

        bound[j]: no combination has more value less price; picks[r, i]: about all different
        """
        scores, price = self.scores(lam, mu), self.lane_price(mu)
        tops = np.full((len(self.ends), *price.shape), -np.inf)
        picks = []
        for e, end in enumerate(self.ends):
            allowed = np.where(self.lane <= end, scores, -np.inf)
            tops[e] = allowed.max(axis=3).sum(axis=2) - price * end
            picks.append(allowed.argmax(axis=3).reshape(-1, len(self.nodes)))
        bound: Floats = tops.min(axis=2).max(axis=0)
        return bound, distinct(np.concatenate(picks))

    def table(self, picks: Ints) -> tuple[Floats, Ints]:
        """rows[r] = (value, cost, time) of combinations, those that another beats left out."""
        at = np.arange(len(self.nodes))
        value, cost, alone = (t[at, picks].sum(axis=1) for t in (self.value, self.cost, self.alone))
        slowest = np.maximum(self.lane[at, picks].max(axis=1), self.queue[at, picks].sum(axis=1))
        time = alone + self.weight * slowest
        rows = np.column_stack([value - self.worth_s * time, cost, time])
        rows, picks = rows[np.isfinite(rows[:, 0])], picks[np.isfinite(rows[:, 0])]
        kept = undominated(np.column_stack([-rows[:, 0], rows[:, 1:]]))
        return rows[kept], picks[kept]

    def above(self, lam: Floats, mu: Floats, needed: Floats) -> Ints:
        """Every combination that may have more than `needed[j]` under all prices and that no other
        beats; `TooManyCombinations` where they are too many.
        """
        scores, price = self.scores(lam, mu), self.lane_price(mu)
        found = [self._ending(end, scores, price, needed) for end in self.ends]
        return np.unique(np.concatenate(found), axis=0)

    def _ending(self, end: float, scores: Floats, price: Floats, needed: Floats) -> Ints:
        """Those whose slowest lane takes no longer than `end`, by label setting over the nodes."""
        n = len(self.nodes)
        best = np.where(self.lane <= end, scores, -np.inf).max(axis=3)
        none = np.zeros((0, n), dtype=np.int64)
        spare = best.sum(axis=2) - price * end - needed[:, None]
        if not (spare > 0).all():
            return none
        # No loss larger than what the bound has to spare, under any prices and split.
        lost = (best[..., None] - scores < spare[..., None, None]).all(axis=(0, 1))
        open_: Bools = lost & (self.lane <= end) & np.isfinite(self.value)
        if not open_.any(axis=1).all():
            return none
        # Label: value, cost, seconds alone, seconds queued; loss under each price and split.
        labels, picks = np.zeros((1, 4)), np.zeros((1, 0), dtype=np.int64)
        losses = np.zeros((1, *price.shape))
        order = np.argsort(open_.sum(axis=1), kind="stable")
        for i in order:
            options = np.flatnonzero(open_[i])
            step = np.column_stack(
                [t[i, options] for t in (self.value, self.cost, self.alone, self.queue)]
            )
            loss = np.moveaxis(best[:, :, i, None] - scores[:, :, i, options], 2, 0)
            grown = (losses[:, None] + loss[None]).reshape(-1, *price.shape)
            keep = np.flatnonzero((grown < spare).all(axis=(1, 2)))
            if len(keep) > MOST_LABELS * 4:
                raise TooManyCombinations
            rows = (labels[:, None] + step[None]).reshape(-1, 4)[keep]
            came, taken = np.divmod(keep, len(options))
            front = np.array(
                undominated(np.column_stack([-rows[:, 0], rows[:, 1:]])), dtype=np.int64
            )
            if len(front) > MOST_LABELS:
                raise TooManyCombinations
            labels, losses = rows[front], grown[keep][front]
            picks = np.column_stack([picks[came[front]], options[taken[front]]])
        placed = np.empty_like(picks)
        placed[:, order] = picks
        return placed


def distinct(picks: Ints) -> Ints:
    """The rows of a table, equal ones once, told apart by a hash: sorting rows takes far longer.

    Two rows may be taken for equal once in 10¹⁹; so this is not for what has to be complete.
    """
    weights = np.random.default_rng(0).integers(1, 2**62, picks.shape[1], dtype=np.int64)
    _, first = np.unique(picks @ weights, return_index=True)
    found: Ints = picks[np.sort(first)]
    return found


def is_series_of_blocks(groups: Iterable[tuple[int, ...]], problem: Problem) -> bool:
    """Whether the run is a series of parallel blocks: no node shares two supersteps with others."""
    shared = [set(step.nodes) for step in problem.timeline if len(step.nodes) > 1]
    return all(sum(not here.isdisjoint(group) for here in shared) <= 1 for group in groups)
