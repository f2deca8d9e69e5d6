"""Every test beside every router in one table, from the reports of the suites.

A test is a suite with a kind of training: on 1,500 labels of it at most, on all, on other
benchmarks alone. Beside it stands the best figure that RouteLLM published for the same setting
(I. Ong et al., RouteLLM, 2024, tables 1 to 3), where there is one.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from graphroute.evaluation.results import GainResult, Kind, PairResult, Report, plain
from graphroute.evaluation.suites import FAULTY, TABLE
from graphroute.protocols import PromptScorer

SCHEMA: Final = "graphroute.evaluation/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A row of the table; published: APGR of RouteLLM's best router in this setting."""

    name: str
    suite: str
    kind: Kind
    without: str = ""
    published: float | None = None


TESTS: Final = (
    Test(name="MMLU, 1,500 labels", suite="mmlu", kind="limit", published=0.603),
    Test(name=f"… without {FAULTY}", suite="mmlu", kind="limit", without=FAULTY),
    Test(name="MMLU, all labels", suite="mmlu", kind="all"),
    Test(name=f"… without {FAULTY}", suite="mmlu", kind="all", without=FAULTY),
    Test(name="GSM8K, from others", suite="gsm8k", kind="others", published=0.622),
    Test(name="GSM8K, in domain", suite="gsm8k", kind="all"),
    Test(name="MT-Bench, untrained on it", suite="mt-bench", kind="others", published=0.802),
    Test(name="N-way: gain", suite="nway", kind="all"),
)

_ALWAYS: Final = ("ready", "nothing")
"""Kinds of training that are the same in each test of a suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time of one decision, prompts one at a time: median and 99th percentile."""

    router: str
    p50_ms: float
    p99_ms: float
    prompts: int


def latency(
    router: str, scorer: PromptScorer, prompts: Sequence[str], clock: Callable[[], float]
) -> Latency:
    """Measure the decisions of a scorer; clock: seconds.

    >>> ticks = iter(range(1000))
    >>> class Flat:
    ...     name = "flat"
    ...
    ...     def difficulty(self, prompts):
    ...         return [0.5 for _ in prompts]
    >>> latency("flat", Flat(), ["a", "b"], lambda: next(ticks)).p99_ms
    1000.0
    """
    for prompt in prompts[:20]:
        scorer.difficulty([prompt])
    times = []
    for prompt in prompts:
        start = clock()
        scorer.difficulty([prompt])
        times.append(clock() - start)
    p50, p99 = np.quantile(times, (0.5, 0.99)) * 1e3
    return Latency(router=router, p50_ms=float(p50), p99_ms=float(p99), prompts=len(prompts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All suites together.

    missing: suites whose files are not there, with the reason
    """

    reports: tuple[Report, ...]
    latencies: tuple[Latency, ...] = ()
    missing: Mapping[str, str]
    seed: int
    folds: int

    @property
    def routers(self) -> tuple[str, ...]:
        """Columns: routers as they come in the reports, baselines last."""
        rows = [row for report in self.reports for row in _rows(report)]
        return tuple(dict.fromkeys(row.router for row in sorted(rows, key=_place)))

    def value(self, test: Test, router: str) -> PairResult | GainResult | None:
        """What the router reached in the test; None where it was not measured."""
        for report in self.reports:
            for row in _rows(report):
                if (
                    report.suite == test.suite
                    and row.router == router
                    and row.kind in (test.kind, *_ALWAYS)
                    and getattr(row, "without", "") == test.without
                ):
                    return row
        return None

    def tests(self) -> tuple[Test, ...]:
        """The tests of which anything more than a baseline that learns nothing is there."""
        return tuple(
            test
            for test in TESTS
            if any(
                report.suite == test.suite
                and any(
                    row.kind in (test.kind, "ready") and getattr(row, "without", "") == test.without
                    for row in _rows(report)
                )
                for report in self.reports
            )
        )

    def to_json(self) -> str:
        """The table, the reports with all figures, and how they came about."""
        table = [
            {
                **asdict(test),
                "measure": "gain" if test.suite == "nway" else "apgr",
                "routers": {
                    name: {"value": _figure(row), "low": row.low, "high": row.high}
                    for name in self.routers
                    if (row := self.value(test, name)) is not None
                },
            }
            for test in self.tests()
        ]
        facts = {
            "schema": SCHEMA,
            "machine": machine(),
            "seed": self.seed,
            "folds": self.folds,
            "table": table,
            "latency": [asdict(item) for item in self.latencies],
            "missing": dict(self.missing),
            "reports": [asdict(report) for report in self.reports],
        }
        return json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """The table, what to mind when reading it, then each suite in full."""
        names = self.routers
        lines = [
            "## All suites",
            "",
            f"{machine()}; seed {self.seed}; {self.folds} folds. APGR at RouteLLM's deciles "
            "(N-way: gain) with 95 % intervals.",
            "",
            "| test | RouteLLM's best | " + " | ".join(names) + " |",
            "|---" * (len(names) + 2) + "|",
        ]
        for test in self.tests():
            published = "" if test.published is None else f"{test.published:.3f}"
            cells = (self._cell(test, name) for name in names)
            lines.append(f"| {test.name} | {published} | " + " | ".join(cells) + " |")
        if self.latencies:
            of = {item.router: f"{item.p99_ms:.3f}" for item in self.latencies}
            cells = (of.get(name, "–") for name in names)
            lines.append("| decision, p99 ms | | " + " | ".join(cells) + " |")
        lines += ["", *(f"- {note}" for note in self._notes()), ""]
        return "\n".join(lines) + "\n" + "\n".join(r.to_markdown() for r in self.reports)

    def _cell(self, test: Test, name: str) -> str:
        row = self.value(test, name)
        if row is None:
            return "–"
        mark = " †" if row.kind == "ready" and test.suite != "mt-bench" else ""
        figure = _figure(row)
        if figure != figure:
            return "–"
        return f"{figure:.3f} ({row.low:.3f}–{row.high:.3f}){mark}"

    def _notes(self) -> list[str]:
        below = [
            f"{test.name}{of}: {', '.join(names)} no better than {bar}."
            for test, bar, names in map(self._below, self.tests())
            for of in [f" ({test.suite}, {test.kind})" if test.without else ""]
            if names
        ]
        return [
            "† weights as they are, which may have been trained on these very questions: a "
            "figure for questions outside their training only.",
            *below,
            *(f"No row for {suite}: {why}." for suite, why in self.missing.items()),
        ]

    def _below(self, test: Test) -> tuple[Test, str, list[str]]:
        """The trained routers that are no better than the tag table, or prompt length."""
        bar = next((b for b in (TABLE, "length") if self.value(test, b) is not None), "")
        against = self.value(test, bar)
        if against is None:
            return test, bar, []
        found = []
        for name in self.routers:
            row = self.value(test, name)
            if row is not None and not row.is_baseline and _figure(row) <= _figure(against):
                found.append(name)
        return test, f"the {bar}" if bar == TABLE else "prompt length", found


def machine() -> str:
    """What the figures were computed on, for the reader of a table."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, numpy {version('numpy')}"
    )


def _rows(report: Report) -> tuple[PairResult | GainResult, ...]:
    return (*report.pairs, *report.gains)


def _figure(row: PairResult | GainResult) -> float:
    return row.gain if isinstance(row, GainResult) else row.apgr


def _place(row: PairResult | GainResult) -> int:
    return 2 if row.is_baseline else 0 if row.kind == "ready" else 1
