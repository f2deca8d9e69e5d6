"""Records of a million calls: what a call pays for one, how fast they are written and reported.

Calls are drawn at random: 20 nodes on 5 models over 90 days in runs of 5 calls, the models' cost,
time and quality different from one another, feedback on one run in a hundred. Promised: a call pays
under 0.05 ms, a report over all of them takes under 5 s. Times are wall time on a machine that may
be busy with other things; the processor time of the report is given beside it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _machine import describe

from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import CallRecord
from graphroute.ir.tally import Span
from graphroute.ir.verdict import Verdict
from graphroute.report.span import SpanReport
from graphroute.store.records import RecordStore

DAY_S = 86_400.0
PER_RUN = 5


def calls(count: int, *, end_s: float, seed: int) -> Iterator[CallRecord]:
    """Records in the order of their start, the last one at `end_s`."""
    draw = random.Random(seed)
    for number in range(count):
        model = draw.randrange(5)
        tokens = draw.randrange(50, 2_000)
        yield CallRecord(
            run_id=f"run-{number // PER_RUN}",
            node=f"node-{draw.randrange(20)}",
            step=number % PER_RUN,
            planned="model-1",
            model=f"model-{model}",
            why="plan" if model == 1 else "budget",
            own_model="model-4",
            in_tokens=tokens,
            out_tokens=tokens // 4,
            is_estimated=False,
            cost_nano=tokens * model * 100,
            baseline_nano=tokens * 400,
            started_s=end_s - 90 * DAY_S * (1 - number / count),
            took_s=draw.lognormvariate(model / 4, 0.5),
            error="TimeoutError" if draw.random() < 0.01 else None,
            graph="0123456789abcdef",
            graph_name="bench",
            predicted_quality=0.8,
            quality=float(draw.random() < 0.5 + model / 10) if draw.random() < 0.1 else None,
            prompt_sha=f"{number:016x}",
            prompt_chars=4 * tokens,
        )


def fill(store: RecordStore, count: int, *, end_s: float, seed: int) -> tuple[float, list[float]]:
    """Seconds to write everything, and the seconds of a sample of single calls of `add`."""
    paid: list[float] = []
    started = time.perf_counter()
    for number, record in enumerate(calls(count, end_s=end_s, seed=seed)):
        before = time.perf_counter()
        store.add(record)
        paid.append(time.perf_counter() - before)
        if number % 50_000 == 49_999:
            store.flush()
    for number in range(0, count // PER_RUN, 100):
        run = f"run-{number}"
        said = Feedback(
            run_id=run,
            verdict=Verdict(score=float(number % 200 == 0), passed=None, source="user"),
            at_s=end_s,
        )
        shares = [Credit(run_id=run, node=f"node-{n}", score=1.0, weight=0.2) for n in range(5)]
        store.judge(said, shares, graph="0123456789abcdef", graph_name="bench")
    assert store.flush()
    return time.perf_counter() - started, paid


def main() -> None:
    """Print what records cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(describe(seed=given.seed))
    end_s = time.time()
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(Path(folder) / "records.sqlite3", max_rows=10 * given.calls)
        wall_s, paid = fill(store, given.calls, end_s=end_s, seed=given.seed)
        paid.sort()
        print(
            f"a call pays {1e3 * statistics.median(paid):.4f} ms (median), "
            f"{1e3 * paid[round(0.99 * len(paid)) - 1]:.4f} ms (99th percentile)"
        )
        held = store.holdings()
        print(
            f"{held.calls:,} calls of {held.runs:,} runs written in {wall_s:.0f} s "
            f"(made, queued and written), {held.size_bytes / held.calls:.0f} bytes each"
        )
        spans = {
            "all 90 days": Span(),
            "last 7 days": Span(since_s=end_s - 7 * DAY_S),
            "one node": Span(node="node-3"),
        }
        for name, span in spans.items():
            walls, cpus = [], []
            for _ in range(given.rounds):
                wall, cpu = time.perf_counter(), time.process_time()
                report = SpanReport.of(store.tally(span))
                text, pages = report.to_json(), (report.to_html(), report.to_csv(), str(report))
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
            print(
                f"report over {name}: {statistics.median(walls):.2f} s wall, "
                f"{statistics.median(cpus):.2f} s processor (median of {given.rounds}), "
                f"{report.totals.calls:,} calls, as JSON ({len(text):,} characters), HTML "
                f"({len(pages[0]):,}), CSV and text"
            )


if __name__ == "__main__":
    main()
