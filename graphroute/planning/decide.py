"""From the solution to the plan: every assignment with its runner-up, fallbacks and a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.facts import Facts, Observed, Taint
from graphroute.ir.graph import Edge, Graph
from graphroute.ir.hints import Budget
from graphroute.ir.plan import (
    Assignment,
    Plan,
    PlanBudget,
    PlanEdge,
    PlanGraph,
    PlanLoop,
    PlanModel,
    PlanNode,
    SolverReport,
    Totals,
)
from graphroute.ir.problem import Option, Problem, Solution
from graphroute.ir.profile import NodeProfile, Profile
from graphroute.planning import infeasible, punctual, spend
from graphroute.planning.masks import path_of
from graphroute.planning.reasons import Case, constraints, fallbacks, reason, runner_up
from graphroute.planning.simulated import Runs


def decide(
    facts: Facts,
    profile: Profile,
    catalog: Catalog,
    problem: Problem,
    solution: Solution,
    *,
    budget: Budget,
    seed: int,
    runs: Runs,
    unpaid: Problem | None = None,
) -> Plan:
    """The plan; where the solution is infeasible it has no assignments and says why.

    runs: simulated runs, by which the tail of the cost and the chance to be in time are told
    unpaid: the problem before it was put down what runs can pay of cascades; None: as `problem`
    """
    taints = {t.node: t for t in facts.taints}
    assignments = tuple(
        _assignment(
            Case(problem=problem, solution=solution, catalog=catalog, row=i),
            profile.nodes[i],
            k,
            taints.get(profile.nodes[i].node),
            facts.observed,
            (unpaid or problem).option(i, k),
        )
        for i, k in enumerate(solution.choice)
    )
    return Plan(
        graph=_graph(facts, {a.node: a.expected_visits for a in assignments}),
        models=tuple(_model(model) for model in catalog),
        budget=PlanBudget(
            per_run_usd=budget.per_run_usd,
            per_day_usd=budget.per_day_usd,
            per_month_usd=budget.per_month_usd,
            on_exceed=budget.on_exceed,
        ),
        objective=problem.objective,
        seed=seed,
        assignments=assignments,
        totals=_totals(profile, catalog, problem, solution, seed, runs),
        shadow_price=solution.shadow_price,
        solver=SolverReport(
            name=solution.solver,
            status=solution.status,
            bound=_finite(solution.bound),
            gap=_finite(solution.gap),
            ms=solution.ms,
        ),
        feasible=bool(solution.choice) or not problem.nodes,
        infeasible=infeasible.report(problem, solution),
        deadline_s=problem.promised_s or problem.deadline_s,
        planned_s=problem.deadline_s,
        time_price=solution.time_price,
        critical_path=facts.critical_path,
        parallel_groups=facts.parallel_groups,
    )


def _assignment(
    case: Case, p: NodeProfile, k: int, taint: Taint | None, seen: Observed, whole: Option
) -> Assignment:
    problem, i = case.problem, case.row
    model = case.catalog.get(case.first(k))
    option = problem.option(i, k)
    visits = p.visits if problem.visits is None else float(problem.visits[i, k])
    # What the problem says of a visit is of one the profile counts; a check may lead to others.
    scale = p.visits / visits if visits > 0 else 1.0
    others = case.others(k)
    asked = sum(option.shares) if option.kind == "cascade" else 1.0
    instead = fallbacks(case, k, others)
    tokens = seen.tokens(p.node, model.name, (p.in_tokens, p.out_tokens))
    return Assignment(
        node=p.node,
        model=model.name,
        local=model.local,
        complexity=p.score.difficulty,
        complexity_low=p.score.low,
        complexity_high=p.score.high,
        complexity_reason=p.score.reason,
        expected_visits=visits,
        expected_calls=visits * p.calls * asked,
        in_tokens=tokens[0],
        out_tokens=tokens[1],
        max_output_tokens=p.max_out_tokens,
        weight=p.weight * scale,
        quality=case.quality(k),
        cost_usd=case.cost_usd(k),
        latency_s=case.time_s(k) * scale,
        privacy_local=taint is not None,
        fallbacks=instead,
        runner_up=runner_up(case, k, others[0]) if others else None,
        constraints=constraints(case, k),
        reason=reason(case, p, k, others),
        taint=taint.path if taint is not None else (),
        kind=option.kind,
        then=case.then(k),
        batch=option.batch,
        # The first columns of a problem are its models, each by itself.
        qualities=tuple(case.quality(problem.models.index(m)) for m in (model.name, *instead)),
        judged=p.judged,
        reach=whole.shares[1:] if whole.so_far else (),
        so_far=whole.so_far,
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _cascades(
    problem: Problem, profile: Profile, options: Sequence[Option]
) -> dict[int, spend.Steps]:
    """How far the cascade of a node goes, and what each of its models costs, by index."""
    return {
        i: spend.Steps(
            reach=option.shares,
            usd=tuple(float(problem.cost_usd[i, m]) / p.visits for m in option.models),
        )
        for i, (option, p) in enumerate(zip(options, profile.nodes, strict=True))
        if option.kind == "cascade" and p.visits > 0
    }


def _totals(
    profile: Profile,
    catalog: Catalog,
    problem: Problem,
    solution: Solution,
    seed: int,
    runs: Runs,
) -> Totals:
    if not solution.choice:
        return Totals(
            cost_expected_usd=0.0,
            cost_p95_usd=0.0,
            cost_worst_usd=None if problem.nodes else 0.0,
            latency_s=0.0,
            quality=0.0 if problem.nodes else 1.0,
        )
    options = [problem.option(i, k) for i, k in enumerate(solution.choice)]
    costs = [float(problem.cost_usd[i, m]) for i, m in enumerate(solution.choice)]
    weight = float(problem.weight.sum())
    logs = sum(problem.weight[i] * problem.log_quality[i, m] for i, m in enumerate(solution.choice))
    deadline = problem.promised_s or problem.deadline_s
    chance = None
    if deadline is not None:
        chance = punctual.on_time(problem, solution.choice, deadline, runs, seed)
    return Totals(
        cost_expected_usd=sum(costs),
        cost_p95_usd=spend.p95_usd(
            runs, profile, costs, seed, _cascades(problem, profile, options)
        ),
        cost_worst_usd=spend.worst_usd(profile, catalog, options),
        latency_s=problem.latency_s(solution.choice),
        quality=math.exp(logs / weight) if weight > 0 else 1.0,
        on_time=chance,
    )


def _graph(facts: Facts, visits: Mapping[str, float]) -> PlanGraph:
    graph = facts.graph
    expected = {v.node: v.expected for v in facts.visits}
    # Rounds that a check decides are those of the models chosen, not those of the prior.
    factor = {
        r.by: visits[r.node] / expected[r.node]
        for r in facts.roles
        if r.kind == "checked" and r.is_alone and visits.get(r.node) and expected[r.node] > 0
    }
    chances = dict(zip(graph.edges, facts.probabilities, strict=True))
    for loop in facts.loops:
        for check in set(loop.nodes) & set(factor):
            _hasten(graph, chances, set(loop.nodes), check, factor[check])
    taints = tuple(
        f"node {t.node!r} stays on this machine: {path_of(t)}"
        for t in facts.taints
        if len(t.path) > 1
    )
    return PlanGraph(
        name=graph.name,
        fingerprint=graph.fingerprint,
        nodes=tuple(
            PlanNode(
                name=n.name,
                kind=n.kind,
                sight=n.sight,
                sight_reason=n.sight_reason,
                models=tuple(dict.fromkeys(use.name for use in n.models)),
                caching=n.caching,
            )
            for n in graph.nodes
        ),
        edges=tuple(
            PlanEdge(
                source=e.source,
                target=e.target,
                kind=e.kind,
                label=e.label,
                probability=chances[e],
            )
            for e in graph.edges
        ),
        loops=tuple(
            PlanLoop(
                nodes=loop.nodes,
                expected_iterations=loop.expected_iterations
                * next((factor[n] for n in loop.nodes if n in factor), 1.0),
            )
            for loop in facts.loops
        ),
        warnings=(*graph.warnings, *facts.warnings, *taints),
    )


def _hasten(
    graph: Graph, chances: dict[Edge, float], loop: set[str], check: str, factor: float
) -> None:
    """Put the chances out of a check to what `factor` times as many rounds mean."""
    out = [e for e in graph.edges if e.source == check]
    back = sum(chances[e] for e in out if e.target in loop)
    if not 0 < back < 1:
        return
    again = max(0.0, 1 - (1 - back) / factor)
    for e in out:
        inside = e.target in loop
        chances[e] *= again / back if inside else (1 - again) / (1 - back)


def _model(spec: ModelSpec) -> PlanModel:
    return PlanModel(
        name=spec.name,
        provider=spec.provider,
        local=spec.local,
        price_in_usd=spec.price.in_usd,
        price_out_usd=spec.price.out_usd,
        price_source=spec.price.source,
        price_date=spec.price.date,
        context_tokens=spec.context_tokens,
        max_output_tokens=spec.max_output_tokens,
        capabilities=tuple(sorted(spec.capabilities)),
        memory_bytes=spec.memory_bytes,
        ability=spec.ability,
        ability_source=spec.ability_source,
    )
