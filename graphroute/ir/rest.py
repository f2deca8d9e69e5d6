"""The rest of a run: what has happened so far, and which model each step still to come gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _nothing() -> Mapping[str, float]:
    return MappingProxyType({})


def _no_models() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


def _no_prices() -> Mapping[str, tuple[float, float]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A run so far.

    last: the nodes of the superstep that ran last (empty: nothing ran yet)
    now: nodes whose turn it is, with their calls' tasks still to run; where it is given, what
        comes after these counts instead of what comes after `last`
    asked: the models that have answered each node so far, in order, one per round of its loop or
        step of its cascade: what a check has refused is known to be hard
    spent_usd, elapsed_s: what it cost and took until now; money reserved counts as spent
    left_usd: what the rest may cost; where it is given, it counts instead of the plan's budget
        less `spent_usd` (a limit that was raised, a paced allowance)
    failed: models that can serve no further call
    prices: USD per million tokens (prompt, answer) of models whose price is another now
    resident: local models that are loaded now; None: those that were when the plan was made
    """

    last: tuple[str, ...] = ()
    now: Mapping[str, float] = field(default_factory=_nothing)
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=_no_models)
    spent_usd: float = 0.0
    left_usd: float | None = None
    elapsed_s: float = 0.0
    failed: frozenset[str] = frozenset()
    prices: Mapping[str, tuple[float, float]] = field(default_factory=_no_prices)
    resident: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The assignment of the steps that may still run.

    models: node → models that may serve its next call, best first; every node of the plan is in it
    then: node → models of the rounds (or checks) after that one, where they are others
    expected_usd, expected_s: of what is to come; shadow_price: quality per USD for its calls
    is_feasible: False where not even the cheapest models are expected to fit what is left; the
        models are then the cheapest
    """

    models: Mapping[str, tuple[str, ...]]
    expected_usd: float
    shadow_price: float
    is_feasible: bool
    expected_s: float = 0.0
    then: Mapping[str, tuple[str, ...]] = field(default_factory=_no_models)
