from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import BudgetExceeded
from graphroute.ir.hints import Budget
from graphroute.runtime.pacer import (
    MAX_LOG_PRICE,
    Pace,
    allowance_nano,
    expected_runs,
    step,
)
from graphroute.runtime.periods import PeriodLedger
from tests.unit.runtime.situations import assignment_for, policy_for, routed, spec_for
from tests.unit.runtime.test_pause import graph_of, made, paid, two_calls

NANO = 1_000_000_000


def test_the_price_rises_with_overspending_and_falls_with_underspending() -> None:
    pace = Pace(runs=100, seen_nano=0, log_price=1.0)
    fair = 10
    after = [
        step(pace, spent_nano=spent, limit_nano=2_000, elapsed=0.5, runs_before=0).log_price
        for spent in (0, fair, 5 * fair)
    ]
    assert after[0] < 1.0 < after[2]
    assert after == sorted(after)


def test_nothing_is_held_back_before_anything_was_spent_too_fast() -> None:
    pace = step(Pace(), spent_nano=0, limit_nano=NANO, elapsed=0.0, runs_before=0)
    assert pace == Pace(runs=1)
    assert allowance_nano(pace, full_nano=100) is None


def test_the_allowance_is_full_over_one_plus_the_price() -> None:
    pace = Pace(runs=1, log_price=math.log(1 + 3.0))
    assert allowance_nano(pace, full_nano=1_000) in (249, 250)


def test_the_period_before_steadies_a_start_that_tells_little() -> None:
    # A quiet night: 5 of 1,000 runs in a quarter of the day.
    alone = expected_runs(5, elapsed=0.25, runs_before=0)
    steadied = expected_runs(5, elapsed=0.25, runs_before=1_000)
    assert alone == 20
    assert 300 < steadied < 1_000


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.floats(0, 1),
    st.integers(0, 10**6),
    st.floats(0, MAX_LOG_PRICE),
)
def test_any_state_gives_a_price_in_range_and_an_allowance_up_to_full(
    runs: int, seen: int, spent: int, limit: int, elapsed: float, before: int, price: float
) -> None:
    pace = step(
        Pace(runs=runs, seen_nano=seen, log_price=price),
        spent_nano=spent,
        limit_nano=limit,
        elapsed=elapsed,
        runs_before=before,
    )
    assert 0 <= pace.log_price <= MAX_LOG_PRICE
    assert pace.runs == runs + 1
    allowed = allowance_nano(pace, full_nano=10**9)
    assert allowed is None or 0 <= allowed <= 10**9


@pytest.mark.parametrize("seed", range(5))
def test_a_month_at_twice_the_affordable_demand_ends_within_a_percent(seed: int) -> None:
    draw = random.Random(seed)
    costs = [draw.lognormvariate(0, 0.5) * NANO for _ in range(3_000)]
    limit = round(sum(costs) / 2)
    pace, spent, held, refused_at = Pace(), 0, 0, 1.0
    for number, cost in enumerate(costs):
        elapsed = number / len(costs)
        pace = step(pace, spent_nano=spent, limit_nano=limit, elapsed=elapsed, runs_before=0)
        allowed = allowance_nano(pace, full_nano=3 * NANO)
        held += allowed is not None
        paid = round(cost if allowed is None else min(cost, allowed * draw.uniform(0.5, 1)))
        if spent + paid > limit:
            refused_at = min(refused_at, elapsed)
            continue
        spent += paid
    assert 0.99 * limit <= spent <= limit
    assert refused_at > 0.98
    assert held > 2_900


class Held(PeriodLedger):
    """A month with plenty of money whose pacer leaves a run next to nothing."""

    def begin_run(self, full_nano: int) -> int | None:
        return 30_000


def held(tmp_path: Path, *chats: Any, on_exceed: Any = "degrade", per_run_usd: float = 1.0) -> Any:
    periods = Held(tmp_path / "ledger.sqlite3", month_nano=NANO)
    names = [f"scripted:{chat.name}" for chat in chats]
    return policy_for(
        assignment_for("draft", *names),
        chats=dict(zip(names, chats, strict=True)),
        specs=(spec_for("scripted:cheap", price=0.1),),
        budget=Budget(per_run_usd=per_run_usd, on_exceed=on_exceed),
        periods=periods,
    )


def run(policy: Any, chat: Any) -> Any:
    fast = routed(graph_of(draft=two_calls(chat)), policy)
    try:
        return fast.invoke({"item": 0}, {"configurable": {"thread_id": "1"}})["log"]
    finally:
        policy.periods.close()


def test_a_run_that_is_held_back_takes_the_cheaper_model(tmp_path: Path) -> None:
    own, cheap = paid(), paid("cheap")
    policy = held(tmp_path, own, cheap)
    assert run(policy, own) == ["own 0", "cheap 0"]
    assert policy.records[1].why.startswith("pacing: $0.000010 left")


def test_pacing_never_refuses_what_the_budgets_allow(tmp_path: Path) -> None:
    own = paid()
    assert run(held(tmp_path, own), own) == ["own 0", "own 1"]


def test_a_run_that_raises_at_its_limit_still_degrades_where_only_pacing_holds_it(
    tmp_path: Path,
) -> None:
    own, cheap = paid(), paid("cheap")
    assert run(held(tmp_path, own, cheap, on_exceed="raise"), own) == ["own 0", "cheap 0"]
    own, cheap = paid(), paid("cheap")
    tight = held(tmp_path, own, cheap, on_exceed="raise", per_run_usd=0.00004)
    with pytest.raises(BudgetExceeded, match="run's budget"):
        run(tight, own)
    assert (made(own), made(cheap)) == (1, 0)
