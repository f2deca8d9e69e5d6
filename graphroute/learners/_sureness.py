"""How far a model's own probabilities can be trusted, by what was found of its answers.

```
record (score of `verify.confidence`) ─┬─ feedback on the node in that run ─┐
                                       └─ reference, in a profile ──────────┴─► (score, good)
   enough of them at node × model ─► its curve; else of the class × model; else none
```

Which answers people see is decided by the score (the others went to another model), but not which
of two with the same score: so what is learnt of a score stays true where a cascade is placed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from graphroute.ir.feedback import Credit
from graphroute.ir.problem import Floats
from graphroute.ir.record import CallRecord
from graphroute.ir.sureness import USUAL, Curve, log_odds

ENOUGH: Final = 20.0
"""Answers that must be known to be good or bad before a model has a curve of its own."""

_SPREAD: Final = (2.0, 2.0)
"""Standard deviations of shift and slope around the usual curve's, before anything is known: those
under which curves of 24 answers foretold the others of small models best."""

_STEPS: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An answer of a model: its score, and how good it was found, in [0, 1], counting `weight`."""

    node: str
    model: str
    score: float
    good: float
    weight: float = 1.0


def pairs_of(
    records: Iterable[CallRecord], credits_given: Iterable[tuple[Credit, str]]
) -> tuple[Pair, ...]:
    """The answers of which both is known.

    credits_given: what feedback said of a node in a run, with the model that had served it, `""`
        where nobody noted it

    >>> from graphroute.ir.verdict import Verdict
    >>> sure = Verdict(score=0.9, passed=True, source="confidence")
    >>> call = CallRecord(
    ...     run_id="r1", node="draft", step=1, planned="m", model="m", why="plan", own_model="m",
    ...     in_tokens=100, out_tokens=20, is_estimated=False, cost_nano=900, baseline_nano=None,
    ...     started_s=0.0, took_s=0.4, verdicts=(sure,))
    >>> [pair] = pairs_of([call], [(Credit(run_id="r1", node="draft", score=1.0, weight=0.5), "")])
    >>> pair.score, pair.good, pair.weight
    (0.9, 1.0, 0.5)
    """
    found: list[Pair] = []
    last: dict[tuple[str, str, int | None, int | None], CallRecord] = {}
    for record in records:
        if record.error is None and record.cache is None and not record.is_check:
            # What a check refused nobody saw: the answer after it is what feedback is about.
            last[record.run_id, record.node, record.step, record.iteration] = record
            if (score := _score(record)) is not None:
                found += [
                    Pair(node=record.node, model=record.model, score=score, good=verdict.score)
                    for verdict in record.verdicts
                    if verdict.source == "reference" and verdict.score is not None
                ]
    shown: dict[tuple[str, str], list[CallRecord]] = defaultdict(list)
    for record in last.values():
        shown[record.run_id, record.node].append(record)
    for credit, model in credits_given:
        here = shown.get((credit.run_id, credit.node), ())
        here = [r for r in here if model in ("", r.model)]
        found += [
            Pair(
                node=r.node,
                model=r.model,
                score=score,
                good=credit.score,
                weight=credit.weight / len(here),
            )
            for r in here
            if (score := _score(r)) is not None
        ]
    return tuple(found)


def _score(record: CallRecord) -> float | None:
    said = (v.score for v in record.verdicts if v.source == "confidence")
    return next((score for score in said if score is not None), None)


def curves(pairs: Sequence[Pair], classes: Mapping[str, str]) -> dict[tuple[str, str], Curve]:
    """By node and model, where there are `ENOUGH` answers of its own or of its class of nodes.

    classes: of each node of the graph, as `ir.node_class` tells them
    """
    own: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    alike: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.node in classes:
            own[pair.node, pair.model].append(pair)
            alike[classes[pair.node], pair.model].append(pair)
    fitted = {key: fit(them) for key, them in alike.items() if _weight(them) >= ENOUGH}
    found: dict[tuple[str, str], Curve] = {}
    for node, kind in classes.items():
        for (_, model), curve in ((key, c) for key, c in fitted.items() if key[0] == kind):
            mine = own.get((node, model), [])
            found[node, model] = fit(mine) if _weight(mine) >= ENOUGH else curve
    return found


def _weight(pairs: Sequence[Pair]) -> float:
    return sum(pair.weight for pair in pairs)


def fit(pairs: Sequence[Pair]) -> Curve:
    """The most likely curve, drawn to the usual one while there are few answers.

    Newton's method on the penalised log-likelihood; a slope below 0, where being sure speaks
    against an answer, counts as 0.
    """
    x = np.array([[1.0, log_odds(pair.score)] for pair in pairs])
    good = np.array([pair.good for pair in pairs])
    weight = np.array([pair.weight for pair in pairs])
    shift, slope = _newton(x, good, weight, usual=(USUAL.shift, USUAL.slope))
    if slope < 0:
        [shift], slope = _newton(x[:, :1], good, weight, usual=(USUAL.shift,)), 0.0
    return Curve(shift=float(shift), slope=float(slope))


def _newton(x: Floats, good: Floats, weight: Floats, *, usual: tuple[float, ...]) -> Floats:
    """Coefficients of the columns of `x`, each normal around its usual value by `_SPREAD`."""
    middle = np.array(usual)
    drawn = np.diag(1 / np.array(_SPREAD[: len(usual)]) ** 2)
    at: Floats = middle.copy()
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(x @ at, -30, 30)))
        slope = x.T @ (weight * (good - chance)) - drawn @ (at - middle)
        bend = (x * (weight * chance * (1 - chance))[:, None]).T @ x + drawn
        step = np.linalg.solve(bend, slope)
        at = at + step
        if float(np.abs(step).max()) < 1e-9:
            break
    return at


def passed(
    records: Iterable[CallRecord],
    known: Mapping[tuple[str, str], Curve],
    at_least: Mapping[str, float],
) -> dict[str, tuple[float, float, float, float]]:
    """By node, what its check would have made of earlier answers: good ones, those of them that
    pass, bad ones, those of them that pass.

    Each answer counts as good with the chance that its curve gives it, so answers that nobody has
    seen count as well. known: curves by node and model; at_least: of each node's check
    """
    found: dict[str, list[float]] = {}
    for record in records:
        curve, floor = known.get((record.node, record.model)), at_least.get(record.node)
        score = _score(record)
        if curve is None or floor is None or score is None or record.is_again or record.cache:
            continue
        good = curve(score)
        is_passed = float(good >= floor)
        sums = found.setdefault(record.node, [0.0] * 4)
        for i, more in enumerate((good, good * is_passed, 1 - good, (1 - good) * is_passed)):
            sums[i] += more
    return {node: (a, b, c, d) for node, (a, b, c, d) in found.items()}
