"""What `--what-if` says, and what it would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphroute.errors import InvalidValue
from graphroute.ir.plan import Plan

SCHEMA = "graphroute.what_if/1"
NEXT_STEP = (
    "use budget=USD, deadline_s=SECONDS, memory_gb=GB or without_model=NAME, "
    "several joined by commas, as in budget=0.02,deadline_s=3"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question: other limits, as it was asked and as `Plan.what_if` takes it."""

    asked: str
    limits: dict[str, Any]

    def answer(self, plan: Plan) -> Plan:
        """The plan under these limits."""
        return plan.what_if(**self.limits)


def read(texts: Sequence[str]) -> list[Case]:
    """Each `--what-if` as a case; `InvalidValue` for one that cannot be meant.

    >>> [case.limits for case in read(["budget=0.02,deadline_s=3", "without_model=ollama:x"])]
    [{'budget': 0.02, 'deadline_s': 3.0}, {'without_model': 'ollama:x'}]
    """
    cases = []
    for text in texts:
        limits: dict[str, Any] = {}
        for part in text.split(","):
            name, is_given, value = (piece.strip() for piece in part.partition("="))
            if not is_given or not value:
                raise _unclear(text)
            if name == "without_model":
                found: tuple[str, Any] = (name, value)
            elif name == "memory_gb":
                found = ("memory_limit_bytes", round(_number(text, value) * 1e9))
            elif name in ("budget", "deadline_s"):
                found = (name, _number(text, value))
            else:
                raise _unclear(text)
            if found[0] in limits:
                raise _unclear(text)
            limits.update([found])
        cases.append(Case(asked=text, limits=limits))
    return cases


def _number(text: str, value: str) -> float:
    try:
        number = float(value.removeprefix("$"))
    except ValueError:
        raise _unclear(text) from None
    if not math.isfinite(number) or number < 0:
        raise _unclear(text)
    return number


def _unclear(text: str) -> InvalidValue:
    return InvalidValue(f"--what-if {text!r}", value=text, next_step=NEXT_STEP)


def told(plan: Plan, cases: Sequence[Case]) -> str:
    """For people: what each case would change."""
    parts = []
    for case in cases:
        after = case.answer(plan)
        words = str(plan.diff(after))
        if after.infeasible is not None:
            words = after.infeasible.message
        elif not plan.feasible:
            words = after.explain().rstrip()
        lines = "\n".join(f"  {line}" for line in words.splitlines())
        parts.append(f"what if {case.asked}:\n{lines}\n")
    return "\n".join(parts)


def data(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    """For programs: totals before and after, and the nodes that change."""
    return {
        "schema": SCHEMA,
        "plan": _totals(plan),
        "cases": [_case(plan, case.asked, case.answer(plan)) for case in cases],
    }


def _case(plan: Plan, asked: str, after: Plan) -> dict[str, Any]:
    difference = plan.diff(after)
    return {
        "what_if": asked,
        **_totals(after),
        "infeasible": None if after.infeasible is None else after.infeasible.message,
        "changes": [
            {
                "node": change.node,
                "before": change.before,
                "after": change.after,
                "cost_change_usd": change.cost_change_usd,
                "quality_change": change.quality_change,
            }
            for change in difference.changes
            if after.feasible
        ],
    }


def _totals(plan: Plan) -> dict[str, Any]:
    totals = plan.totals
    return {
        "feasible": plan.feasible,
        "cost_expected_usd": totals.cost_expected_usd,
        "cost_p95_usd": totals.cost_p95_usd,
        "latency_s": totals.latency_s,
        "quality": totals.quality,
        "shadow_price": plan.shadow_price,
    }
