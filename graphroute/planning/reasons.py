"""Why a node got its model: the case for it, its runner-up, what bound the choice, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.plan import RunnerUp
from graphroute.ir.problem import Problem, Solution
from graphroute.ir.profile import NodeProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the reason for one node is read from."""

    problem: Problem
    solution: Solution
    catalog: Catalog
    row: int

    def log_quality(self, m: int) -> float:
        """Log-probability of a good answer by this model."""
        return float(self.problem.log_quality[self.row, m])

    def quality(self, m: int) -> float:
        """Probability of a good answer by this model."""
        return math.exp(self.log_quality(m))

    def cost_usd(self, m: int) -> float:
        """Expected spend on the node per run."""
        return float(self.problem.cost_usd[self.row, m])

    def time_s(self, m: int) -> float:
        """Seconds of one visit."""
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


def runner_up(case: Case, chosen: int, other: int) -> RunnerUp:
    """What taking the other model instead would change."""
    return RunnerUp(
        model=case.problem.models[other],
        quality_change=case.quality(other) - case.quality(chosen),
        cost_change_usd=case.cost_usd(other) - case.cost_usd(chosen),
        latency_change_s=case.time_s(other) - case.time_s(chosen),
    )


def constraints(case: Case, chosen: int) -> tuple[str, ...]:
    """Masks of this node, and the limit that keeps out better models."""
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


def reason(
    case: Case, profile: NodeProfile, model: ModelSpec, chosen: int, others: list[int]
) -> str:
    """One sentence: how hard the step is, and what spoke for this model."""
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
