"""From the solution to the plan: every assignment with its runner-up, fallbacks and a reason."""

from __future__ import annotations

import math

from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.facts import Facts
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
from graphroute.ir.problem import Problem, Solution
from graphroute.ir.profile import Profile
from graphroute.planning import infeasible, spend
from graphroute.planning.masks import path_of
from graphroute.planning.reasons import Case, constraints, reason, runner_up


def decide(
    facts: Facts,
    profile: Profile,
    catalog: Catalog,
    problem: Problem,
    solution: Solution,
    *,
    budget: Budget,
    seed: int,
) -> Plan:
    """The plan; where the solution is infeasible it has no assignments and says why."""
    assignments = []
    taints = {t.node: t for t in facts.taints}
    for i, m in enumerate(solution.choice):
        case = Case(problem=problem, solution=solution, catalog=catalog, row=i)
        p = profile.nodes[i]
        model = catalog.models[m]
        others = case.others(m)
        taint = taints.get(p.node)
        bound_by = constraints(case, m)
        assignments.append(
            Assignment(
                node=p.node,
                model=model.name,
                local=model.local,
                complexity=p.score.difficulty,
                complexity_low=p.score.low,
                complexity_high=p.score.high,
                complexity_reason=p.score.reason,
                expected_visits=p.visits,
                expected_calls=p.visits * p.calls,
                in_tokens=p.in_tokens,
                out_tokens=p.out_tokens,
                max_output_tokens=p.max_out_tokens,
                weight=p.weight,
                quality=case.quality(m),
                cost_usd=case.cost_usd(m),
                latency_s=case.time_s(m),
                privacy_local=taint is not None,
                fallbacks=tuple(problem.models[o] for o in others),
                runner_up=runner_up(case, m, others[0]) if others else None,
                constraints=bound_by,
                reason=reason(case, p, model, m, others),
                taint=taint.path if taint is not None else (),
            )
        )
    return Plan(
        graph=_graph(facts),
        models=tuple(_model(model) for model in catalog),
        budget=PlanBudget(
            per_run_usd=budget.per_run_usd,
            per_day_usd=budget.per_day_usd,
            per_month_usd=budget.per_month_usd,
            on_exceed=budget.on_exceed,
        ),
        objective=problem.objective,
        seed=seed,
        assignments=tuple(assignments),
        totals=_totals(facts, profile, catalog, problem, solution, seed),
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
        deadline_s=problem.deadline_s,
        time_price=solution.time_price,
        critical_path=facts.critical_path,
        parallel_groups=facts.parallel_groups,
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _totals(
    facts: Facts,
    profile: Profile,
    catalog: Catalog,
    problem: Problem,
    solution: Solution,
    seed: int,
) -> Totals:
    if not solution.choice:
        return Totals(
            cost_expected_usd=0.0,
            cost_p95_usd=0.0,
            cost_worst_usd=None if problem.nodes else 0.0,
            latency_s=0.0,
            quality=0.0 if problem.nodes else 1.0,
        )
    costs = [float(problem.cost_usd[i, m]) for i, m in enumerate(solution.choice)]
    weight = float(problem.weight.sum())
    logs = sum(problem.weight[i] * problem.log_quality[i, m] for i, m in enumerate(solution.choice))
    return Totals(
        cost_expected_usd=sum(costs),
        cost_p95_usd=spend.p95_usd(facts, profile, costs, seed),
        cost_worst_usd=spend.worst_usd(profile, [catalog.models[m] for m in solution.choice]),
        latency_s=problem.latency_s(solution.choice),
        quality=math.exp(logs / weight) if weight > 0 else 1.0,
    )


def _graph(facts: Facts) -> PlanGraph:
    graph = facts.graph
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
            )
            for n in graph.nodes
        ),
        edges=tuple(
            PlanEdge(source=e.source, target=e.target, kind=e.kind, label=e.label, probability=p)
            for e, p in zip(graph.edges, facts.probabilities, strict=True)
        ),
        loops=tuple(
            PlanLoop(nodes=loop.nodes, expected_iterations=loop.expected_iterations)
            for loop in facts.loops
        ),
        warnings=(*graph.warnings, *facts.warnings, *taints),
    )


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
