"""Better assignments by exchanging two options at once, where no single exchange helps or fits.

Under two limits a repaired assignment often has room in one and none in the other: a dearer,
quicker option here pays for a cheaper, slower one there. All pairs of the `MOVES` exchanges that
lose least under the prices are tried together, as one table.
"""

from __future__ import annotations

import numpy as np

from graphroute.solvers._choices import Choices
from graphroute.solvers._master import Mix, Options

MOVES = 160
STARTS = 4
STEPS = 12


def search(choices: Choices, found: Mix, cap_c: float, cap_t: float) -> Options | None:
    """The best assignment reached from those that the prices like best; None where none fits."""
    best: tuple[float, Options] | None = None
    rows = np.arange(len(choices.value))
    for start in found.met[:STARTS]:
        reached = _climb(choices, start, found, cap_c, cap_t)
        if reached is not None:
            value = float(choices.value[rows, reached].sum())
            if best is None or value > best[0] + 1e-12:
                best = (value, reached)
    return None if best is None else best[1]


def _climb(
    choices: Choices, start: Options, found: Mix, cap_c: float, cap_t: float
) -> Options | None:
    rows = np.arange(len(start))
    here: Options | None = start
    if choices.cost[rows, start].sum() > cap_c or choices.time[rows, start].sum() > cap_t:
        here = _exchange(choices, start, found, cap_c, cap_t, least=-np.inf)
    for _ in range(STEPS):
        if here is None:
            return None
        better = _exchange(choices, here, found, cap_c, cap_t, least=1e-12)
        if better is None:
            break
        here = better
    return here


def _exchange(
    choices: Choices, here: Options, found: Mix, cap_c: float, cap_t: float, *, least: float
) -> Options | None:
    """The fitting assignment of most value, one or two exchanges away; it must gain `least`."""
    rows, width = np.arange(len(here)), choices.value.shape[1]
    gain = choices.value - choices.value[rows, here][:, None]
    more_c = choices.cost - choices.cost[rows, here][:, None]
    more_t = choices.time - choices.time[rows, here][:, None]
    loss = gain - found.cost_price * more_c - found.time_price * more_t
    loss[rows, here] = -np.inf
    moves = np.flatnonzero(np.isfinite(loss.ravel()))
    if len(moves) > MOVES:
        moves = moves[np.argpartition(-loss.ravel()[moves], MOVES)[:MOVES]]
    # The last move is to stay, so that a single exchange is a pair as well.
    group = np.append(moves // width, -1)
    gains, costs, times = (np.append(table.ravel()[moves], 0.0) for table in (gain, more_c, more_t))
    left_c = cap_c - float(choices.cost[rows, here].sum())
    left_t = cap_t - float(choices.time[rows, here].sum())
    fits = (costs[:, None] + costs <= left_c) & (times[:, None] + times <= left_t)
    fits &= group[:, None] != group
    worth = np.where(fits, gains[:, None] + gains, -np.inf)
    first, second = divmod(int(worth.argmax()), len(group))
    if not worth[first, second] > least:
        return None
    reached = here.copy()
    for move in (first, second):
        if group[move] >= 0:
            reached[group[move]] = moves[move] % width
    return reached
