"""Plan ⇄ JSON, checked by pydantic against the dataclasses: schema and code cannot drift apart."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from graphroute.errors import PlanMismatch
from graphroute.ir import plan as plan_module
from graphroute.ir.plan import SCHEMA, Plan
from graphroute.ir.sound import check_plan

MAX_BYTES = 16 * 1024 * 1024
"""A plan of 1000 nodes × 50 models takes about 2 MB; anything over this is not a plan."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@cache
def _adapter() -> TypeAdapter[Plan]:
    for value in vars(plan_module).values():
        if isinstance(value, type) and value.__module__ == plan_module.__name__:
            value.__pydantic_config__ = _STRICT  # type: ignore[attr-defined]
    return TypeAdapter(Plan)


def dump_plan(plan: Plan, *, indent: int | None = 2) -> str:
    """Canonical JSON text of a plan; floats keep 12 significant digits so that bytes are stable."""
    return json.dumps(_rounded(_adapter().dump_python(plan, mode="json")), indent=indent) + "\n"


def load_plan(text: str | bytes) -> Plan:
    """Read a plan back; every fault of the text is a `PlanMismatch` that names the first place."""
    if not isinstance(text, str | bytes):
        raise PlanMismatch(
            f"a plan is JSON text, not {type(text).__name__}",
            value=type(text).__name__,
            next_step="give what Plan.to_json() gave",
        )
    if len(text) > MAX_BYTES:
        raise PlanMismatch(
            f"the plan has {len(text)} bytes", limit=MAX_BYTES, next_step="plan again"
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise PlanMismatch(
            f"the plan is not JSON ({fault})", next_step="was it truncated? plan again"
        ) from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise PlanMismatch(
            f"schema {found!r} instead of {SCHEMA!r}",
            value=found,
            limit=SCHEMA,
            next_step="plan again with this version",
        )
    try:
        plan = _adapter().validate_json(text, strict=False)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"])) or "top level"
        raise PlanMismatch(
            f"the plan is damaged at {place}: {first['msg']}",
            place=place,
            faults=fault.error_count(),
            next_step="plan again",
        ) from None
    check_plan(plan)
    return plan


def plan_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `graphroute.plan/1`."""
    schema = _adapter().json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **schema,
    }


def rounded(plan: Plan) -> Plan:
    """The plan with its floats as they stand in its JSON, so that reading it back is exact."""
    return cast(Plan, _rounded(plan))


def _rounded(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _rounded(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, tuple):
        return tuple(_rounded(item) for item in value)
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
