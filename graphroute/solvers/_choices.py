"""A problem as independent choices: each group picks one option with a value, a cost and a time.

A node alone in its supersteps is a group with one option per model. Nodes that share a superstep
depend on each other through its slowest lane, so together they are one group whose options are the
combinations of their models that no other combination beats. Time is then a plain sum over groups.
Groups with too many combinations for that are left to `_blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphroute.ir.problem import Floats, Problem

MOST_COMBINATIONS = 4096
WORTH_PRUNING = 512
WORTH_SORTING = 16
"""Combinations from which on the options of a node are thinned before they are combined."""
PAIRWISE = 600
"""Up to this many rows comparing all pairs at once is faster than one by one."""


class TooManyCombinations(Exception):
    """Nodes of one superstep have too many undominated combinations to list."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Choices:
    """value[g, o], cost[g, o], time[g, o] (value −inf where there is no such option).

    members[g]: the nodes of a group; picks[g]: their columns in the problem, one row per option
    """

    value: Floats
    cost: Floats
    time: Floats
    members: tuple[tuple[int, ...], ...]
    picks: tuple[tuple[tuple[int, ...], ...], ...]

    def models(self, options: np.ndarray[tuple[int], np.dtype[np.intp]], n: int) -> tuple[int, ...]:
        """The column of each of the n nodes under one option per group."""
        chosen = [0] * n
        for g, o in enumerate(options):
            for node, column in zip(self.members[g], self.picks[g][o], strict=True):
                chosen[node] = column
        return tuple(chosen)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outline:
    """What the groups are made of: value[n, k], time[n, k] in supersteps of a node's own, the order
    in which equal options are taken, and the nodes of each group.
    """

    order: tuple[int, ...]
    value: Floats
    time: Floats
    groups: tuple[tuple[int, ...], ...]

    def widest(self, problem: Problem) -> int:
        """How many combinations of options the largest group has."""
        count = problem.feasible.sum(axis=1)
        return max((math.prod(int(count[i]) for i in g) for g in self.groups), default=0)


def outline(problem: Problem, *, is_timed: bool) -> Outline:
    """The groups of a problem; with `is_timed` False every node is its own group, without time."""
    # Of equals the first is taken: local models, then the others by name, then sequences.
    order = [
        *sorted(
            range(len(problem.models)), key=lambda m: (not problem.is_local(m), problem.models[m])
        ),
        *range(len(problem.models), problem.width),
    ]
    value = problem.weight[:, None] * problem.log_quality
    if problem.objective == "cost":
        value = -problem.cost_usd
    time = np.zeros_like(problem.cost_usd)
    groups = [[i] for i in range(len(problem.nodes))]
    if is_timed:
        groups = _together(problem)
        for step in problem.timeline:
            if len(step.nodes) == 1:
                node = step.nodes[0]
                time[node] += step.weight * problem.lanes_s(node, step.tasks[0])[0]
    if problem.objective == "latency":
        value = -time
    return Outline(
        order=tuple(order),
        value=value,
        time=time,
        groups=tuple(tuple(_closing(problem, group)) for group in groups),
    )


def choices(problem: Problem, *, is_timed: bool) -> Choices:
    """The groups with all combinations that no other beats; `TooManyCombinations` where these are
    more than can be listed.
    """
    shape = outline(problem, is_timed=is_timed)
    order = list(shape.order)
    if all(len(g) == 1 for g in shape.groups):
        row = tuple((k,) for k in order)
        return Choices(
            value=np.where(problem.feasible, shape.value, -np.inf)[:, order],
            cost=problem.cost_usd[:, order],
            time=shape.time[:, order],
            members=shape.groups,
            picks=(row,) * len(shape.groups),
        )
    return stacked(shape.groups, [table_of(problem, group, shape) for group in shape.groups])


def stacked(groups: Sequence[tuple[int, ...]], tables: Sequence[Table]) -> Choices:
    """Tables of groups beside one another, the shorter ones filled up."""
    width = max(len(t[3]) for t in tables)
    filled = np.zeros((3, len(groups), width))
    filled[0] = -np.inf
    for g, (v, c, t, _) in enumerate(tables):
        filled[:, g, : len(v)] = v, c, t
    return Choices(
        value=filled[0],
        cost=filled[1],
        time=filled[2],
        members=tuple(groups),
        picks=tuple(t[3] for t in tables),
    )


def _together(problem: Problem) -> list[list[int]]:
    """Nodes joined by supersteps they share, in order of their first node."""
    root = list(range(len(problem.nodes)))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for step in problem.timeline:
        for node in step.nodes[1:]:
            a, b = sorted((find(step.nodes[0]), find(node)))
            root[b] = a
    groups: dict[int, list[int]] = {}
    for i in range(len(root)):
        groups.setdefault(find(i), []).append(i)
    return list(groups.values())


