"""The tail of a run's cost: its 95th percentile, and the most it can be.

p95: the visits of the simulated runs (`simulated`, fan-outs drawn too), times the cost per visit,
times a lognormal factor per node and run for how long prompts and answers turn out (`TOKEN_SPREAD`,
mean 1, seeded); how far a cascade goes in a visit is drawn as well, for a run that has bad luck at
several checks is what a budget has to bear. Worst case: the
most visits the recursion limit allows, each with a full context and the longest answer; unknown
where a `Send`, an unlimited answer or an unknown context leaves it open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.problem import Floats, Option
from graphroute.ir.profile import NodeProfile, Profile
from graphroute.planning.simulated import Runs

TOKEN_SPREAD = 0.5
"""Standard deviation of the logarithm of a call's cost around its mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A cascade in one visit: reach[r], the chance in [0, 1] that its model r is asked, falling;
    usd[r], what that costs.
    """

    reach: tuple[float, ...]
    usd: tuple[float, ...]


def p95_usd(
    runs: Runs,
    profile: Profile,
    costs_usd: Sequence[float],
    seed: int,
    cascades: Mapping[int, Steps] | None = None,
) -> float:
    """95th percentile of a run's cost in USD; `costs_usd[i]` is per expected run of node i.

    cascades: by index of the node; their mean is part of `costs_usd` already
    """
    if not profile.nodes:
        return 0.0
    per_visit = np.array(
        [
            c / p.visits if p.visits > 0 else 0.0
            for c, p in zip(costs_usd, profile.nodes, strict=True)
        ]
    )
    visits = runs.visits * runs.growth
    noise = np.random.default_rng(seed).standard_normal(visits.shape)
    factor = np.exp(TOKEN_SPREAD * noise - TOKEN_SPREAD**2 / 2)
    spent = visits * per_visit
    draw = np.random.default_rng([seed, 1])
    for i, steps in (cascades or {}).items():
        spent[:, i] += _off_mean(visits[:, i], steps, draw)
    totals = (spent * factor).sum(axis=1)
    return max(float(np.quantile(totals, 0.95)), float(sum(costs_usd)))


def _off_mean(visits: Floats, steps: Steps, draw: np.random.Generator) -> Floats:
    """USD by which the further models of a cascade cost more or less than expected, per run."""
    left = np.rint(visits).astype(np.int64)
    off = np.zeros(len(visits))
    for r in range(1, len(steps.reach)):
        before, here = steps.reach[r - 1], steps.reach[r]
        left = draw.binomial(left, min(1.0, here / before) if before > 0 else 0.0)
        off += (left - np.rint(visits) * here) * steps.usd[r]
    return off


def worst_usd(profile: Profile, catalog: Catalog, options: Sequence[Option]) -> float | None:
    """The most a run can cost in USD, or None where nothing bounds it.

    Every round of a loop may be the dearest one; a cascade may ask all of its models.
    """
    total = 0.0
    for p, option in zip(profile.nodes, options, strict=True):
        each = [worst_call_usd(p, catalog.models[m]) for m in option.models]
        known = [usd for usd in each if usd is not None]
        one = sum(known) if option.kind == "cascade" else max(known, default=0.0)
        if len(known) == len(each) and one == 0.0:
            continue
        if len(known) < len(each) or not math.isfinite(p.visits_max):
            return None
        total += one * max(1.0, p.calls) * p.visits_max
    return total


def worst_call_usd(profile: NodeProfile, model: ModelSpec) -> float | None:
    """The most one call can cost in USD, or None where nothing bounds it."""
    if not model.price.in_usd and not model.price.out_usd:
        return 0.0
    caps = [c for c in (profile.max_out_tokens, model.max_output_tokens) if c is not None]
    if model.context_tokens is None:
        return None
    longest = min([*caps, model.context_tokens])
    # Prompt and answer share the window; whichever is dearer fills what the other leaves.
    if model.price.out_usd >= model.price.in_usd:
        return model.cost_usd(model.context_tokens - longest, longest)
    return model.cost_usd(model.context_tokens, 0)
