"""What runs have shown of models at nodes, as sums that add up: the content of a profile file.

A `Part` is what the runs of one graph on one day showed. It names its runs by digests, so that
parts of several machines, or the same machine twice, are joined without counting any run twice:

```
machine A, Monday   {r1 r2 r3}  ─┐
machine B, Monday   {r4 r5}      ├─► r1 … r5      disjoint: their sums add
A again, Monday     {r1 r2}     ─┘                overlaps what is there: left out
```

No prompt, answer, key or machine is in it: names of nodes and models, counts and sums.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

DAY_S: Final = 86_400.0
DIGITS: Final = 12
"""Hex digits that stand for a run; two of a million runs are alike with a chance of 0.2 %."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, sum and sum of squares of the logarithms of a positive figure.

    >>> both = Moments.of(2.0).joined(Moments.of(8.0))
    >>> round(both.typical, 6), both.count
    (4.0, 2.0)
    """

    count: Amount = 0.0
    total: Number = 0.0
    squares: Amount = 0.0

    @classmethod
    def of(cls, value: float) -> Moments:
        """Of one figure; of one that is not above 0, nothing."""
        if not value > 0 or math.isinf(value):
            return cls()
        log = math.log(value)
        return cls(count=1.0, total=log, squares=log * log)

    def joined(self, other: Moments, weight: float = 1.0) -> Moments:
        """The sums of both, those of the other with a weight ≥ 0."""
        return Moments(
            count=self.count + weight * other.count,
            total=self.total + weight * other.total,
            squares=self.squares + weight * other.squares,
        )

    @property
    def typical(self) -> float:
        """The geometric mean; 0 where there is none."""
        return math.exp(self.total / self.count) if self.count > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What one model's answers at one node were like.

    good, bad: judged answers, each split into good + bad = 1 (less where a verdict was shared out)
    cost_nano, took_s, in_tokens, out_tokens: of calls that a model answered
    """

    node: str
    model: str
    good: Amount = 0.0
    bad: Amount = 0.0
    cost_nano: Moments = field(default_factory=Moments)
    took_s: Moments = field(default_factory=Moments)
    in_tokens: Moments = field(default_factory=Moments)
    out_tokens: Moments = field(default_factory=Moments)

    @property
    def answers(self) -> float:
        """How many answers were judged."""
        return self.good + self.bad

    def joined(self, other: Sums, weight: float = 1.0) -> Sums:
        """The sums of both, those of the other with a weight ≥ 0."""
        return Sums(
            node=self.node,
            model=self.model,
            good=self.good + weight * other.good,
            bad=self.bad + weight * other.bad,
            cost_nano=self.cost_nano.joined(other.cost_nano, weight),
            took_s=self.took_s.joined(other.took_s, weight),
            in_tokens=self.in_tokens.joined(other.in_tokens, weight),
            out_tokens=self.out_tokens.joined(other.out_tokens, weight),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One graph (its fingerprint) on one day (since the epoch, UTC), with digests of the runs."""

    graph: str
    day: Annotated[int, Field(ge=0, le=10_000_000)]
    runs: tuple[str, ...]
    sums: tuple[Sums, ...]

    @property
    def answers(self) -> float:
        """How many answers were judged."""
        return sum(each.answers for each in self.sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedProfile:
    """Parts of any number of graphs, days and machines, no run in two of them.

    >>> part = Part(graph="g", day=1, runs=("a", "b"), sums=())
    >>> again = Part(graph="g", day=1, runs=("a",), sums=())
    >>> joined(LearnedProfile(parts=(part,)), LearnedProfile(parts=(again,))).parts == (part,)
    True
    """

    parts: tuple[Part, ...] = ()

    def of(self, graph: str) -> tuple[Part, ...]:
        """The parts of the graph with this fingerprint."""
        return tuple(part for part in self.parts if part.graph == graph)

    @property
    def runs(self) -> int:
        """How many runs it rests on."""
        return sum(len(part.runs) for part in self.parts)


def run_digest(run_id: str) -> str:
    """What stands for a run in a profile.

    >>> len(run_digest("r1"))
    12
    """
    return hashlib.sha256(f"graphroute-run|{run_id}".encode()).hexdigest()[:DIGITS]


def joined(*profiles: LearnedProfile) -> LearnedProfile:
    """All parts that share no run, the largest first; what overlaps those is left out."""
    return LearnedProfile(parts=disjoint(part for each in profiles for part in each.parts))


def disjoint(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts of which no two share a run, by graph and day.

    Of parts that overlap the one with more runs stays, of equals the one with more verdicts: people
    give them days after the run.
    """
    taken: dict[str, set[str]] = {}
    kept: list[Part] = []
    for part in sorted(parts, key=lambda p: (-len(p.runs), -p.answers, p.graph, p.day, p.runs)):
        known = taken.setdefault(part.graph, set())
        if part.runs and known.isdisjoint(part.runs):
            known.update(part.runs)
            kept.append(part)
    return tuple(sorted(kept, key=lambda p: (p.graph, p.day, p.runs)))
