"""The price of a day's or month's money, in quality per USD of the plan.

The pacer's μ says how much dearer than planned money is. In the plan's units that is μ times the
shadow price at which the plan itself would begin to save.
"""

from __future__ import annotations

from graphroute.ir.hints import NANO
from graphroute.ir.plan import Plan
from graphroute.ir.rest import Happened

SAVING = 1e-3
"""Share of its spending that a plan has to save to tell what saving costs."""


def period_price(plan: Plan, allowance_nano: int | None) -> float:
    """λ of the period for a run with this allowance; 0 where nothing is held back."""
    if allowance_nano is None or not plan.can_replan or plan.objective != "quality":
        return 0.0
    full = plan.totals.cost_p95_usd * NANO
    return _saving_price(plan) * max(0.0, full / max(allowance_nano, 1) - 1)


def _saving_price(plan: Plan) -> float:
    # Solved once and kept on the plan: each of its runs asks.
    found: float | None = getattr(plan, "_saving_price", None)
    if found is None:
        less = plan.totals.cost_expected_usd * (1 - SAVING)
        saving = plan.rest(Happened(left_usd=less)).shadow_price if less > 0 else 0.0
        found = max(plan.shadow_price, saving)
        object.__setattr__(plan, "_saving_price", found)
    return found
