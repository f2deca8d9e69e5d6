"""A plan in sentences, with the shadow price in words a user can weigh."""

from __future__ import annotations

import math

from graphroute.ir.plan import Assignment, Plan


def explain(plan: Plan, node: str | None = None) -> str:
    """The whole plan, or one node of it; KeyError for a node that the plan does not have."""
    if node is not None:
        found = plan.assignment(node)
        if found is not None:
            return "\n".join(_node(found))
        kinds = {n.name: n.kind for n in plan.graph.nodes}
        return f"{node}: calls no model (kind {kinds[node]})."
    if plan.infeasible is not None:
        return f"No plan for {plan.graph.name!r}: {plan.infeasible.message}."
    lines = [_head(plan), *_price(plan)]
    for assignment in plan.assignments:
        lines += ["", *_node(assignment)]
    lines += [f"Note: {warning}." for warning in plan.graph.warnings]
    return "\n".join(lines)


def money(usd: float) -> str:
    """USD with as many digits as a small amount needs.

    >>> money(0.0004), money(1.5), money(0)
    ('$0.0004', '$1.5', '$0')
    """
    return f"${usd:.3g}" if abs(usd) < 1000 else f"${usd:,.0f}"


def points(change: float) -> str:
    """A change of a probability in points, signed.

    >>> points(0.019), points(-0.032)
    ('+1.9', '-3.2')
    """
    return f"{100 * change:+.1f}"


def _head(plan: Plan) -> str:
    totals = plan.totals
    limit = plan.budget.per_run_usd
    worst = "unbounded" if totals.cost_worst_usd is None else money(totals.cost_worst_usd)
    return (
        f"{plan.graph.name}: quality {totals.quality:.3f}, expected "
        f"{money(totals.cost_expected_usd)} per run (95 % of runs below "
        f"{money(totals.cost_p95_usd)}, worst case {worst})"
        + (f" of a budget of {money(limit)}" if limit is not None else ", no budget")
        + f", about {totals.latency_s:.1f} s. Solver {plan.solver.name}: {plan.solver.status}, "
        f"gap {100 * plan.solver.gap:.2g} %."
    )


def _price(plan: Plan) -> list[str]:
    lines = []
    limit = plan.budget.per_run_usd
    if plan.objective == "quality" and plan.shadow_price > 0 and limit is not None:
        step = limit / 10 or 0.001
        total = sum(a.weight * a.expected_visits for a in plan.assignments) or 1.0
        gain = plan.totals.quality * (math.exp(plan.shadow_price * step / total) - 1)
        lines.append(
            f"The budget binds: {money(step)} more per run would buy about "
            f"{points(min(gain, 1 - plan.totals.quality))} points of quality."
        )
    if plan.time_price > 0 and plan.deadline_s is not None:
        lines.append(f"The deadline of {plan.deadline_s:g} s binds.")
    if plan.critical_path:
        lines.append(f"The run waits longest for {' → '.join(plan.critical_path)}.")
    return lines


def _node(a: Assignment) -> list[str]:
    where = "this machine" if a.local else "the cloud"
    lines = [
        f"{a.node} → {a.model} ({where}): {a.reason}.",
        f"  quality {a.quality:.3f}, {money(a.cost_usd)} per run for {a.expected_visits:.3g} visits"
        f" of about {a.in_tokens:.0f} + {a.out_tokens:.0f} tokens, {a.latency_s:.1f} s per visit.",
    ]
    if a.runner_up is not None:
        r = a.runner_up
        cost = (
            "costs the same"
            if not r.cost_change_usd
            else (
                f"saves {money(-r.cost_change_usd)}"
                if r.cost_change_usd < 0
                else f"costs {money(r.cost_change_usd)} more"
            )
        )
        lines.append(
            f"  runner-up {r.model}: {cost}, {points(r.quality_change)} points, "
            f"{r.latency_change_s:+.1f} s."
        )
    if len(a.taint) > 1:
        lines.append(f"  private data comes here by {' → '.join(a.taint)}.")
    lines += [f"  {constraint}." for constraint in a.constraints]
    if a.fallbacks:
        lines.append(f"  if it cannot serve a call: {', '.join(a.fallbacks)}.")
    return lines
