"""What records of earlier runs say of a graph: tokens, calls, fan-out, and which way runs go.

Only steps that call a model leave records, each with its superstep. A branch in between is read off
the step after it, wherever only one way leads there in that time:

```
 draft (step 3) ─► check ─┬─► draft (step 5)     another record of draft, two steps on: went round
                          └─► __end__            no record after it: went out
```

A branch two of whose ways look the same from outside is left alone, all of it: counting only the
ways that can be told apart would make them look likelier than they are. So are runs that failed,
and subgraphs that may run several times in a run, whose steps are numbered anew each time. A run
that is still going on looks as if it ended at its last call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START, Edge, Graph
from graphroute.ir.hints import NANO
from graphroute.ir.record import CallRecord

CHOICES = ("conditional", "command", "send")
MOST_WAYS = 64
"""A step with more ways to the next recorded steps than this is left to the priors."""

FEW_CALLS = 5.0
"""Calls that the mean of all models at a node counts as beside those of one model."""

_TRUTH = "reference"
"""Source of the verdict on an answer that was compared with the right one, and not checked."""

_ROUND = "…"
"""The end of a way that goes round and round without any record."""

Steps = Mapping[int, frozenset[str]]
"""Nodes with records by superstep, of one run and scope."""


def observe(
    records: Iterable[CallRecord], graph: Graph, *, overhead: Mapping[str, int] | None = None
) -> Observed:
    """Counts and means for `make_plan(observed=…)`.

    overhead: prompt tokens that a model's endpoint adds by itself; they are no part of a prompt
    """
    told = tuple(records)
    records = [r for r in told if not r.is_check]
    answered = [r for r in records if r.error is None and r.model and r.step is not None]
    known = set(graph.names)
    answered = [r for r in answered if r.node in known]
    # Further answers to the same call are what the plan makes of a check, and no calls of the node.
    calls, fanout = _calls([r for r in answered if not r.is_again], graph)
    prompts = [r for r in answered if r.in_tokens > 0]
    extra = overhead or {}
    prompt = [(r, max(1, r.in_tokens - extra.get(r.model, 0))) for r in prompts]
    in_tokens = _means((r.node, n) for r, n in prompt)
    out_tokens = _means((r.node, r.out_tokens) for r in prompts)
    return Observed(
        edges=_edges(answered, _failed_runs(records), graph),
        fanout=fanout,
        calls=calls,
        in_tokens=in_tokens,
        out_tokens=out_tokens,
        in_by_model=_drawn((((r.node, r.model), n) for r, n in prompt), in_tokens),
        out_by_model=_drawn((((r.node, r.model), r.out_tokens) for r in prompts), out_tokens),
        check_usd=_check_usd(told),
    )


def _check_usd(records: Iterable[CallRecord]) -> dict[str, float]:
    """What the check of one answer has cost by node, of nodes whose checks have decided any.

    One that was not asked, for it had no money, says nothing of what it costs.
    """
    decided: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for r in records:
        if r.is_check:
            spent[r.node] += r.cost_nano
        elif any(v.is_known and v.source != _TRUTH for v in r.verdicts):
            decided[r.node] += 1
    return {node: spent[node] / NANO / count for node, count in decided.items()}


def _drawn(
    values: Iterable[tuple[tuple[str, str], float]], usual: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Means by (node, model), drawn to the node's while they rest on few calls."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for key, value in values:
        found[key].append(value)
    return {
        (node, model): (sum(them) + FEW_CALLS * usual[node]) / (len(them) + FEW_CALLS)
        for (node, model), them in found.items()
    }


def _means(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, value in values:
        found[name].append(value)
    return {name: sum(them) / len(them) for name, them in found.items()}


def _failed_runs(records: Iterable[CallRecord]) -> set[str]:
    return {r.run_id for r in records if r.error is not None}


def _calls(
    records: Sequence[CallRecord], graph: Graph
) -> tuple[dict[str, float], dict[str, float]]:
    """Calls per visit, and tasks per fan-out, where each task is taken to make one call."""
    counts = Counter((r.node, r.run_id, r.step) for r in records if _runs_once(graph, r.node))
    per_step = _means((node, n) for (node, _, _), n in counts.items())
    sent = {e.target for e in graph.edges if e.kind == "send"}
    return (
        {node: mean for node, mean in per_step.items() if node not in sent},
        {node: mean for node, mean in per_step.items() if node in sent},
    )


def _runs_once(graph: Graph, node: str) -> bool:
    """Whether the subgraphs around a node run at most once in a run."""
    scope = node.rpartition("/")[0]
    while scope:
        targets = [e for e in graph.edges if e.target == scope]
        if any(e.kind == "send" for e in targets) or scope in _reached_from(graph, scope):
            return False
        scope = scope.rpartition("/")[0]
    return True


def _reached_from(graph: Graph, node: str) -> set[str]:
    found: set[str] = set()
    ahead = [node]
    while ahead:
        here = ahead.pop()
        for edge in graph.edges:
            if edge.source == here and edge.target not in found:
                found.add(edge.target)
                ahead.append(edge.target)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Edges from one recorded step to the next, through steps that leave no record.

    end: the node at its end, `""` where the scope is left; its length counts supersteps
    """

    edges: tuple[Edge, ...]
    end: str

    @property
    def look(self) -> tuple[str, int]:
        """What is seen of it: the node, and how many supersteps later; when nothing, no when."""
        return self.end, len(self.edges) if self.end else 0

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """The decisions along it, as (source, target)."""
        return tuple((e.source, e.target) for e in self.edges if e.kind in CHOICES)


