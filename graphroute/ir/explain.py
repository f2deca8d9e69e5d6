"""A plan in sentences, with the shadow price in words a user can weigh."""

from __future__ import annotations

import math

from graphroute.ir.plan import Assignment, Plan, RunnerUp
from graphroute.ir.text import in_turn


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


def served_by(a: Assignment) -> str:
    """The models of a step in a few words: `small, then big by check`."""
    how = {
        "single": "",
        "iterations": " by round",
        "cascade": " by check",
        "packed": f" with {a.batch} tasks a prompt",
    }
    return in_turn((a.model, *a.then)) + how[a.kind]


def in_time(plan: Plan) -> str:
    """How many runs end by the deadline, in words; empty where there is none."""
    if plan.totals.on_time is None or plan.deadline_s is None:
        return ""
    return f"{100 * plan.totals.on_time:.0f} % of runs end by the deadline of {plan.deadline_s:g} s"


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
        step = _step(limit)
        lines.append(
            f"The budget binds: {money(step)} more per run would buy about "
            f"{points(_gain(plan, step * plan.shadow_price))} points of quality."
        )
    if plan.time_price > 0 and plan.deadline_s is not None:
        second = (plan.planned_s or plan.deadline_s) / 10
        worth = (
            f": {second:.3g} s more would buy about "
            f"{points(_gain(plan, second * plan.time_price))} points of quality"
            if plan.objective == "quality"
            else ""
        )
        lines.append(f"The deadline of {plan.deadline_s:g} s binds{worth}.")
    if share := in_time(plan):
        lines.append(f"About {share}.")
    if plan.critical_path:
        lines.append(f"The run waits longest for {' → '.join(plan.critical_path)}.")
    return lines


def _step(limit: float) -> float:
    """A tenth of the budget, as a round sum of money: 1, 2 or 5 times a power of ten.

    >>> _step(0.03), _step(0.0072)
    (0.002, 0.0005)
    """
    if limit <= 0:
        return 0.001
    power = 10.0 ** math.floor(math.log10(limit / 10))
    lead = max(x for x in (1, 2, 5) if x * power <= limit / 10 * (1 + 1e-9))
    return float(f"{lead * power:.3g}")


def _gain(plan: Plan, gain: float) -> float:
    """A gain of the objective (Σ w·log q) as a change of the plan's quality."""
    total = sum(a.weight * a.expected_visits for a in plan.assignments) or 1.0
    quality = plan.totals.quality
    return min(quality * (math.exp(gain / total) - 1), 1 - quality)


def _node(a: Assignment) -> list[str]:
    where = "this machine" if a.local else "the cloud"
    names = in_turn((a.model, *a.then))
    lines = [
        f"{a.node} → {names} ({where}{' first' if a.then else ''}): {a.reason}.",
        f"  quality {a.quality:.3f}, {money(a.cost_usd)} per run for {a.expected_visits:.3g} visits"
        f" of about {a.in_tokens:.0f} + {a.out_tokens:.0f} tokens, {a.latency_s:.1f} s per visit.",
        *_interval(a),
        *_option(a),
    ]
    if a.runner_up is not None:
        lines.append(f"  runner-up {_runner_up(a.runner_up)}.")
    if len(a.taint) > 1:
        lines.append(f"  private data comes here by {' → '.join(a.taint)}.")
    lines += [f"  {constraint}." for constraint in a.constraints]
    if a.fallbacks:
        lines.append(f"  if it cannot serve a call: {', '.join(a.fallbacks)}.")
    return lines


def _interval(a: Assignment) -> list[str]:
    if a.complexity_high <= a.complexity_low:
        return []
    return [
        f"  difficulty {a.complexity:.2f}, {a.complexity_low:.2f} to {a.complexity_high:.2f} with "
        "90 % confidence."
    ]


def _option(a: Assignment) -> list[str]:
    """What kind of option it is, in a sentence; nothing for a single model."""
    if a.kind == "iterations":
        rounds = [f"round {r} goes to {name}" for r, name in enumerate((a.model, *a.then), 1)]
        return [f"  of its loop {', '.join(rounds)}, as do all later ones."]
    if a.kind == "cascade":
        asked = a.expected_calls / a.expected_visits if a.expected_visits else 1.0
        return [
            f"  where the check refuses the answer {in_turn(a.then)} is asked; {asked:.2f} calls a "
            "visit."
        ]
    if a.kind == "packed":
        return [
            f"  up to {a.batch} tasks go into one prompt, {a.expected_calls:.3g} calls into "
            f"{a.expected_calls / a.batch:.3g} or more."
        ]
    return []


def _runner_up(r: RunnerUp) -> str:
    cost = f"saves {money(-r.cost_change_usd)}"
    if not r.cost_change_usd:
        cost = "costs the same"
    elif r.cost_change_usd > 0:
        cost = f"costs {money(r.cost_change_usd)} more"
    quality = f"{'loses' if r.quality_change < 0 else 'gains'} {abs(100 * r.quality_change):.1f}"
    seconds = f"{r.latency_change_s:+.1f} s a visit"
    names = in_turn((r.model, *r.then))
    return f"{names}: {cost} and {quality} points, {seconds}"
