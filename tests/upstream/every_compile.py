"""A pytest plugin for LangGraph's own suite: every graph that is compiled comes back optimized.

Loaded with `-p every_compile` by `run.py`, in this process and in each xdist worker. The variable
`GRAPHROUTE_UPSTREAM` says which of the two runs this is: `plain` changes nothing, `optimized` wraps
what `StateGraph.compile` and `@entrypoint` return. Outcomes are written as one JSON line per test
to the file `GRAPHROUTE_OUTCOMES`.
"""

from __future__ import annotations

import json
import os
import sys
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))  # the suite's own folders come first

_rank = {"passed": 0, "skipped": 1, "failed": 2}


def _optimized(graph: Any) -> Any:
    """`graph` on a plan that keeps each model where it is: nothing but the path of calls differs.

    Many graphs of the suite call no model at all, so the plan is an empty one, made by hand.
    """
    from graphroute.ir.catalog import Catalog
    from graphroute.ir.hints import Budget
    from graphroute.ir.plan import Plan, PlanBudget, PlanGraph, SolverReport, Totals
    from graphroute.runtime.policy import Policy
    from graphroute.runtime.routed_graph import Routing, wrap

    def nothing(*_: Any) -> Any:
        raise NotImplementedError("the suite asks for no report")

    plan = Plan(
        graph=PlanGraph(name="g", fingerprint="0" * 16, nodes=(), edges=(), loops=(), warnings=()),
        models=(),
        budget=PlanBudget(
            per_run_usd=None, per_day_usd=None, per_month_usd=None, on_exceed="degrade"
        ),
        objective="quality",
        seed=0,
        assignments=(),
        totals=Totals(
            cost_expected_usd=0.0, cost_p95_usd=0.0, cost_worst_usd=0.0, latency_s=0.0, quality=1.0
        ),
        shadow_price=0.0,
        solver=SolverReport(name="none", status="optimal", bound=0.0, gap=0.0, ms=0.0),
        feasible=True,
        infeasible=None,
    )
    policy = Policy(
        plan=plan,
        catalog=Catalog(models=()),
        own={},
        open=nothing,
        budget=Budget(),
        keeps_own=True,
    )
    return wrap(graph, Routing(policy, report=nothing, replan=nothing))


def pytest_configure(config: pytest.Config) -> None:
    """Wrap the two places where LangGraph hands out a graph."""
    if os.environ.get("GRAPHROUTE_UPSTREAM") != "optimized":
        return
    from langgraph.func import entrypoint
    from langgraph.graph import StateGraph

    compiles: Any = StateGraph.compile
    decorates: Any = entrypoint.__call__

    @wraps(compiles)
    def compile_optimized(*args: Any, **kwargs: Any) -> Any:
        return _optimized(compiles(*args, **kwargs))

    @wraps(decorates)
    def decorate_optimized(*args: Any, **kwargs: Any) -> Any:
        return _optimized(decorates(*args, **kwargs))

    setattr(StateGraph, "compile", compile_optimized)  # noqa: B010  # mypy: a method
    setattr(entrypoint, "__call__", decorate_optimized)  # noqa: B010


class Outcomes:
    """Worst phase of each test, written when the session ends; on the xdist controller only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worst: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst of set-up, call and tear-down."""
        before = self._worst.get(report.nodeid, "passed")
        self._worst[report.nodeid] = max(before, report.outcome, key=_rank.__getitem__)

    def pytest_sessionfinish(self) -> None:
        """Write one line per test."""
        lines = (json.dumps({"test": k, "outcome": v}) for k, v in self._worst.items())
        self._path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Count where reports come together."""
    path = os.environ.get("GRAPHROUTE_OUTCOMES")
    if path and not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Outcomes(Path(path)), "graphroute-outcomes")
