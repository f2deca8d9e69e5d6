"""The options of a node: each model alone, and the few sequences of models worth having there.

```
 draft ─► check ─┬─► …            iterations: small in round 1, big from round 2 on
   ▲             │
   └─ once more ─┘
 answer (verify=…)                cascade: ask small, check, ask big where the check refuses
 label  (batch="pack")            packed: one model, k tasks in one prompt
```

Whether a round is followed by another hangs on its quality where a check decides: the rounds are
then followed as `planning.retries` says, and their number is set so that a middling model leads to
as many as the graph's records (or the prior) say. Where something else decides, round r is the last
with probability (1 − p)·pʳ⁻¹ whatever it answered, and only the last answer counts.

A sequence is kept where no other option of the node is as good in quality, money and time; at most
`MOST` are, those first that most prices of money and time would choose, so the solver's columns
stay few. So a check that is worth less than it costs, or a second model that knows no more, is
never placed. A worse model may follow a better one: what the better one got wrong it may know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats, Ints, Option
from graphroute.ir.profile import NodeProfile
from graphroute.ir.quality import Q_MAX, Q_MIN
from graphroute.planning.pareto import supported, undominated
from graphroute.planning.retries import STUBBORN, CheckRates, by_hardness
from graphroute.planning.sequences import (
    Singles,
    Table,
    as_recorded,
    cascades,
    ladders,
    later_rounds,
    mixed,
    promising,
    rounds,
    sequences_of,
)
from graphroute.planning.votes import ballots, sampled

MOST: Final = 12
LONGEST: Final = 5
"""Models of a cascade, at most."""

AGAIN: Final = 4
"""Answers of one model in a cascade, at most."""

GROWN: Final = 6
"""Good sequences that longer ones are made of, at each length."""

SURE: Final = 0.5
"""Difference of its rates below which a check spends so much on right answers, and misses so many
wrong ones, that a cascade behind it must fit into the node's own share of the budget: beyond that
it takes from later steps more than it gives here (`benchmarks/escalation.py`)."""

RARE: Final = 0.05
"""Below this chance of another round a loop is planned as if it had one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A model that may serve `batch` tasks of a node with one prompt.

    cost_factor, time_factor: of a task alone; quality_factor: of the probability of a good answer
    """

    model: str
    batch: int
    cost_factor: float
    time_factor: float
    quality_factor: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What a node contributes to the problem: the models first, then the sequences kept."""

    log_quality: Floats
    usd: Floats
    time_s: Floats
    device_s: Floats
    visits: Floats
    options: tuple[Option, ...]


def columns(
    p: NodeProfile,
    singles: Singles,
    *,
    rates: CheckRates,
    floor: float = 0.0,
    stubborn: float = STUBBORN,
    packed: Sequence[tuple[int, Packing]] = (),
    most_usd: float = np.inf,
    fair_usd: float = np.inf,
) -> Columns:
    """All options of a node; `usd` is per run, the rest per visit as `Problem` says.

    floor: the quality that a sequence as a whole must reach; packed: (model, packing)
    most_usd: what a run can have for one visit of the node; a cascade that would cost more if all
        of it was asked promises a last resort that no run can pay, and is none
    fair_usd: the visit's own share of that, which a poor check must make do with
    """
    m = len(singles.quality)
    alone = Table(
        models=np.arange(m)[:, None],
        shares=np.ones((m, 1)),
        log_quality=np.log(singles.quality),
        kind="single",
    )
    found = alone
    usable = promising(singles)
    if p.check == "loop" and p.again >= RARE:
        rates = as_recorded(rates, p, singles)
        success = by_hardness(singles.quality)
        pace = later_rounds(success, usable, rates, p, stubborn)
        alone = rounds(alone.models, success, rates, p, stubborn, pace)
        found = alone.joined(rounds(sequences_of(usable), success, rates, p, stubborn, pace))
    elif p.check == "hint" and p.samples > 1:
        new = _payable(ballots(usable, p.samples), singles, min(most_usd, fair_usd))
        success = by_hardness(singles.quality)
        found = alone.joined(sampled(new, success, need=p.alike, stubborn=stubborn))
    elif p.check == "hint" and rates.is_telling:
        success = by_hardness(singles.quality)
        room = most_usd if rates.told >= SURE else min(most_usd, fair_usd)
        new = _payable(ladders(usable), singles, room)
        found = alone.joined(cascades(new, success, rates, stubborn))
        while len(new) > 0 and new.shape[1] < LONGEST:
            # Longer ones are many: only those that go on where a good one ends are looked at.
            best = _worth(found, p, singles, rates, floor)
            new = _payable(_going_on(found.models[best], usable), singles, room)
            found = found.joined(cascades(new, success, rates, stubborn))
    elif p.again >= RARE:
        found = alone.joined(mixed(singles, usable, p))
    if not len(found.models[m:]) and not packed:
        return _figures(found, p, singles, rates, range(m), ())
    keep = _worth(found, p, singles, rates, floor)
    return _figures(found, p, singles, rates, [*range(m), *keep], packed)