def _edges(
    records: Sequence[CallRecord], failed: set[str], graph: Graph
) -> dict[tuple[str, str], float]:
    runs: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for r in records:
        if r.run_id not in failed and r.step is not None and _runs_once(graph, r.node):
            runs[r.run_id, r.node.rpartition("/")[0]][r.step].add(r.node)
    counts: Counter[tuple[str, str]] = Counter()
    maps: dict[str, _Map] = {}
    for (_, scope), steps in runs.items():
        if scope not in maps:
            maps[scope] = _Map(graph, scope, seen={r.node for r in records})
        maps[scope].count({step: frozenset(nodes) for step, nodes in steps.items()}, counts)
    return dict(counts)


class _Map:
    """All ways of one scope, and which decisions can be read off records at all."""

    def __init__(self, graph: Graph, scope: str, *, seen: set[str]) -> None:
        prefix = f"{scope}/" if scope else ""
        self._end, self._start = prefix + END, prefix + START
        self._out: dict[str, list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            if edge.source.rpartition("/")[0] == scope:
                self._out[edge.source].append(edge)
        here = [n for n in graph.nodes if n.scope == scope]
        # A subgraph's calls tell its own steps, not which step of this scope it was.
        self._opaque = {_ROUND, *(n.name for n in here if n.kind == "subgraph")}
        self._recorded = {n.name for n in here if n.kind == "llm" or n.name in seen}
        self._ways = {
            node: tuple(islice(self._from(node, ()), MOST_WAYS + 1))
            for node in (self._start, *sorted(self._recorded))
        }
        self._unclear: set[str] = set()
        for node, ways in self._ways.items():
            self._unclear |= self._unclear_of(ways, is_start=node == self._start)

    def _from(self, node: str, taken: tuple[Edge, ...]) -> Iterator[Way]:
        for edge in self._out[node]:
            path = (*taken, edge)
            if edge.target == self._end:
                yield Way(edges=path, end="")
            elif edge.target in self._recorded or edge.target in self._opaque:
                yield Way(edges=path, end=edge.target)
            elif edge in taken:
                yield Way(edges=path, end=_ROUND)
            else:
                yield from self._from(edge.target, path)

    def _unclear_of(self, ways: Sequence[Way], *, is_start: bool) -> set[str]:
        """Decisions of which two ways look the same, or one cannot be seen."""
        # The first step of a run has no number to count from: the node alone has to tell.
        looks = Counter(way.end if is_start else way.look for way in ways)
        return {
            source
            for way in ways
            if len(ways) > MOST_WAYS
            or way.end in self._opaque
            or looks[way.end if is_start else way.look] > 1
            for source, _ in way.choices
        }

    def count(self, steps: Steps, counts: Counter[tuple[str, str]]) -> None:
        """Add the decisions of one run."""
        first = min(steps)
        for way in self._ways[self._start]:
            if way.end in steps[first]:
                self._add(way, counts)
        last = max(steps)
        for step, nodes in steps.items():
            for node in nodes:
                others = {w.look for other in nodes - {node} for w in self._ways[other]}
                ways = self._ways[node]
                if any(way.look in others for way in ways):
                    continue  # what comes next may come from the step beside it
                for way in ways:
                    if way.end in steps.get(step + len(way.edges), ()) if way.end else step == last:
                        self._add(way, counts)

    def _add(self, way: Way, counts: Counter[tuple[str, str]]) -> None:
        for choice in way.choices:
            if choice[0] not in self._unclear:
                counts[choice] += 1
