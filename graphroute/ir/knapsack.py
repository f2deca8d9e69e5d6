"""What money beside the first answers is worth to cascades that may each ask on.

A limit per run is hard, so what a step spends on a second answer a later step cannot spend on its
own. Which of them should have it is a dynamic and stochastic knapsack: the steps come one after the
other, each wants money only where a check refuses an answer, and nobody knows beforehand where.

```
room ──► classify refused? ask on, if ──► extract refused? ask on, if ──► …
         gain now ≥ V(room) − V(room − usd)
```

V(room) is what the steps behind can expect to gain with so much money, found from the last one
backwards. (J. D. Papastavrou, S. Rajagopalan and A. J. Kleywegt, The dynamic and stochastic
knapsack problem with deadlines, Management Science 42, 1996.) Money is counted in cells, of which
the dearest stage has `FINE`, so four cascades take about a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

FINE: Final = 16
"""Cells of the dearest stage."""

MOST_CELLS: Final = 256
"""Cells of all stages together."""

VISITS: Final = 6
"""Visits of a node that are told apart; beyond that several go together."""

TIE: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A further model of a cascade.

    usd: what asking it costs, ≥ 0
    hold_usd: what has to be there for it, as its worst case is put aside first; `usd` at least
    chance: in [0, 1], that the check refuses the answer before, where that was asked for
    gain: what asking it adds as expected, in weight × log-probability of a good result
    """

    usd: float
    chance: float
    gain: float
    hold_usd: float = 0.0

    @property
    def needs_usd(self) -> float:
        """What has to be there before it is asked."""
        return max(self.usd, self.hold_usd)


Ladder = tuple[Stage, ...]
"""The further models of one cascade, in order."""


def ladder(
    *,
    usd: Sequence[float],
    reach: Sequence[float],
    so_far: Sequence[float],
    weight: float,
    hold_usd: Sequence[float] | None = None,
) -> Ladder:
    """The models behind the first of a cascade, for one visit of its node.

    usd, reach: what each costs, and the chance that it is asked where money is no matter
    hold_usd: what has to be there for each; None: what it costs
    so_far: probability of a good result after the first model and after each of them
    weight: of the node, per visit

    >>> [(s.chance, round(s.gain, 3)) for s in ladder(
    ...     usd=[1.0, 2.0], reach=[0.4, 0.1], so_far=[0.5, 0.8, 0.9], weight=1.0)]
    [(0.4, 1.175), (0.25, 1.178)]
    """
    found = []
    logs = [math.log(q) for q in so_far]
    for cost, hold, (before, often), (log, then) in zip(
        usd, hold_usd or usd, pairwise((1.0, *reach)), pairwise(logs), strict=True
    ):
        chance = min(1.0, often / before) if before > 0 else 0.0
        gain = weight * (then - log) / often if often > 0 else 0.0
        found.append(Stage(usd=cost, chance=chance, gain=gain, hold_usd=hold))
    return tuple(found)


def of_visits(ladder: Ladder, visits: float) -> list[Ladder]:
    """The ladders of a node that is visited so often: one for each visit, or each share of many."""
    if visits <= 0 or not ladder:
        return []
    times = max(1, min(VISITS, round(visits)))
    more, less = max(1.0, visits / times), min(1.0, visits / times)
    first, *others = (
        replace(s, usd=s.usd * more, gain=s.gain * more, hold_usd=s.hold_usd * more) for s in ladder
    )
    return [(replace(first, chance=first.chance * less), *others)] * times


def is_worth(ladder: Ladder, later: Sequence[Ladder], room_usd: float) -> bool:
    """Whether the first stage of `ladder` is to be asked now that the answer before was refused.

    later: the cascades of the steps behind, in their order
    room_usd: what may be spent on all of them and on this stage

    >>> weak = (Stage(usd=1.0, chance=0.2, gain=0.3),)
    >>> strong = (Stage(usd=1.0, chance=0.9, gain=0.8),)
    >>> is_worth(weak, [strong], 1.0), is_worth(weak, [strong], 2.0), is_worth(strong, [weak], 1.0)
    (False, True, True)
    """
    first = ladder[0]
    if first.needs_usd > room_usd:
        return False
    unit = _unit([ladder, *later])
    cells = _cells(room_usd, unit, [ladder, *later])
    behind = _behind(later, unit, cells)
    left = cells - min(cells, round(first.usd / unit))
    return first.gain + _on(ladder[1:], behind, unit)[left] >= behind[cells] - TIE


