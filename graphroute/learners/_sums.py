"""Records and verdicts of runs as sums by graph, day, node and model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from graphroute.ir.feedback import Credit
from graphroute.ir.learned import DAY_S, Moments, Part, Sums, run_digest
from graphroute.ir.record import CallRecord
from graphroute.learners._refused import Refused

FIGURES: Final = ("cost_nano", "took_s", "in_tokens", "out_tokens")


def sums_of(record: CallRecord, refused: Refused) -> Sums | None:
    """What one call shows; None where no model was asked or none answered.

    refused: what scores count that answers got which a check led to

    An answer that came from a cache is one that has been counted before. What a check itself asked
    a model is no answer of the node.
    """
    tally = _Tally()
    shows = tally.add(record, refused.weight(record))
    return tally.sums(record.node, record.model) if shows else None


class _Tally:
    """Sums of one node × model while they grow."""

    def __init__(self) -> None:
        self.good = self.bad = 0.0
        self._moments = {name: [0.0, 0.0, 0.0] for name in FIGURES}

    def add(self, record: CallRecord, wrong: float | None) -> bool:
        """Take a call, of which a wrong answer counts so much; whether it shows anything."""
        if record.error is not None or record.cache is not None or not record.model:
            return False
        if record.is_check:
            return False
        if record.quality is not None and wrong is not None:
            self.good += record.quality
            self.bad += wrong * (1 - record.quality)
        self._count("cost_nano", record.cost_nano)
        self._count("took_s", record.took_s)
        self._count("in_tokens", record.in_tokens)
        if record.cap_tokens is None:
            # What was cut off at a limit of ours does not say how long an answer would have been.
            self._count("out_tokens", record.out_tokens)
        return True

    def _count(self, name: str, value: float) -> None:
        if 0 < value < math.inf:
            log, sums = math.log(value), self._moments[name]
            sums[0] += 1
            sums[1] += log
            sums[2] += log * log

    def sums(self, node: str, model: str) -> Sums:
        """What has been taken so far."""
        moments = {
            name: Moments(count=count, total=total, squares=squares)
            for name, (count, total, squares) in self._moments.items()
        }
        return Sums(node=node, model=model, good=self.good, bad=self.bad, **moments)


def parts_of(
    records: Iterable[CallRecord], credits_given: Iterable[tuple[Credit, str]] = ()
) -> tuple[Part, ...]:
    """Parts by graph and day; a run belongs to the day of its first call.

    credits_given: what feedback said of a node in a run, with the model that had served it

    >>> call = CallRecord(
    ...     run_id="r1", node="draft", step=1, planned="m", model="m", why="plan", own_model="m",
    ...     in_tokens=100, out_tokens=20, is_estimated=False, cost_nano=900, baseline_nano=None,
    ...     started_s=86_400.0 * 3, took_s=0.4, graph="f00d", quality=1.0)
    >>> said = Credit(run_id="r1", node="draft", score=0.0, weight=0.5)
    >>> [part] = parts_of([call], [(said, "m")])
    >>> part.day, part.sums[0].good, part.sums[0].bad
    (3, 1.0, 0.5)
    """
    home: dict[tuple[str, str], int] = {}
    graphs: dict[str, set[str]] = defaultdict(set)
    table: dict[tuple[str, int], dict[tuple[str, str], _Tally]] = defaultdict(
        lambda: defaultdict(_Tally)
    )
    calls = tuple(records)
    refused = Refused(calls)
    for record in calls:
        day = home.setdefault((record.graph, record.run_id), max(0, int(record.started_s // DAY_S)))
        graphs[record.run_id].add(record.graph)
        if record.model and not record.is_check:
            table[record.graph, day][record.node, record.model].add(record, refused.weight(record))
    for credit, model in credits_given:
        for graph in graphs.get(credit.run_id, ()):
            here = table[graph, home[graph, credit.run_id]]
            # Of graphs that share a run, the one in which the node and model ran.
            if (credit.node, model) in here:
                here[credit.node, model].good += credit.score * credit.weight
                here[credit.node, model].bad += (1 - credit.score) * credit.weight
    runs: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (graph, run), day in home.items():
        runs[graph, day].append(run_digest(run))
    return tuple(
        Part(
            graph=graph,
            day=day,
            runs=tuple(sorted(runs[graph, day])),
            sums=tuple(here[key].sums(*key) for key in sorted(here)),
        )
        for (graph, day), here in sorted(table.items())
    )
