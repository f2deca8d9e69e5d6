"""Call records of a span of time, summed where they lie: what the store gives and the report shows.

A million records need not pass through Python for a report. The store sums them in SQL into cells
of node × model × day; latencies come as a histogram, whose quantiles are exact to 3.6 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PER_OCTAVE: Final = 10
"""Buckets of the latency histogram in each doubling of time; one is 7.2 % wide."""


def bucket(took_s: float) -> int:
    """The histogram bucket of a time.

    >>> bucket(0.001), bucket(2.048), bucket(0.0)
    (0, 110, -199)
    """
    return max(-200, round(PER_OCTAVE * math.log2(max(took_s, 1e-9) / 1e-3)))


def middle_s(number: int) -> float:
    """The time in the middle of a bucket (of its logarithm), seconds.

    >>> middle_s(10), bucket(middle_s(57))
    (0.002, 57)
    """
    return float(1e-3 * 2 ** (number / PER_OCTAVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which records: those that started in [since_s, until_s), of some graphs and nodes.

    graph: name, or the first digits of a fingerprint; node: a path, with what lies inside it
    """

    since_s: float | None = None
    until_s: float | None = None
    graph: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Sums over the calls of one node on one model in one day.

    day: days since the epoch, UTC; tokens and money are sums, `took_s` too
    compared: calls with a known baseline, with what those cost (`compared_nano`) and would have
        cost on the graph's own model (`baseline_nano`)
    cached: answers that no model was asked for; moved: served by another model than planned
    predicted_quality_sum, predicted: over calls whose quality the plan foretold
    judged: weight of the verdicts; quality_sum: their scores times weight; square_sum: squares of
        the scores times weight; verdicts: how many there are
    """

    node: str
    model: str
    day: int
    calls: int
    in_tokens: int
    out_tokens: int
    cached_tokens: int
    cost_nano: int
    took_s: float
    compared: int
    compared_nano: int
    baseline_nano: int
    estimated: int
    moved: int
    failed: int
    faults: int
    capped: int
    cached: int
    retries: int
    predicted_quality_sum: float
    predicted: int
    judged: float
    quality_sum: float
    square_sum: float
    verdicts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """What sampled runs saved on one node × model: their number, sum and sum of squares, USD."""

    runs: int
    total_usd: float
    squares_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A graph as a picture needs it: names and edges, no prompt and no code.

    edges: (source, target, probability in [0, 1])
    """

    name: str
    fingerprint: str
    nodes: tuple[str, ...] = ()
    edges: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All that a report of a span is made of.

    first_s, last_s: start of the earliest and the latest call, None where there is none
    runs: with at least one call in the span
    run_gains: baseline − cost of runs in nano-dollars, those with a known baseline only; all of
        them, or an even sample where there are more than 20,000
    gains: the same by (node, model); buckets: calls by (node, model, latency bucket)
    reasons: why calls moved, by (node, why)
    checks: calls and cost in nano-dollars of what checks asked models, by (node, model); they are
        part of the cells as well
    every: the sample of `run_gains` and `gains` is every run (1), every second (2), …
    """

    span: Span
    first_s: float | None
    last_s: float | None
    runs: int
    cells: tuple[Cell, ...]
    run_gains: tuple[int, ...]
    gains: Mapping[tuple[str, str], Gains]
    buckets: Mapping[tuple[str, str, int], int]
    reasons: Mapping[tuple[str, str], int]
    shapes: tuple[Shape, ...] = ()
    every: int = 1
    checks: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
