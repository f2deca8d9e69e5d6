"""From profile, pool, hints and budget to the assignment problem, with a reason for each mask.

`objective="cost"` needs a floor for quality. A node's `min_quality` is one; without it the floor is
what the graph has now: the quality of the model the node itself uses, less `TOLERANCE`, or (where
that model is not in the pool) `SHARE_OF_BEST` of the best model allowed there. So "cheapest" never
quietly means "worse than before".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graphroute.errors import InvalidValue, UnknownModel
from graphroute.ir.catalog import Catalog
from graphroute.ir.facts import Facts
from graphroute.ir.graph import Node
from graphroute.ir.hints import Budget, Objective
from graphroute.ir.problem import Mask, Problem, TimeStep
from graphroute.ir.profile import Profile
from graphroute.ir.quality import Q_MAX, Q_MIN, success
from graphroute.planning.masks import reason_against

TOLERANCE = 0.02
SHARE_OF_BEST = 0.9
LOAD_BYTES_PER_S = 1e9
"""Reading a local model's weights from disk; one that is loaded costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the run may take besides money: seconds, and bytes for local models together."""

    deadline_s: float | None = None
    memory_bytes: int | None = None


def formulate(
    facts: Facts,
    profile: Profile,
    catalog: Catalog,
    *,
    budget: Budget,
    objective: Objective,
    limits: Limits,
    qualities: Mapping[tuple[str, str], float] | None = None,
) -> Problem:
    """The problem; `qualities[node, model]` (learned, in (0, 1)) replaces the scorer's prior."""
    check_hints(facts, catalog)
    nodes = [facts.graph.node(p.node) for p in profile.nodes]
    shape = (len(nodes), len(catalog))
    quality, cost, time = np.ones(shape), np.zeros(shape), np.zeros(shape)
    feasible = np.ones(shape, dtype=bool)
    masks: list[Mask] = []
    taints = {t.node: t for t in facts.taints}
    for i, (node, p) in enumerate(zip(nodes, profile.nodes, strict=True)):
        for m, model in enumerate(catalog):
            known = (qualities or {}).get((node.name, model.name))
            q = success(p.score.difficulty, model.ability) if known is None else known
            quality[i, m] = min(max(q, Q_MIN), Q_MAX)
            calls = p.visits * p.calls
            cost[i, m] = calls * model.cost_usd(p.in_tokens + model.overhead_tokens, p.out_tokens)
            time[i, m] = p.calls * model.time_s(p.out_tokens)
            reason = reason_against(node, p, model, float(quality[i, m]), taints.get(node.name))
            if reason:
                feasible[i, m] = False
                masks.append(Mask(node=node.name, model=model.name, reason=reason))
        if objective == "cost" and node.hints.min_quality is None:
            floor = _floor(node, catalog, quality[i], feasible[i])
            for m, model in enumerate(catalog):
                if feasible[i, m] and quality[i, m] < floor:
                    feasible[i, m] = False
                    masks.append(
                        Mask(
                            node=node.name,
                            model=model.name,
                            reason=f"quality {quality[i, m]:.2f} below {floor:.2f}, "
                            "what the node has now",
                        )
                    )
    index = {node.name: i for i, node in enumerate(nodes)}
    return Problem(
        nodes=tuple(index),
        models=catalog.names,
        log_quality=np.log(quality),
        cost_usd=cost,
        time_s=time,
        feasible=feasible,
        weight=np.array([p.weight * p.visits for p in profile.nodes]),
        masks=tuple(masks),
        budget_usd=budget.per_run_usd,
        objective=objective,
        deadline_s=limits.deadline_s,
        local=tuple(model.local for model in catalog),
        steps=_steps(facts, index),
        memory_bytes=tuple((m.memory_bytes or 0) if m.local else 0 for m in catalog),
        load_s=tuple(
            (m.memory_bytes or 0) / LOAD_BYTES_PER_S if m.local and not m.loaded else 0.0
            for m in catalog
        ),
        memory_limit_bytes=limits.memory_bytes,
    )


def check_hints(facts: Facts, catalog: Catalog) -> None:
    """Hints that name models the pool lacks, all told together."""
    faults = []
    for node in facts.graph.nodes:
        hints = node.hints
        named = ([hints.pin] if hints.pin else []) + list(hints.models or ())
        faults += [(node.name, name) for name in named if name not in catalog.names]
    if faults:
        raise UnknownModel(
            "; ".join(f"node {node!r} names model {name!r}" for node, name in faults)
            + ", not in the pool",
            faults=tuple(faults),
            known=catalog.names,
            next_step=f"add it to models= or use {', '.join(catalog.names)}",
        )


def check_deadline(deadline_s: float | None) -> None:
    """A deadline is a finite number of seconds above 0."""
    is_number = isinstance(deadline_s, (int, float)) and not isinstance(deadline_s, bool)
    if deadline_s is not None and not (is_number and math.isfinite(deadline_s) and deadline_s > 0):
        raise InvalidValue(
            f"deadline_s={deadline_s!r}",
            value=deadline_s,
            next_step="use a finite number of seconds > 0, or None for no limit",
        )


def _floor(
    node: Node,
    catalog: Catalog,
    quality: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    feasible: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> float:
    allowed = [float(q) for q, ok in zip(quality, feasible, strict=True) if ok]
    if not allowed:
        return 0.0
    own = {use.name for use in node.models}
    now = [float(q) for q, model in zip(quality, catalog, strict=True) if model.name in own]
    floor = max(now) - TOLERANCE if now else SHARE_OF_BEST * max(allowed)
    return min(floor, max(allowed))


def _steps(facts: Facts, index: Mapping[str, int]) -> tuple[TimeStep, ...]:
    merged: dict[tuple[tuple[int, float], ...], float] = {}
    for step in facts.supersteps:
        here = tuple(
            (index[n], t) for n, t in zip(step.nodes, step.tasks, strict=True) if n in index
        )
        if here:
            merged[here] = merged.get(here, 0.0) + step.weight
    if not merged:
        return ()
    return tuple(
        TimeStep(weight=w, nodes=tuple(i for i, _ in here), tasks=tuple(t for _, t in here))
        for here, w in merged.items()
    )
