"""Did a model get better or worse, dearer or slower at a node? Earlier days against later ones.

```
days:   1  2  3 │ 4  5
calls: 40 30 30 │ 60 50      parted between days, into halves as equal as can be
```

The change in quality has a 95 % interval: Newcombe's, from Wilson's of the two halves (R. G.
Newcombe, Interval Estimation for the Difference Between Independent Proportions, Statistics in
Medicine 17, 1998, method 10). Cost and time are means per call and have none: the file keeps their
sums by the day, and no squares.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from graphroute.ir.hints import NANO
from graphroute.ir.intervals import wilson
from graphroute.ir.tally import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """Means over some days of a node on a model: USD and seconds per call.

    quality, quality_low, quality_high: in [0, 1] with its 95 % interval, None where nothing was
        judged
    """

    calls: int
    cost_usd: float
    time_s: float
    quality: float | None
    quality_low: float | None
    quality_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The two halves of a node on a model.

    since: first day of the later half (UTC, `2026-11-24`)
    change, change_low, change_high: of the quality, with its 95 % interval; None where a half was
        not judged
    """

    node: str
    model: str
    since: str
    before: Half
    after: Half
    change: float | None
    change_low: float | None
    change_high: float | None


def iso_day(number: int) -> str:
    """The date of a day since the epoch, UTC.

    >>> iso_day(20_000)
    '2024-10-04'
    """
    try:
        return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return f"day {number}"


def trends(cells: Iterable[Cell]) -> tuple[Trend, ...]:
    """One for each node × model with calls on two days or more, by name."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.node, cell.model), []).append(cell)
    return tuple(
        _trend(node, model, sorted(groups[node, model], key=lambda cell: cell.day))
        for node, model in sorted(groups)
        if len({cell.day for cell in groups[node, model]}) > 1
    )


def _trend(node: str, model: str, cells: Sequence[Cell]) -> Trend:
    since = _parted([(cell.day, cell.calls) for cell in cells])
    before = _half([cell for cell in cells if cell.day < since])
    after = _half([cell for cell in cells if cell.day >= since])
    change, low, high = _change(before, after)
    return Trend(
        node=node,
        model=model,
        since=iso_day(since),
        before=before,
        after=after,
        change=change,
        change_low=low,
        change_high=high,
    )


def _parted(calls_by_day: Sequence[tuple[int, int]]) -> int:
    """The day, not the first one, whose beginning parts the calls most equally.

    >>> _parted([(1, 40), (2, 30), (3, 30), (4, 60), (5, 50)]), _parted([(1, 9), (8, 1)])
    (4, 8)
    """
    half = sum(calls for _, calls in calls_by_day) / 2
    earlier, best = 0, (math.inf, 0)
    for (_, calls), (day, _) in pairwise(calls_by_day):
        earlier += calls
        best = min(best, (abs(earlier - half), day))
    return best[1]


def _half(cells: Sequence[Cell]) -> Half:
    calls, judged = sum(cell.calls for cell in cells), sum(cell.judged for cell in cells)
    quality = low = high = None
    if judged > 0:
        quality = min(1.0, max(0.0, sum(cell.quality_sum for cell in cells) / judged))
        low, high = wilson(quality, judged)
    return Half(
        calls=calls,
        cost_usd=sum(cell.cost_nano for cell in cells) / NANO / calls,
        time_s=float(sum(cell.took_s for cell in cells)) / calls,
        quality=quality,
        quality_low=low,
        quality_high=high,
    )


def _change(before: Half, after: Half) -> tuple[float | None, float | None, float | None]:
    """What the quality has changed by, and Newcombe's interval of it."""
    if before.quality is None or before.quality_low is None or before.quality_high is None:
        return None, None, None
    if after.quality is None or after.quality_low is None or after.quality_high is None:
        return None, None, None
    change = after.quality - before.quality
    down = math.hypot(after.quality - after.quality_low, before.quality_high - before.quality)
    up = math.hypot(after.quality_high - after.quality, before.quality - before.quality_low)
    return change, change - down, change + up
