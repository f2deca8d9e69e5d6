"""What a visit costs under each option, at the prices of now."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphroute.ir.catalog import Catalog
from graphroute.ir.problem import Floats, Problem
from graphroute.ir.profile import Profile


class UnitPrices:
    """unit[n, k]: USD of one of the visits the profile counts, at any prices of the models;
    rate[n, m]: how many visits a model alone leads to, as a multiple of those.
    """

    def __init__(self, problem: Problem, profile: Profile, catalog: Catalog) -> None:
        self._models = {name: m for m, name in enumerate(problem.models)}
        calls = np.array([p.calls for p in profile.nodes])
        overhead = np.array([m.overhead_tokens for m in catalog])
        prompt = np.array([p.in_tokens for p in profile.nodes])
        self._in = calls[:, None] * (prompt[:, None] + overhead[None, :])
        answer = calls * np.array([p.out_tokens for p in profile.nodes])
        self._out = np.repeat(answer[:, None], len(problem.models), axis=1)
        self._price_in = np.array([m.price.in_usd for m in catalog])
        self._price_out = np.array([m.price.out_usd for m in catalog])
        visits = np.array([p.visits for p in profile.nodes])
        n, m = len(problem.nodes), len(problem.models)
        self.rate = np.ones((n, m))
        if problem.visits is not None:
            seen = np.maximum(visits, 1e-300)[:, None]
            self.rate = np.where(visits[:, None] > 0, problem.visits[:, :m] / seen, 1.0)
        # A node that is not expected has no cost in the problem, but its calls have one.
        whole = problem.cost_usd / np.where(visits > 0, visits, 1.0)[:, None]
        # Where models were seen to count or write differently, the problem's cost has it in.
        usual = self.rate * self._base(self._price_in, self._price_out)
        is_known = (visits > 0)[:, None] & (usual > 0)
        as_seen = np.where(is_known, whole[:, :m] / np.where(usual > 0, usual, 1.0), 1.0)
        self._in, self._out = self._in * as_seen, self._out * as_seen
        plain = self.rate * self._base(self._price_in, self._price_out)
        self._unit = np.column_stack([plain, whole[:, m:]])
        self._problem = problem

    def _base(self, price_in: Floats, price_out: Floats) -> Floats:
        found: Floats = (self._in * price_in + self._out * price_out) / 1e6
        return found

    def unit_usd(self, changed: Mapping[str, tuple[float, float]]) -> Floats:
        """The table under these prices (USD per million tokens) in place of the pool's."""
        if not changed:
            return self._unit
        price_in, price_out = self._price_in.copy(), self._price_out.copy()
        for name, (usd_in, usd_out) in changed.items():
            if name in self._models:
                price_in[self._models[name]], price_out[self._models[name]] = usd_in, usd_out
        before, now = self._base(self._price_in, self._price_out), self._base(price_in, price_out)
        m = len(self._models)
        unit = self._unit.copy()
        unit[:, :m] = self.rate * now
        for i, options in enumerate(self._problem.extras):
            for e, option in enumerate(options):
                each = list(zip(option.models, option.shares, strict=True))
                old = sum(s * before[i, x] for x, s in each)
                new = sum(s * now[i, x] for x, s in each)
                if option.kind == "packed" and old > 0:
                    unit[i, m + e] *= new / old
                else:
                    unit[i, m + e] += new - old
        return unit
