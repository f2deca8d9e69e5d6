"""What another answer is worth: which node × model to ask next under the profiling budget.

A profile is there to choose models. An answer that cannot change a choice is worth nothing, one
that may change a choice of much weight is worth much:

```
value of model m at node i     u[i,m] = wᵢ · E log q[i,m] − λ · c[i,m] · visitsᵢ
after n more answers of m      u[i,m] moves by s(n) · Z,     Z standard normal
gain                           E max(u[i,m] + s Z, best other) − max(u[i,m], best other)
                                 = s · (φ(z) − z · Φ(−z)),   z = |u[i,m] − best other| / s
```

With q ~ Beta(a, b) of mean p the n answers move the mean by a standard deviation of
`√(Var q · n / (a + b + n))`, and log q by that over p. That is the knowledge gradient (P. Frazier,
W. Powell, S. Dayanik, A knowledge-gradient policy for sequential information collection, 2008). One
answer alone often changes no choice though several would, so the gain per cost of the best n counts
(P. Frazier, W. Powell, Paradoxes in learning and the marginal value of information, 2010).

What a run may cost later, and so λ, is not known when a graph is profiled: the gain is the mean
over several λ, at which the priors change their choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PRIOR_ANSWERS: Final = 32.0
"""How many answers a prior quality counts as: as many as in a plan (`planning.posterior`), because
it is the plan's choice that an answer has to change. Trusting it less, 4 to 16, gave plans as bad
or worse in `benchmarks/profiling.py`, run with other seeds than it reports."""

_FLOOR: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model at one node.

    weight: of the node in a plan's quality, visits multiplied in; visits: expected per run
    good, bad: judged answers and the prior's part, > 0 together
    cost_usd, took_s: of a call; left: recorded calls it has not answered yet
    is_judged: whether answers of the node can be judged at all
    """

    node: str
    model: str
    weight: float
    visits: float
    good: float
    bad: float
    cost_usd: float
    took_s: float
    left: int
    is_judged: bool = True

    @property
    def quality(self) -> float:
        """Mean of the posterior, in [0.01, 1]."""
        return max(_FLOOR, self.good / (self.good + self.bad))

    def value(self, price: float) -> float:
        """What it is worth in a plan at this price (log-quality per USD)."""
        return self.weight * math.log(self.quality) - price * self.cost_usd * self.visits

    def spread(self, answers: int) -> float:
        """Standard deviation by which so many more answers will move the value."""
        count = self.good + self.bad
        variance = self.good * self.bad / (count**2 * (count + 1))
        moved = variance * answers / (count + answers)
        return self.weight * math.sqrt(moved) / self.quality


def gain(cell: Cell, rival: float | None, price: float, answers: int) -> float:
    """What so many more answers of a cell are expected to add to the node's value; ≥ 0.

    rival: the value of the best other model of the node, None where there is none

    >>> a = Cell(node="n", model="a", weight=1.0, visits=1.0, good=5.0, bad=5.0, cost_usd=0.0,
    ...     took_s=1.0, left=9)
    >>> even, behind = a.value(0.0), a.value(0.0) - 2.0
    >>> gain(a, even, 0.0, 4) > gain(a, behind, 0.0, 4) > gain(a, None, 0.0, 4) == 0
    True
    """
    spread = cell.spread(answers)
    if rival is None or spread <= 0:
        return 0.0
    z = abs(cell.value(price) - rival) / spread
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return spread * max(0.0, density - z * 0.5 * math.erfc(z / math.sqrt(2)))


def rate(cell: Cell, rivals: Sequence[float | None], prices: Sequence[float], cost: float) -> float:
    """The gain per cost of the number of answers at which that is largest.

    rivals: by price, see `gain`; cost: of one answer, > 0
    """
    found, answers = 0.0, 1
    while answers <= cell.left:
        pairs = zip(rivals, prices, strict=True)
        mean = sum(gain(cell, rival, price, answers) for rival, price in pairs) / len(prices)
        found = max(found, mean / (answers * cost))
        answers *= 2
    return found


