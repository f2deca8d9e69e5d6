"""From profile, pool, hints and budget to the assignment problem, with a reason for each mask.

`objective="cost"` needs a floor for quality. A node's `min_quality` is one; without it the floor is
what the graph has now: the quality of the model the node itself uses, less `TOLERANCE`, or (where
that model is not in the pool) `SHARE_OF_BEST` of the best model allowed there. So "cheapest" never
quietly means "worse than before". A sequence of models has to reach the floor as a whole, so a
cheap model with a check behind it and a strong one after that may stand where it may not alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from graphroute.errors import InvalidValue, UnknownModel
from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.facts import Facts
from graphroute.ir.graph import Node
from graphroute.ir.hints import Budget, Objective
from graphroute.ir.problem import Bools, Floats, Mask, Option, Problem, TimeStep
from graphroute.ir.profile import NodeProfile, Profile
from graphroute.ir.quality import Q_MAX, Q_MIN, success
from graphroute.ir.reservation import PROMPT_BOUND, short_answer
from graphroute.planning.masks import reason_against, too_weak
from graphroute.planning.options import RARE, Columns, Packing, columns
from graphroute.planning.retries import CheckRates
from graphroute.planning.sequences import Singles

TOLERANCE = 0.02
SHARE_OF_BEST = 0.9
LOAD_BYTES_PER_S = 1e9
"""Reading a local model's weights from disk; one that is loaded costs nothing."""


def _no_qualities() -> Mapping[tuple[str, str], float]:
    return MappingProxyType({})


def _no_checks() -> Mapping[str, CheckRates]:
    return MappingProxyType({})


