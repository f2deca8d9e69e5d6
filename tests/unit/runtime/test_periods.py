from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from graphroute.errors import LedgerUnavailable
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.periods import EXPIRY_S, PeriodLedger
from graphroute.runtime.spans import Purse

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400


def at(path: Path, now: SimpleNamespace, **limits: int) -> PeriodLedger:
    return PeriodLedger(path / "ledger.sqlite3", clock=lambda: float(now.s), **limits)


def test_a_day_and_a_month_are_counted_apart(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON - DAY_S)
    ledger = at(tmp_path, now, day_nano=100, month_nano=150)
    first = ledger.reserve(90)
    assert first is not None
    ledger.settle(first, 80)
    assert ledger.reserve(21) is None
    now.s = NOON
    assert ledger.available_nano() == 70
    second = ledger.reserve(70)
    assert second is not None
    ledger.settle(second, 70)
    assert ledger.spent_nano() == (70, 150)
    assert ledger.reserve(1) is None
    now.s = NOON + DAY_S
    assert ledger.available_nano() == 100
    ledger.close()


def test_a_clock_set_back_opens_no_old_period(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON)
    ledger = at(tmp_path, now, day_nano=100)
    spent = ledger.reserve(100)
    assert spent is not None
    ledger.settle(spent, 100)
    now.s = NOON - 2 * DAY_S
    assert ledger.reserve(1) is None
    ledger.close()


def test_money_for_a_call_that_never_began_is_free_again_after_an_hour(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON)
    ledger = at(tmp_path, now, month_nano=100)
    lost = ledger.reserve(100)
    assert lost is not None
    assert ledger.reserve(1) is None
    now.s += EXPIRY_S + 1
    again = ledger.reserve(60)
    assert again is not None
    # It may begin as long as its money is there, and not when it is gone.
    assert ledger.start(lost, 40)
    ledger.settle(lost, 30)
    assert ledger.available_nano() == 10
    late = ledger.reserve(10)
    assert late is not None
    now.s += EXPIRY_S + 1
    assert ledger.reserve(65) is not None
    assert not ledger.start(late, 10)
    ledger.close()


def test_a_call_without_an_end_counts_at_its_worst_until_its_end_is_known(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON)
    ledger = at(tmp_path, now, day_nano=100, month_nano=100)
    slow = ledger.reserve(70)
    assert slow is not None
    assert ledger.start(slow, 70)
    now.s += EXPIRY_S + 1
    assert ledger.available_nano() == 30
    assert ledger.spent_nano() == (70, 70)
    assert ledger.unanswered_nano() == (70, 70)
    assert ledger.start(slow, 70)  # said twice, it is the same call
    ledger.settle(slow, 20)
    assert ledger.spent_nano() == (20, 20)
    assert ledger.unanswered_nano() == (0, 0)
    ledger.settle(slow, 0)
    assert ledger.available_nano() == 80
    ledger.close()


def test_a_ledger_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "ledger.sqlite3")
    old.executescript(
        "CREATE TABLE spent (period TEXT PRIMARY KEY, nano INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE reserved (id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL,"
        " born REAL NOT NULL, at REAL NOT NULL, day TEXT NOT NULL, month TEXT NOT NULL,"
        " nano INTEGER NOT NULL);"
        "INSERT INTO spent VALUES ('2026-11', 10);"
        f"INSERT INTO reserved VALUES (1, 1, 0, {NOON}, '2026-11-30', '2026-11', 7);"
    )
    old.close()
    ledger = at(tmp_path, SimpleNamespace(s=NOON), month_nano=100)
    # Whether the old call had gone out is not known, so it counts.
    assert ledger.available_nano() == 83
    assert ledger.spent_nano()[1] == 17
    ledger.close()


