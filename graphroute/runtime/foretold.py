"""What the plan knew of a call before it was made, for its record: both can be compared then.

The plan's figures are per run and node; a record is one call, so they are divided by the calls the
plan expected. They are those of the planned model: another model that served may differ for that
very reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from graphroute.ir.hints import NANO
from graphroute.ir.plan import Plan


def foretold(plan: Plan, node: str) -> Mapping[str, Any]:
    """Fields of a `CallRecord` of `node`: the graph's name and fingerprint, and the prediction."""
    facts: dict[str, Any] = {"graph": plan.graph.fingerprint, "graph_name": plan.graph.name}
    planned = plan.assignment(node)
    if planned is not None:
        calls = max(planned.expected_visits * planned.expected_calls, 1e-9)
        facts |= {
            "predicted_quality": planned.quality,
            "predicted_cost_nano": round(planned.cost_usd * NANO / calls),
            "predicted_s": planned.latency_s / max(planned.expected_calls, 1e-9),
        }
    return MappingProxyType(facts)