def _payable(sequences: Ints, singles: Singles, room_usd: float) -> Ints:
    """Those of which a run could pay every model."""
    whole = np.where(sequences >= 0, singles.usd[sequences], 0.0).sum(axis=1)
    found: Ints = sequences[whole <= room_usd]
    return found


def _going_on(sequences: Ints, usable: list[int]) -> Ints:
    """Each of the longest sequences, the most wanted of them, with each usable model behind it: a
    new one, or the last one again. One that was left for another has said what it has to say.
    """
    full = sequences[(sequences >= 0).all(axis=1)][:GROWN]
    rows = [
        (*row, m)
        for row in full.tolist()
        for m in usable
        if m not in row or (m == row[-1] and row.count(m) < AGAIN)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, sequences.shape[1] + 1)


def _worth(
    table: Table, p: NodeProfile, singles: Singles, rates: CheckRates, floor: float
) -> list[int]:
    """The sequences that some pair of prices prefers to all else, most wanted first."""
    m = len(singles.quality)
    all_ = _figures(table, p, singles, rates, range(len(table.models)), ())
    allowed = np.concatenate(
        [singles.feasible, all_.log_quality[m:] >= np.log(max(floor, 1e-9)) - 1e-12]
    )
    rows = np.flatnonzero(allowed)
    if not p.check:  # steps between neighbouring models: few, and none is better than all others
        return [int(s) for s in rows[rows >= m]]
    on_device = [any(singles.local[x] for x in s.models) for s in all_.options]
    held = np.concatenate([singles.local, np.array(on_device, dtype=bool)])
    found: dict[int, int] = {}
    # What needs no local model may be the only thing that fits, so it is compared by itself too.
    for part in (rows, rows[~held[rows]]):
        if not (part >= m).any():
            continue
        value, usd, time_s = all_.log_quality[part], all_.usd[part], all_.time_s[part]
        wins = supported(value, usd, time_s)
        for i in undominated(value, usd, time_s):
            if part[i] >= m:
                found[int(part[i])] = max(wins.get(i, 0), found.get(int(part[i]), 0))
    return sorted(found, key=lambda s: (-found[s], s))[:MOST]


def _figures(
    table: Table,
    p: NodeProfile,
    singles: Singles,
    rates: CheckRates,
    rows: Sequence[int] | range,
    packed: Sequence[tuple[int, Packing]],
) -> Columns:
    m = len(singles.quality)
    kept = np.array(rows, dtype=np.intp)
    models, shares = table.models[kept], table.shares[kept]
    usd = p.visits * (shares * singles.usd[models]).sum(axis=1)
    if p.check == "hint":
        # Every answer but the last of a sequence is checked.
        last = (models >= 0).sum(axis=1) - 1
        checked = shares.sum(axis=1) - shares[np.arange(len(kept)), last]
        usd = usd + p.visits * p.calls * rates.cost_usd * checked
    time_s = (shares * singles.time_s[models]).sum(axis=1)
    device_s = (shares * (singles.time_s * singles.local)[models]).sum(axis=1)
    # Rounds are visits of the node; the steps of a cascade are calls of one visit.
    visits = p.visits * (shares.sum(axis=1) if p.check == "loop" else np.ones(len(kept)))
    options = tuple(_option(table, i) for i in kept[m:])
    log_quality = table.log_quality[kept]
    for index, pack in packed:
        cost, took = pack.cost_factor * usd[index], pack.time_factor * time_s[index]
        good = min(max(np.exp(log_quality[index]) * pack.quality_factor, Q_MIN), Q_MAX)
        log_quality = np.append(log_quality, np.log(good))
        usd, time_s = np.append(usd, cost), np.append(time_s, took)
        device_s = np.append(device_s, took * singles.local[index])
        visits = np.append(visits, visits[index])
        pack_shares = (1 / pack.batch,)
        options += (Option(kind="packed", models=(index,), shares=pack_shares, batch=pack.batch),)
    return Columns(
        log_quality=log_quality,
        usd=usd,
        time_s=time_s,
        device_s=device_s,
        visits=visits,
        options=options,
    )


def _option(table: Table, row: int) -> Option:
    there = table.models[row] >= 0
    so_far: tuple[float, ...] = ()
    if table.kind == "cascade" and table.so_far is not None:
        so_far = tuple(np.clip(table.so_far[row][there], Q_MIN, Q_MAX).tolist())
    return Option(
        kind=table.kind,
        models=tuple(table.models[row][there].tolist()),
        shares=tuple(table.shares[row][there].tolist()),
        so_far=so_far,
    )
