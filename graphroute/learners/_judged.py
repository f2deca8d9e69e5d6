"""Judged answers with the features of their prompts, which a scorer can learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from graphroute.ir.features import Features, unpacked
from graphroute.ir.feedback import Credit
from graphroute.ir.record import CallRecord

HELD_BACK: Final = 0.3
"""Part of the answers, the latest, that is not fitted on but compared on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A judged answer with the features of its prompt.

    cell: fingerprint of the graph, node, model; score in [0, 1], which counts `weight`
    """

    run: str
    at_s: float
    cell: tuple[str, str, str]
    features: Features
    score: float
    weight: float = 1.0


def answers_of(
    records: Iterable[CallRecord], credits_given: Iterable[tuple[Credit, str]], *, tag: str
) -> tuple[Answer, ...]:
    """Judged answers whose prompts have features under this tag, oldest first.

    credits_given: what feedback said of a node in a run, with the model that had served it
    """
    found: list[Answer] = []
    served: dict[tuple[str, str, str], list[tuple[CallRecord, Features]]] = defaultdict(list)
    for record in records:
        features = unpacked(record.features)
        if features is None or features.tag != tag or record.error is not None:
            continue
        if record.cache is not None or record.is_again:
            continue
        served[record.run_id, record.node, record.model].append((record, features))
        if record.quality is not None:
            found.append(_answer(record, features, record.quality, 1.0))
    for credit, model in credits_given:
        calls = served.get((credit.run_id, credit.node, model), ())
        found += [_answer(*call, credit.score, credit.weight / len(calls)) for call in calls]
    return tuple(sorted(found, key=lambda answer: answer.at_s))


def _answer(record: CallRecord, features: Features, score: float, weight: float) -> Answer:
    return Answer(
        run=record.run_id,
        at_s=record.started_s,
        cell=(record.graph, record.node, record.model),
        features=features,
        score=score,
        weight=weight,
    )


def held_back(answers: Sequence[Answer], *, since_s: float | None = None) -> int:
    """How many of the answers, oldest first, are fitted on; the others are of later runs.

    since_s: nothing from before then is held back
    """
    cut = round(len(answers) * (1 - HELD_BACK))
    if since_s is not None:
        cut = max(cut, sum(answer.at_s < since_s for answer in answers))
    early = {answer.run for answer in answers[:cut]}
    while cut < len(answers) and answers[cut].run in early:
        cut += 1  # a run is not parted
    return cut
