"""graphroute plans which model serves each step of a LangGraph graph, and runs it by that plan.

```python
from graphroute import optimize

fast = optimize(graph, models=["ollama:llama3.2", "openai:gpt-5-mini"], budget=0.02)
fast.invoke(inputs)
print(fast.plan.explain())
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphroute.errors import (
    BudgetExceeded,
    GraphrouteError,
    InfeasibleBudget,
    InvalidResume,
    InvalidValue,
    LedgerUnavailable,
    PlanError,
    PlanMismatch,
    PoolError,
    PrivacyViolation,
    ProviderUnavailable,
    StoreUnavailable,
    TargetError,
    UnknownModel,
    UnknownNode,
    UnknownPrice,
)
from graphroute.ir.catalog import Model
from graphroute.ir.hints import Budget, RouteHints, private
from graphroute.ir.learning import Alarm, Learn
from graphroute.ir.storage import Store
from graphroute.ir.verdict import Verdict

if TYPE_CHECKING:
    from graphroute.compiler import optimize, plan
    from graphroute.frontend.hints import route
    from graphroute.ir.plan import Plan
    from graphroute.report import Report

__version__ = "0.1.0"

_LAZY = {
    "Plan": "graphroute.ir.plan",
    "Report": "graphroute.report",
    "optimize": "graphroute.compiler",
    "plan": "graphroute.compiler",
    "route": "graphroute.frontend.hints",
}

__all__ = [
    "Alarm",
    "Budget",
    "BudgetExceeded",
    "GraphrouteError",
    "InfeasibleBudget",
    "InvalidResume",
    "InvalidValue",
    "Learn",
    "LedgerUnavailable",
    "Model",
    "Plan",
    "PlanError",
    "PlanMismatch",
    "PoolError",
    "PrivacyViolation",
    "ProviderUnavailable",
    "Report",
    "RouteHints",
    "Store",
    "StoreUnavailable",
    "TargetError",
    "UnknownModel",
    "UnknownNode",
    "UnknownPrice",
    "Verdict",
    "optimize",
    "plan",
    "private",
    "route",
]


def __getattr__(name: str) -> Any:
    # Loaded at first use: a module that only states hints need not load the planner.
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
