"""How often each node is still expected to run, given which node ran last.

Row a of the table answers: a has just run; how often does each node run from here to the end? It
is the visits again, with the chain started where a is active instead of at the entry. Inside a
subgraph the rest of its parent's run is added.
"""

from __future__ import annotations

from collections import defaultdict

from graphroute.ir.facts import Facts
from graphroute.passes.supersteps import NEGLIGIBLE, Scope, State, TooManyStates

Row = dict[str, float]

MOST_SWEEPS = 200
CONVERGED = 1e-5


def remaining(facts: Facts) -> dict[str, Row]:
    """`after[a][j]`: expected runs of node j once a has run, per run of the whole graph."""
    scopes = tuple(dict.fromkeys(n.scope for n in facts.graph.nodes))
    inner: dict[str, dict[str, Row]] = {}
    per_visit: dict[str, Row] = {}
    for path in scopes:
        inner[path], per_visit[path] = _scope(Scope(facts, path), facts)

    def deep(row: Row) -> Row:
        """A row of one scope with what its subgraph nodes bring along."""
        full = dict(row)
        for node, times in row.items():
            if node in per_visit:
                for child, visits in deep(per_visit[node]).items():
                    full[child] = full.get(child, 0.0) + times * visits
        return full

    after: dict[str, Row] = {}
    for path in sorted(scopes, key=lambda p: (p.count("/") + bool(p), p)):
        outer = after.get(path, {})
        for node, row in inner[path].items():
            full = deep(row)
            for other, times in outer.items():
                full[other] = full.get(other, 0.0) + times
            after[node] = full
    return after


def _scope(scope: Scope, facts: Facts) -> tuple[dict[str, Row], Row]:
    """For each node of a scope what follows it there, and the visits of a whole run."""
    try:
        mass = _occupancy(scope, facts.recursion_limit)
        ahead = _ahead(scope, list(mass))
    except TooManyStates:
        # Without the chain the best guess for a node is what a whole run expects of it.
        whole = {v.node: v.expected for v in facts.visits}
        visits = {n: whole.get(n, 1.0) for n in scope.nodes}
        return dict.fromkeys(scope.nodes, visits), visits
    found: dict[str, Row] = {}
    for node in scope.nodes:
        here = {s: m for s, m in mass.items() if any(n == node for n, _ in s.active)}
        total = sum(here.values())
        row: Row = defaultdict(float)
        for state, m in here.items():
            for other, times in ahead[state].items():
                row[other] += times * m / total
        found[node] = dict(row)
    visits = dict(ahead[scope.first])
    for node, tasks in scope.first.active:
        if not scope.has_entry:
            visits[node] = visits.get(node, 0.0) + tasks
    return found, visits


def _occupancy(scope: Scope, limit: int) -> dict[State, float]:
    """Expected number of times each state is met, the first included, in order of discovery."""
    mass: dict[State, float] = {scope.first: 1.0}
    here = dict(mass)
    for _ in range(limit + 1):
        following: dict[State, float] = defaultdict(float)
        for state, m in here.items():
            found = scope.successors(state)
            for target, chance in zip(found.states, found.chances, strict=True):
                if target.active and m * chance > NEGLIGIBLE:
                    following[target] += m * chance
                    mass[target] = mass.get(target, 0.0) + m * chance
        here = following
        if not here:
            break
    return mass


def _ahead(scope: Scope, states: list[State]) -> dict[State, Row]:
    """Expected visits after each state: `V(s) = Σ p(s, t) · (active(t) + V(t))`.

    Swept backwards, an acyclic chain is done after one sweep and a loop converges with its
    probability of going round; one that never ends is cut off.
    """
    ahead: dict[State, Row] = {state: {} for state in states}
    for _ in range(MOST_SWEEPS):
        change = 0.0
        for state in reversed(states):
            row: Row = defaultdict(float)
            found = scope.successors(state)
            for target, chance in zip(found.states, found.chances, strict=True):
                if target not in ahead:
                    continue  # the end, or too unlikely to count
                for node, tasks in target.active:
                    row[node] += chance * tasks
                for node, times in ahead[target].items():
                    row[node] += chance * times
            change = max(change, sum(row.values()) - sum(ahead[state].values()))
            ahead[state] = dict(row)
        if change <= CONVERGED:
            break
    return ahead
