"""A plan as an HTML table for notebooks; every text in it is escaped."""

from __future__ import annotations

from html import escape

from graphroute.ir.explain import in_time, money, served_by
from graphroute.ir.plan import Plan

_HEAD = ("node", "model", "complexity", "visits", "quality", "USD per run", "s", "why")


def to_html(plan: Plan) -> str:
    """The table with totals, or the reason why there is no plan."""
    if plan.infeasible is not None:
        return f"<p><b>No plan.</b> {escape(plan.infeasible.message)}</p>"
    head = "".join(f"<th>{text}</th>" for text in _HEAD)
    rows = [
        "".join(
            f"<td>{escape(cell)}</td>"
            for cell in (
                a.node,
                served_by(a),
                f"{a.complexity:.2f}",
                f"{a.expected_visits:.3g}",
                f"{a.quality:.3f}",
                money(a.cost_usd),
                f"{a.latency_s:.1f}",
                a.reason,
            )
        )
        for a in plan.assignments
    ]
    t = plan.totals
    foot = (
        f"quality {t.quality:.3f}, {money(t.cost_expected_usd)} per run expected "
        f"(95 %: {money(t.cost_p95_usd)}), {t.latency_s:.1f} s"
    )
    foot += f", {share}" if (share := in_time(plan)) else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(plan.graph.name)}: {escape(foot)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
