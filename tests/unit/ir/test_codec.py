"""A plan's JSON that contradicts itself is refused, before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from graphroute.errors import PlanMismatch
from graphroute.ir.codec import plan_schema
from graphroute.ir.plan import Plan
from tests.unit.passes.graphs import triage
from tests.unit.planning.pool import plan

TEXT = plan(triage(), usd=0.03).to_json()
Change = Callable[[dict[str, Any]], object]


def _first(**values: object) -> Change:
    return lambda data: data["assignments"][0].update(values)


def _edge(**values: object) -> Change:
    return lambda data: data["graph"]["edges"][0].update(values)


OUT_OF_RANGE: dict[str, Change] = {
    "cost below 0": _first(cost_usd=-5),
    "quality above 1": _first(quality=7),
    "quality below 0": _first(quality=-0.1),
    "visits below 0": _first(expected_visits=-1),
    "tokens below 0": _first(in_tokens=-1),
    "complexity above 1": _first(complexity=1.5),
    "latency below 0": _first(latency_s=-1),
    "answer limit below 0": _first(max_output_tokens=-1),
    "probability above 1": _edge(probability=1.2),
    "price below 0": lambda data: data["models"][0].update(price_in_usd=-1),
    "total below 0": lambda data: data["totals"].update(cost_expected_usd=-1),
    "budget below 0": lambda data: data["budget"].update(per_run_usd=-1),
    "shadow price below 0": lambda data: data.update(shadow_price=-1),
}
CONTRADICTIONS: dict[str, Change] = {
    "no such node": _first(node="nope"),
    "no such model": _first(model="nope"),
    "no such fallback": _first(fallbacks=["nope"]),
    "one node twice": lambda data: data["assignments"].append(data["assignments"][0]),
    "one model twice": lambda data: data["models"].append(data["models"][0]),
    "graph node twice": lambda data: data["graph"]["nodes"].append(data["graph"]["nodes"][0]),
    "edge from nowhere": _edge(source="nope"),
    "edge to nowhere": _edge(target="nope"),
    "complexity outside its bounds": _first(complexity=0.0, complexity_low=0.4),
    "infeasible with models": lambda data: data.update(
        feasible=False,
        infeasible={"limit": "x", "value": 1, "needed": 2, "message": "m", "conflict": []},
    ),
    "infeasible without a reason": lambda data: data.update(feasible=False, assignments=[]),
    "feasible with a reason why not": lambda data: data.update(
        infeasible={"limit": "x", "value": 1, "needed": 2, "message": "m", "conflict": []}
    ),
}


def _changed(change: Change) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(TEXT)
    change(data)
    return data


@pytest.mark.parametrize("change", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_and_named(change: Change) -> None:
    data = _changed(change)
    with pytest.raises(PlanMismatch, match="damaged at"):
        Plan.from_json(json.dumps(data))
    schema = jsonschema.Draft202012Validator(plan_schema())
    assert not schema.is_valid(data)
    assert schema.is_valid(json.loads(TEXT))


@pytest.mark.parametrize("change", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_plan_that_contradicts_itself_is_refused(change: Change) -> None:
    with pytest.raises(PlanMismatch, match="damaged at"):
        Plan.from_json(json.dumps(_changed(change)))


@pytest.mark.parametrize("value", [None, 5, {}, []])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(PlanMismatch, match="JSON text"):
        Plan.from_json(value)
