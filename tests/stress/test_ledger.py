"""Many runs in several processes on one month's budget, with processes killed in the middle.

Every paid answer is noted in one file by the model when it is given (`billed`) and in another by
the node when the call has returned and so is settled (`done`). A process killed in between may have
been billed for calls whose answers nobody has seen: the ledger counts each call that had gone out
at its worst. So what the providers bill is never more than what is counted, nor than the limit, and
no more is counted without an answer than those calls had put aside.
"""

from __future__ import annotations

import multiprocessing
import operator
import os
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from graphroute import Budget, BudgetExceeded, Model, optimize
from graphroute.ir.hints import NANO
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.periods import PeriodLedger

IN_TOKENS, OUT_TOKENS, USD_PER_MILLION = 10, 10, 50.0
COST = round((IN_TOKENS + OUT_TOKENS) * USD_PER_MILLION * NANO / 1e6)
WORST = 100 * round(USD_PER_MILLION * NANO / 1e6)
"""More than a call reserves: no prompt and answer here have 100 tokens together."""

WIDTH = 3
NOW_S = datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp()
"""Noon, so that no day ends while a test runs."""


class State(TypedDict, total=False):
    item: int
    answers: Annotated[list[str], operator.add]


def _graph(chat: ScriptedChat, done: int) -> Any:
    def work(state: State) -> State:
        text = chat.invoke(f"item {state['item']}").text
        os.write(done, b"$")
        return {"answers": [text]}

    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_conditional_edges(
        START, lambda state: [Send("work", {"item": n}) for n in range(WIDTH)], ["work"]
    )
    return builder.compile()


def _run_until_stopped(folder: Path, name: str, threads: int, limit_usd: float) -> None:
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    billed, done = (os.open(folder / file, append) for file in ("billed", "done"))

    def reply(_: object) -> str:
        os.write(billed, b"$")
        return "ok"

    chat = ScriptedChat(
        name="paid",
        replies=reply,
        in_tokens=IN_TOKENS,
        out_tokens=OUT_TOKENS,
        max_tokens=OUT_TOKENS,
        delay_s=0.002,
    )
    price = USD_PER_MILLION
    fast = optimize(
        _graph(chat, done),
        models=[Model("scripted:paid", chat, price_in_usd=price, price_out_usd=price)],
        budget=Budget(per_month_usd=limit_usd),
        store=folder,
    )
    fast.__dict__["_graphroute"].policy.periods._file.clock = lambda: NOW_S

    def loop() -> None:
        while not (folder / "stop").exists():
            try:
                assert fast.invoke({"item": 0})["answers"] == ["ok"] * WIDTH
            except BudgetExceeded as refused:
                # Only the budget may refuse: a ledger that cannot be used is a failure here.
                if "month's budget" not in str(refused):
                    (folder / "failed").write_text(str(refused))
                    raise

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    (folder / f"ready-{name}").touch()
    for worker in workers:
        worker.join()


@dataclass(slots=True, kw_only=True)
class Crew:
    """Worker processes; `wait` returns after a moment, or as soon as one of them ends."""

    folder: Path
    threads: int
    limit_nano: int
    members: list[BaseProcess]
    started: int = 0

    def hire(self) -> None:
        name = str(self.started)
        self.started += 1
        # Workers are forked from a process that has done the imports and runs no threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        member = context.Process(
            target=_run_until_stopped,
            args=(self.folder, name, self.threads, self.limit_nano / NANO),
        )
        member.start()
        self.members.append(member)

    def wait(self) -> None:
        wait([member.sentinel for member in self.members], timeout=0.02)
        self.check()
        assert all(member.is_alive() for member in self.members)

    def check(self) -> None:
        failed = self.folder / "failed"
        assert not failed.exists(), failed.read_text()

    def is_ready(self) -> bool:
        return len(list(self.folder.glob("ready-*"))) == self.started

    def count(self, file: str) -> int:
        path = self.folder / file
        return path.stat().st_size if path.exists() else 0


def stress(
    folder: Path, *, processes: int, threads: int, kills: int, between: int, calls: int, seed: int
) -> None:
    """Run `processes` of `threads` runs each, kill one at random `kills` times, spend it all.

    between: paid calls from one kill to the next, on average; calls: what the month's budget buys
    """
    draw = random.Random(seed)
    limit = calls * COST
    crew = Crew(folder=folder, threads=threads, limit_nano=limit, members=[])
    ledger = PeriodLedger(folder / "ledger.sqlite3", month_nano=limit, clock=lambda: NOW_S)

    def look() -> None:
        crew.wait()
        full = ledger.purse(1)
        assert full is None or full.taken_nano <= limit

    for _ in range(processes):
        crew.hire()
    try:
        for _ in range(kills):
            goal = crew.count("done") + draw.randint(1, 2 * between)
            while not crew.is_ready() or crew.count("done") < goal:
                look()
            victim = crew.members.pop(draw.randrange(processes))
            victim.kill()
            victim.join()
            crew.hire()
        while (ledger.available_nano() or 0) >= WORST:
            look()
        (folder / "stop").touch()
        for member in crew.members:
            member.join(timeout=60)
            assert member.exitcode == 0
        crew.check()
    finally:
        for member in crew.members:
            if member.is_alive():
                member.kill()
                member.join()
    spent, done, billed = ledger.spent_nano()[1], crew.count("done"), crew.count("billed")
    unanswered = ledger.unanswered_nano()[1]
    print(
        f"{processes} processes × {threads} runs, {kills} killed: limit {calls} calls, "
        f"billed {billed}, settled {done}, counted {spent / COST:g} of which {unanswered / COST:g} "
        "without an answer"
    )
    answered = spent - unanswered
    assert billed * COST <= spent <= limit
    assert answered % COST == 0
    assert done <= answered // COST <= billed
    # What is counted without an answer are calls that were out when their process was killed.
    assert unanswered <= kills * threads * WIDTH * WORST
    assert billed - answered // COST <= unanswered // COST
    # Nothing is locked away: all that is not spent can be, down to less than one call's worst case.
    assert ledger.available_nano() == limit - spent < WORST
    ledger.close()


def test_processes_spend_one_months_budget_to_the_last_call(tmp_path: Path) -> None:
    stress(tmp_path, processes=2, threads=8, kills=2, between=40, calls=300, seed=7)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_runs_in_four_processes_of_which_ten_are_killed(tmp_path: Path) -> None:
    stress(tmp_path, processes=4, threads=50, kills=10, between=250, calls=6_000, seed=11)
