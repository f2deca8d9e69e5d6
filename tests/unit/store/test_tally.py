"""Sums in SQL equal sums in Python, whatever the records are."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import AFTER_REFUSAL, CHECK, CallRecord
from graphroute.ir.tally import Shape, Span, bucket
from graphroute.ir.verdict import Verdict
from graphroute.report.saving import saving
from graphroute.report.span import SpanReport
from graphroute.store import schema, write
from graphroute.store import tally as tally_module
from graphroute.store.records import DAY_S, RecordStore
from tests.unit.calls import NOW_S, call

REFUSED = f"{AFTER_REFUSAL}ollama:weak"


def drawn(count: int, seed: int) -> list[CallRecord]:
    draw = random.Random(seed)
    return [
        call(
            run_id=f"r{draw.randrange(count // 4)}",
            node=draw.choice(["a", "b", "b/c"]),
            model=(model := draw.choice(["weak", "strong"])),
            why="plan" if model == "weak" else draw.choice(["budget", "down", REFUSED]),
            cost_nano=draw.randrange(10_000),
            baseline_nano=draw.choice([None, 9_000]),
            started_s=NOW_S - draw.random() * 5 * DAY_S,
            took_s=draw.lognormvariate(0, 1),
            error=draw.choice([None, None, "TimeoutError"]),
            fault=draw.choice([None, None, "scorer"]),
            cap_tokens=draw.choice([None, 5]),
            cache=draw.choice([None, None, "memory"]),
            is_estimated=draw.random() < 0.5,
            retries=draw.randrange(3),
            cached_tokens=draw.randrange(10),
            quality=draw.choice([None, 0.0, 0.5, 1.0]),
            predicted_quality=draw.choice([None, 0.25]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_those_of_the_records(store: RecordStore, seed: int) -> None:
    records = drawn(200, seed)
    for record in records:
        store.add(record)
    report = SpanReport.of(store.tally())
    assert report.runs == len({record.run_id for record in records})
    for row in (*report.rows, *report.nodes, *report.models, report.totals):
        mine = [
            r
            for r in records
            if (not row.node or r.node == row.node) and (not row.model or r.model == row.model)
        ]
        assert row.calls == len(mine)
        assert row.cost_usd == pytest.approx(sum(r.cost_nano for r in mine) / 1e9)
        assert row.failed == sum(r.error is not None for r in mine)
        assert row.faults == sum(r.fault is not None for r in mine)
        assert row.capped == sum(r.cap_tokens is not None for r in mine)
        assert row.cache_hits == sum(r.cache is not None for r in mine)
        assert row.moved == sum(r.model != r.planned for r in mine)
        assert row.estimated == sum(r.is_estimated for r in mine)
        assert row.retries == sum(r.retries for r in mine)
        assert row.time_s == pytest.approx(sum(r.took_s for r in mine))
        judged = [r.quality for r in mine if r.quality is not None]
        assert row.verdicts == len(judged)
        assert row.quality == pytest.approx(sum(judged) / len(judged))
        expected = [r.predicted_quality for r in mine if r.predicted_quality is not None]
        assert row.predicted_quality == pytest.approx(sum(expected) / len(expected))
    moved = [r for r in records if r.model != r.planned]
    assert sum(calls for _, _, calls in report.reasons) == len(moved)
    assert sum(day.calls for day in report.days) == 200


def test_the_saving_has_the_same_interval_as_in_memory(store: RecordStore) -> None:
    records = drawn(100, 7)
    for record in records:
        store.add(record)
    theirs, mine = SpanReport.of(store.tally()).saving, saving(records)
    assert theirs is not None
    assert mine is not None
    assert theirs.saved_usd == pytest.approx(mine.saved_usd)
    assert theirs.low_usd == pytest.approx(mine.low_usd)
    assert theirs.high_usd == pytest.approx(mine.high_usd)


def test_times_come_back_to_the_width_of_a_bucket(store: RecordStore) -> None:
    draw = random.Random(3)
    times = sorted(draw.lognormvariate(0, 1) for _ in range(1000))
    for took_s in times:
        store.add(call(took_s=took_s))
    store.add(call(took_s=500.0, error="TimeoutError"))
    store.add(call(took_s=0.0, cache="memory"))
    row = SpanReport.of(store.tally()).rows[0]
    assert row.p50_s == pytest.approx(times[499], rel=0.037)
    assert row.p95_s == pytest.approx(times[949], rel=0.037)


@pytest.mark.parametrize("took_s", [0.0, 1e-12, 1e-3, 1.0, 1e6, -1.0])
def test_every_time_has_a_bucket(took_s: float) -> None:
    assert -200 <= bucket(took_s) <= 400


def test_feedback_counts_by_its_weight(store: RecordStore) -> None:
    store.add(call())
    store.add(call(node="check", quality=1.0))
    said = Feedback(run_id="r1", verdict=Verdict(score=0.0, passed=False, source="user"))
    shared = [
        Credit(run_id="r1", node="draft", score=0.0, weight=0.75),
        Credit(run_id="r1", node="check", score=0.0, weight=0.25),
    ]
    store.judge(said, shared, graph="f" * 16, graph_name="app")
    check, draft = SpanReport.of(store.tally()).rows
    assert (check.judged, check.verdicts, check.quality) == (1.25, 2, 0.8)
    assert (draft.judged, draft.verdicts, draft.quality) == (0.75, 1, 0.0)


def test_what_checks_asked_is_told_by_itself_and_gets_no_credit(store: RecordStore) -> None:
    asked = [
        call(model=model, planned=None, why=CHECK, cost_nano=300, baseline_nano=0)
        for model in ("judge", "judge", "weak")
    ]
    for record in (call(), *asked):
        store.add(record)
    good = Verdict(score=1.0, passed=True, source="user")
    credit = Credit(run_id="r1", node="draft", score=1.0, weight=1.0)
    store.judge(Feedback(run_id="r1", verdict=good), [credit], graph="f" * 16, graph_name="app")
    tally = store.tally()
    assert tally.checks == {("draft", "judge"): (2, 600), ("draft", "weak"): (1, 300)}
    assert [(given.weight, model) for given, model in store.credits(Span())] == [(1.0, "weak")]
    report = SpanReport.of(tally)
    assert {row.model: row.judged for row in report.rows} == {"weak": 1.0, "judge": 0.0}
    assert report.totals.calls == 4
    assert report.totals.cost_usd == pytest.approx(1.9e-6)
    assert "of these, checks of draft on judge: 2 calls, $0.0000006" in str(report)
    assert "Of these, what checks asked" in report.to_html()
    assert store.tally(Span(node="other")).checks == {}


def test_many_runs_are_sampled_for_their_spread_only(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(5)
    for number in range(600):
        store.add(call(run_id=f"r{number}", cost_nano=draw.randrange(9_000)))
    whole = SpanReport.of(store.tally())
    monkeypatch.setattr(tally_module, "SAMPLED_RUNS", 200)
    sampled = SpanReport.of(store.tally())
    assert store.tally().every == 3
    assert len(store.tally().run_gains) == 200
    assert whole.saving is not None
    assert sampled.saving is not None
    assert sampled.saving.saved_usd == whole.saving.saved_usd
    assert sampled.rows[0].saved_usd == whole.rows[0].saved_usd

    def width(report: SpanReport) -> float:
        found = report.saving
        assert found is not None
        assert found.low_usd is not None
        assert found.high_usd is not None
        return found.high_usd - found.low_usd

    assert width(sampled) == pytest.approx(width(whole), rel=0.15)
    row, other = whole.rows[0], sampled.rows[0]
    assert row.saved_high_usd is not None
    assert other.saved_high_usd is not None
    assert row.saved_usd is not None
    half = row.saved_high_usd - row.saved_usd
    assert other.saved_high_usd - row.saved_usd == pytest.approx(half, rel=0.15)


def test_the_interval_holds_the_truth_as_often_as_it_says(tmp_path: Path) -> None:
    """200 stores of 40 runs each: 95 % intervals hold the true mean in at least 90 % of them."""
    draw = random.Random(11)
    held = 0
    for number in range(200):
        store = RecordStore(tmp_path / f"{number}.sqlite3", clock=lambda: NOW_S)
        for run in range(40):
            store.add(call(run_id=f"r{run}", cost_nano=10_000 - round(draw.gauss(5_000, 2_000))))
        row = SpanReport.of(store.tally()).rows[0]
        assert row.saved_low_usd is not None
        assert row.saved_high_usd is not None
        held += row.saved_low_usd <= 40 * 5e-6 <= row.saved_high_usd
    assert 180 <= held <= 199


def test_graphs_come_with_their_picture(store: RecordStore) -> None:
    shape = Shape(name="app", fingerprint="f" * 16, nodes=("draft",), edges=(("a", "draft", 0.5),))
    store.describe(shape)
    store.describe(Shape(name="unused", fingerprint="0" * 16))
    store.add(call())
    assert store.tally().shapes == (shape,)
    assert store.tally(Span(node="none")).shapes == ()


def summed(records: list[CallRecord]) -> dict[tuple[str, str, int], tuple[float, ...]]:
    found: dict[tuple[str, str, int], tuple[float, ...]] = {}
    for r in records:
        key = (r.node, r.model, int(r.started_s / DAY_S))
        old = found.get(key, (0.0,) * 5)
        new = (1, r.cost_nano, r.took_s, r.quality or 0.0, r.error is not None)
        found[key] = tuple(a + b for a, b in zip(old, new, strict=True))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_kept_sums_follow_every_deletion_and_span(store: RecordStore, seed: int) -> None:
    draw = random.Random(seed)
    records = drawn(300, seed)
    for record in records:
        store.add(record)
    for step in range(4):
        if step:
            graph, before_s = draw.choice([None, "app"]), NOW_S - draw.random() * 5 * DAY_S
            store.clear(before_s=before_s, graph=graph)
            records = [r for r in records if r.started_s >= before_s]
            more = drawn(40, 100 * seed + step)
            for record in more:
                store.add(record)
            records += more
        for _ in range(6):
            ends = sorted(NOW_S - draw.random() * 6 * DAY_S for _ in range(2))
            whole = draw.choice([None, NOW_S - NOW_S % DAY_S - 2 * DAY_S])
            span = Span(
                since_s=draw.choice([None, ends[0], whole]),
                until_s=draw.choice([None, ends[1]]),
                node=draw.choice([None, "b"]),
            )
            mine = [
                r
                for r in records
                if (span.since_s is None or r.started_s >= span.since_s)
                and (span.until_s is None or r.started_s < span.until_s)
                and (span.node is None or r.node in ("b", "b/c"))
            ]
            cells = store.tally(span).cells
            found = {
                (c.node, c.model, c.day): (c.calls, c.cost_nano, c.took_s, c.quality_sum, c.failed)
                for c in cells
            }
            expected = summed(mine)
            assert found.keys() == expected.keys()
            for key, sums in expected.items():
                assert found[key] == pytest.approx(sums)


def test_a_file_without_sums_gets_them_when_it_is_opened(tmp_path: Path) -> None:
    path, now = tmp_path / "records.sqlite3", tmp_path / "now.sqlite3"
    records = drawn(50, 3)
    with closing(schema.opened(now)) as db:
        db.execute("BEGIN")
        refused: list[Exception] = []
        write.Batch(db).write(records, refused=refused.append)
        assert not refused
        db.execute("COMMIT")
    with closing(schema.opened(path, steps=schema.STEPS[:1])) as db:
        db.execute("ATTACH ? AS now", (str(now),))
        for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'"):
            held = ", ".join(column for _, column, *_ in db.execute(f"PRAGMA table_info({table})"))
            db.execute(f"INSERT OR REPLACE INTO {table} ({held}) SELECT {held} FROM now.{table}")
    store = RecordStore(path, clock=lambda: NOW_S)
    found = {
        (c.node, c.model, c.day): (c.calls, c.cost_nano, c.took_s, c.quality_sum, c.failed)
        for c in store.tally().cells
    }
    expected = summed(records)
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(sums) for key, sums in expected.items())


def test_an_empty_store_has_an_empty_tally(store: RecordStore) -> None:
    found = store.tally()
    assert (found.runs, found.cells, found.first_s, found.shapes) == (0, (), None, ())
    assert str(SpanReport.of(found)) == "no model call is recorded in this span"
