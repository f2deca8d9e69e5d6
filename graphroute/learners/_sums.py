"""Records and verdicts of runs as sums by graph, day, node and model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from graphroute.ir.feedback import Credit
from graphroute.ir.learned import DAY_S, Moments, Part, Sums, run_digest
from graphroute.ir.record import AFTER_REFUSAL, CallRecord

_NOTHING: Final = Moments()


def sums_of(record: CallRecord) -> Sums | None:
    """What one call shows; None where no model was asked or none answered.

    An answer that came from a cache is one that has been counted before. One that a check led to is
    no sample of the node's questions: its cost and time count, its score does not.
    """
    if record.error is not None or record.cache is not None or not record.model:
        return None
    good = None if record.why.startswith(AFTER_REFUSAL) else record.quality
    return Sums(
        node=record.node,
        model=record.model,
        good=0.0 if good is None else good,
        bad=0.0 if good is None else 1 - good,
        cost_nano=Moments.of(record.cost_nano),
        took_s=Moments.of(record.took_s),
        in_tokens=Moments.of(record.in_tokens),
        # What was cut off at a limit of ours does not say how long an answer would have been.
        out_tokens=Moments.of(record.out_tokens) if record.cap_tokens is None else _NOTHING,
    )


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
    table: dict[tuple[str, int], dict[tuple[str, str], Sums]] = defaultdict(dict)

    def add(part: tuple[str, int], found: Sums) -> None:
        here = table[part]
        key = (found.node, found.model)
        here[key] = here[key].joined(found) if key in here else found

    for record in records:
        day = home.setdefault((record.graph, record.run_id), max(0, int(record.started_s // DAY_S)))
        graphs[record.run_id].add(record.graph)
        if (found := sums_of(record)) is not None:
            add((record.graph, day), found)
    for credit, model in credits_given:
        good, bad = credit.score * credit.weight, (1 - credit.score) * credit.weight
        for graph in graphs.get(credit.run_id, ()):
            said = Sums(node=credit.node, model=model, good=good, bad=bad)
            # A node may have run in one graph of the run only.
            if any(
                s.node == credit.node for s in table[graph, home[graph, credit.run_id]].values()
            ):
                add((graph, home[graph, credit.run_id]), said)
    runs: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (graph, run), day in home.items():
        runs[graph, day].append(run_digest(run))
    return tuple(
        Part(
            graph=graph,
            day=day,
            runs=tuple(sorted(runs[graph, day])),
            sums=tuple(here[key] for key in sorted(here)),
        )
        for (graph, day), here in sorted(table.items())
    )