def _closing(problem: Problem, group: list[int]) -> list[int]:
    """The nodes of a group in an order in which supersteps are complete early: always on with the
    one that lacks fewest. What is complete need not be told apart any more.
    """
    if len(group) == 1:
        return group
    shared = [set(s.nodes) for s in problem.timeline if len(s.nodes) > 1 and s.nodes[0] in group]
    placed: list[int] = []
    while len(placed) < len(group):
        lacking = [nodes for nodes in (sorted(step - set(placed)) for step in shared) if nodes]
        nearest: list[int] = min(lacking, key=lambda nodes: (len(nodes), nodes))
        placed += nearest
    return placed


Table = tuple[Floats, Floats, Floats, tuple[tuple[int, ...], ...]]
"""value[o], cost[o], time[o] of a group's options, and the columns of its nodes under each."""


def table_of(problem: Problem, group: Sequence[int], shape: Outline) -> Table:
    """All combinations of a group that no other beats."""
    value, time = shape.value, shape.time
    shared = [s for s in problem.timeline if len(s.nodes) > 1 and s.nodes[0] in group]
    # A row: value, cost, time alone, then per shared superstep the seconds that its calls queue on
    # the device, then for each its slowest lane.
    sums = 3 + len(shared)
    rows = np.zeros((1, sums + len(shared)))
    picks = np.zeros((1, 0), dtype=np.intp)
    for number, node in enumerate(group):
        columns = np.array([k for k in shape.order if problem.feasible[node, k]], dtype=np.intp)
        if not len(columns):
            return np.zeros(0), np.zeros(0), np.zeros(0), ()
        new = np.zeros((len(columns), rows.shape[1]))
        new[:, 0] = value[node, columns]
        new[:, 1] = problem.cost_usd[node, columns]
        new[:, 2] = time[node, columns]
        for s, step in enumerate(shared):
            if node in step.nodes:
                lane, queue = problem.lanes_s(node, step.tasks[step.nodes.index(node)])
                new[:, 3 + s], new[:, sums + s] = queue[columns], lane[columns]
        if len(rows) * len(columns) > WORTH_SORTING:
            alone = undominated(np.column_stack([-new[:, 0], new[:, 1:]]))
            new, columns = new[alone], columns[alone]
        grown = np.empty((len(columns), *rows.shape))
        grown[:, :, :sums] = new[:, None, :sums] + rows[None, :, :sums]
        grown[:, :, sums:] = np.maximum(new[:, None, sums:], rows[None, :, sums:])
        picks = np.column_stack([np.tile(picks, (len(columns), 1)), np.repeat(columns, len(rows))])
        rows = grown.reshape(-1, rows.shape[1])
        for s, step in enumerate(shared):
            if node in step.nodes and set(step.nodes) <= set(group[: number + 1]):
                rows[:, 2] += step.weight * np.maximum(rows[:, 3 + s], rows[:, sums + s])
                rows[:, [3 + s, sums + s]] = 0.0
        if len(rows) > WORTH_PRUNING:
            kept = undominated(np.column_stack([-rows[:, 0], rows[:, 1:]]))
            rows, picks = rows[kept], picks[kept]
        if len(rows) > MOST_COMBINATIONS:
            raise TooManyCombinations
    total = rows[:, 2]
    worth = -total if problem.objective == "latency" else rows[:, 0]
    kept = undominated(np.column_stack([-worth, rows[:, 1], total]))
    return (
        worth[kept],
        rows[kept, 1],
        total[kept],
        tuple(tuple(pick) for pick in picks[kept].tolist()),
    )


def undominated(points: Floats) -> list[int]:
    """Indices of rows that no other row is at most as large as in every column; of equal rows
    the first.

    >>> import numpy as np
    >>> undominated(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]]))
    [0, 1]
    """
    if len(points) <= PAIRWISE:
        return _pairwise(points)
    # Nothing later in lexical order can dominate the first row left: keep it, drop what it beats.
    left = np.lexsort(points.T[::-1])
    rows = points[left]
    kept: list[int] = []
    while len(left):
        kept.append(int(left[0]))
        stays = (rows < rows[0]).any(axis=1)
        left, rows = left[stays], rows[stays]
    return sorted(kept)


def _pairwise(points: Floats) -> list[int]:
    at_most = points[:, None, 0] <= points[None, :, 0]
    for column in points.T[1:]:
        at_most &= column[:, None] <= column[None, :]
    # Equal rows: the earlier one stays.
    before = np.tri(len(points), k=-1, dtype=bool).T
    return np.flatnonzero(~(at_most & (~at_most.T | before)).any(axis=0)).tolist()
