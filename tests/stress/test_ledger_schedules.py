"""The period ledger against a model of it: random schedules, crashes and a moving clock."""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.spans import spans_at

DAY_LIMIT, MONTH_LIMIT = 100, 250
START_S = datetime(2026, 11, 28, 22, tzinfo=UTC).timestamp()

ACTIONS = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 1), st.integers(0, 60)),
    st.tuples(st.just("start"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 100)),
    st.tuples(st.just("late"), st.integers(0, 9), st.integers(0, 100)),
    st.tuples(st.just("crash"), st.integers(0, 1), st.just(0)),
    st.tuples(st.just("clock"), st.integers(-7_200, 30_000), st.just(0)),
)


@dataclass(slots=True)
class Held:
    """A reservation as the model sees it."""

    id: int
    owner: int
    amount: int
    day: str
    month: str
    at: float
    has_started: bool = False


@dataclass(slots=True)
class Books:
    """What must be true: money by period, what is held, and what is counted without an answer."""

    spent: dict[str, int] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    counted: list[Held] = field(default_factory=list)

    def taken(self, period: str) -> int:
        held = sum(h.amount for h in self.held if period in (h.day, h.month))
        return self.spent.get(period, 0) + held

    def spend(self, held: Held, nano: int) -> None:
        for period in (held.day, held.month):
            self.spent[period] = self.spent.get(period, 0) + nano

    def give_up(self, lost: list[Held]) -> None:
        """Those that had gone out are counted at their worst, the others are free again."""
        self.held = [h for h in self.held if h not in lost]
        for each in lost:
            if each.has_started:
                self.spend(each, each.amount)
                self.counted.append(each)

    def expire(self, now_s: float) -> None:
        self.give_up([h for h in self.held if h.at < now_s - 3_600])


def _crash(path: Path, ids: list[int]) -> None:
    """Leave rows as a killed process does: its pid is another process's by now."""
    db = sqlite3.connect(path)
    db.executemany("UPDATE reserved SET pid = 1, born = 0 WHERE id = ?", [(i,) for i in ids])
    db.commit()
    db.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_money_is_conserved_whatever_happens_in_whatever_order(
    actions: list[tuple[str, int, int]],
) -> None:
    now, latest, books = SimpleNamespace(s=START_S), START_S, Books()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        # Two connections to one file, as two processes have.
        ledgers = [
            PeriodLedger(path, day_nano=DAY_LIMIT, month_nano=MONTH_LIMIT, clock=lambda: now.s)
            for _ in range(2)
        ]
        for action, which, amount in actions:
            if action == "reserve":
                latest = max(latest, now.s)  # what the ledger has seen
                day, month = spans_at(latest)
                books.expire(latest)
                fits = not amount or (
                    books.taken(day.key) + amount <= DAY_LIMIT
                    and books.taken(month.key) + amount <= MONTH_LIMIT
                )
                reservation = ledgers[which].reserve(amount)
                assert (reservation is not None) == fits
                if reservation is not None:
                    books.held.append(Held(reservation, which, amount, day.key, month.key, latest))
            elif action == "start" and books.held:
                held = books.held[which % len(books.held)]
                assert ledgers[held.owner].start(held.id, held.amount)
                held.has_started = True
            elif action == "settle" and books.held:
                held = books.held.pop(which % len(books.held))
                cost = held.amount * amount // 100
                ledgers[held.owner].settle(held.id, cost)
                books.spend(held, cost)
            elif action == "late" and books.counted:
                # Whose end was thought lost was only slow: the real cost replaces the worst.
                held = books.counted.pop(which % len(books.counted))
                cost = held.amount * amount // 100
                ledgers[held.owner].settle(held.id, cost)
                books.spend(held, cost - held.amount)
            elif action == "crash":
                gone = [h for h in books.held if h.owner == which]
                books.give_up(gone)
                if gone:
                    _crash(path, [h.id for h in gone])
                ledgers[which].close()
            elif action == "clock":
                now.s += which
        latest = max(latest, now.s)
        day, month = spans_at(latest)
        books.expire(latest)
        spent = (books.spent.get(day.key, 0), books.spent.get(month.key, 0))
        assert ledgers[0].spent_nano() == spent
        lost = [
            sum(h.amount for h in books.counted if period.key in (h.day, h.month))
            for period in (day, month)
        ]
        assert ledgers[1].unanswered_nano() == tuple(lost)
        left = min(DAY_LIMIT - books.taken(day.key), MONTH_LIMIT - books.taken(month.key))
        assert ledgers[1].available_nano() == left
        for ledger in ledgers:
            ledger.close()
