"""Hand-made plans and pools of scripted models, so that each test states its whole situation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel

from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.hints import Budget
from graphroute.ir.plan import Assignment, Plan, PlanBudget, PlanGraph, SolverReport, Totals
from graphroute.runtime.pack_loss import PackFigures
from graphroute.runtime.policy import Policy
from graphroute.runtime.routed_graph import Routing, wrap


class Clock:
    """A time that moves when a test moves it."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def proven(key: tuple[str, str], size: int, *, checks: int = 400, losses: int = 0) -> PackFigures:
    """Figures of that many checks of packs of `size`."""
    figures = PackFigures()
    for number in range(checks):
        figures.checked(key, size, is_worse=number < losses)
    return figures


def spec_for(
    name: str, *, local: bool = False, price: float = 1.0, known: bool = True, **facts: Any
) -> ModelSpec:
    """A model that costs `price` USD per million tokens, in and out."""
    return ModelSpec(
        name=name,
        provider="scripted",
        local=local,
        price=Price(in_usd=price, out_usd=price, source="test", is_known=known),
        capabilities=facts.pop("capabilities", frozenset({"tools", "structured_output"})),
        **facts,
    )


def assignment_for(node: str, model: str, *fallbacks: str, **facts: Any) -> Assignment:
    """`node` runs on `model`."""
    values: dict[str, Any] = {
        "local": False,
        "complexity": 0.5,
        "complexity_low": 0.4,
        "complexity_high": 0.6,
        "complexity_reason": "test",
        "expected_visits": 1.0,
        "expected_calls": 1.0,
        "in_tokens": 10.0,
        "out_tokens": 10.0,
        "max_output_tokens": None,
        "weight": 1.0,
        "quality": 0.8,
        "cost_usd": 0.00002,
        "latency_s": 1.0,
        "privacy_local": False,
        "runner_up": None,
        "constraints": (),
        "reason": "test",
    }
    return Assignment(node=node, model=model, fallbacks=fallbacks, **values | facts)


def plan_for(*assignments: Assignment) -> Plan:
    """A plan of these assignments and nothing else."""
    return Plan(
        graph=PlanGraph(name="g", fingerprint="0" * 16, nodes=(), edges=(), loops=(), warnings=()),
        models=(),
        budget=PlanBudget(
            per_run_usd=None, per_day_usd=None, per_month_usd=None, on_exceed="degrade"
        ),
        objective="quality",
        seed=0,
        assignments=assignments,
        totals=Totals(
            cost_expected_usd=0.0, cost_p95_usd=0.0, cost_worst_usd=0.0, latency_s=0.0, quality=1.0
        ),
        shadow_price=0.0,
        solver=SolverReport(name="hand", status="optimal", bound=0.0, gap=0.0, ms=0.0),
        feasible=True,
        infeasible=None,
    )


def policy_for(
    *assignments: Assignment,
    chats: Mapping[str, BaseChatModel],
    specs: tuple[ModelSpec, ...] = (),
    own: tuple[ModelSpec, ...] = (),
    budget: Budget | None = None,
    **facts: Any,
) -> Policy:
    """A policy over chats by pool name; specs default to one USD per million tokens each."""
    given = {spec.name: spec for spec in specs}
    models = tuple(given.get(name) or spec_for(name) for name in sorted(chats))
    return Policy(
        plan=plan_for(*assignments),
        catalog=Catalog(models=models),
        own={spec.name: spec for spec in own},
        open=lambda name: chats[name],
        budget=budget or Budget(),
        **facts,
    )


def routed(graph: Any, policy: Policy) -> Any:
    """`graph` routed by `policy`."""

    def none() -> Any:
        raise AssertionError("no report or re-plan in these tests")

    return wrap(graph, Routing(policy, report=lambda _: none(), replan=none))