def asked(ladders: Sequence[Ladder], room_usd: float) -> tuple[tuple[float, ...], ...]:
    """How often each stage of every ladder is asked, as a share in [0, 1] of how often it would be
    with money enough for all.

    >>> strong = (Stage(usd=1.0, chance=0.5, gain=0.8),)
    >>> asked([strong, strong], 2.0), asked([strong, strong], 1.0), asked([strong], 0.5)
    (((1.0,), (1.0,)), ((1.0,), (0.5,)), ((0.0,),))
    """
    unit = _unit(ladders)
    cells = _cells(room_usd, unit, ladders)
    after = [[0.0] * (cells + 1)]
    for ladder in reversed(ladders):
        after.append(_on(ladder, after[-1], unit))
    mass = [0.0] * cells + [1.0]
    found = []
    for ladder, behind in zip(ladders, reversed(after[:-1]), strict=True):
        shares, mass = _follow(ladder, behind, unit, mass)
        found.append(shares)
    return tuple(found)


def _unit(ladders: Sequence[Ladder]) -> float:
    """USD of a cell; it hangs on the costs alone, so more money is never worth less."""
    costs = [stage.usd for ladder in ladders for stage in ladder]
    return max(max(costs, default=0.0) / FINE, sum(costs) / MOST_CELLS) or 1.0


def _cells(room_usd: float, unit: float, ladders: Sequence[Ladder]) -> int:
    """The money in cells, not more than all stages together can use."""
    stages = [stage for ladder in ladders for stage in ladder]
    most = sum(round(stage.usd / unit) for stage in stages)
    most += max((_needs(stage, unit) - round(stage.usd / unit) for stage in stages), default=0)
    return most if room_usd >= most * unit else max(0, round(room_usd / unit))


def _needs(stage: Stage, unit: float) -> int:
    """Cells that have to be there for a stage."""
    return max(round(stage.usd / unit), round(stage.needs_usd / unit))


def _behind(ladders: Sequence[Ladder], unit: float, cells: int) -> list[float]:
    """V[c]: what these cascades expect to gain with c cells."""
    found = [0.0] * (cells + 1)
    for ladder in reversed(ladders):
        found = _on(ladder, found, unit)
    return found


def _on(ladder: Ladder, behind: list[float], unit: float) -> list[float]:
    """V before the verdict on an answer that these stages follow."""
    found = behind
    for stage in reversed(ladder):
        best = _best(stage, found, behind, unit)
        found = [
            stage.chance * a + (1 - stage.chance) * b for a, b in zip(best, behind, strict=True)
        ]
    return found


def _best(stage: Stage, on: list[float], behind: list[float], unit: float) -> list[float]:
    """V where the answer before a stage was refused: the better of asking it and leaving it."""
    cost, needs = round(stage.usd / unit), _needs(stage, unit)
    return [
        max(stay, stage.gain + on[c - cost]) if c >= needs else stay
        for c, stay in enumerate(behind)
    ]


def _follow(
    ladder: Ladder, behind: list[float], unit: float, mass: list[float]
) -> tuple[tuple[float, ...], list[float]]:
    """`asked` of one ladder, and the money that is left: mass[c], the chance of c cells."""
    out = [0.0] * len(mass)
    shares, reached = [], 1.0
    for r, stage in enumerate(ladder):
        cost, needs = round(stage.usd / unit), _needs(stage, unit)
        on = _on(ladder[r + 1 :], behind, unit)
        reached *= stage.chance
        ahead = [0.0] * len(mass)
        for c, here in enumerate(mass):
            out[c] += here * (1 - stage.chance)
            refused = here * stage.chance
            if c >= needs and stage.gain + on[c - cost] >= behind[c] - TIE:
                ahead[c - cost] += refused
            else:
                out[c] += refused
        mass = ahead
        shares.append(min(1.0, sum(ahead) / reached) if reached > 0 else 0.0)
    return tuple(shares), [a + b for a, b in zip(out, mass, strict=True)]
