"""Whole plans beside what they were last time; the difference is to be read, not accepted.

Rewrite with `GRAPHROUTE_REWRITE_GOLDEN=1 python -m pytest tests/golden/test_plan.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graphroute.ir.graph import END, START, SchemaFact, ToolFact
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Plan
from tests.unit.passes.graphs import Arrow, graph, node, triage
from tests.unit.planning.pool import plan

FOLDER = Path(__file__).parent / "plan"


def research() -> Plan:
    """A subgraph beside a private branch, a fan-out, a deferred end, tools and a schema."""
    nodes = [
        node("intake", writes=("ticket",), hints=RouteHints(privacy="local")),
        node(
            "redact", "code", reads=("ticket",), writes=("clean",), hints=RouteHints(privacy="any")
        ),
        node("label", reads=("ticket",), output_schema=SchemaFact(name="Label", fields=3)),
        node("study", "subgraph"),
        node("study/search", tools=(ToolFact(name="web", fields=2),), reads=("clean",)),
        node("study/judge", "router", reads=("clean",)),
        node("write", reads=("clean",), hints=RouteHints(min_quality=0.6)),
        node("report", deferred=True, reads=("clean",)),
    ]
    arrows: list[Arrow] = [
        (START, "intake"),
        ("intake", "redact"),
        ("intake", "label"),
        ("redact", "study"),
        ("study/__start__", "study/search"),
        ("study/search", "study/judge"),
        ("study/judge", "study/search", "conditional"),
        ("study/judge", "study/__end__", "conditional"),
        ("study", "write", "send"),
        ("redact", "report"),
        ("report", END),
    ]
    hard = {"write": 0.8, "label": 0.2, "study/search": 0.4}
    return plan(graph(nodes, arrows), usd=0.08, deadline_s=120.0, difficulties=hard)


PLANS: dict[str, Callable[[], Plan]] = {
    "triage": lambda: plan(triage(), usd=0.03, difficulties={"draft": 0.9, "check": 0.2}),
    "research": research,
    "too_little": lambda: plan(triage(draft=RouteHints(pin="openai:big")), usd=0.001),
}


@pytest.mark.parametrize("name", PLANS)
def test_plan_is_as_before(name: str) -> None:
    made = PLANS[name]()
    texts = {"json": made.to_json(), "txt": made.explain() + "\n", "mmd": made.to_mermaid()}
    for ending, text in texts.items():
        path = FOLDER / f"{name}.{ending}"
        if os.environ.get("GRAPHROUTE_REWRITE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")
