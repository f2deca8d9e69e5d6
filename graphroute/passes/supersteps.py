"""The graph as a Markov chain over *supersteps*: which nodes run together, and what comes next.

A LangGraph run is not one token walking from node to node: two static edges start both targets,
branches that meet in the same superstep start their target once, a join waits for all its
sources, and a deferred node waits until nothing else is left. So the state of the chain is the
set of running nodes plus what joins and deferred nodes still wait for:

```
{split} ─► {left, right} ─► {left2} ─► {merge}      right is kept by the join until left2 is done
```

(Absorbing chains: Kemeny and Snell, Finite Markov Chains, 1960, ch. 3; here solved by letting the
distribution flow for as many supersteps as the recursion limit allows, which also bounds loops
that never end.)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate, product
from random import Random

from graphroute.ir.facts import Facts, fanout_posterior
from graphroute.ir.graph import END, START

MOST_TASKS = 10_000.0
"""Nested `Send`s multiply; beyond this a prior says nothing any more."""

MOST_OUTCOMES = 256
MOST_STATES = 1024
NEGLIGIBLE = 1e-13


class TooManyStates(Exception):
    """The chain is too large to enumerate; visits are then estimated from simulated runs."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """active: (node, tasks) sorted; arrived: (join target, source); waiting: deferred nodes.

    A scope makes each state once, so that states compare and hash by identity: chains are walked
    thousands of times.
    """

    active: tuple[tuple[str, float], ...]
    arrived: frozenset[tuple[str, str]]
    waiting: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Successors:
    """Where a state leads: `states[i]` with the cumulative probability `upto[i]`."""

    states: tuple[State, ...]
    chances: tuple[float, ...]
    upto: tuple[float, ...]


class Scope:
    """The chain of one scope: the top graph, or the inside of one subgraph node."""

    def __init__(self, facts: Facts, path: str) -> None:
        graph = facts.graph
        prefix = f"{path}/" if path else ""
        self.start = prefix + START
        self.nodes = tuple(n.name for n in graph.nodes if n.scope == path)
        inside = {*self.nodes, self.start}
        self.deferred = {n.name for n in graph.nodes if n.deferred}
        self.fixed: dict[str, list[str]] = defaultdict(list)
        self.joins: dict[str, list[str]] = defaultdict(list)
        self.join_sources: dict[str, set[str]] = defaultdict(set)
        self.choices: dict[str, list[tuple[float, str, float]]] = defaultdict(list)
        self._known: dict[State, Successors] = {}
        self._states: dict[tuple[object, ...], State] = {}
        for edge, p in zip(graph.edges, facts.probabilities, strict=True):
            if edge.source not in inside:
                continue
            if edge.kind == "static":
                self.fixed[edge.source].append(edge.target)
            elif edge.kind == "join":
                self.joins[edge.source].append(edge.target)
                self.join_sources[edge.target].add(edge.source)
            elif p > 0:
                fan = 0.0
                if edge.kind == "send":
                    _, fan = fanout_posterior(facts.observed, edge.target)
                self.choices[edge.source].append((p, edge.target, fan))
        self.has_entry = bool(self.fixed[self.start] or self.choices[self.start])
        self._inside = inside
        # The state before the first superstep; where nothing starts a node, all nodes start.
        entry = (self.start,) if self.has_entry else sorted(self.nodes)
        self.first = self._state(tuple((n, 1.0) for n in entry), frozenset(), ())

    def _state(
        self,
        active: tuple[tuple[str, float], ...],
        arrived: frozenset[tuple[str, str]],
        waiting: tuple[tuple[str, float], ...],
    ) -> State:
        key = (active, arrived, waiting)
        if (state := self._states.get(key)) is None:
            state = self._states[key] = State(active, arrived, waiting)
        return state

    def successors(self, state: State) -> Successors:
        """All next states with their probabilities; `TooManyStates` where they explode."""
        if (known := self._known.get(state)) is not None:
            return known
        options = [self.choices.get(n) or [(1.0, END, 0.0)] for n, _ in state.active]
        outcomes = 1
        for choice in options:
            outcomes *= len(choice)
            if outcomes > MOST_OUTCOMES:
                raise TooManyStates
        if len(self._known) >= MOST_STATES:
            raise TooManyStates
        chance: dict[State, float] = defaultdict(float)
        for picks in product(*options):
            p = 1.0
            for pick in picks:
                p *= pick[0]
            chance[self._advance(state, picks)] += p
        chances = tuple(chance.values())
        found = Successors(tuple(chance), chances, tuple(accumulate(chances)))
        self._known[state] = found
        return found

    def table(self) -> tuple[tuple[State, tuple[float, ...], tuple[int, ...]], ...]:
        """All known states as (state, cumulative chances, rows that follow), the first in row 0.

        Simulated runs walk this table by number; hashing states at every step would cost more.
        """
        rows = {state: i for i, state in enumerate(self._known)}
        done = len(rows)
        return tuple(
            (state, found.upto, tuple(rows.get(s, done) for s in found.states))
            for state, found in self._known.items()
        )

    def draw(self, state: State, random: Random) -> State:
        """One next state at random, without enumerating them."""
        picks = []
        for node, _ in state.active:
            options = self.choices.get(node) or [(1.0, END, 0.0)]
            picks.append(random.choices(options, [o[0] for o in options])[0])
        return self._advance(state, tuple(picks))

    def _advance(self, state: State, picks: tuple[tuple[float, str, float], ...]) -> State:
        started: dict[str, float] = {}
        arrived = set(state.arrived)
        sent: dict[str, float] = defaultdict(float)
        for (node, tasks), (_, target, fan) in zip(state.active, picks, strict=True):
            for follower in self.fixed.get(node, ()):
                started[follower] = 1.0
            for join in self.joins.get(node, ()):
                arrived.add((join, node))
            if fan:
                sent[target] += min(fan * tasks, MOST_TASKS)
            else:
                started[target] = 1.0
        for join in {j for j, _ in arrived}:
            if self.join_sources[join] <= {s for j, s in arrived if j == join}:
                started[join] = 1.0
                arrived = {(j, s) for j, s in arrived if j != join}
        for target, tasks in sent.items():
            started[target] = started.get(target, 0.0) + tasks
        waiting = dict(state.waiting)
        active: dict[str, float] = {}
        for node, tasks in started.items():
            if node not in self._inside or node == self.start:
                continue  # the end, or a Command to another scope
            (waiting if node in self.deferred else active)[node] = tasks
        if not active:
            active, waiting = waiting, {}
        return self._state(
            tuple(sorted(active.items())), frozenset(arrived), tuple(sorted(waiting.items()))
        )