def test_a_time_zone_moves_no_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Half an hour before the month ends in UTC; the clocks of both places have changed it already
    # or not yet, and in one of them the hour comes twice.
    end = datetime(2026, 10, 31, 23, 30, tzinfo=UTC).timestamp()
    now = SimpleNamespace(s=end)
    ledger = at(tmp_path, now, day_nano=100, month_nano=100)
    for zone in ("Pacific/Kiritimati", "America/Adak", "Europe/Berlin"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        reservation = ledger.reserve(10)
        assert reservation is not None
        ledger.settle(reservation, 10)
    assert ledger.spent_nano() == (30, 30)
    now.s = end + 3_600
    assert ledger.spent_nano() == (0, 0)
    ledger.close()
    monkeypatch.undo()
    time.tzset()


def test_a_run_reserves_in_both_ledgers_or_in_none(tmp_path: Path) -> None:
    periods = at(tmp_path, SimpleNamespace(s=NOON), day_nano=50)
    run = Ledger(limit_nano=200, periods=periods)
    assert run.reserve(60) is None
    assert run.reserved_nano == 0
    reservation = run.reserve(50)
    assert reservation is not None
    run.settle(reservation, 20)
    assert (run.spent_nano, periods.spent_nano()[0], run.available_nano) == (20, 20, 30)
    periods.close()


def test_a_file_that_is_no_ledger_is_an_error_and_money_stays_closed(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("not a database, but long enough to be looked at " * 9)
    run = Ledger(limit_nano=None, periods=at(tmp_path, SimpleNamespace(s=NOON), day_nano=50))
    with pytest.raises(LedgerUnavailable, match="not a database"):
        run.reserve(1)
    assert run.reserved_nano == 0


def test_a_full_limit_says_which_one_and_until_when(tmp_path: Path) -> None:
    ledger = at(tmp_path, SimpleNamespace(s=NOON), day_nano=100, month_nano=120)
    reservation = ledger.reserve(90)
    assert reservation is not None
    ledger.settle(reservation, 80)
    assert ledger.reserve(5) is not None
    assert ledger.purse(15) is None
    purse = ledger.purse(16)
    assert purse == Purse(
        name="day", limit_nano=100, spent_nano=80, taken_nano=85, ends_s=NOON + DAY_S / 2
    )
    ledger.close()
    run = Ledger(limit_nano=10, periods=ledger)
    assert run.purse(11) == Purse(name="run", limit_nano=10, spent_nano=0, taken_nano=0)
    assert run.purse(10) is None
    assert run.closest_purse().name == "run"
    # Where money came back between a refusal and its report, the closest limit is named.
    unlimited = Ledger(limit_nano=None, periods=ledger)
    assert unlimited.purse(1) is None
    assert unlimited.closest_purse().name == "day"
    ledger.close()


def test_a_clock_far_behind_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = SimpleNamespace(s=NOON + 40 * DAY_S)
    ledger = at(tmp_path, now, day_nano=100)
    assert ledger.available_nano() == 100
    now.s = NOON
    assert ledger.available_nano() == 100
    assert ledger.available_nano() == 100
    assert caplog.text.count("40.0 days behind") == 1
    ledger.close()


def test_pace_is_kept_in_the_file_and_the_price_carries_over(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON - 11 * DAY_S)
    allowed: list[int | None] = []
    for _ in range(40):
        # Each run opens the file anew, as runs of different processes do.
        ledger = at(tmp_path, now, month_nano=1_000)
        allowed.append(ledger.begin_run(100))
        reservation = ledger.reserve(20)
        assert reservation is not None
        ledger.settle(reservation, 20)
        now.s += 600
        ledger.close()
    assert allowed[0] is None
    last = allowed[-1]
    assert last is not None
    assert last < 80
    now.s = NOON + 2 * DAY_S
    ledger = at(tmp_path, now, month_nano=1_000)
    december = ledger.begin_run(100)
    assert december is not None
    assert abs(december - last) <= 20
    ledger.close()


def test_the_tighter_of_day_and_month_sets_the_allowance(tmp_path: Path) -> None:
    now = SimpleNamespace(s=NOON)
    both, month = (
        at(tmp_path / name, now, month_nano=10**6, **limits)
        for name, limits in (("both", {"day_nano": 200}), ("month", {}))
    )
    for ledger in (both, month):
        for _ in range(8):
            ledger.begin_run(100)
            reservation = ledger.reserve(20)
            assert reservation is not None
            ledger.settle(reservation, 20)
    assert month.begin_run(100) is None
    tight = both.begin_run(100)
    assert tight is not None
    assert tight < 100
    both.close()
    month.close()


def _spend(path: str, results: multiprocessing.Queue[int], started: str) -> None:
    ledger = PeriodLedger(Path(path), month_nano=3_000)
    total = 0
    for step in range(400):
        reservation = ledger.reserve(7)
        if reservation is not None:
            ledger.settle(reservation, 5)
            total += 5
        if step == 20:
            Path(started).touch()
    ledger.close()
    results.put(total)


def _hold_and_hang(path: str, held: str) -> None:
    ledger = PeriodLedger(Path(path), month_nano=3_000)
    assert ledger.reserve(1_000) is not None
    out = ledger.reserve(100)
    assert out is not None
    assert ledger.start(out, 100)
    Path(held).touch()
    signal.pause()


def test_processes_share_one_budget_and_a_killed_one_locks_nothing_away(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    file, results = str(tmp_path / "ledger.sqlite3"), context.Queue()
    held = tmp_path / "held"
    victim = context.Process(target=_hold_and_hang, args=(file, str(held)))
    victim.start()
    while not held.exists():
        assert victim.is_alive()
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    workers = [
        context.Process(target=_spend, args=(file, results, str(tmp_path / f"started{n}")))
        for n in range(3)
    ]
    for worker in workers:
        worker.start()
    totals = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    ledger = PeriodLedger(Path(file), month_nano=3_000)
    # The call that was out may be billed, so its 100 are gone; the 1,000 that were only put aside
    # came back: all but the last call's slack could be spent.
    assert ledger.unanswered_nano()[1] == 100
    assert ledger.spent_nano()[1] == sum(totals) + 100
    assert 2_993 <= sum(totals) + 100 <= 3_000
    ledger.close()
    results.close()
    results.join_thread()


def test_money_that_is_only_tried_for_is_nothing_to_wait_for(tmp_path: Path) -> None:
    class Watched(PeriodLedger):
        def reserve(self, amount_nano: int) -> int | None:
            seen.append(run.soon_nano)
            return super().reserve(amount_nano)

    seen: list[int] = []
    periods = Watched(tmp_path / "ledger.sqlite3", day_nano=50, clock=lambda: NOON)
    run = Ledger(limit_nano=200, periods=periods)
    held = run.reserve(30)
    assert held is not None
    assert run.reserve(30) is None
    assert seen == [0, 30]
    assert run.soon_nano == 30
    run.settle(held, 10)
    assert run.soon_nano == 0
    periods.close()


@pytest.mark.parametrize("is_between", [False, True])
def test_a_call_that_has_ended_is_not_begun_again(is_between: bool, tmp_path: Path) -> None:
    class Late(PeriodLedger):
        def start(self, reservation: int, amount_nano: int) -> bool:
            if is_between and held is not None:  # another thread ends the call at this very moment
                run.settle(held, 10)
            return super().start(reservation, amount_nano)

    periods = Late(tmp_path / "ledger.sqlite3", day_nano=50, clock=lambda: NOON)
    run = Ledger(limit_nano=None, periods=periods)
    held = run.reserve(30)
    assert held is not None
    if not is_between:
        run.settle(held, 10)
    run.start(held)
    assert periods.spent_nano() == (10, 10)
    assert periods.available_nano() == 40
    periods.close()
