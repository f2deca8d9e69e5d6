"""The middle level: what a model showed at other nodes of the same class counts here too.

```
node × model      own answers
     ▲
class × model     is this model better or worse at such nodes than its ability says?
     ▲
scorer's prior    success(difficulty of the node, ability of the model)
```

Per class and model one number b, the log-odds by which the model beats what was expected of it at
the class's nodes, with prior N(0, `SPREAD`²): one Newton step of the Rasch model (K. Lange,
Numerical Analysis for Statisticians, 2010, §14), `b = Σ (good − n·p) / (Σ n·p·(1−p) + SPREAD⁻²)`.
How hard a node turned out to be is taken out first, as it holds for all models alike. A node gets b
of the *other* nodes of its class, as so many answers as its uncertainty is worth, `LIMIT` at most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from graphroute.ir.evidence import Evidence

SPREAD: Final = 0.7
"""Log-odds (standard deviation) by which models differ from what their ability says in a class."""

LIMIT: Final = 16.0
"""Answers that the class is worth at most at a node: half of what the scorer's prior is."""

_STEPS: Final = 8
_DIFFICULTY_SPREAD: Final = 1.5

Table = Mapping[tuple[str, str], Evidence]


def with_classes(
    evidence: Table,
    *,
    classes: Mapping[str, str],
    models: Sequence[str],
    expected: Mapping[tuple[str, str], float],
) -> Table:
    """The evidence with what the class adds to each of its nodes.

    classes: of nodes; expected: probability of a good answer by (node, model) before any outcome,
        in (0, 1); models: the pool, whose cells are filled

    >>> seen = {("a", "m"): Evidence(good=40, bad=0), ("a", "k"): Evidence(good=20, bad=20)}
    >>> both = {"a": "text", "b": "text"}
    >>> half = {(n, m): 0.5 for n in both for m in "mk"}
    >>> found = with_classes(seen, classes=both, models="mk", expected=half)
    >>> found["b", "m"].good > found["b", "m"].bad, found["a", "m"] == seen["a", "m"]
    (True, True)
    """
    offset = {node: _difficulty(node, evidence, expected) for node in classes}
    terms: dict[tuple[str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for (node, model), seen in evidence.items():
        if node in classes and (node, model) in expected and seen.answers > 0:
            p = _sigmoid(_logit(expected[node, model]) + offset[node])
            score, information = seen.good - seen.answers * p, seen.answers * p * (1 - p)
            terms[classes[node], model][node] = (score, information)
    found = dict(evidence)
    for node, kind in classes.items():
        for model in models:
            others = [pair for other, pair in terms[kind, model].items() if other != node]
            if not others or (node, model) not in expected:
                continue
            information = sum(i for _, i in others)
            better = sum(s for s, _ in others) / (information + SPREAD**-2)
            own = _sigmoid(_logit(expected[node, model]) + offset[node])
            p = _sigmoid(_logit(own) + better)
            # So many answers here would tell as much about p as the others' do.
            worth = 1 / (1 / LIMIT + p * (1 - p) / max(information, 1e-9))
            old = found.get((node, model), Evidence(good=0.0, bad=0.0))
            found[node, model] = Evidence(
                good=old.good + worth * p,
                bad=old.bad + worth * (1 - p),
                borrowed=old.borrowed + worth,
            )
    return found


def _difficulty(node: str, evidence: Table, expected: Mapping[tuple[str, str], float]) -> float:
    """Log-odds by which all models together do better at a node than expected (MAP)."""
    rows = [
        (seen, _logit(expected[key]))
        for key, seen in evidence.items()
        if key[0] == node and key in expected and seen.answers > 0
    ]
    at = 0.0
    for _ in range(_STEPS if rows else 0):
        slope, curve = -at * _DIFFICULTY_SPREAD**-2, _DIFFICULTY_SPREAD**-2
        for seen, odds in rows:
            p = _sigmoid(odds + at)
            slope += seen.good - seen.answers * p
            curve += seen.answers * p * (1 - p)
        at += min(max(slope / curve, -2.0), 2.0)
    return at


def _logit(p: float) -> float:
    q = min(max(p, 1e-3), 1 - 1e-3)
    return math.log(q / (1 - q))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -30.0), 30.0)))
