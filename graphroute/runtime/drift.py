"""Has a run left its plan's course? Pure: what a run is like now, against when it was last planned.

Each way to leave it has its own words; several are told together. What differs by less than
`DRIFT` of the limit it counts against is no reason: calls never cost to the cent what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from graphroute.ir.hints import NANO

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIFT = 0.05
"""Share of a run's limit, in USD or seconds, by which it may be off before it is planned again."""


ROUNDING = 0.01
"""Share of what was paid by which a run may seem to be over its limit before it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a run stands.

    limit_nano: what it may cost; None for no limit
    times: how many times what the plan expects calls have cost in earlier runs
    off_nano: what it has paid more than was expected of the calls that have ended
    off_s: how much longer its supersteps took than expected
    failed: models that can serve no call now; prices: those that differ from the plan's
    """

    limit_nano: int | None = None
    times: float = 1.0
    off_nano: float = 0.0
    off_s: float = 0.0
    failed: frozenset[str] = frozenset()
    prices: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))


def reasons(
    now: Where, then: Where, *, deadline_s: float | None, left_nano: float, paid_nano: float
) -> tuple[str, ...]:
    """Why the rest should be planned again; empty while the run is on its course.

    then: where the run stood when it was last planned
    left_nano: what the calls still to come are expected to cost; paid_nano: what it has cost so far

    >>> then, now = Where(limit_nano=NANO), Where(limit_nano=NANO, off_nano=0.25 * NANO)
    >>> reasons(now, then, deadline_s=None, left_nano=0.0, paid_nano=0.0)
    ('$0.250000 more spent than planned',)
    >>> now = Where(limit_nano=NANO, off_nano=0.04 * NANO)
    >>> reasons(now, then, deadline_s=None, left_nano=NANO / 2, paid_nano=0.6 * NANO)
    ('$0.100000 too little is left for what is still to come',)
    """
    found: list[str] = []
    if now.failed != then.failed:
        names = ", ".join(sorted(now.failed)) or "every model"
        found.append(f"{names} cannot serve" if now.failed else f"{names} serves again")
    if dict(now.prices) != dict(then.prices):
        changed = {name for name, _ in set(now.prices.items()) ^ set(then.prices.items())}
        found.append(f"the price of {', '.join(sorted(changed))} changed")
    found += _limit(now, then, left_nano=left_nano, paid_nano=paid_nano)
    other = abs(now.times - then.times) / max(now.times, 1e-9) * left_nano
    if now.limit_nano is not None and other > DRIFT * now.limit_nano:
        found.append(f"calls have cost {now.times:.2g} times what was planned")
    off = now.off_nano - then.off_nano
    if now.limit_nano is not None and abs(off) > DRIFT * now.limit_nano:
        found.append(f"${abs(off) / NANO:.6f} {_word(off)} spent than planned")
    over = 0.0 if now.limit_nano is None else paid_nano + left_nano - now.limit_nano
    if not found and over > ROUNDING * paid_nano:
        found.append(f"${over / NANO:.6f} too little is left for what is still to come")
    late = now.off_s - then.off_s
    if deadline_s is not None and abs(late) > DRIFT * deadline_s:
        found.append(f"{abs(late):.1f} s {_word(late)} taken than planned")
    return tuple(found)


def _limit(now: Where, then: Where, *, left_nano: float, paid_nano: float) -> list[str]:
    """A limit that was raised frees money; a lower one matters once the rest does not fit it."""
    limit = now.limit_nano
    if limit == then.limit_nano:
        return []
    if limit is None or (then.limit_nano is not None and limit > then.limit_nano):
        shown = "any sum" if limit is None else f"${limit / NANO:.6f}"
        return [f"the run may now cost {shown}"]
    if paid_nano + left_nano <= limit:
        return []
    return [f"the run may cost no more than ${limit / NANO:.6f}"]


def _word(off: float) -> str:
    return "more" if off > 0 else "less"
