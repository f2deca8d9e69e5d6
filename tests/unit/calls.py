"""One record of a call, for tests that say only what they are about."""

from __future__ import annotations

from typing import Any

from graphroute.ir.record import CallRecord

NOW_S = 1_800_000_000.0


def call(**changes: Any) -> CallRecord:
    """A call of node `draft` on model `weak`, a moment before `NOW_S`."""
    values: dict[str, Any] = {
        "run_id": "r1",
        "node": "draft",
        "step": 1,
        "planned": "weak",
        "model": "weak",
        "why": "plan",
        "own_model": "strong",
        "in_tokens": 100,
        "out_tokens": 10,
        "is_estimated": False,
        "cost_nano": 1_000,
        "baseline_nano": 10_000,
        "started_s": NOW_S - 1.0,
        "took_s": 0.5,
        "graph": "f" * 16,
        "graph_name": "app",
    }
    return CallRecord(**(values | changes))
