"""What is said at the limit: the payload of a pause, and the error where nothing can be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from graphroute.errors import BudgetExceeded
from graphroute.ir.hints import NANO
from graphroute.runtime.spans import Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a call costs on a model: with a short answer, and at most."""

    model: str
    least_nano: int
    worst_nano: int

    def shown(self) -> dict[str, object]:
        """Plain values in USD."""
        return {
            "model": self.model,
            "least_usd": self.least_nano / NANO,
            "worst_usd": self.worst_nano / NANO,
        }


def payload(
    node: str, purse: Purse, *, planned: Quote | None, cheapest: Quote | None
) -> Mapping[str, object]:
    """What a paused run shows; plain values, so that any checkpointer can keep them.

    limit: which limit is reached (`"run"`, `"day"` or `"month"`); spent_usd and limit_usd are its
    planned, cheapest: what the call costs on the model that is due, and on the cheapest that can
        serve it

    >>> purse = Purse(name="run", limit_nano=NANO, spent_nano=NANO, taken_nano=NANO)
    >>> quote = Quote(model="a", least_nano=NANO // 2, worst_nano=NANO)
    >>> print(payload("draft", purse, planned=quote, cheapest=quote)["next_step"])
    resume with Command(resume=X), X being the new limit of the whole run in USD: from 1.500000 on \
'a' serves this call
    """
    shown: dict[str, object] = {
        "reason": "budget",
        "node": node,
        "limit": purse.name,
        "spent_usd": purse.spent_nano / NANO,
        "limit_usd": purse.limit_nano / NANO,
        "planned": None if planned is None else planned.shown(),
        "cheapest": None if cheapest is None else cheapest.shown(),
    }
    if purse.ends_s is not None:
        ends = datetime.fromtimestamp(purse.ends_s, UTC).isoformat()
        shown["ends"] = ends
        shown["next_step"] = (
            f"the {purse.name}'s budget is used up until {ends}: raise it or wait, then resume "
            "with Command(resume=X), X being the limit of the whole run in USD"
        )
        return shown
    quotes = {q.model: q for q in (cheapest, planned) if q is not None}
    parts = [
        f"from {_rounded_up(purse.taken_nano + q.least_nano)} on {q.model!r} serves this call"
        for q in quotes.values()
    ]
    shown["next_step"] = ": ".join(
        (
            "resume with Command(resume=X), X being the new limit of the whole run in USD",
            ", ".join(parts) or "more than now",
        )
    )
    return shown


def _rounded_up(nano: int) -> str:
    """Dollars with six digits, never less than `nano`, so that the figure shown is enough.

    >>> _rounded_up(49_001), _rounded_up(50_000)
    ('0.000050', '0.000050')
    """
    return f"{math.ceil(nano / 1000) / 1e6:.6f}"


def exceeded(node: str, purse: Purse, reasons: str, *, next_step: str) -> BudgetExceeded:
    """The error of a call that no model fits."""
    return BudgetExceeded(
        f"node {node!r}: no model fits what is left of the {purse.name}'s budget of "
        f"${purse.limit_nano / NANO:.6f} (spent ${purse.spent_nano / NANO:.6f}; {reasons})",
        node=node,
        limit=purse.name,
        spent_usd=purse.spent_nano / NANO,
        limit_usd=purse.limit_nano / NANO,
        next_step=next_step,
    )