def _no_packings() -> Mapping[str, Sequence[Packing]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the run may take besides money: seconds, and bytes for local models together."""

    deadline_s: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beyond the graph.

    qualities: of (node, model), in (0, 1), in place of the scorer's prior
    checks: how far the check of a node can be trusted; packings: those that a node may use
    puts_aside: whether runs put the worst case of a call aside before it is made
    """

    qualities: Mapping[tuple[str, str], float] = field(default_factory=_no_qualities)
    checks: Mapping[str, CheckRates] = field(default_factory=_no_checks)
    packings: Mapping[str, Sequence[Packing]] = field(default_factory=_no_packings)
    puts_aside: bool = True


def formulate(
    facts: Facts,
    profile: Profile,
    catalog: Catalog,
    *,
    budget: Budget,
    objective: Objective,
    limits: Limits,
    known: Known,
) -> Problem:
    """The problem, with the sequences of models that are worth having as columns of their own."""
    check_hints(facts, catalog)
    nodes = [facts.graph.node(p.node) for p in profile.nodes]
    shape = (len(nodes), len(catalog))
    quality, usd, time = np.ones(shape), np.zeros(shape), np.zeros(shape)
    held = np.zeros(shape)
    usable, feasible = np.ones(shape, dtype=bool), np.ones(shape, dtype=bool)
    floors = np.zeros(len(nodes))
    masks: list[Mask] = []
    taints = {t.node: t for t in facts.taints}
    for i, (node, p) in enumerate(zip(nodes, profile.nodes, strict=True)):
        for m, model in enumerate(catalog):
            learned = known.qualities.get((node.name, model.name))
            q = success(p.score.difficulty, model.ability) if learned is None else learned
            quality[i, m] = min(max(q, Q_MIN), Q_MAX)
            usual = (p.in_tokens, p.out_tokens)
            tokens_in, tokens_out = facts.observed.tokens(node.name, model.name, usual)
            usd[i, m] = p.calls * model.cost_usd(tokens_in + model.overhead_tokens, tokens_out)
            held[i, m] = usd[i, m] + _set_aside(p, model, tokens_in, tokens_out)
            time[i, m] = p.calls * model.time_s(tokens_out)
            hard = reason_against(node, p, model, taints.get(node.name))
            if reason := hard or too_weak(node, float(quality[i, m])):
                usable[i, m], feasible[i, m] = not hard, False
                masks.append(Mask(node=node.name, model=model.name, reason=reason))
        floors[i] = node.hints.min_quality or 0.0
        if objective == "cost" and node.hints.min_quality is None:
            floors[i] = floor = _floor(node, catalog, quality[i], feasible[i])
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
    local = np.array([model.local for model in catalog], dtype=bool)
    visits = np.array([p.visits for p in profile.nodes])
    least = visits * np.where(feasible, usd, np.inf).min(axis=1, initial=np.inf)
    least = np.where(np.isfinite(least), least, 0.0)
    limit = np.inf if budget.per_run_usd is None else budget.per_run_usd
    wide: dict[int, Columns] = {}
    for i, p in enumerate(profile.nodes):
        if p.check or p.again >= RARE or p.node in known.packings:
            wide[i] = columns(
                p,
                Singles(
                    quality=quality[i],
                    usd=usd[i],
                    time_s=time[i],
                    local=local,
                    feasible=feasible[i],
                    usable=usable[i],
                ),
                rates=known.checks.get(p.node, CheckRates()),
                stubborn=known.checks.get(p.node, CheckRates()).stubborn,
                floor=float(floors[i]),
                packed=_packed(known.packings.get(p.node, ()), catalog, usable[i]),
                most_usd=limit - float(least.sum() - least[i]),
                fair_usd=limit * float(least[i]) / max(float(least.sum()), 1e-300),
            )
    index = {node.name: i for i, node in enumerate(nodes)}
    plain = Problem(
        nodes=tuple(index),
        models=catalog.names,
        log_quality=np.log(quality),
        cost_usd=usd * np.array([p.visits for p in profile.nodes]).reshape(-1, 1),
        time_s=time,
        feasible=feasible,
        weight=np.array([p.weight * p.visits for p in profile.nodes]),
        masks=tuple(masks),
        budget_usd=budget.per_run_usd,
        objective=objective,
        held_usd=held if known.puts_aside else None,
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
    return _widened(plain, wide, [p.visits for p in profile.nodes])


def _set_aside(p: NodeProfile, model: ModelSpec, tokens_in: float, tokens_out: float) -> float:
    """USD that are put aside for a call beyond what it is expected to cost."""
    caps = [n for n in (p.max_out_tokens, model.max_output_tokens) if n is not None]
    most = short_answer(min(caps, default=math.inf), tokens_out)
    whole = model.cost_usd(PROMPT_BOUND * tokens_in + model.overhead_tokens, most)
    usual = model.cost_usd(tokens_in + model.overhead_tokens, tokens_out)
    return max(0.0, whole - usual)


def _packed(
    packings: Sequence[Packing], catalog: Catalog, usable: Bools
) -> list[tuple[int, Packing]]:
    found = [(catalog.names.index(catalog.get(p.model).name), p) for p in packings]
    return [(m, p) for m, p in found if usable[m]]


def _widened(plain: Problem, wide: Mapping[int, Columns], visits: Sequence[float]) -> Problem:
    """The problem with the columns of the nodes that have more than single models."""
    if not wide:
        return plain
    n, m = plain.log_quality.shape
    most = max(len(c.options) for c in wide.values())

    def padded(table: Floats) -> Floats:
        return np.pad(table, ((0, 0), (0, most)))

    log_quality, cost = padded(plain.log_quality), padded(plain.cost_usd)
    time, device = padded(plain.time_s), padded(plain.on_device_s)
    times = np.repeat(np.array(visits, dtype=np.float64)[:, None], m + most, axis=1)
    feasible = np.pad(plain.feasible, ((0, 0), (0, most)))
    extras: list[tuple[Option, ...]] = [()] * n
    for i, c in wide.items():
        k = m + len(c.options)
        log_quality[i, :k], cost[i, :k], time[i, :k] = c.log_quality, c.usd, c.time_s
        device[i, :k], times[i, :k] = c.device_s, c.visits
        feasible[i, m:k] = True
        extras[i] = c.options
    return replace(
        plain,
        log_quality=log_quality,
        cost_usd=cost,
        time_s=time,
        device_s=device,
        visits=times,
        feasible=feasible,
        extras=tuple(extras),
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


def check_memory(limit_bytes: int | None) -> None:
    """A memory limit is a whole number of bytes, at least 0."""
    is_whole = isinstance(limit_bytes, int) and not isinstance(limit_bytes, bool)
    if limit_bytes is not None and not (is_whole and limit_bytes >= 0):
        raise InvalidValue(
            f"memory_limit_bytes={limit_bytes!r}",
            value=limit_bytes,
            next_step="use a whole number of bytes ≥ 0, or None for no limit",
        )


def _floor(
    node: Node,
    catalog: Catalog,
    quality: Floats,
    feasible: Bools,
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
