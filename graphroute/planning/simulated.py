"""Runs drawn at random: how often each node runs in them, and how large their fan-outs are.

The passes draw the way of each run with every `Send` at its expected size. Its real size is drawn
here: what is known of the mean number of tasks is a Gamma posterior (`passes.supersteps`), and the
tasks of a run are Poisson around a mean drawn from it, so together negative binomial, simulated and
not convolved. A fan-out inside a fan-out grows with it, and so does all inside a subgraph that is
sent to. The number of tasks has no bound but the data, whatever the recursion limit.

>>> import numpy as np
>>> from graphroute.ir.graph import END, START, Edge, Graph, Node
>>> from graphroute.planner import study
>>> graph = Graph(
...     name="g", nodes=(Node(name="split", kind="code"), Node(name="read", kind="llm")),
...     edges=(Edge(source=START, target="split"), Edge(source="split", target="read", kind="send"),
...            Edge(source="read", target=END)))
>>> found = simulate(study(graph), ("read",), seed=0)
>>> float(found.visits.mean()), bool(np.quantile(found.visits * found.growth, 0.95) >= 7)
(4.0, True)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphroute.ir.facts import Facts, fanout_posterior
from graphroute.ir.problem import Floats

RUNS = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """visits[r, n]: of each node in a run, every fan-out at its expected size; growth[r, n]: the
    tasks of its fan-outs as a multiple of the expected ones, 1 where there is none.
    """

    visits: Floats
    growth: Floats


def simulate(facts: Facts, nodes: tuple[str, ...], *, seed: int) -> Runs:
    """At least `RUNS` runs of these nodes; the same seed draws the same."""
    names = facts.graph.names
    if not facts.samples:
        ones = np.ones((RUNS, len(nodes)))
        return Runs(visits=ones, growth=ones)
    visits = np.array(facts.samples)
    if len(visits) < RUNS:
        visits = np.repeat(visits, -(-RUNS // len(visits)), axis=0)[:RUNS]
    growth = _growth(facts, visits, np.random.default_rng([seed, len(names)]))
    columns = [names.index(name) for name in nodes]
    return Runs(visits=visits[:, columns], growth=growth[:, columns])


def _growth(facts: Facts, visits: Floats, random: np.random.Generator) -> Floats:
    names = facts.graph.names
    index = {name: i for i, name in enumerate(names)}
    sources: dict[str, list[str]] = {}
    for edge in facts.graph.edges:
        if edge.kind == "send" and edge.target in index:
            sources.setdefault(edge.target, []).append(edge.source)
    growth = np.ones(visits.shape)
    # Outer scopes first; within one the nodes of a graph stand in the order they were added in.
    for name in sorted(names, key=lambda n: n.count("/")):
        i = index[name]
        outer = name.rpartition("/")[0]
        before = [index[s] for s in sources.get(name, ()) if s in index]
        mean = growth[:, index[outer]] if outer in index else np.ones(len(visits))
        if before:
            mean = growth[:, before].max(axis=1)
        if name not in sources:
            growth[:, i] = mean
            continue
        shape, _ = fanout_posterior(facts.observed, name)
        rate = (
            np.ones(len(visits)) if shape is None else random.gamma(shape, 1 / shape, len(visits))
        )
        tasks = random.poisson(visits[:, i] * mean * rate)
        growth[:, i] = np.where(visits[:, i] > 0, tasks / np.maximum(visits[:, i], 1e-300), mean)
    return growth
