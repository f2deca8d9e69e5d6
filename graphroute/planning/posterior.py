"""Quality of each model at each node from all that is known: prior, interval and own outcomes.

Three levels, the lower one replaced as far as the upper one knows better:

```
difficulty of the step   d ~ N(scorer's difficulty, its interval)
model at this step       q[m] ~ Beta(K·p, K·(1 − p)),  p = success(d, ability of m)
answers found good       good[m] ~ Binomial(good + bad, q[m])
```

The posterior is summed on a grid over d (A. Gelman et al., Bayesian Data Analysis, 3rd ed., §5.3),
so outcomes of one model tell how hard the step is for all of them, and many outcomes of a model
speak for themselves. Without outcomes a quality is the mean over the difficulty's interval and not
its value in the middle: what steps of about that difficulty come to, and what is calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.ability import ability
from graphroute.ir.catalog import Catalog
from graphroute.ir.evidence import Evidence
from graphroute.ir.problem import Floats
from graphroute.ir.profile import NodeProfile, Profile, StepScore
from graphroute.ir.quality import OFFSET, Q_MAX, Q_MIN, SLOPE

STRENGTH: Final = 32.0
"""How many answers the prior of a model counts as once the step's difficulty is known: most likely
value on 85 kinds of work and 27 models (`benchmarks/blending.py`)."""

_GRID: Final = np.linspace(-0.5, 1.5, 101)
_STEP: Final = 0.02
_Z90: Final = 1.6449

Known = Mapping[tuple[str, str], float | Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The profile with what outcomes say of difficulty, and quality in (0, 1) by (node, model).

    expected: the same quality without any outcome, of every node and model
    """

    profile: Profile
    qualities: Mapping[tuple[str, str], float]
    expected: Mapping[tuple[str, str], float]


def weigh(profile: Profile, catalog: Catalog, known: Known) -> Weighed:
    """Join the profile with what is known of nodes and models.

    known: a plain quality is taken as it is; `Evidence` is weighed against the prior, also that of
        models which are no longer in the pool
    """
    given: dict[str, dict[str, float | Evidence]] = {}
    for (name, model), value in known.items():
        given.setdefault(name, {})[model] = value
    if not profile.nodes or not len(catalog):
        return Weighed(profile=profile, qualities={}, expected={})
    chances = np.array([_success(model.ability) for model in catalog])
    prior = np.array([_prior(p.score) for p in profile.nodes])
    expected = prior @ chances.T
    qualities: dict[tuple[str, str], float] = {}
    before: dict[tuple[str, str], float] = {}
    nodes: list[NodeProfile] = []
    for i, node in enumerate(profile.nodes):
        here = given.get(node.node, {})
        seen = {m: e for m, e in here.items() if isinstance(e, Evidence) and e.answers > 0}
        score, row = node.score, expected[i]
        is_stated = score.high <= score.low
        if seen:
            weight = _weight(prior[i], catalog, seen)
            row = _means(weight, chances, catalog, seen)
            # What its author stated about a step stays as stated.
            score = score if is_stated else _narrowed(score, weight, seen)
        judged = sum(e.judged for e in seen.values())
        nodes.append(replace(node, score=score, judged=judged))
        before |= zip(((node.node, m) for m in catalog.names), expected[i].tolist(), strict=True)
        if seen or not is_stated:
            qualities |= zip(((node.node, m) for m in catalog.names), row.tolist(), strict=True)
        for model, value in here.items():
            if not isinstance(value, Evidence):
                stated = _checked(node.node, model, value)
                qualities[node.node, model] = before[node.node, model] = stated
    profile = replace(profile, nodes=tuple(nodes))
    return Weighed(profile=profile, qualities=qualities, expected=before)


def _prior(score: StepScore) -> Floats:
    """weight[grid] of the difficulty before any outcome; sums to 1."""
    width = (score.high - score.low) / 2
    if width < _STEP:
        # One point of the grid would round what was stated; two share it out exactly.
        place = (score.difficulty - _GRID[0]) / _STEP
        return np.asarray(np.maximum(0.0, 1 - np.abs(np.arange(len(_GRID)) - place)))
    weight = np.exp(-((_GRID - score.difficulty) ** 2) / (2 * (width / _Z90) ** 2))
    return np.asarray(weight / weight.sum())


def _weight(prior: Floats, catalog: Catalog, seen: Mapping[str, Evidence]) -> Floats:
    """The same after the outcomes."""
    able = {model.name: model.ability for model in catalog}
    log_weight = np.log(np.maximum(prior, 1e-300))
    for name, evidence in seen.items():
        p = _success(able[name] if name in able else ability(name)[0])
        log_weight = log_weight + _log_beta_binomial(evidence, p)
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _means(
    weight: Floats, chances: Floats, catalog: Catalog, seen: Mapping[str, Evidence]
) -> Floats:
    """Posterior mean quality of each model of the catalog."""
    good = np.array([seen[m].good if m in seen else 0.0 for m in catalog.names])
    answers = np.array([seen[m].answers if m in seen else 0.0 for m in catalog.names])
    means = (STRENGTH * chances + good[:, None]) / (STRENGTH + answers)[:, None]
    return np.asarray(means @ weight)


def _success(able: float) -> Floats:
    """P(good) over the grid, kept off 0 and 1 as everywhere."""
    p = 1 / (1 + np.exp(-(SLOPE * (able - _GRID) + OFFSET)))
    return np.asarray(np.clip(p, Q_MIN, Q_MAX))


def _log_beta_binomial(evidence: Evidence, p: Floats) -> Floats:
    """log P(good, bad | Beta(K p, K (1 − p))) over the grid, but for a constant."""

    def rising(start: Floats, count: float) -> Floats:
        return np.array([math.lgamma(a + count) - math.lgamma(a) for a in start])

    return rising(STRENGTH * p, evidence.good) + rising(STRENGTH * (1 - p), evidence.bad)


def _narrowed(score: StepScore, weight: Floats, seen: Mapping[str, Evidence]) -> StepScore:
    below = np.cumsum(weight)
    low, high = (float(np.interp(q, below, _GRID)) for q in (0.05, 0.95))
    middle = min(max(float(weight @ _GRID), 0.0), 1.0)
    answers = round(sum(e.judged for e in seen.values()))
    said = f", {answers} judged answer{'' if answers == 1 else 's'}" if answers else ", like nodes"
    return StepScore(
        difficulty=round(middle, 4),
        low=round(min(max(low, 0.0), middle), 4),
        high=round(max(min(high, 1.0), middle), 4),
        reason=score.reason + said,
    )


def _checked(node: str, model: str, quality: float) -> float:
    if not 0 <= quality <= 1:
        raise InvalidValue(
            f"quality {quality!r} of model {model!r} at node {node!r}",
            node=node,
            model=model,
            value=quality,
            next_step="use a probability in [0, 1], or Evidence(good=…, bad=…)",
        )
    return quality
