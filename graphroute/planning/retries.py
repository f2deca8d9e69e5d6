"""What asking again is worth: a check refuses an answer, and the same or another model tries anew.

A question that one model gets wrong is a harder one, so the next model does worse on it than its
average says. With z the hardness of a question (standard normal, in units of `SPREAD` log-odds)

    P(model m is right | z) = σ(aₘ − SPREAD · z),   with aₘ such that the mean over z is q[m]

the rounds are followed for every z on the nodes of a Gauss–Hermite rule and averaged at the end:
a good answer is accepted with probability `passes_good`, a bad one with `passes_bad`, the rest goes
on, and the last answer is taken as it is. (The random-effects Rasch model: R. D. Bock and
M. Lieberman, Fitting a response model for n dichotomously scored items, Psychometrika 35, 1970;
the rule: Abramowitz and Stegun, Handbook of Mathematical Functions, 25.4.46.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats, Ints

SPREAD: Final = 2.4
"""Log-odds by which questions of one step differ: between what fits P(b right | a wrong) best over
all pairs of models on exam questions and on four other kinds of work (`benchmarks/retries.py`)."""

STUBBORN: Final = 0.5
"""Chance that a model that is asked the same again stays with its answer: 0.49 (95 %: 0.32 to 0.60)
on two small models, beyond what the hardness of the questions explains at the accuracy of the first
answer (`benchmarks/retries.py --live`). Drawing at a temperature is part of it."""

ROUNDS: Final = 4
"""Rounds of a loop that are followed; people's loops end after two to four."""

LEAST_TOLD: Final = 0.1
"""Difference of its two rates below which a check decides nothing: a cascade behind it would be two
models by lot, which costs points where the budget is hard (`benchmarks/escalation.py`)."""

TRUST: Final = 20.0
"""Checked answers that a check's default rates are worth beside counted ones."""

POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
"""Hardness of the questions that are followed, and their shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRates:
    """How often a check accepts a good answer and a bad one, in [0, 1], and its USD per answer.

    stubborn: chance in [0, 1] that a model which is asked again after a refusal stays with what it
        said

    >>> CheckRates.counted(good=80, good_passed=80, bad=20, bad_passed=10).passes_good
    0.98
    """

    passes_good: float = 0.9
    passes_bad: float = 0.1
    cost_usd: float = 0.0
    stubborn: float = STUBBORN

    @classmethod
    def counted(
        cls,
        *,
        good: float,
        good_passed: float,
        bad: float,
        bad_passed: float,
        cost_usd: float = 0,
        usual: CheckRates | None = None,
    ) -> CheckRates:
        """Rates from counts, drawn to the usual ones (by default those of any check) while there
        are few.
        """
        usual = usual or cls()
        return cls(
            passes_good=(good_passed + TRUST * usual.passes_good) / (good + TRUST),
            passes_bad=(bad_passed + TRUST * usual.passes_bad) / (bad + TRUST),
            cost_usd=cost_usd,
        )

    @classmethod
    def stated_by(cls, check: object) -> CheckRates | None:
        """What a check says of itself (`rates`: the two shares); None of one that says nothing.

        >>> from graphroute import verify
        >>> CheckRates.stated_by(verify.confidence()).is_telling, CheckRates.stated_by(print)
        (True, None)
        """
        stated = getattr(check, "rates", None)
        return None if stated is None else cls(passes_good=stated[0], passes_bad=stated[1])

    @property
    def is_telling(self) -> bool:
        """Whether it tells good answers from bad ones, and does not only draw lots.

        >>> CheckRates(passes_good=0.5, passes_bad=0.5).is_telling
        False
        """
        return self.told >= LEAST_TOLD

    @property
    def told(self) -> float:
        """How much it tells, in [0, 1]: the difference of its two rates."""
        return max(0.0, self.passes_good - self.passes_bad)

    def stricter(self, factor: float) -> CheckRates:
        """Rates of a check that refuses `factor` times as often, of good and bad answers alike."""
        return CheckRates(
            passes_good=1 - min(1.0, factor * (1 - self.passes_good)),
            passes_bad=1 - min(1.0, factor * (1 - self.passes_bad)),
            cost_usd=self.cost_usd,
            stubborn=self.stubborn,
        )

    def refuses(self, quality: float) -> float:
        """Chance that an answer of this quality is refused."""
        return 1 - self.passes_bad - (self.passes_good - self.passes_bad) * quality


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rounds:
    """reach[s, r]: probability that round r of sequence s is asked at all; so_far[s, r]: that the
    answer is good where no round after r is asked, whatever the check says.
    """

    reach: Floats
    so_far: Floats

    @property
    def final(self) -> Floats:
        """final[s]: probability that sequence s ends with a good answer."""
        last: Floats = self.so_far[:, -1]
        return last


def by_hardness(quality: Floats, spread: float = SPREAD) -> Floats:
    """success[m, z]: the chance of each model at each hardness, averaging to `quality[m]`."""
    q = np.clip(quality, 0.005, 0.995)
    location = np.log(q / (1 - q)) * np.sqrt(1 + 0.346 * spread**2)
    for _ in range(4):  # Newton from the usual approximation of the logistic-normal mean
        p = 1 / (1 + np.exp(spread * POINTS[None, :] - location[:, None]))
        slope = np.maximum((p * (1 - p)) @ WEIGHTS, 1e-9)
        location = location - (p @ WEIGHTS - q) / slope
    found: Floats = 1 / (1 + np.exp(spread * POINTS[None, :] - location[:, None]))
    return found


def follow(sequences: Ints, success: Floats, rates: CheckRates, stubborn: float) -> Rounds:
    """Follow `sequences[s, r]` (models) through all their rounds.

    >>> success = by_hardness(np.array([0.6, 0.9]))
    >>> found = follow(np.array([[0, 1], [0, 0]]), success, CheckRates(), STUBBORN)
    >>> [round(float(x), 3) for x in found.final], round(float(found.reach[0, 1]), 3)
    ([0.882, 0.652], 0.42)
    """
    count, rounds = sequences.shape
    accepted = np.zeros(count)
    reach, so_far = np.zeros((count, rounds)), np.zeros((count, rounds))
    good, bad = np.zeros((count, len(WEIGHTS))), np.tile(WEIGHTS, (count, 1))
    for r in range(rounds):
        left = good + bad
        reach[:, r] = left.sum(axis=1)
        fresh = left * success[sequences[:, r]]
        if r:
            same = (sequences[:, r] == sequences[:, r - 1])[:, None] * stubborn
            fresh = same * good + (1 - same) * fresh
        good, bad = fresh, left - fresh
        so_far[:, r] = accepted + good.sum(axis=1)
        accepted += rates.passes_good * good.sum(axis=1)
        good, bad = (1 - rates.passes_good) * good, (1 - rates.passes_bad) * bad
    return Rounds(reach=reach, so_far=so_far)


def after_refusals(
    asked: tuple[int, ...], success: Floats, rates: CheckRates, stubborn: float
) -> Floats:
    """quality[m]: chance of each model's answer, given that the answers of `asked` were refused."""
    mass, right = WEIGHTS.copy(), np.zeros_like(WEIGHTS)
    for k, m in enumerate(asked):
        same = stubborn if k and m == asked[k - 1] else 0.0
        p = same * right + (1 - same) * success[m]
        mass = mass * (p * (1 - rates.passes_good) + (1 - p) * (1 - rates.passes_bad))
        kept = p * (1 - rates.passes_good)
        right = kept / np.maximum(kept + (1 - p) * (1 - rates.passes_bad), 1e-300)
    mass = mass / max(float(mass.sum()), 1e-300)
    found: Floats = success @ mass
    if asked:
        found[asked[-1]] = stubborn * (right @ mass) + (1 - stubborn) * found[asked[-1]]
    return found
