"""Tables of a problem whose parallel blocks have too many combinations to list: those that matter.

Prices first, by column generation: solve with the combinations met so far, ask each block what it
does best under the prices found, add it, until nothing new is better (G. B. Dantzig and P. Wolfe,
Decomposition principle for linear programs, Operations Research 8(1), 1960). The best of every
block together bound the whole. `above(floor)` then lists all combinations of a block that leave the
whole a chance to be better than `floor`, so a search in these tables misses nothing above it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from graphroute.ir.problem import Floats, Ints, Problem
from graphroute.solvers import _dual
from graphroute.solvers._blocks import Block, distinct, is_series_of_blocks
from graphroute.solvers._choices import (
    Choices,
    Outline,
    Table,
    TooManyCombinations,
    outline,
    stacked,
    table_of,
)
from graphroute.solvers._dual import Priced, limit
from graphroute.solvers._labels import Prices

ROUNDS = 12
START = (0.0, 0.3, 3.0, 30.0, 1e6)
"""Prices to set out from, as multiples of what a limit is worth if it is all of the value; the
last makes a block as cheap or as quick as it can be."""
NEAR = ((1.0, 1.0), (0.8, 1.25), (1.25, 0.8))
"""What the prices of a round are multiplied by to find what is added in the next."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lazy:
    """Groups by number, some of them blocks; what they can do at best under `prices`."""

    groups: tuple[tuple[int, ...], ...]
    listed: dict[int, Table]
    blocks: dict[int, Block]
    met: dict[int, Ints]
    best: dict[int, Floats]
    prices: Prices
    bound: Floats

    def above(self, floor: float) -> Choices | None:
        """All that an assignment above `floor` can be made of; None where that is too much."""
        picks = {}
        for g, block in self.blocks.items():
            needed = floor - (self.bound - self.best[g])
            try:
                found = block.above(self.prices.lam, self.prices.mu, needed)
            except TooManyCombinations:
                return None
            picks[g] = np.concatenate([self.met[g], found])
        return _whole(self, picks)


def _whole(lazy: Lazy, picks: dict[int, Ints]) -> Choices:
    return stacked(lazy.groups, _tables(lazy.groups, lazy.listed, lazy.blocks, picks))


def _tables(
    groups: tuple[tuple[int, ...], ...],
    listed: dict[int, Table],
    blocks: dict[int, Block],
    picks: dict[int, Ints],
) -> list[Table]:
    tables = []
    for g in range(len(groups)):
        if g in listed:
            tables.append(listed[g])
            continue
        block = blocks[g]
        rows, kept = block.table(picks[g])
        columns = np.array(block.columns)[kept]
        tables.append((*rows.T, tuple(tuple(row) for row in columns.tolist())))
    return tables


def prepare(problem: Problem, *, most: int) -> tuple[Choices, Priced, Lazy | None] | None:
    """A first table, its prices with the bound of the whole problem, and how to get the rest.

    most: combinations up to which a group is listed; None where the run is no series of parallel
    blocks, or where no assignment was found. Where it is proved that there is none the prices say
    so, and there is no rest.
    """
    shape = outline(problem, is_timed=True)
    if not is_series_of_blocks(shape.groups, problem):
        return None
    listed, blocks = _parts(problem, shape, most)
    cap_c, cap_t = limit(problem.budget_usd), limit(problem.deadline_s)
    start = _start(problem, shape, cap_c, cap_t)
    met = {g: block.best(start.lam, start.mu)[1] for g, block in blocks.items()}
    is_done = False
    for _ in range(ROUNDS):
        table = stacked(shape.groups, _tables(shape.groups, listed, blocks, met))
        priced = _dual.solve(table, problem.budget_usd, problem.deadline_s)
        pairs = [(priced.cost_price * a, priced.time_price * b) for a, b in NEAR]
        near = Prices.of(pairs, cap_c, cap_t)
        here = near.at(priced)
        tops = near.scores(table).max(axis=2)[here]
        gained = 0.0
        for g, block in blocks.items():
            top, picks = block.best(near.lam, near.mu)
            gained = max(gained, float(top[here] - tops[g]))
            met[g] = distinct(np.concatenate([met[g], picks]))
        is_done = gained <= 1e-9 * max(1.0, abs(priced.bound))
        if is_done:
            break
    if is_done and priced.is_infeasible:
        return table, priced, None
    if priced.options is None:
        return None
    prices = Prices.around(priced, cap_c, cap_t)
    tops = prices.scores(table).max(axis=2)
    best = {g: block.best(prices.lam, prices.mu)[0] for g, block in blocks.items()}
    bound = tops.sum(axis=1) + prices.slack
    bound += sum((best[g] - tops[:, g] for g in blocks), np.zeros(len(bound)))
    whole = replace(priced, bound=max(float(bound.min()), priced.value), is_infeasible=False)
    lazy = Lazy(
        groups=shape.groups,
        listed=listed,
        blocks=blocks,
        met=met,
        best=best,
        prices=prices,
        bound=bound,
    )
    return table, whole, lazy


def _parts(
    problem: Problem, shape: Outline, most: int
) -> tuple[dict[int, Table], dict[int, Block]]:
    listed: dict[int, Table] = {}
    blocks: dict[int, Block] = {}
    count = problem.feasible.sum(axis=1)
    steps = {frozenset(s.nodes): s for s in problem.timeline if len(s.nodes) > 1}
    for g, group in enumerate(shape.groups):
        if len(group) == 1 or np.prod(count[list(group)].astype(float)) <= most:
            listed[g] = table_of(problem, group, shape)
        else:
            step = steps[frozenset(group)]
            blocks[g] = Block.of(problem, step, list(shape.order), shape.value, shape.time)
    return listed, blocks


def _start(problem: Problem, shape: Outline, cap_c: float, cap_t: float) -> Prices:
    """Prices of all sizes, so that what is cheap, what is quick and what is good are all met."""
    value = np.where(problem.feasible, shape.value, np.nan)
    span = float(np.nansum(np.nanmax(value, axis=1) - np.nanmin(value, axis=1))) or 1.0
    per_usd = span / cap_c if np.isfinite(cap_c) and cap_c > 0 else 0.0
    per_s = span / cap_t if np.isfinite(cap_t) and cap_t > 0 else 0.0
    return Prices.of([(a * per_usd, b * per_s) for a in START for b in START], cap_c, cap_t)
