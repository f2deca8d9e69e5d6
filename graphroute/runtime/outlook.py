"""What a call and a visit of a node are expected to cost and take, at the prices of now.

A plan keeps the prices it was made with. The pool may be looked up again while runs go on
(`fast.replan()`), so a run in its middle compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from graphroute.ir.catalog import Catalog, ModelSpec
from graphroute.ir.hints import NANO
from graphroute.ir.plan import Assignment, Plan
from graphroute.runtime.experience import experience_with

MOST_TIMES = 20.0

Prices = Mapping[str, tuple[float, float]]
"""USD per million tokens of prompt and answer, by model."""


class Outlook:
    """One run's outlook.

    catalog: gives the pool as it is now; without it the plan's own figures are all there is
    experience: what calls of the plan have taken so far
    """

    def __init__(self, plan: Plan, catalog: Callable[[], Catalog] | None) -> None:
        self._plan, self._catalog = plan, catalog
        self.experience = experience_with(plan)
        self._seen: Catalog | None = None
        self._specs: Mapping[str, ModelSpec] = {}
        self._prices: Prices = {}

    def prices(self) -> Prices:
        """Prices that are others than the plan's."""
        self._look()
        return self._prices

    def call_nano(self, a: Assignment, model: str) -> float:
        """Nano-dollars of one call of a node on `model`, by what earlier calls of it took."""
        usd = self.call_usd(a, model, in_tokens=self.experience.in_tokens(a))
        return NANO * (a.cost_usd / max(a.expected_calls, 1e-9) if usd is None else usd)

    def call_usd(self, a: Assignment, model: str, *, in_tokens: float) -> float | None:
        """USD of one call of a node on `model` with such a prompt; None for an unknown model."""
        if (spec := self._spec(model)) is None:
            return None
        return spec.cost_usd(in_tokens + spec.overhead_tokens, self.experience.out_tokens(a))

    def planned_usd(self, a: Assignment, model: str) -> float | None:
        """USD of one call of a node on `model` as it was planned; None for an unknown model."""
        if (spec := self._spec(model)) is None:
            return None
        return spec.cost_usd(a.in_tokens + spec.overhead_tokens, a.out_tokens)

    def times(self) -> float:
        """How many times what the plan expects its calls cost by now, in [1/20, 20]."""
        planned = now = 0.0
        for a in self._plan.assignments:
            if (usd := self.planned_usd(a, a.model)) is not None:
                planned += usd * a.expected_calls
                now += self.call_nano(a, a.model) / NANO * a.expected_calls
        return min(max(now / planned, 1 / MOST_TIMES), MOST_TIMES) if planned > 0 else 1.0

    def visit_s(self, a: Assignment, model: str) -> float:
        """Seconds of one visit of a node on `model`."""
        if (spec := self._spec(model)) is None:
            return a.latency_s
        return spec.time_s(a.out_tokens) * a.expected_calls / max(a.expected_visits, 1e-9)

    def loaded(self, used: Iterable[str]) -> frozenset[str] | None:
        """Local models in memory: those found so, and those `used` since; None if not known."""
        self._look()
        if not self._specs:
            return None
        found = {spec.name for spec in self._specs.values() if spec.local and spec.loaded}
        local = {name for name in used if (spec := self._specs.get(name)) and spec.local}
        return frozenset(found | local)

    def _spec(self, model: str) -> ModelSpec | None:
        self._look()
        return self._specs.get(model)

    def _look(self) -> None:
        # A pool that is looked up again is another object, so most calls end here.
        catalog = None if self._catalog is None else self._catalog()
        if catalog is None or catalog is self._seen:
            return
        planned = {m.name: (m.price_in_usd, m.price_out_usd) for m in self._plan.models}
        now = {spec.name: (spec.price.in_usd, spec.price.out_usd) for spec in catalog}
        self._specs = {spec.name: spec for spec in catalog}
        self._prices = {
            name: price
            for name, price in now.items()
            if name in planned and not _same(price, planned[name])
        }
        self._seen = catalog


def _same(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-12) for x, y in zip(a, b, strict=True))
