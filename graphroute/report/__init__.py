"""What the runs of an optimized graph were: calls, models, tokens, money, time, fallbacks, faults.

`fast.report()` makes one from the call records. It reads well as text, in a notebook and as JSON:

>>> from graphroute.ir.record import CallRecord
>>> call = CallRecord(
...     run_id="r1", node="draft", step=1, planned="ollama:tiny", model="ollama:tiny", why="plan",
...     own_model="openai:big", in_tokens=100, out_tokens=20, is_estimated=False,
...     cost_nano=0, baseline_nano=450_000, started_s=0.0, took_s=0.4)
>>> report = Report.of([call])
>>> report.saving.saved_usd
0.00045
>>> print(report)
1 call in 1 run: $0, 0.4 s in models, 100 tokens in, 20 out
saved about $0.00045 (100.0 %) against the graph's own models at the tokens used
draft: 1 call (ollama:tiny 1), 100 tokens in, 20 out, $0, 0.4 s
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from graphroute.errors import InvalidValue
from graphroute.ir.learning import Alarm
from graphroute.ir.plan import Plan
from graphroute.ir.record import CallRecord
from graphroute.report.saving import Saving, saving
from graphroute.report.usage import Usage, grouped, total

__all__ = ["SCHEMA", "Report", "Saving", "Usage"]

SCHEMA: Final = "graphroute.report/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Sums over call records; see the module docstring.

    runs: runs with at least one call; totals: all calls, counted by model
    nodes: in the plan's order, then as they were met; models: dearest first
    checks: what the checks of nodes asked models, by the node; no part of `nodes`
    saving: None where no own model's price is known
    fingerprint: of the planned graph, None if no plan was given
    alarms: drifts found while the graph ran, oldest first; only `optimize(learn=…)` looks for them
    """

    runs: int
    totals: Usage
    nodes: tuple[Usage, ...]
    models: tuple[Usage, ...]
    saving: Saving | None
    fingerprint: str | None = None
    planned: tuple[tuple[str, str], ...] = field(default=())
    alarms: tuple[Alarm, ...] = field(default=())
    checks: tuple[Usage, ...] = field(default=())

    @classmethod
    def of(
        cls,
        records: Sequence[CallRecord],
        *,
        plan: Plan | None = None,
        alarms: Sequence[Alarm] = (),
    ) -> Report:
        """Sum `records` up; `plan` gives the order of the nodes and what was planned."""
        planned = tuple((a.node, a.model) for a in plan.assignments) if plan else ()
        order = [node for node, _ in planned]
        models = grouped(records, lambda r: r.model, lambda r: r.node)

        def by_node(*, is_check: bool) -> tuple[Usage, ...]:
            of_kind = [record for record in records if record.is_check == is_check]
            return grouped(of_kind, lambda r: r.node, lambda r: r.model, order)

        return cls(
            runs=len({record.run_id for record in records}),
            totals=total("all", records, lambda r: r.model),
            nodes=by_node(is_check=False),
            models=tuple(sorted(models, key=lambda usage: (-usage.cost_usd, usage.name))),
            saving=saving(records),
            fingerprint=plan.graph.fingerprint if plan else None,
            planned=planned,
            alarms=tuple(alarms),
            checks=by_node(is_check=True),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values of schema `graphroute.report/1`."""
        data = asdict(self)
        for usage in (data["totals"], *data["nodes"], *data["models"], *data["checks"]):
            usage["calls_by"] = dict(usage["calls_by"])
            usage["reasons"] = dict(usage["reasons"])
        data["planned"] = dict(data["planned"])
        return {"schema": SCHEMA, **data}

    @classmethod
    def from_dict(cls, data: object) -> Report:
        """The report that `to_dict()` wrote; `InvalidValue` that names the first fault."""
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise InvalidValue(
                f"schema {found!r} instead of {SCHEMA!r}",
                value=found,
                next_step="give what Report.to_dict() or `graphroute run --json` wrote",
            )
        values = {key: value for key, value in data.items() if key != "schema"}
        try:
            values["planned"] = _pairs(values.get("planned", {}))
            values.setdefault("checks", [])  # a report from before there were any
            for group in ("nodes", "models", "checks"):
                values[group] = [_usage(usage) for usage in values[group]]
            values["totals"] = _usage(values["totals"])
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(map(str, first["loc"]))
            reason = f"damaged at {place}: {first['msg']}"
        except (KeyError, TypeError, AttributeError) as fault:
            reason = f"damaged ({fault!r})"
        raise InvalidValue(f"the report is {reason}", next_step="run again and write it anew")

    def to_json(self, *, indent: int | None = 2) -> str:
        """JSON text; money in USD, times in seconds."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False) + "\n"

    def __str__(self) -> str:
        from graphroute.report import text

        return text.plain(self)

    def __rich__(self) -> Any:
        from graphroute.report import text

        return text.table(self)

    def _repr_html_(self) -> str:
        from graphroute.report import html

        return html.page(self)

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, Any]:
        """For notebooks: HTML, plain text and the JSON itself."""
        return {
            "text/html": self._repr_html_(),
            "text/plain": str(self),
            "application/json": self.to_dict(),
        }


def _pairs(counted: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(counted.items())


def _usage(data: dict[str, Any]) -> dict[str, Any]:
    """A `Usage` as `to_dict()` wrote it, its counts as pairs again."""
    pairs = {key: _pairs(data[key]) for key in ("calls_by", "reasons")}
    return {**data, **pairs}
