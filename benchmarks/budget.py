"""Whether a month's budget lasts, and what it costs to count in it.

    python benchmarks/budget.py [--runs 1000] [--seeds 5] [--seed 0] [--calls 2000] [--json]

1. A simulated month: runs of a real optimized graph of three steps on scripted models (strong,
   cheap, and free on this machine), arriving in bursts (day and night, weekends, storms at random
   hours), with prompts and so costs that vary sixfold. The month's budget buys a share of what the
   same runs spend without a budget. Paced, against first come, first served. The clock is
   simulated; ledger, pacer and routing are the product's own.
2. The price of the ledger: microseconds for one call's money (put aside, begun, settled), for the
   run alone and in the file that all processes share, alone and with four processes at it; and
   what a month's budget adds to a routed call.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypedDict

from _machine import describe
from langgraph.graph import START, StateGraph

from graphroute import Budget, Model, optimize
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.periods import PeriodLedger

START_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
HOURS = 30 * 24
QUALITY = {"scripted:strong": 0.95, "scripted:cheap": 0.7, "scripted:free": 0.5}
PROCESSES = 4


class State(TypedDict, total=False):
    text: str


class Unpaced(PeriodLedger):
    """The same ledger without pacing: first come, first served."""

    def begin_run(self, full_nano: int) -> int | None:  # noqa: ARG002 - the base's signature
        return None


def arrivals(draw: random.Random, runs: int) -> list[float]:
    """Hours of the month at which runs begin: a Poisson process whose rate comes in bursts."""
    rates = []
    for hour in range(HOURS):
        rate = 1 + 0.9 * math.sin((hour % 24 - 9) / 24 * 2 * math.pi)
        rate *= 0.35 if hour // 24 % 7 in (0, 6) else 1.0
        rate *= draw.uniform(5, 15) if draw.random() < 0.02 else 1.0
        rates.append(rate * draw.lognormvariate(0, 0.3))
    scale = runs / sum(rates)
    times = []
    for hour, rate in enumerate(rates):
        at = draw.expovariate(rate * scale)
        while at < 1:
            times.append(hour + at)
            at += draw.expovariate(rate * scale)
    return times


def graph_of(own: ScriptedChat) -> Any:
    builder: Any = StateGraph(State)
    last = START
    for name in ("classify", "draft", "check"):

        def node(state: State, name: str = name) -> State:
            own.invoke(f"{name}: {state['text']}")
            return {}

        builder.add_node(name, node)
        builder.add_edge(last, name)
        last = name
    return builder.compile()


def pool() -> tuple[ScriptedChat, list[Model]]:
    # As many tokens out as a quarter of those in: answers grow with what they answer.
    def reply(messages: Sequence[Any]) -> str:
        return "word " * max(1, len(messages[-1].text) // 16)

    strong, cheap, free = (
        ScriptedChat(name=name, replies=reply) for name in ("strong", "cheap", "free")
    )
    return strong, [
        Model("scripted:strong", strong, price_in_usd=3, price_out_usd=15, quality=0.95),
        Model("scripted:cheap", cheap, price_in_usd=0.1, price_out_usd=0.4, quality=0.7),
        Model("scripted:free", free, local=True, quality=0.5),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """spent: share of the budget; out_day: when the first call found none left, 30 if none did

    quality: mean over the calls; last, worst_day: of the last quarter, of the worst day
    """

    spent: float
    out_day: float
    quality: float
    last_quarter: float
    worst_day: float


def month(
    times: Sequence[float], texts: Sequence[str], limit_nano: int, kind: type[PeriodLedger] | None
) -> tuple[Month, int]:
    """One month, and what was spent in it, in nano-dollars; without a budget if `kind` is None."""
    now = SimpleNamespace(s=START_S)
    own, models = pool()
    with tempfile.TemporaryDirectory() as folder:
        # Nothing kept from one month to the next, so that each is its own.
        fast = optimize(graph_of(own), models=models, scorer=_Blind(), store=False)
        policy = fast.__dict__["_graphroute"].policy
        policy.clock = lambda: now.s
        if kind is not None:
            policy.periods = kind(
                Path(folder) / "ledger.sqlite3", month_nano=limit_nano, clock=lambda: now.s
            )
        for at, text in zip(times, texts, strict=True):
            now.s = START_S + at * 3600
            fast.invoke({"text": text})
        if policy.periods is not None:
            policy.periods.close()
        records = fast.records
    spent = sum(record.cost_nano for record in records)
    out = [r.started_s for r in records if any(a.reason.startswith("budget") for a in r.attempts)]
    days: dict[int, list[float]] = {}
    for record in records:
        days.setdefault(int((record.started_s - START_S) // 86_400), []).append(
            QUALITY[record.model]
        )
    late = [q for day, qs in days.items() if day >= 23 for q in qs]
    return (
        Month(
            spent=spent / limit_nano,
            out_day=(min(out) - START_S) / 86_400 if out else 30.0,
            quality=statistics.fmean(q for qs in days.values() for q in qs),
            last_quarter=statistics.fmean(late),
            worst_day=min(statistics.fmean(qs) for qs in days.values()),
        ),
        spent,
    )


class _Blind:
    """A prompt scorer that takes no time, so that months pass quickly."""

    name = "blind"

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        return [0.5] * len(prompts)


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval over seeds (Student's t by Cornish and Fisher's expansion)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    z, df = statistics.NormalDist().inv_cdf(0.975), len(values) - 1
    t = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {half:.3f}"


def months(runs: int, seeds: int, seed: int, share: float) -> dict[str, Any]:
    rows: dict[str, list[Month]] = {"paced": [], "first come": []}
    for number in range(seeds):
        draw = random.Random(seed * 1_000 + number)
        times = arrivals(draw, runs)
        texts = ["word " * draw.randint(40, 240) for _ in times]
        _, demand = month(times, texts, 1, None)
        for name, kind in (("paced", PeriodLedger), ("first come", Unpaced)):
            rows[name].append(month(times, texts, round(demand * share), kind)[0])
    fields = Month.__slots__
    table = {
        name: {field: interval([getattr(row, field) for row in found]) for field in fields}
        | {"spent_by_seed": [round(row.spent, 4) for row in found]}
        for name, found in rows.items()
    }
    table["paced − first come"] = {
        field: interval(
            [
                getattr(a, field) - getattr(b, field)
                for a, b in zip(rows["paced"], rows["first come"], strict=True)
            ]
        )
        for field in fields
    }
    return table


def each_us(step: Callable[[], object], calls: int) -> list[float]:
    took = []
    for _ in range(calls):
        start = time.perf_counter()
        step()
        took.append((time.perf_counter() - start) * 1e6)
    return took


def spread(took: Sequence[float]) -> str:
    ordered = sorted(took)
    return (
        f"median {ordered[len(ordered) // 2]:.0f}, p99 {ordered[int(len(ordered) * 0.99)]:.0f} µs"
    )


def pay(ledger: Ledger) -> None:
    reservation = ledger.reserve(7)
    if reservation is not None:
        ledger.start(reservation)
        ledger.settle(reservation, 5)


def contend(path: str, calls: int, results: Any) -> None:
    periods = PeriodLedger(Path(path), month_nano=10**15)
    ledger = Ledger(limit_nano=None, periods=periods)
    pay(ledger)
    results.put(each_us(lambda: pay(ledger), calls))
    periods.close()


def prices(calls: int) -> dict[str, str]:
    alone = Ledger(limit_nano=10**15)
    figures = {"run alone": spread(each_us(lambda: pay(alone), calls))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        periods = PeriodLedger(path, month_nano=10**15)
        shared = Ledger(limit_nano=10**15, periods=periods)
        figures["shared file, one process"] = spread(each_us(lambda: pay(shared), calls))
        figures["begin a run (pacer)"] = spread(each_us(lambda: periods.begin_run(10**9), calls))
        figures["available"] = spread(each_us(periods.available_nano, calls))
        periods.close()
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        workers = [
            context.Process(target=contend, args=(str(path), calls, results))
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        took = [us for _ in workers for us in results.get()]
        for worker in workers:
            worker.join()
        figures[f"shared file, {PROCESSES} processes"] = spread(took)
        results.close()
        results.join_thread()
        for name, budget in (("", None), (" with a month's budget", Budget(per_month_usd=1e6))):
            own, models = pool()
            fast = optimize(
                graph_of(own), models=models, budget=budget, store=folder, scorer=_Blind()
            )
            fast.invoke({"text": "warm up"})
            took = each_us(lambda fast=fast: fast.invoke({"text": "hello"}), calls // 4)  # type: ignore[misc]
            figures[f"run of three calls{name}"] = spread(took)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=1000, help="runs of a month, on average")
    parser.add_argument("--seeds", type=int, default=5, help="months to simulate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.4, help="of the demand that is affordable")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": describe(seed=options.seed),
        "month": f"{options.runs} runs a month, {options.seeds} seeds, "
        f"budget {options.share:.0%} of demand",
        "months": months(options.runs, options.seeds, options.seed, options.share),
        "ledger": prices(options.calls),
    }
    if options.json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    print(figures["machine"])
    print(figures["month"], "(mean ± 95 % interval over seeds)")
    for name, values in figures["months"].items():
        print(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    print("ledger, each call: put aside, begun, settled")
    for name, value in figures["ledger"].items():
        print(f"  {name}: {value}")


if __name__ == "__main__":
    main()
