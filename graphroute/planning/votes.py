"""What asking one model several times is worth, where another is asked if its answers differ.

With the hardness z of `planning.retries`, an answer is right with probability p(z). A wrong one is
the question's common mistake with probability `COMMON`, else like no other; two right ones are
alike. On a share `stubborn` of the questions the model says whatever it said first; on the others
its answers are independent, given z:

```
stubborn     a a a           the first answer, right with p(z), after as many as are needed
else         r/c/u, r/c/u …  r right, c the common mistake, u unlike all; until one has enough, or
                             none can have any more (split): the next model, or the first of most
```

The states (how often r, c, u) are followed exactly for every z of the nodes and averaged at the
end. By these shares the majority would be right more often than one answer, as X. Wang et al.,
Self-Consistency Improves Chain of Thought Reasoning in Language Models, ICLR 2023, found for large
models. Small ones lose as much by being drawn at a temperature (`benchmarks/sureness.py`), so that
gain is not counted: what is, is that a split leads to another model. Without one behind it, asking
again is not placed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats, Ints
from graphroute.ir.quality import Q_MAX, Q_MIN
from graphroute.planning.retries import STUBBORN, WEIGHTS
from graphroute.planning.sequences import Table

COMMON: Final = 0.5
"""Share of wrong answers that are the question's common mistake, so that two wrong ones agree with
the square of it: 0.52 (0.18 to 0.67) on two small models (`benchmarks/retries.py --live`)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Votes:
    """How the answers of each model come out, at each hardness.

    asked[m, n]: chance in [0, 1] that answer n is asked for
    right[m, z], wrong[m, z]: of a majority that is right, or wrong; split[m, z]: of none
    first[m, z]: of none, where the first of the most frequent answers is right
    """

    asked: Floats
    right: Floats
    wrong: Floats
    split: Floats
    first: Floats


def votes(success: Floats, k: int, need: int, stubborn: float, common: float = COMMON) -> Votes:
    """Ask models with `success[m, z]` up to `k` times, until `need` answers agree or none can.

    >>> sure = np.array([[0.6]])
    >>> found = votes(np.repeat(sure, len(WEIGHTS), axis=1), 3, 2, stubborn=0.0, common=0.0)
    >>> round(float(found.right[0, 0]), 3), round(float(found.first[0, 0]), 3)
    (0.648, 0.096)
    """
    free = 1 - stubborn
    asked = np.zeros((len(success), k))
    asked[:, :need] = stubborn
    right, wrong = stubborn * success, stubborn * (1 - success)
    split, first = np.zeros_like(success), np.zeros_like(success)
    mistake = (1 - success) * common
    chances = (success, mistake, 1 - success - mistake)
    states = {(0, 0, 0): np.full_like(success, free)}
    for n in range(k):
        ahead: dict[tuple[int, int, int], Floats] = defaultdict(lambda: np.zeros_like(success))
        for (r, c, u), mass in states.items():
            asked[:, n] += mass @ WEIGHTS
            for state, chance in zip(
                ((r + 1, c, u), (r, c + 1, u), (r, c, u + 1)), chances, strict=True
            ):
                here = mass * chance
                if state[0] == need:
                    right = right + here
                elif state[1] == need:
                    wrong = wrong + here
                elif max(state[0], state[1], 1) + k - n - 1 < need:
                    split = split + here
                    first = first + here * _is_first(state)
                else:
                    ahead[state] = ahead[state] + here
        states = ahead
    return Votes(asked=asked, right=right, wrong=wrong, split=split, first=first)


def _is_first(state: tuple[int, int, int]) -> float:
    """Chance that the first of the most frequent answers is right; by symmetry 1 of those tied."""
    r, c, u = state
    top = max(state[0], state[1], 1)
    tied = (r == top) + (c == top) + (u if top == 1 else 0)
    return (r == top) / tied


def ballots(models: list[int], k: int) -> Ints:
    """Each model `k` times, with each other one behind it."""
    rows = [(*[a] * k, b) for a, b in permutations(models, 2)]
    return np.array(rows, dtype=np.int64).reshape(-1, k + 1)


def sampled(
    sequences: Ints,
    success: Floats,
    *,
    need: int,
    stubborn: float = STUBBORN,
    common: float = COMMON,
) -> Table:
    """The table of such sequences; all answers of the first model are right as often as its first.

    >>> from graphroute.planning.retries import by_hardness
    >>> success = by_hardness(np.array([0.6, 0.9]))
    >>> found = sampled(ballots([0, 1], 3), success, need=2, stubborn=0.0)
    >>> found.models.tolist()[0], [round(float(np.exp(q)), 2) for q in found.log_quality]
    ([0, 0, 0, 1], [0.75, 0.89])
    """
    k = sequences.shape[1] - 1
    known, first = np.unique(sequences[:, 0], return_inverse=True)
    alone = success[known]
    found = votes(alone, k, need, stubborn, common)
    right = found.right * alone / np.maximum(found.right + found.first, 1e-300)
    good = right[first] + found.split[first] * success[sequences[:, -1]]
    shares = np.zeros(sequences.shape)
    shares[:, :k] = found.asked[first]
    shares[:, k] = found.split[first] @ WEIGHTS
    # Before the model behind has answered, what is there is as good as one answer.
    so_far = np.repeat((alone @ WEIGHTS)[first][:, None], k + 1, axis=1)
    so_far[:, k] = good @ WEIGHTS
    return Table(
        models=sequences,
        shares=shares,
        log_quality=np.log(np.clip(so_far[:, k], Q_MIN, Q_MAX)),
        kind="cascade",
        so_far=so_far,
    )
