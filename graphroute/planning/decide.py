"""From the solution to the plan: every assignment with its runner-up, fallbacks and a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    RunnerUp,
    SolverReport,
    Totals,
)
from graphroute.ir.problem import Problem, Solution
from graphroute.ir.profile import NodeProfile, Profile
from graphroute.planning import infeasible, spend
from graphroute.planning.masks import path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the reason for one node is read from."""

    problem: Problem
    solution: Solution
    catalog: Catalog
    row: int

    def log_quality(self, m: int) -> float:
        return float(self.problem.log_quality[self.row, m])

    def quality(self, m: int) -> float:
        return math.exp(self.log_quality(m))

    def cost_usd(self, m: int) -> float:
        return float(self.problem.cost_usd[self.row, m])

    def time_s(self, m: int) -> float:
        return float(self.problem.time_s[self.row, m])

    def utility(self, m: int) -> float:
        """w·log q − λ·cost − μ·time, what each call decides by as well."""
        if self.problem.objective == "cost":
            return -self.cost_usd(m)
        if self.problem.objective == "latency":
            return -self.time_s(m)
        value = float(self.problem.weight[self.row]) * self.log_quality(m)
        spent = self.solution.shadow_price * self.cost_usd(m)
        return value - spent - self.solution.time_price * self.time_s(m)

    def others(self, chosen: int) -> list[int]:
        """Feasible models besides the chosen one, best first; ties: cheaper, local, name."""
        allowed = [m for m in range(len(self.catalog)) if self.problem.feasible[self.row, m]]
        return sorted(
            (m for m in allowed if m != chosen),
            key=lambda m: (
                -round(self.utility(m), 12),
                self.cost_usd(m),
                not self.problem.is_local(m),
                self.problem.models[m],
            ),
        )


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
        case = _Case(problem=problem, solution=solution, catalog=catalog, row=i)
        p = profile.nodes[i]
        model = catalog.models[m]
        others = case.others(m)
        taint = taints.get(p.node)
        constraints = _constraints(case, m)
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
                runner_up=_runner_up(case, m, others[0]) if others else None,
                constraints=constraints,
                reason=_reason(case, p, model, m, others),
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


def _runner_up(case: _Case, chosen: int, other: int) -> RunnerUp:
    return RunnerUp(
        model=case.problem.models[other],
        quality_change=case.quality(other) - case.quality(chosen),
        cost_change_usd=case.cost_usd(other) - case.cost_usd(chosen),
        latency_change_s=case.time_s(other) - case.time_s(chosen),
    )


def _constraints(case: _Case, chosen: int) -> tuple[str, ...]:
    problem = case.problem
    node = problem.nodes[case.row]
    found = [f"{mask.model}: {mask.reason}" for mask in problem.masks if mask.node == node]
    better = [
        m
        for m in range(len(problem.models))
        if problem.feasible[case.row, m] and case.quality(m) > case.quality(chosen) + 1e-9
    ]
    if better and problem.objective == "quality":
        names = ", ".join(problem.models[m] for m in better)
        if case.solution.shadow_price > 0:
            found.append(f"the budget of ${problem.budget_usd:g} per run keeps out {names}")
        elif case.solution.time_price > 0:
            found.append(f"the deadline of {problem.deadline_s:g} s keeps out {names}")
    return tuple(found)


def _reason(
    case: _Case, profile: NodeProfile, model: ModelSpec, chosen: int, others: list[int]
) -> str:
    head = f"{profile.score.difficulty:.2f}: {profile.score.reason}: {model.name} because "
    objective = case.problem.objective
    node = case.problem.nodes[case.row]
    q = case.quality(chosen)
    if not others:
        reasons = {mask.reason for mask in case.problem.masks if mask.node == node}
        if any(r.startswith("pinned") for r in reasons):
            return head + "the node is pinned to it"
        if len(case.catalog) == 1:
            return head + "the pool has no other"
        return head + "no other model may serve this node"
    runner = others[0]
    name = case.problem.models[runner]
    saved = case.cost_usd(chosen) - case.cost_usd(runner)
    points = 100 * (q - case.quality(runner))
    if objective == "cost":
        return head + f"it is the cheapest that is good enough (quality {q:.2f})"
    if objective == "latency":
        return head + f"the run ends soonest with it ({case.time_s(chosen):.1f} s per visit)"
    best = max(case.quality(m) for m in [chosen, *others])
    if q >= best - 1e-12:
        if saved <= 0:
            return head + f"it is the best (quality {q:.2f}) and costs no more than {name}"
        return head + (
            f"it is the best (quality {q:.2f}); {name} would save ${saved:.2g} and lose "
            f"{points:.1f} points"
        )
    if points > 0:
        return head + (
            f"quality {q:.2f} is what the limits allow here; {name} would "
            f"{'save' if saved >= 0 else 'cost'} ${abs(saved):.2g} "
            f"{'and' if saved >= 0 else 'more and'} lose {points:.1f} points"
        )
    return head + (
        f"quality {q:.2f} is enough: {name} would gain {-points:.1f} points for ${-saved:.2g} "
        "more, which counts for more elsewhere"
    )


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
