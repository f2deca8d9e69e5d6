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
from itertools import pairwise, permutations
from typing import Final

import numpy as np

from graphroute.ir.problem import Bools, Floats, Ints, Option, OptionKind
from graphroute.ir.profile import NodeProfile
from graphroute.ir.quality import Q_MAX, Q_MIN
from graphroute.planning.retries import (
    ROUNDS,
    STUBBORN,
    TRUST,
    CheckRates,
    by_hardness,
    follow,
)

MOST: Final = 12
CANDIDATES: Final = 6
"""Models that are put into sequences; those of three grow with the cube of this."""

RARE: Final = 0.05
"""Below this chance of another round a loop is planned as if it had one."""

_MONEY = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 25)])
_TIME = np.array([0.0, 0.03, 0.3, 3.0])


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
class Singles:
    """One node with each model of the pool alone: quality[m] in (0, 1); usd[m] and time_s[m] of one
    visit; feasible[m]; usable[m]: feasible but for a floor of quality.
    """

    quality: Floats
    usd: Floats
    time_s: Floats
    local: Bools
    feasible: Bools
    usable: Bools


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
) -> Columns:
    """All options of a node; `usd` is per run, the rest per visit as `Problem` says.

    floor: the quality that a sequence as a whole must reach; packed: (model, packing)
    """
    m = len(singles.quality)
    alone = _Table(
        models=np.arange(m)[:, None],
        shares=np.ones((m, 1)),
        log_quality=np.log(singles.quality),
        kind="single",
    )
    found = alone
    usable = _promising(singles)
    if p.check == "loop" and p.again >= RARE:
        rates = _as_recorded(rates, p, singles)
        success = by_hardness(singles.quality)
        pace = _later_rounds(success, usable, rates, p, stubborn)
        alone = _rounds(alone.models, success, rates, p, stubborn, pace)
        found = alone.joined(_rounds(_sequences(usable), success, rates, p, stubborn, pace))
    elif p.check == "hint":
        success = by_hardness(singles.quality)
        found = alone.joined(_cascades(_sequences(usable), success, rates, stubborn))
    elif p.again >= RARE:
        found = alone.joined(_mixed(singles, usable, p))
    if not len(found.models[m:]) and not packed:
        return _figures(found, p, singles, rates, range(m), ())
    keep = _worth(found, p, singles, rates, floor)
    return _figures(found, p, singles, rates, [*range(m), *keep], packed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """Sequences: models[s, r], −1 behind the last; shares[s, r] of the profile's calls; log of the
    final quality; what kind of option a sequence is.
    """

    models: Ints
    shares: Floats
    log_quality: Floats
    kind: OptionKind

    def joined(self, other: _Table) -> _Table:
        if not len(other.models):
            return self
        wide = max(self.models.shape[1], other.models.shape[1])

        models = np.full((len(self.models) + len(other.models), wide), -1, dtype=np.int64)
        shares = np.zeros(models.shape)
        for first, table in ((0, self), (len(self.models), other)):
            part = slice(first, first + len(table.models)), slice(0, table.models.shape[1])
            models[part], shares[part] = table.models, table.shares
        return _Table(
            models=models,
            shares=shares,
            log_quality=np.concatenate([self.log_quality, other.log_quality]),
            kind=other.kind,
        )


def _promising(singles: Singles) -> list[int]:
    """Usable models that some price of money would choose, or that are quickest, and the next best
    in quality; cheapest first.
    """
    usable = np.flatnonzero(singles.usable)
    if len(usable) < 2:
        return usable.tolist()
    log_q, usd = np.log(singles.quality[usable]), singles.usd[usable]
    best = _supported(log_q, usd, singles.time_s[usable])
    wins = {int(usable[i]): w for i, w in best.items()}
    good = sorted(usable.tolist(), key=lambda m: (-singles.quality[m], singles.usd[m], m))
    most = sorted(wins, key=lambda m: (-wins[m], singles.usd[m], m))
    chosen = list(dict.fromkeys([*most[:CANDIDATES], *good]))[:CANDIDATES]
    return sorted(chosen, key=lambda m: (singles.usd[m], singles.quality[m], m))


def _sequences(models: list[int]) -> Ints:
    """Two or three of these models in every order, and the first of two twice."""
    pairs = [(a, b, -1) for a, b in permutations(models, 2)]
    twice = [(a, a, b) for a, b, _ in pairs]
    return np.array([*pairs, *twice, *permutations(models, 3)], dtype=np.int64).reshape(-1, 3)


def _expanded(sequences: Ints, rounds: int) -> Ints:
    """The model of each round: the last of a sequence serves all later ones."""
    full = np.empty((len(sequences), rounds), dtype=np.int64)
    full[:, 0] = sequences[:, 0]
    for r in range(1, rounds):
        given = sequences[:, r] if r < sequences.shape[1] else np.full(len(sequences), -1)
        full[:, r] = np.where(given >= 0, given, full[:, r - 1])
    return full


def _later_rounds(
    success: Floats, models: list[int], rates: CheckRates, p: NodeProfile, stubborn: float
) -> float:
    """What the rounds after the first are multiplied by, so that the middle one of the models that
    plans use leads to as many as the profile counts; better ones lead to fewer, worse to more.
    """
    alone = np.repeat(np.array(models or [0])[:, None], ROUNDS, axis=1)
    later = follow(alone, success, rates, stubborn).reach[:, 1:].sum(axis=1)
    return p.again / (1 - p.again) / max(float(np.median(later)), 1e-6)


def _rounds(
    sequences: Ints,
    success: Floats,
    rates: CheckRates,
    p: NodeProfile,
    stubborn: float,
    pace: float,
) -> _Table:
    """A loop that a check ends: its rounds hang on the quality of the ones before."""
    if not len(sequences):
        return _nothing()
    found = follow(_expanded(sequences, ROUNDS), success, rates, stubborn)
    shares = np.zeros(sequences.shape)
    rows, last = np.arange(len(shares)), (sequences >= 0).sum(axis=1) - 1
    for r in range(ROUNDS):
        often = found.reach[:, r] * (pace if r else 1.0)
        np.add.at(shares, (rows, np.minimum(r, last)), (1 - p.again) * often)
    return _Table(
        models=sequences,
        shares=shares,
        log_quality=np.log(np.clip(found.final, Q_MIN, Q_MAX)),
        kind="iterations",
    )


def _cascades(sequences: Ints, success: Floats, rates: CheckRates, stubborn: float) -> _Table:
    """Ask, check, ask the next; the last answer is taken unchecked."""
    if not len(sequences):
        return _nothing()
    shares = np.zeros(sequences.shape)
    final = np.zeros(len(sequences))
    for length in (2, 3):
        rows = np.flatnonzero((sequences >= 0).sum(axis=1) == length)
        if len(rows):
            found = follow(sequences[rows, :length], success, rates, stubborn)
            final[rows] = found.final
            shares[rows, :length] = found.reach
    return _Table(
        models=sequences,
        shares=shares,
        log_quality=np.log(np.clip(final, Q_MIN, Q_MAX)),
        kind="cascade",
    )


def _mixed(singles: Singles, usable: list[int], p: NodeProfile) -> _Table:
    """Two neighbouring models for the rounds of a loop that no check ends: steps between them."""
    if len(usable) < 2:
        return _nothing()
    sequences = np.array(list(pairwise(usable)), dtype=np.int64)
    # Round 1 is a visit in 1 − p, and with the same share the last one.
    shares = np.tile([1 - p.again, p.again], (len(sequences), 1))
    logs = np.log(singles.quality)[sequences]
    return _Table(
        models=sequences,
        shares=shares,
        log_quality=(shares * logs).sum(axis=1),
        kind="iterations",
    )


def _nothing() -> _Table:
    return _Table(
        models=np.zeros((0, 1), dtype=np.int64),
        shares=np.zeros((0, 1)),
        log_quality=np.zeros(0),
        kind="single",
    )


def _as_recorded(rates: CheckRates, p: NodeProfile, singles: Singles) -> CheckRates:
    """Rates at which a middling model is refused as often as earlier runs went round again."""
    if not p.recorded or not singles.usable.any():
        return rates
    expected = rates.refuses(float(singles.quality[singles.usable].mean()))
    trust = p.recorded / (p.recorded + TRUST)
    return rates.stricter((max(p.again, 1e-3) / max(expected, 1e-3)) ** trust)


def _worth(
    table: _Table, p: NodeProfile, singles: Singles, rates: CheckRates, floor: float
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
        wins = _supported(value, usd, time_s)
        for i in _undominated(value, usd, time_s):
            if part[i] >= m:
                found[int(part[i])] = max(wins.get(i, 0), found.get(int(part[i]), 0))
    return sorted(found, key=lambda s: (-found[s], s))[:MOST]


def _undominated(value: Floats, usd: Floats, time_s: Floats) -> list[int]:
    """Rows that no other is at least as good as in all three; of equal rows the first."""
    table = np.column_stack([-value, usd, time_s])
    margin = 1e-9 * np.maximum(1e-12, np.abs(table).max(axis=0))
    better = (table[:, None, :] <= table[None, :, :] + margin).all(axis=2)
    # Of two that are alike only the later one is beaten.
    mutual = better & better.T & np.tri(len(table), dtype=bool)
    beaten = (better & ~mutual & ~np.eye(len(table), dtype=bool)).any(axis=0)
    return [int(i) for i in np.flatnonzero(~beaten)]


def _supported(value: Floats, usd: Floats, time_s: Floats) -> dict[int, int]:
    """Rows with the largest value − λ·usd − μ·time for some prices, and for how many of them.

    Of equal rows the first wins, so a sequence that adds nothing to a model loses to it.
    """
    span = max(float(value.max() - value.min()), 1e-9)
    per_usd = span / max(float(usd.max() - usd.min()), 1e-15)
    per_s = span / max(float(time_s.max() - time_s.min()), 1e-9)
    money = np.append(np.repeat(_MONEY, len(_TIME)), 0.0) * per_usd
    time = np.append(np.tile(_TIME, len(_MONEY)), 1e6) * per_s
    score = value - money[:, None] * usd - time[:, None] * time_s
    firsts = (score >= score.max(axis=1, keepdims=True) - 1e-12 * span).argmax(axis=1)
    rows, counts = np.unique(firsts, return_counts=True)
    return dict(zip(rows.tolist(), counts.tolist(), strict=True))


def _figures(
    table: _Table,
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
    options = tuple(
        Option(
            kind=table.kind,
            models=tuple(int(x) for x in table.models[i] if x >= 0),
            shares=tuple(
                float(s) for x, s in zip(table.models[i], table.shares[i], strict=True) if x >= 0
            ),
        )
        for i in kept[m:]
    )
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
