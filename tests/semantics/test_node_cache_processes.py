"""Two processes that want one node's result: one computes it, also where the first is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from graphroute import optimize, route
from graphroute.runtime.lease import Leases

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 100


class State(TypedDict, total=False):
    text: str
    out: str


def tell(word: str) -> None:
    """Say something to the test."""
    print(word, flush=True)


@route(cache=True)
def slow(state: State) -> State:
    """Goes on when it is told to."""
    tell("runs")
    sys.stdin.readline()
    if state["text"] == "odd":
        raise ValueError("odd")
    return {"out": state["text"].upper()}


class Told(Leases):
    """Says when it is another's turn."""

    def take(self, key: str) -> bool:
        if not (is_ours := super().take(key)):
            tell("waits")
        return is_ours


def run(folder: str, text: str, *, is_async: bool) -> None:
    """One process's run."""
    import asyncio

    from graphroute import serving

    vars(serving)["Leases"] = Told  # the name it makes them by
    builder = StateGraph(State)
    builder.add_node("slow", slow)
    builder.add_edge(START, "slow")
    builder.add_edge("slow", END)
    fast = optimize(builder.compile(), cache=True, store=folder)
    given: State = {"text": text}
    try:
        out = (asyncio.run(fast.ainvoke(given)) if is_async else fast.invoke(given))["out"]
    except ValueError as error:
        out = str(error)
    tell(f"ended {out} {[record.outcome for record in fast.node_records]}")


class Child:
    """A process that runs the graph."""

    def __init__(self, folder: Path, text: str, *, is_async: bool = False) -> None:
        call = f"run({str(folder)!r}, {text!r}, is_async={is_async})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import run; {call}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def hear(self) -> str:
        """Its next word; one that waits says so at each look."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def hear_end(self) -> str:
        """What it ended with, whatever it said before."""
        while (said := self.hear()) in ("waits", "runs"):
            if said == "runs":
                self.go_on()
        return said

    def go_on(self) -> None:
        """Have the node return."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_second_waits_for_the_first(is_async: bool, tmp_path: Path) -> None:
    first = Child(tmp_path, "why")
    assert first.hear() == "runs"
    second = Child(tmp_path, "why", is_async=is_async)
    try:
        assert second.hear() == "waits"
        first.go_on()
        assert first.hear_end() == "ended WHY ['computed']"
        assert second.hear_end() == "ended WHY ['hit']"
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_where_the_first_is_killed_the_second_goes_on(is_async: bool, tmp_path: Path) -> None:
    first = Child(tmp_path, "why")
    assert first.hear() == "runs"
    second = Child(tmp_path, "why", is_async=is_async)
    try:
        assert second.hear() == "waits"
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(TIMEOUT_S)
        assert second.hear_end() == "ended WHY ['computed']"
    finally:
        first.close()
        second.close()


def test_where_the_first_fails_the_second_finds_out_itself(tmp_path: Path) -> None:
    first = Child(tmp_path, "odd")
    assert first.hear() == "runs"
    second = Child(tmp_path, "odd")
    try:
        assert second.hear() == "waits"
        first.go_on()
        assert first.hear_end() == "ended odd []"
        assert second.hear_end() == "ended odd []"
    finally:
        first.close()
        second.close()


def test_other_inputs_wait_for_nobody(tmp_path: Path) -> None:
    first = Child(tmp_path, "why")
    assert first.hear() == "runs"
    second = Child(tmp_path, "who")
    try:
        assert second.hear() == "runs"
        second.go_on()
        assert second.hear_end() == "ended WHO ['computed']"
    finally:
        first.close()
        second.close()
