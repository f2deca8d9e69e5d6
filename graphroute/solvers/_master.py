"""The best bound under money and time together: prices from a linear program over assignments.

With one limit, bisection finds its price. With two, going from one price to the other and back can
stop short of the best bound, because it is not smooth. So the bound is found as the linear program
it is: mix assignments x, each with its value v, cost c and time t, by shares θ,

    max Σ θ·v     s.t.  Σ θ·c ≤ B,  Σ θ·t ≤ D,  Σ θ = 1

whose duals are the prices λ and μ. The assignment that the prices like best enters until none is
better than the mix. (G. B. Dantzig and P. Wolfe, Decomposition principle for linear programs,
Operations Research 8(1), 1960; the revised simplex on three rows.) Where even the bound is below
the worst assignment, no assignment keeps the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.problem import Floats
from graphroute.solvers._choices import Choices

Options = NDArray[np.intp]
PIVOTS = 80
EXACT = 1e-7
TINY = 1e-9


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mix:
    """The bound, its prices, the assignments met (best under the prices first), and whether the
    limits were proved to be out of reach.
    """

    bound: float
    cost_price: float
    time_price: float
    met: tuple[Options, ...]
    is_infeasible: bool


@dataclass(slots=True, eq=False)
class _Basis:
    """Three columns of the program, with what each is worth; None: a slack or the stand-in."""

    columns: Floats
    worth: Floats
    inverse: Floats
    level: Floats

    def enter(self, column: Floats, worth: float) -> bool:
        """Pivot a column in; False where nothing bounds it (which no assignment can cause)."""
        step = self.inverse @ column
        open_ = step > 1e-11
        if not open_.any():
            return False
        out = int(np.where(open_, self.level / np.where(open_, step, 1.0), np.inf).argmin())
        self.columns[:, out], self.worth[out] = column, worth
        self.inverse = np.linalg.inv(self.columns).astype(np.float64)
        return True


def mix(choices: Choices, cap_c: float, cap_t: float) -> Mix:
    """The program's optimum for finite limits `cap_c` (USD) and `cap_t` (seconds), both ≥ 0."""
    rows = np.arange(len(choices.value))
    exists = np.isfinite(choices.value)
    spans = [
        np.where(exists, table, 0.0).max(axis=1).sum() for table in (choices.cost, choices.time)
    ]
    # Each limit is one unit of its row; one that is next to nothing is measured by what is spent.
    unit_c, unit_t = (
        1 / max(cap, 1e-3 * float(span), 1e-30)
        for cap, span in zip((cap_c, cap_t), spans, strict=True)
    )
    limits = np.array([cap_c * unit_c, cap_t * unit_t, 1.0])
    worst = float(np.where(exists, choices.value, 0.0).min(axis=1).sum())
    best = float(choices.value.max(axis=1).sum())
    # What no assignment is as bad as, taken where the limits cannot be kept.
    stand_in = worst - 1e5 * max(1.0, best - worst)
    basis = _Basis(
        columns=np.eye(3),
        worth=np.array([0.0, 0.0, stand_in]),
        inverse=np.eye(3),
        level=limits.copy(),
    )
    bound, prices = np.inf, (0.0, 0.0)
    met: dict[bytes, tuple[float, float, float, Options]] = {}
    for _ in range(PIVOTS):
        basis.level = basis.inverse @ limits
        duals = basis.worth @ basis.inverse
        if duals[:2].min() < -TINY:  # a limit with room to spare has no price
            k = int(duals[:2].argmin())
            if basis.enter(np.eye(3)[k], 0.0):
                continue
        lam, mu = max(0.0, float(duals[0])) * unit_c, max(0.0, float(duals[1])) * unit_t
        score = choices.value - lam * choices.cost - mu * choices.time
        picked = score.argmax(axis=1)
        total = float(score[rows, picked].sum()) + lam * cap_c + mu * cap_t
        if total < bound:
            bound, prices = total, (lam, mu)
        value, cost, time = (
            float(table[rows, picked].sum())
            for table in (choices.value, choices.cost, choices.time)
        )
        met[picked.tobytes()] = (value, cost, time, picked)
        column = np.array([cost * unit_c, time * unit_t, 1.0])
        mixed = float(basis.worth @ basis.level)
        if bound - mixed <= EXACT * abs(bound) or value - float(duals @ column) <= TINY:
            break
        if not basis.enter(column, value):
            break
    lam, mu = prices
    near = sorted(met.values(), key=lambda m: -(m[0] - lam * m[1] - mu * m[2]))
    return Mix(
        bound=bound,
        cost_price=lam,
        time_price=mu,
        met=tuple(m[3] for m in near),
        # The bound holds for all that keeps the limits; below the worst there is nothing.
        is_infeasible=bound < worst - TINY * max(1.0, abs(worst)),
    )
