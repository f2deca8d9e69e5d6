"""Which of a node's options are worth having: none beats them, or some price would choose them."""

from __future__ import annotations

import numpy as np

from graphroute.ir.problem import Floats

_MONEY = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 25)])
_TIME = np.array([0.0, 0.03, 0.3, 3.0])


def undominated(value: Floats, usd: Floats, time_s: Floats) -> list[int]:
    """Rows that no other is at least as good as in all three; of equal rows the first."""
    table = np.column_stack([-value, usd, time_s])
    margin = 1e-9 * np.maximum(1e-12, np.abs(table).max(axis=0))
    better = (table[:, None, :] <= table[None, :, :] + margin).all(axis=2)
    # Of two that are alike only the later one is beaten.
    mutual = better & better.T & np.tri(len(table), dtype=bool)
    beaten = (better & ~mutual & ~np.eye(len(table), dtype=bool)).any(axis=0)
    return [int(i) for i in np.flatnonzero(~beaten)]


def supported(value: Floats, usd: Floats, time_s: Floats) -> dict[int, int]:
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
