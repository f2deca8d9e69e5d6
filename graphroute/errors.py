"""Every error graphroute raises, as one tree: one class per thing the caller can do about it.

```
GraphrouteError
├── InvalidValue           an argument is out of range or malformed     → mend it
│   ├── UnknownNode        a hint names a node the graph does not have  → use a name it lists
│   └── InvalidResume      a paused run is resumed with no budget       → resume with a number
├── PoolError              a model of the pool cannot be used
│   ├── UnknownModel       nobody knows this name                       → mend it or pass an object
│   ├── UnknownPrice       a cloud model without a price                → give its prices
│   └── ProviderUnavailable  a server or package is missing             → start or install it
├── PlanError
│   ├── InfeasibleBudget   no plan keeps every limit                    → raise the limit it names
│   └── PlanMismatch       a plan of another graph, version or shape    → plan again
├── BudgetExceeded         a call would pass the budget                 → raise the budget
│   └── LedgerUnavailable  the day and month ledger cannot be used      → mend or move its file
├── StoreUnavailable       the records cannot be read                → mend or move their file
├── PrivacyViolation       a private step would leave the machine       → add a local model
└── TargetError            TARGET does not import or is no graph        → mend TARGET
```

The message always names the node or model, the value, the limit and the next step; the same facts
are attributes (`error.facts`), so that callers need not parse text.

>>> from graphroute.errors import UnknownNode
>>> str(UnknownNode("no node 'drfat'", node="drfat", known=("draft",), next_step="use 'draft'"))
"no node 'drfat'; use 'draft'"
"""

from __future__ import annotations

from types import MappingProxyType


class GraphrouteError(Exception):
    """Base of all errors of graphroute; `facts` holds what the message says, by name."""

    def __init__(self, message: str, *, next_step: str = "", **facts: object) -> None:
        self.next_step = next_step
        self.facts = MappingProxyType(dict(facts))
        super().__init__(f"{message}; {next_step}" if next_step else message)

    def __getattr__(self, name: str) -> object:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> tuple[object, ...]:
        # Facts are keyword-only, so the default reduction could not build the error again.
        return (_rebuild, (type(self), str(self), self.next_step, dict(self.facts)))


def _rebuild(
    kind: type[GraphrouteError], text: str, next_step: str, facts: dict[str, object]
) -> GraphrouteError:
    error = kind(text)
    error.next_step, error.facts = next_step, MappingProxyType(facts)
    return error


class InvalidValue(GraphrouteError, ValueError):
    """An argument is out of range or of the wrong form."""


class UnknownNode(InvalidValue):
    """A hint names a node that the graph does not have."""


class InvalidResume(InvalidValue):
    """A run that its budget paused is resumed with something that is no new limit."""


class PoolError(GraphrouteError):
    """A model of the pool cannot be used."""


class UnknownModel(PoolError):
    """No provider knows this model name."""


class UnknownPrice(PoolError):
    """A cloud model has no price in the table and none was given."""


class ProviderUnavailable(PoolError):
    """A server does not answer, or a package or key it needs is missing."""


class PlanError(GraphrouteError):
    """No usable plan."""


class InfeasibleBudget(PlanError):
    """No assignment keeps every limit; facts name the limit and the smallest one that works."""


class PlanMismatch(PlanError):
    """A plan that belongs to another graph or version, or that is damaged."""


class BudgetExceeded(GraphrouteError, RuntimeError):
    """A call would pass the budget and no cheaper model fits; raised before the call is made.

    A `RuntimeError` too, because those are what LangGraph's retry policy does not try again.
    """


class LedgerUnavailable(BudgetExceeded):
    """The file that day and month budgets are counted in cannot be used, so nothing is spent."""


class StoreUnavailable(GraphrouteError):
    """The file of call records cannot be read; writing to it never raises."""


class PrivacyViolation(GraphrouteError, RuntimeError):
    """A step that must stay on this machine has no local model left to run on."""


class TargetError(GraphrouteError):
    """TARGET does not import, or what it names is no graph."""
