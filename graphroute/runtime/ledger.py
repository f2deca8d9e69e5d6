"""The run's money: reserve the worst case before a call, settle the real cost after it.

```
 limit ──────────────────────────────┐
 │ settled │ reserved │   available  │      reserve ≤ available, or the call is not made
 └─────────┴──────────┴──────────────┘
```

All amounts are integer nano-dollars, so sums are exact. A ledger is shared by all threads and tasks
of a run; each operation is atomic, so a parallel fan-out cannot pass the limit together. Where day
or month budgets are set, each step is taken in their ledger too (`periods`), or not at all.

>>> ledger = Ledger(limit_nano=100)
>>> first = ledger.reserve(70)
>>> ledger.reserve(40) is None
True
>>> ledger.settle(first, 30)
>>> ledger.available_nano
70
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from graphroute.errors import BudgetExceeded, InvalidValue
from graphroute.ir.hints import NANO
from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.spans import Purse


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """Money put aside for one call; ends by exactly one `settle` or `release`."""

    amount_nano: int
    period_id: int | None = None


class Ledger:
    """Counts what one run has spent and put aside; never lets reservations pass the limit."""

    def __init__(
        self,
        *,
        limit_nano: int | None,
        periods: PeriodLedger | None = None,
        allowance_nano: int | None = None,
    ) -> None:
        self.limit_nano, self.periods, self.allowance_nano = limit_nano, periods, allowance_nano
        self._lock, self._reserving = threading.Lock(), threading.Lock()
        self._open: set[Reservation] = set()
        self._held: set[Reservation] = set()
        self._reserved = 0
        self._settled = 0
        self._changes = 0
        self._waiting: list[Callable[[], None]] = []

    def reserve(self, amount_nano: int) -> Reservation | None:
        """Put `amount_nano` (≥ 0) aside; None where it does not fit under the limit any more.

        Nothing is free of the check but a call that costs nothing, which passes at any state.
        """
        if amount_nano < 0:
            raise InvalidValue(f"reserve({amount_nano})", value=amount_nano, next_step="use ≥ 0")
        # One at a time: what another only tries for must not look like money that is spoken for.
        with self._reserving:
            if not self._fits(amount_nano):
                return None
            period_id = None
            if self.periods is not None:
                period_id = self.periods.reserve(amount_nano)
                if period_id is None:
                    return None
            reservation = Reservation(amount_nano, period_id)
            with self._lock:
                self._reserved += amount_nano
                self._open.add(reservation)
            return reservation

    def _fits(self, amount_nano: int) -> bool:
        with self._lock:
            taken = self._settled + self._reserved + amount_nano
            return not amount_nano or self.limit_nano is None or taken <= self.limit_nano

    def start(self, reservation: Reservation) -> None:
        """The call goes out now: should this process die, its worst case counts as spent.

        Without this, what a process has put aside when it dies is free again. Raises
        `BudgetExceeded` where the money was given up for lost meanwhile and is gone.
        """
        if self.periods is None or reservation.period_id is None or not reservation.amount_nano:
            return
        if reservation not in self._open:
            return
        if self.periods.start(reservation.period_id, reservation.amount_nano):
            if reservation not in self._open:
                # Ended in between by another thread: nothing of it may be left.
                self.periods.settle(reservation.period_id, 0)
            return
        purse = self.periods.purse(reservation.amount_nano) or self.closest_purse()
        raise BudgetExceeded(
            f"the money put aside for a call was given up before it began, and what is left of the "
            f"{purse.name}'s budget of ${purse.limit_nano / NANO:.6f} is less than the "
            f"${reservation.amount_nano / NANO:.6f} it may cost",
            limit=purse.name,
            spent_usd=purse.spent_nano / NANO,
            limit_usd=purse.limit_nano / NANO,
            next_step="raise the budget, or begin the run anew",
        )

    def settle(self, reservation: Reservation, cost_nano: int) -> None:
        """Replace a reservation by the real cost; a second end of the same one does nothing."""
        with self._lock:
            if reservation not in self._open:
                return
            self._open.remove(reservation)
            self._held.discard(reservation)
            self._reserved -= reservation.amount_nano
            self._settled += cost_nano
            self._changes += 1
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()
        if self.periods is not None and reservation.period_id is not None:
            self.periods.settle(reservation.period_id, cost_nano)

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back: the call was not made or cost nothing."""
        self.settle(reservation, 0)

    def hold(self, reservation: Reservation) -> None:
        """Mark a reservation that may stay open for long (a stream): nobody waits for its end."""
        with self._lock:
            if reservation in self._open:
                self._held.add(reservation)

    @property
    def soon_nano(self) -> int:
        """What calls in flight will give back, at most, when they are settled."""
        with self._lock:
            return sum(each.amount_nano for each in self._open - self._held)

    @property
    def changes(self) -> int:
        """How many reservations have ended; for `when_changed`."""
        return self._changes

    def when_changed(self, seen: int, wake: Callable[[], None]) -> None:
        """Call `wake` once, from any thread, when a reservation ends or has since `seen`."""
        with self._lock:
            if self._changes == seen:
                self._waiting.append(wake)
                return
        wake()

    def raise_limit(self, limit_nano: int) -> None:
        """Allow the run that much altogether; a limit is never lowered, nor one made of none.

        Whoever allows a run more has decided what it may cost, so its allowance ends.
        """
        with self._lock:
            self.allowance_nano = None
            if self.limit_nano is not None:
                self.limit_nano = max(self.limit_nano, limit_nano)

    def purse(self, amount_nano: int) -> Purse | None:
        """The limit that `amount_nano` does not fit under, the run's own first; None if it fits."""
        with self._lock:
            own, taken = self.limit_nano, self._settled + self._reserved
            spent = self._settled
        if own is not None and taken + amount_nano > own:
            return Purse(name="run", limit_nano=own, spent_nano=spent, taken_nano=taken)
        return None if self.periods is None else self.periods.purse(amount_nano)

    def closest_purse(self) -> Purse:
        """The run's own limit as it stands, else the period's with the least left."""
        with self._lock:
            limit, spent, taken = self.limit_nano, self._settled, self._settled + self._reserved
        found = self.periods.tightest() if limit is None and self.periods is not None else None
        own = Purse(name="run", limit_nano=limit or 0, spent_nano=spent, taken_nano=taken)
        return found or own

    @property
    def allowance_left_nano(self) -> int | None:
        """What is left of the run's paced allowance, never negative; None without one.

        Not a limit: a call that fits nowhere within it may still be made under the limits.
        """
        with self._lock:
            if self.allowance_nano is None:
                return None
            return max(0, self.allowance_nano - self._settled - self._reserved)

    @property
    def spent_nano(self) -> int:
        """What settled calls have cost."""
        return self._settled

    @property
    def reserved_nano(self) -> int:
        """What calls in flight may cost at most."""
        return self._reserved

    @property
    def available_nano(self) -> int | None:
        """What a further call may reserve; None without a limit, never negative."""
        left = None if self.periods is None else self.periods.available_nano()
        if self.limit_nano is None:
            return left
        with self._lock:
            own = max(0, self.limit_nano - self._settled - self._reserved)
        return own if left is None else min(own, left)
