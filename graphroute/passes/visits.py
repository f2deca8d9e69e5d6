"""How often each node runs, how that varies, and which nodes run together.

Every scope is solved as a chain of supersteps (`passes.supersteps`); a node inside a subgraph is
visited as often as its subgraph is, times its visits per run of the subgraph. The tail (p95) is
simulated with a seeded generator, not fitted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from random import Random

from graphroute.ir.facts import Facts, NodeVisits, Superstep
from graphroute.passes.bounds import most_visits
from graphroute.passes.supersteps import NEGLIGIBLE, Scope, State, TooManyStates

RUNS = 400
"""Simulated runs; the 95th percentile is then the 380th smallest."""


@dataclass(frozen=True, slots=True)
class _Solved:
    scope: Scope
    steps: dict[tuple[tuple[str, float], ...], float]
    is_certain: bool
    table: tuple[tuple[State, tuple[float, ...], tuple[int, ...]], ...] = ()
    """The enumerated chain; empty where it was too large and runs are drawn step by step."""


def visits(facts: Facts) -> Facts:
    """Fill `visits`, `samples` and `supersteps`."""
    names = facts.graph.names
    paths = tuple(dict.fromkeys(n.scope for n in facts.graph.nodes))
    solved = {path: _solve(Scope(facts, path), facts) for path in paths}
    expected: dict[str, float] = defaultdict(float)
    # Parents stand before their children in the order of scopes only if sorted by depth.
    for path in sorted(solved, key=lambda p: (p.count("/") + bool(p), p)):
        outer = expected[path] if path else 1.0
        for active, weight in solved[path].steps.items():
            for node, tasks in active:
                expected[node] += outer * weight * tasks
    samples = _samples(solved, names, facts)
    tail = [
        sorted(column)[int(0.95 * (len(column) - 1) + 0.5)] for column in zip(*samples, strict=True)
    ]
    most = most_visits(facts)
    return replace(
        facts,
        visits=tuple(
            NodeVisits(node=n, expected=expected[n], p95=tail[i], most=most[n])
            for i, n in enumerate(names)
        ),
        samples=samples,
        supersteps=_flatten(solved, "") if "" in solved else (),
    )


def _solve(scope: Scope, facts: Facts) -> _Solved:
    steps: dict[tuple[tuple[str, float], ...], float] = defaultdict(float)
    is_certain = True
    here = {scope.first: 1.0}
    try:
        if not scope.has_entry:
            steps[scope.first.active] = 1.0
        for _ in range(facts.recursion_limit + 1):
            following: dict[State, float] = defaultdict(float)
            for state, mass in here.items():
                found = scope.successors(state)
                is_certain = is_certain and len(found.states) == 1
                for target, chance in zip(found.states, found.chances, strict=True):
                    if target.active and mass * chance > NEGLIGIBLE:
                        following[target] += mass * chance
                        steps[target.active] += mass * chance
            here = following
            if not here:
                break
    except TooManyStates:
        return _simulate(scope, facts)
    return _Solved(scope, dict(steps), is_certain, scope.table())


def _simulate(scope: Scope, facts: Facts) -> _Solved:
    random = Random(facts.seed)
    steps: dict[tuple[tuple[str, float], ...], float] = defaultdict(float)
    for _ in range(RUNS):
        state = scope.first
        for _ in range(facts.recursion_limit + 1):
            state = scope.draw(state, random)
            if not state.active:
                break
            steps[state.active] += 1 / RUNS
    return _Solved(scope, dict(steps), False)


def _samples(
    solved: dict[str, _Solved], names: tuple[str, ...], facts: Facts
) -> tuple[tuple[float, ...], ...]:
    runs = 1 if all(s.is_certain for s in solved.values()) else RUNS
    random = Random(facts.seed)
    if len(solved) == 1 and "" in solved and solved[""].table:
        return _flat_samples(solved[""], names, random, runs, facts.recursion_limit)
    rows = []
    for _ in range(runs):
        count: dict[str, float] = defaultdict(float)
        if "" in solved:
            _run(solved, "", 1.0, count, random, facts.recursion_limit)
        rows.append(tuple(count[n] for n in names))
    return tuple(rows)


def _flat_samples(
    part: _Solved, names: tuple[str, ...], random: Random, runs: int, limit: int
) -> tuple[tuple[float, ...], ...]:
    """The same for a graph without subgraphs: runs that go the same way are counted once."""
    table = [(upto, following) for _, upto, following in part.table]
    ends = [not state.active for state, _, _ in part.table] + [True]
    draw, done = random.random, len(table)
    known: dict[tuple[int, ...], tuple[float, ...]] = {}
    samples = []
    for _ in range(runs):
        row, path = 0, []
        for _ in range(limit + 1):
            path.append(row)
            upto, following = table[row]
            at = bisect_left(upto, draw()) if len(upto) > 1 else 0
            row = following[min(at, len(following) - 1)]
            if ends[min(row, done)]:
                break
        way = tuple(path)
        if way not in known:
            count: dict[str, float] = defaultdict(float)
            for k in way[1 if part.scope.has_entry else 0 :]:
                for node, tasks in part.table[k][0].active:
                    count[node] += tasks
            known[way] = tuple(count[n] for n in names)
        samples.append(known[way])
    return tuple(samples)


def _run(
    solved: dict[str, _Solved],
    path: str,
    times: float,
    count: dict[str, float],
    random: Random,
    limit: int,
) -> None:
    """Add one simulated run of a scope; its `times` parallel tasks are taken to go the same way."""
    part = solved[path]
    table = part.table
    state, row = part.scope.first, 0
    is_counted = not part.scope.has_entry  # the state before the first superstep runs nothing
    for _ in range(limit + 1):
        if is_counted:
            for node, tasks in state.active:
                count[node] += times * tasks
                if node in solved:
                    _run(solved, node, times * tasks, count, random, limit)
        is_counted = True
        if table:
            _, upto, following = table[row]
            at = bisect_left(upto, random.random()) if len(upto) > 1 else 0
            row = following[min(at, len(following) - 1)]
            if row >= len(table):
                return
            state = table[row][0]
        else:
            state = part.scope.draw(state, random)
        if not state.active:
            return


def _flatten(solved: dict[str, _Solved], path: str) -> tuple[Superstep, ...]:
    """Supersteps of a scope with those of its subgraphs in place of the subgraph nodes.

    Where a subgraph runs beside other nodes, its k-th superstep is paired with the k-th of the
    others: `Σ max(aₖ, bₖ) ≥ max(Σ aₖ, Σ bₖ)`, so the time found is never too short.
    """
    flat: dict[tuple[tuple[str, float], ...], float] = defaultdict(float)
    for active, weight in solved[path].steps.items():
        lanes: list[list[tuple[float, tuple[tuple[str, float], ...]]]] = []
        for node, tasks in active:
            own: list[tuple[float, tuple[tuple[str, float], ...]]] = [(1.0, ((node, tasks),))]
            if node in solved:
                own += [
                    (s.weight, tuple((n, t * tasks) for n, t in zip(s.nodes, s.tasks, strict=True)))
                    for s in _flatten(solved, node)
                ]
            lanes.append(own)
        for k in range(max(map(len, lanes), default=0)):
            row = [lane[k] for lane in lanes if k < len(lane)]
            share = max(w for w, _ in row)
            merged = tuple(
                sorted((n, t * w / share) for w, nodes in row for n, t in nodes if share > 0)
            )
            flat[merged] += weight * share
    return tuple(
        Superstep(weight=w, nodes=tuple(n for n, _ in a), tasks=tuple(t for _, t in a))
        for a, w in flat.items()
    )
