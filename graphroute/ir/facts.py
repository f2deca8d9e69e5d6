"""What the passes find out about a graph: visits, supersteps, tokens, loops, taint.

`Facts` starts with the graph and what earlier runs showed; each pass returns a copy with its own
fields filled in. Nothing here depends on the pool or on a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from graphroute.ir.graph import Graph


def _counts() -> Mapping[str, float]:
    return MappingProxyType({})


def _transitions() -> Mapping[tuple[str, str], float]:
    return MappingProxyType({})


RECURSION_LIMIT = 1000
"""LangGraph's own default for the number of supersteps of a run (1.0.6 and later)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Counts and means from earlier runs; what is missing falls back to the priors.

    edges: how often each (source, target) transition was taken
    fanout: mean number of `Send` tasks per activation, by target node; activations: how many the
        mean is of (missing: enough to take it at its word)
    calls: mean model calls per visit; in_tokens, out_tokens: means per call, by node
    in_by_model, out_by_model: the same by (node, model), as models count and write differently
    check_usd: mean cost of what a node's check asks models about one answer, by node
    """

    edges: Mapping[tuple[str, str], float] = field(default_factory=_transitions)
    fanout: Mapping[str, float] = field(default_factory=_counts)
    activations: Mapping[str, float] = field(default_factory=_counts)
    calls: Mapping[str, float] = field(default_factory=_counts)
    in_tokens: Mapping[str, float] = field(default_factory=_counts)
    out_tokens: Mapping[str, float] = field(default_factory=_counts)
    in_by_model: Mapping[tuple[str, str], float] = field(default_factory=_transitions)
    out_by_model: Mapping[tuple[str, str], float] = field(default_factory=_transitions)
    check_usd: Mapping[str, float] = field(default_factory=_counts)

    def tokens(self, node: str, model: str, usual: tuple[float, float]) -> tuple[float, float]:
        """Prompt and answer tokens of a model's call at a node; `usual` where nobody has seen any.

        >>> Observed(out_by_model={("draft", "m"): 80.0}).tokens("draft", "m", (100.0, 40.0))
        (100.0, 80.0)
        """
        key = (node, model)
        return self.in_by_model.get(key, usual[0]), self.out_by_model.get(key, usual[1])


FANOUT = 4.0
"""Prior number of tasks that one activation of a `Send` edge starts."""

FANOUT_STRENGTH = 2.0
"""Weight of that prior, in activations."""


def fanout_posterior(observed: Observed, target: str) -> tuple[float | None, float]:
    """Shape and mean of the Gamma posterior of the tasks that an activation starts at `target`;
    no shape where a recorded mean is to be taken at its word.

    >>> fanout_posterior(Observed(), "read")
    (8.0, 4.0)
    >>> fanout_posterior(Observed(fanout={"read": 10.0}, activations={"read": 4.0}), "read")
    (48.0, 8.0)
    """
    mean = observed.fanout.get(target)
    if mean is None:
        return FANOUT * FANOUT_STRENGTH, FANOUT
    seen = observed.activations.get(target)
    if seen is None:
        return None, mean
    shape = FANOUT * FANOUT_STRENGTH + mean * seen
    return shape, shape / (FANOUT_STRENGTH + seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVisits:
    """How often one node runs per run of the whole graph.

    p95: 95th percentile over simulated runs; most: bound from the recursion limit, infinite where
        a `Send` decides how many tasks there are
    """

    node: str
    expected: float
    p95: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Superstep:
    """Nodes that run at the same time, and how often that happens per run (expected).

    tasks: number of tasks of each node in such a superstep (above 1 after a `Send`)
    """

    weight: float
    nodes: tuple[str, ...]
    tasks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFact:
    """Expected tokens of one node: calls per visit, the rest per call."""

    node: str
    calls: float
    in_tokens: float
    out_tokens: float
    max_out_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Nodes that can run again, and how often the busiest of them is expected to.

    again: for each node the chance that, once it has run, it runs once more before the loop is
        left; 0 where a `Send` leads into the loop, because its tasks are no rounds
    """

    nodes: tuple[str, ...]
    expected_iterations: float
    has_exit: bool
    again: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a node's place in the graph says of its influence on the result, where that is sure.

    kind: `vote`: one of `among` nodes that answer the same prompt for one join; `checked`: what
        `by` finds wrong it sends back here
    is_alone: of a checked node: nothing else in the loop calls a model
    recorded: of a checked node: transitions out of the check that earlier runs have taken
    """

    node: str
    kind: Literal["vote", "checked"]
    by: str
    among: int = 1
    is_alone: bool = False
    recorded: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A node that must stay on this machine, and how the private data gets there.

    path: node and state-key names from the source of the private data to the node, alternating
    """

    node: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A graph and what is known of it; see the module docstring.

    probabilities: one per edge of the graph, in its order
    samples: simulated runs, each the visits of every node in graph order; one row where nothing
        in the graph is left to chance
    """

    graph: Graph
    observed: Observed = field(default_factory=Observed)
    recursion_limit: int = RECURSION_LIMIT
    seed: int = 0
    probabilities: tuple[float, ...] = ()
    visits: tuple[NodeVisits, ...] = ()
    samples: tuple[tuple[float, ...], ...] = ()
    supersteps: tuple[Superstep, ...] = ()
    loops: tuple[Loop, ...] = ()
    tokens: tuple[TokenFact, ...] = ()
    parallel_groups: tuple[tuple[str, ...], ...] = ()
    critical_path: tuple[str, ...] = ()
    taints: tuple[Taint, ...] = ()
    roles: tuple[Role, ...] = ()
    warnings: tuple[str, ...] = ()
