"""A call record with what the plan knew of the call before it was made: both can be compared then.

The plan's figures are per run and node; a record is one call, so they are divided by the calls the
plan expected (of the planned model: another model that served may differ for that very reason).
"""

from __future__ import annotations

from dataclasses import replace

from graphroute.ir.hints import NANO
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord


def foretold(record: CallRecord, plan: Plan) -> CallRecord:
    """`record` with the graph's name and fingerprint and the plan's prediction for its node.

    What the record says already is kept.
    """
    graph, name = record.graph or plan.graph.fingerprint, record.graph_name or plan.graph.name
    planned = plan.assignment(record.node)
    if planned is None:
        return replace(record, graph=graph, graph_name=name)
    quality, cost, took = (
        record.predicted_quality,
        record.predicted_cost_nano,
        record.predicted_s,
    )
    calls = max(planned.expected_visits * planned.expected_calls, 1e-9)
    return replace(
        record,
        graph=graph,
        graph_name=name,
        predicted_quality=planned.quality if quality is None else quality,
        predicted_cost_nano=round(planned.cost_usd * NANO / calls) if cost is None else cost,
        predicted_s=planned.latency_s / max(planned.expected_calls, 1e-9) if took is None else took,
    )