def switching_prices(cells: Iterable[Cell]) -> tuple[float, ...]:
    """Prices to average over: 0, and quartiles of those at which the priors change a choice.

    >>> known = dict(node="n", weight=1.0, visits=1.0, took_s=1.0, left=9)
    >>> dear = Cell(model="dear", good=9.0, bad=1.0, cost_usd=0.02, **known)
    >>> cheap = Cell(model="cheap", good=5.0, bad=5.0, cost_usd=0.01, **known)
    >>> [round(price) for price in switching_prices([dear, cheap])]
    [0, 59]
    """
    by_node: dict[str, list[Cell]] = {}
    for cell in cells:
        by_node.setdefault(cell.node, []).append(cell)
    found = sorted(
        (a.value(0.0) - b.value(0.0)) / ((a.cost_usd - b.cost_usd) * a.visits)
        for here in by_node.values()
        for a in here
        for b in here
        if a.cost_usd > b.cost_usd and a.visits > 0 and a.value(0.0) > b.value(0.0)
    )
    at = [found[round(share * (len(found) - 1))] for share in (0.25, 0.5, 0.75)] if found else []
    return (0.0, *dict.fromkeys(at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is left for sampling; None where there is no limit."""

    budget_usd: float | None
    seconds: float | None


def best(cells: Sequence[Cell], prices: Sequence[float], limits: Limits) -> Cell | None:
    """The cell to ask next, None where none is left that can be afforded.

    A call costs its share of the money and of the time that are left, and its share of all calls.
    Where no answer can change a choice, the least known cell comes first, for the figures' sake.
    """
    fitting = [cell for cell in cells if cell.left > 0 and _fits(cell, limits)]
    if not fitting:
        return None
    calls = sum(cell.left for cell in fitting)
    tops = _tops(cells, prices)

    def key(cell: Cell) -> tuple[float, float, float]:
        worth = 0.0
        if cell.is_judged:
            rivals = [
                first if who != cell.model else second for first, who, second in tops[cell.node]
            ]
            worth = rate(cell, rivals, prices, _cost(cell, limits, calls))
        return (-worth, cell.good + cell.bad, cell.cost_usd)

    return min(fitting, key=key)


def _tops(
    cells: Sequence[Cell], prices: Sequence[float]
) -> Mapping[str, Sequence[tuple[float, str, float | None]]]:
    """For each node and price the best value, whose it is, and the next best, if there is one."""
    found: dict[str, list[tuple[float, str, float | None]]] = {}
    for node in dict.fromkeys(cell.node for cell in cells):
        here = [cell for cell in cells if cell.node == node]
        for price in prices:
            values = sorted(((cell.value(price), cell.model) for cell in here), reverse=True)
            second = values[1][0] if len(values) > 1 else None
            found.setdefault(node, []).append((*values[0], second))
    return found


def _fits(cell: Cell, limits: Limits) -> bool:
    return (limits.budget_usd is None or cell.cost_usd <= limits.budget_usd) and (
        limits.seconds is None or cell.took_s <= limits.seconds
    )


def _cost(cell: Cell, limits: Limits, calls: int) -> float:
    cost = 1 / calls
    if limits.budget_usd:
        cost += cell.cost_usd / limits.budget_usd
    if limits.seconds:
        cost += cell.took_s / limits.seconds
    return cost


def pending(cells: Sequence[Cell], asked: Mapping[tuple[str, str], int]) -> tuple[Cell, ...]:
    """The cells as if the answers that are being waited for had come, as good as expected."""
    found = []
    for cell in cells:
        more = asked.get((cell.node, cell.model), 0)
        part = more / (cell.good + cell.bad)
        found.append(
            Cell(
                node=cell.node,
                model=cell.model,
                weight=cell.weight,
                visits=cell.visits,
                good=cell.good * (1 + part),
                bad=cell.bad * (1 + part),
                cost_usd=cell.cost_usd,
                took_s=cell.took_s,
                left=cell.left - more,
                is_judged=cell.is_judged,
            )
        )
    return tuple(found)
