"""Plan again under other limits: `what_if()` for one change, `frontier()` for the whole trade-off.

Facts and profile are kept, so only the problem is solved again. A plan read from JSON has none of
this and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from graphroute.errors import UnknownModel
from graphroute.ir.hints import Budget, Objective
from graphroute.ir.plan import Plan, Point
from graphroute.ir.problem import Mask, Problem
from graphroute.ir.rest import Happened, Rest
from graphroute.planning.formulate import Limits, check_deadline, check_memory
from graphroute.planning.replan import Replanner

POINTS = 12
"""Budgets tried between the cheapest and the best plan."""

PlanUnder = Callable[[Budget, Limits, Objective, str], Plan]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhatIf:
    """The way back from a plan to other plans of the same graph and pool."""

    plan_under: PlanUnder
    budget: Budget
    limits: Limits
    objective: Objective
    made: Plan
    replanner: Callable[[], Replanner]

    def rest(self, happened: Happened) -> Rest:
        """The assignment of what is still to come; see `planning.replan`."""
        return self.replanner().rest(happened)

    def what_if(
        self,
        *,
        budget: float | None,
        deadline_s: float | None,
        without_model: str | None,
        memory_limit_bytes: int | None,
    ) -> Plan:
        """The plan under another budget (USD per run), deadline or memory, or without one model."""
        money = self.budget if budget is None else replace(self.budget, per_run_usd=budget)
        limits = self.limits
        if deadline_s is not None:
            check_deadline(deadline_s)
            limits = replace(limits, deadline_s=deadline_s)
        if memory_limit_bytes is not None:
            check_memory(memory_limit_bytes)
            limits = replace(limits, memory_bytes=memory_limit_bytes)
        return self.plan_under(money, limits, self.objective, without_model or "")

    def frontier(self) -> tuple[Point, ...]:
        """Plans that no other of those tried beats in cost, quality and latency, cheapest first.

        The plan itself is tried too, so it is there unless another is at least as good in all
        three and better in one.
        """
        free = replace(self.budget, per_run_usd=None)
        open_limits = replace(self.limits, deadline_s=None)
        best = self.plan_under(free, open_limits, "quality", "")
        if not best.feasible:
            return ()
        quick = self.plan_under(free, open_limits, "latency", "")
        need = self.plan_under(replace(free, per_run_usd=0.0), open_limits, "quality", "")
        low = 0.0 if need.infeasible is None else (need.infeasible.needed or 0.0)
        high = best.totals.cost_expected_usd
        plans = [self.made, best, quick]
        for k in range(POINTS):
            # Prices of models lie decades apart, so budgets are spaced by ratio, not difference.
            share = ((10.0 ** (k / (POINTS - 1))) - 1) / 9
            usd = low + (high - low) * share
            plans.append(
                self.plan_under(replace(free, per_run_usd=usd), open_limits, "quality", "")
            )
        for share in (0.25, 0.5, 0.75):
            span = best.totals.latency_s - quick.totals.latency_s
            limits = replace(open_limits, deadline_s=quick.totals.latency_s + share * span)
            if limits.deadline_s and span > 0:
                plans.append(self.plan_under(free, limits, "quality", ""))
        return _front([p for p in plans if p.feasible])


def _front(plans: list[Plan]) -> tuple[Point, ...]:
    points = {
        Point(
            cost_usd=p.totals.cost_expected_usd,
            quality=p.totals.quality,
            latency_s=p.totals.latency_s,
            models=tuple(a.model for a in p.assignments),
            then=tuple(a.then for a in p.assignments),
        )
        for p in plans
    }

    def beats(a: Point, b: Point) -> bool:
        at_least = (
            a.cost_usd <= b.cost_usd and a.quality >= b.quality and a.latency_s <= b.latency_s
        )
        return at_least and (a.cost_usd, a.quality, a.latency_s) != (
            b.cost_usd,
            b.quality,
            b.latency_s,
        )

    kept = [p for p in points if not any(beats(q, p) for q in points)]
    return tuple(
        sorted(kept, key=lambda p: (p.cost_usd, -p.quality, p.latency_s, p.models, p.then))
    )


def without_model(problem: Problem, name: str) -> Problem:
    """The problem with one model of the pool masked; `UnknownModel` if it is not in the pool."""
    if name not in problem.models:
        raise UnknownModel(
            f"no model {name!r} in the pool",
            model=name,
            known=problem.models,
            next_step=f"the pool has {', '.join(problem.models)}",
        )
    m = problem.models.index(name)
    masks = tuple(
        Mask(node=node, model=name, reason="left out to see what if")
        for node in np.array(problem.nodes)[problem.feasible[:, m]].tolist()
    )
    feasible = problem.feasible & ~problem.holds(m)
    return replace(problem, feasible=feasible, masks=(*problem.masks, *masks))
