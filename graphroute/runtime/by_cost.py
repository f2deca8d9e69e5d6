"""The real prompt's cost against the planned one: which model is worth it for this very call.

At the shadow price λ of the budget, a model is worth `w·log q − λ·cost` to a call. The plan decided
with the prompts it expected; a prompt half as long makes a dear model cheaper than planned, so it
may now be worth its price, and one three times as long the other way round. The same goes for money
that is dearer now than it was for the plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from graphroute.ir.plan import Assignment
from graphroute.ir.quality import Q_MIN

Usd = Callable[[str], float | None]
"""Cost in USD of a call on a model; None where it is not known."""


def by_cost(
    models: Sequence[str],
    a: Assignment,
    *,
    planned: Usd,
    real: Usd,
    planned_price: float,
    shadow_price: float,
    spare_usd: float = math.inf,
) -> tuple[str, ...]:
    """The models by their worth at their real cost, best first.

    What the plan chose stays first unless the difference in cost outweighs it: it starts level
    with the best at the prompt and the price that were planned with (`planned_price`), whatever
    other limits it was chosen under. None that costs more moves before it unless the difference
    fits into `spare_usd`, what the calls still to come leave of the limit: a price tells where
    money is worth spending, not that it is there.
    """
    names = (a.model, *a.fallbacks)
    qualities = dict(zip(names, a.qualities, strict=False))
    if a.kind != "single" or shadow_price <= 0 or any(name not in qualities for name in models):
        return tuple(models)
    calls = max(a.expected_calls / max(a.expected_visits, 1e-9), 1e-9)
    costs = {name: (planned(name), real(name)) for name in models}
    if any(None in pair for pair in costs.values()):
        return tuple(models)

    def worth(name: str, cost: float | None, price: float) -> float:
        value = a.weight / calls * math.log(max(qualities[name], Q_MIN))
        return value - price * (cost or 0.0)

    before = {name: worth(name, costs[name][0], planned_price) for name in models}
    after = {name: worth(name, costs[name][1], shadow_price) for name in models}
    after[models[0]] += max(before.values()) - before[models[0]]
    for name in models[1:]:
        if (costs[name][1] or 0.0) - (costs[models[0]][1] or 0.0) > max(spare_usd, 0.0):
            after[name] = min(after[name], after[models[0]])
    # Rounded, so that equal models stay in the plan's order.
    return tuple(sorted(models, key=lambda name: -round(after[name], 9)))
