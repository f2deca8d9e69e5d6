"""Sequences of models for a node, with the calls each leads to and the quality in the end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Final

import numpy as np

from graphroute.ir.problem import Bools, Floats, Ints, OptionKind
from graphroute.ir.profile import NodeProfile
from graphroute.ir.quality import Q_MAX, Q_MIN
from graphroute.planning.pareto import supported
from graphroute.planning.retries import ROUNDS, TRUST, CheckRates, follow

CANDIDATES: Final = 6
"""Models that are put into sequences; those of three grow with the cube of this."""


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
class Table:
    """Sequences: models[s, r], −1 behind the last; shares[s, r] of the profile's calls; log of the
    final quality; what kind of option a sequence is.

    so_far[s, r]: of cascades, the quality where model r is the last that is asked
    """

    models: Ints
    shares: Floats
    log_quality: Floats
    kind: OptionKind
    so_far: Floats | None = None

    def joined(self, other: Table) -> Table:
        """Both tables, one below the other."""
        if not len(other.models):
            return self
        wide = max(self.models.shape[1], other.models.shape[1])

        models = np.full((len(self.models) + len(other.models), wide), -1, dtype=np.int64)
        shares, so_far = np.zeros(models.shape), np.zeros(models.shape)
        for first, table in ((0, self), (len(self.models), other)):
            part = slice(first, first + len(table.models)), slice(0, table.models.shape[1])
            models[part], shares[part] = table.models, table.shares
            if table.so_far is not None:
                so_far[part] = table.so_far
        return Table(
            models=models,
            shares=shares,
            log_quality=np.concatenate([self.log_quality, other.log_quality]),
            kind=other.kind,
            so_far=so_far,
        )


def promising(singles: Singles) -> list[int]:
    """Usable models that some price of money would choose, or that are quickest, and the next best
    in quality; cheapest first.
    """
    usable = np.flatnonzero(singles.usable)
    if len(usable) < 2:
        return usable.tolist()
    log_q, usd = np.log(singles.quality[usable]), singles.usd[usable]
    best = supported(log_q, usd, singles.time_s[usable])
    wins = {int(usable[i]): w for i, w in best.items()}
    good = sorted(usable.tolist(), key=lambda m: (-singles.quality[m], singles.usd[m], m))
    most = sorted(wins, key=lambda m: (-wins[m], singles.usd[m], m))
    chosen = list(dict.fromkeys([*most[:CANDIDATES], *good]))[:CANDIDATES]
    return sorted(chosen, key=lambda m: (singles.usd[m], singles.quality[m], m))


def sequences_of(models: list[int]) -> Ints:
    """Two or three of these models in every order, and the first of two twice."""
    pairs = [(a, b, -1) for a, b in permutations(models, 2)]
    twice = [(a, a, b) for a, b, _ in pairs]
    return np.array([*pairs, *twice, *permutations(models, 3)], dtype=np.int64).reshape(-1, 3)


def ladders(models: list[int]) -> Ints:
    """For cascades: `sequences_of`, and each model again: two or three answers of one model, of
    which the first that passes is taken.
    """
    again = [row for a in models for row in ((a, a, -1), (a, a, a))]
    return np.concatenate([sequences_of(models), np.array(again, dtype=np.int64).reshape(-1, 3)])


def _expanded(sequences: Ints, rounds: int) -> Ints:
    """The model of each round: the last of a sequence serves all later ones."""
    full = np.empty((len(sequences), rounds), dtype=np.int64)
    full[:, 0] = sequences[:, 0]
    for r in range(1, rounds):
        given = sequences[:, r] if r < sequences.shape[1] else np.full(len(sequences), -1)
        full[:, r] = np.where(given >= 0, given, full[:, r - 1])
    return full


def later_rounds(
    success: Floats, models: list[int], rates: CheckRates, p: NodeProfile, stubborn: float
) -> float:
    """What the rounds after the first are multiplied by, so that the middle one of the models that
    plans use leads to as many as the profile counts; better ones lead to fewer, worse to more.
    """
    alone = np.repeat(np.array(models or [0])[:, None], ROUNDS, axis=1)
    later = follow(alone, success, rates, stubborn).reach[:, 1:].sum(axis=1)
    return p.again / (1 - p.again) / max(float(np.median(later)), 1e-6)


def rounds(
    sequences: Ints,
    success: Floats,
    rates: CheckRates,
    p: NodeProfile,
    stubborn: float,
    pace: float,
) -> Table:
    """A loop that a check ends: its rounds hang on the quality of the ones before."""
    if not len(sequences):
        return _nothing()
    found = follow(_expanded(sequences, ROUNDS), success, rates, stubborn)
    shares = np.zeros(sequences.shape)
    rows, last = np.arange(len(shares)), (sequences >= 0).sum(axis=1) - 1
    for r in range(ROUNDS):
        often = found.reach[:, r] * (pace if r else 1.0)
        np.add.at(shares, (rows, np.minimum(r, last)), (1 - p.again) * often)
    return Table(
        models=sequences,
        shares=shares,
        log_quality=np.log(np.clip(found.final, Q_MIN, Q_MAX)),
        kind="iterations",
    )


def cascades(sequences: Ints, success: Floats, rates: CheckRates, stubborn: float) -> Table:
    """Ask, check, ask the next; the last answer is taken unchecked."""
    if not len(sequences):
        return _nothing()
    shares, so_far = np.zeros(sequences.shape), np.zeros(sequences.shape)
    final = np.zeros(len(sequences))
    for length in range(2, sequences.shape[1] + 1):
        rows = np.flatnonzero((sequences >= 0).sum(axis=1) == length)
        if len(rows):
            found = follow(sequences[rows, :length], success, rates, stubborn)
            final[rows] = found.final
            shares[rows, :length], so_far[rows, :length] = found.reach, found.so_far
    return Table(
        models=sequences,
        shares=shares,
        log_quality=np.log(np.clip(final, Q_MIN, Q_MAX)),
        kind="cascade",
        so_far=so_far,
    )


def mixed(singles: Singles, usable: list[int], p: NodeProfile) -> Table:
    """Two neighbouring models for the rounds of a loop that no check ends: steps between them."""
    if len(usable) < 2:
        return _nothing()
    sequences = np.array(list(pairwise(usable)), dtype=np.int64)
    # Round 1 is a visit in 1 − p, and with the same share the last one.
    shares = np.tile([1 - p.again, p.again], (len(sequences), 1))
    logs = np.log(singles.quality)[sequences]
    return Table(
        models=sequences,
        shares=shares,
        log_quality=(shares * logs).sum(axis=1),
        kind="iterations",
    )


def _nothing() -> Table:
    return Table(
        models=np.zeros((0, 1), dtype=np.int64),
        shares=np.zeros((0, 1)),
        log_quality=np.zeros(0),
        kind="single",
    )


def as_recorded(rates: CheckRates, p: NodeProfile, singles: Singles) -> CheckRates:
    """Rates at which a middling model is refused as often as earlier runs went round again."""
    if not p.recorded or not singles.usable.any():
        return rates
    expected = rates.refuses(float(singles.quality[singles.usable].mean()))
    trust = p.recorded / (p.recorded + TRUST)
    return rates.stricter((max(p.again, 1e-3) / max(expected, 1e-3)) ** trust)
