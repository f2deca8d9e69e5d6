"""Records through the file and back; what is kept, what is left out, what is deleted."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest

from graphroute.errors import StoreUnavailable
from graphroute.ir.feedback import Credit, Feedback
from graphroute.ir.record import AFTER_REFUSAL, Attempt, CallRecord
from graphroute.ir.tally import Shape, Span
from graphroute.ir.verdict import Verdict
from graphroute.report.span import SpanReport
from graphroute.store import rows, schema
from graphroute.store.records import DAY_S, RecordStore
from tests.unit.calls import NOW_S, call

FULL = call(
    thread="t1",
    why="RateLimitError: too many of 'secret'",
    difficulty=0.25,
    cap_tokens=5,
    attempts=(Attempt(model="strong", reason="TimeoutError: 'secret' was slow"),),
    fault="scorer: 'secret' broke it",
    error="ValueError: 'secret'",
    iteration=2,
    predicted_quality=0.75,
    predicted_cost_nano=900,
    predicted_s=0.4,
    cached_tokens=30,
    cache="memory",
    retries=1,
    verdicts=(Verdict(score=0.5, passed=True, reason="says 'secret'"),),
    quality=0.5,
    prompt_sha="0123456789abcdef",
    prompt_chars=12,
    prompt="tell me the secret",
    features="0a1b:ADgAPAA8ADwAPAA8ADwAPAA8",
    served="weak-2024-05-13 fp_1",
    answer="the secret is 42",
)


def test_every_field_is_set_in_the_full_record() -> None:
    """So that a field which is added later is tested by what follows."""
    defaults = {f.name: f.default for f in fields(CallRecord)}
    same = [f for f in defaults if getattr(FULL, f) == defaults[f]]
    known = {"graph", "graph_name"}
    unset = set(same) - known
    # Fields that other parts add have their own tests; they travel in `more` like these.
    assert unset.isdisjoint({*rows.PLAIN, *rows.NAMES, "verdicts", "attempts", "prompt"})


def test_with_leave_to_keep_text_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", keep_text=True, clock=lambda: NOW_S)
    store.add(FULL)
    assert list(store.records()) == [FULL]


def test_without_it_no_word_of_a_prompt_reaches_the_disk(
    store: RecordStore, tmp_path: Path
) -> None:
    store.add(FULL)
    (found,) = store.records()
    assert found == rows.without_text(FULL)
    assert (found.error, found.why, found.fault) == ("ValueError", "RateLimitError", "scorer")
    assert (found.prompt, found.answer, found.verdicts[0].reason) == (None, None, "")
    assert found.prompt_sha == FULL.prompt_sha
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in written
    assert b"ValueError" in written


def test_the_model_that_was_refused_keeps_its_whole_name(store: RecordStore) -> None:
    store.add(call(why=f"{AFTER_REFUSAL}llamacpp:small"))
    (found,) = store.records()
    assert found.why == f"{AFTER_REFUSAL}llamacpp:small"
    assert store.tally().reasons == {}, "the planned model was asked again"
    store.add(call(why=f"{AFTER_REFUSAL}llamacpp:small", model="strong"))
    assert store.tally().reasons == {("draft", f"{AFTER_REFUSAL}llamacpp:small"): 1}


def test_of_a_private_call_no_word_is_kept_with_leave_either(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", keep_text=True, clock=lambda: NOW_S)
    private = replace(FULL, is_private=True)
    store.add(private)
    assert list(store.records()) == [rows.without_text(private)]
    assert rows.without_text(private).prompt_sha == ""
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in written


@pytest.mark.parametrize(
    ("keep_text", "node", "kept"),
    [
        (False, None, {""}),
        (False, "draft", {""}),
        (True, "draft", {"like 'secret'"}),
        (True, "inner", {""}),
        (True, None, {""}),
    ],
)
def test_reasons_of_feedback_are_texts_too(
    tmp_path: Path, keep_text: bool, node: str | None, kept: set[str]
) -> None:
    """They may quote an answer: one of a private node, where such a node has run."""
    store = RecordStore(tmp_path / "r.sqlite3", keep_text=keep_text, clock=lambda: NOW_S)
    store.add(call(node="draft"))
    store.add(call(node="inner", is_private=True))
    verdict = Verdict(score=1.0, passed=True, reason="like 'secret'", source="user")
    said = Feedback(run_id="r1", verdict=verdict, node=node)
    store.judge(said, [], graph="f" * 16, graph_name="app")
    assert store.flush()
    with closing(sqlite3.connect(store.path)) as db:
        assert {reason for (reason,) in db.execute("SELECT reason FROM verdicts")} == kept


def test_a_row_that_cannot_be_told_counts_as_private(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", keep_text=True, clock=lambda: NOW_S)
    store.add(call(cap_tokens=5))
    changed(store, "UPDATE calls SET more = '{'")
    said = Feedback(run_id="r1", verdict=Verdict(score=1.0, passed=True, reason="secret"))
    store.judge(said, [], graph="f" * 16, graph_name="app")
    assert store.flush()
    assert store.holdings().verdicts == 1
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_what_older_versions_kept_again_and_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    store.add(call(run_id="r2"))
    for run, score in (("r1", 1.0), ("r2", 1.0)):
        verdict = Verdict(score=score, passed=True, source="user")
        credit = Credit(run_id=run, node="draft", score=score, weight=1.0)
        said = Feedback(run_id=run, verdict=verdict)
        store.judge(said, [credit], graph="f" * 16, graph_name="app")
    changed(
        store,
        "INSERT INTO verdicts SELECT id + 2, run, node, at_s, 0.0, 0, source, reason FROM verdicts"
        " WHERE run = 1",
        "INSERT INTO credits SELECT verdict + 2, run, node, 0.0, weight FROM credits WHERE run = 1",
        "PRAGMA user_version = 3",
    )
    assert [(c.run_id, c.score) for c, _ in store.credits()] == [("r2", 1.0), ("r1", 0.0)]
    assert SpanReport.of(store.tally()).totals.judged == 2.0


def test_nothing_touches_the_disk_before_the_first_record(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "deep" / "records.sqlite3")
    assert store.flush()
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "odd \ud800 name", "run_id": "\udfff"},
        {"in_tokens": 2**70, "cost_nano": -(2**70)},
        {"node": "", "model": "", "why": ""},
        {"took_s": 0.0, "started_s": NOW_S},
        {"prompt_sha": "no digest"},
        {"baseline_nano": None, "own_model": None, "planned": None, "step": None},
    ],
)
def test_odd_values_are_kept_as_far_as_they_can_be(
    store: RecordStore, changes: dict[str, object]
) -> None:
    store.add(call(**changes))
    store.add(call(run_id="after"))
    assert store.flush()
    assert [record.run_id for record in store.records()][-1] in ("after", "r1", "?")
    assert store.holdings().calls == 2
    assert store.tally().runs == 2


def test_a_record_that_cannot_be_stored_leaves_the_others(
    store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store.add(call(started_s="yesterday"))
        store.add(call(started_s=float("nan")))
        store.add(call(run_id="good"))
        assert store.flush()
    assert [record.run_id for record in store.records()] == ["good"]
    assert len(caplog.records) == 1, "told once"


def test_spans_choose_by_time_graph_and_node(store: RecordStore) -> None:
    store.add(call(run_id="old", started_s=NOW_S - 10 * DAY_S))
    store.add(call(run_id="inner", node="team/draft"))
    store.add(call(run_id="near", node="teamwork"))
    store.add(call(run_id="other", graph="e" * 16, graph_name="b"))

    def runs(span: Span) -> list[str]:
        return sorted(record.run_id for record in store.records(span))

    assert runs(Span(since_s=NOW_S - DAY_S)) == ["inner", "near", "other"]
    assert runs(Span(until_s=NOW_S - DAY_S)) == ["old"]
    assert runs(Span(since_s=NOW_S - 1.0, until_s=NOW_S - 1.0)) == []
    assert runs(Span(node="team")) == ["inner"]
    assert runs(Span(node="draft")) == ["old", "other"]
    assert runs(Span(graph="b")) == ["other"]
    assert runs(Span(graph="eeee")) == ["other"]
    assert runs(Span(graph="")) == []
    assert runs(Span(graph="%", node="_")) == [], "no wildcards"


def test_a_limit_gives_the_latest_in_their_order(store: RecordStore) -> None:
    for number in range(5):
        store.add(call(run_id=f"r{number}", started_s=NOW_S - 10 + number))
    assert [record.run_id for record in store.records(limit=2)] == ["r3", "r4"]


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    now = [NOW_S]
    store = RecordStore(tmp_path / "r.sqlite3", max_rows=3, clock=lambda: now[0])
    for number in range(3):
        store.add(call(run_id=f"r{number}"))
    assert store.flush()
    for number in range(3, 6):
        now[0] += 61.0
        store.add(call(run_id=f"r{number}"))
        assert store.flush()
    assert [record.run_id for record in store.records()] == ["r3", "r4", "r5"]
    assert store.holdings().runs == 3


def test_records_die_of_age_with_all_that_hangs_on_them(tmp_path: Path) -> None:
    now = [NOW_S]
    store = RecordStore(
        tmp_path / "r.sqlite3", max_age_s=DAY_S, keep_text=True, clock=lambda: now[0]
    )
    store.add(call(prompt="p", answer="a"))
    said = Feedback(run_id="r1", verdict=Verdict(score=1.0, passed=True))
    credit = Credit(run_id="r1", node="draft", score=1.0, weight=1.0)
    store.judge(said, [credit], graph="f" * 16, graph_name="app")
    assert store.holdings().verdicts == store.holdings().texts == 1
    now[0] += 2 * DAY_S
    store.add(call(run_id="new", started_s=now[0]))
    held = store.holdings()
    assert (held.calls, held.runs, held.verdicts, held.texts) == (1, 1, 0, 0)
    assert store.credits() == ()


def test_cleared_records_leave_nothing_on_disk(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "r.sqlite3", keep_text=True, clock=lambda: NOW_S)
    store.add(replace(FULL, node="node-of-the-secret"))
    store.add(call(run_id="stays", graph="e" * 16, graph_name="b"))
    assert store.clear(graph="app", dry_run=True) == 1
    assert store.holdings().calls == 2
    assert store.clear(graph="app") == 1
    assert [record.run_id for record in store.records()] == ["stays"]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in written
    assert store.clear() == 1
    assert store.holdings().calls == 0


def test_credits_name_the_model_and_are_divided_among_calls(store: RecordStore) -> None:
    store.add(call())
    store.add(call())
    store.add(call(model="strong"))
    store.add(call(run_id="r2"))
    said = Feedback(run_id="r1", verdict=Verdict(score=0.5, passed=True, source="user"))
    credit = Credit(run_id="r1", node="draft", score=0.5, weight=0.9)
    store.judge(said, [credit], graph="f" * 16, graph_name="app")
    found = sorted(store.credits(), key=lambda pair: pair[1])
    assert [(c.node, model, c.score) for c, model in found] == [
        ("draft", "strong", 0.5),
        ("draft", "weak", 0.5),
    ]
    assert [c.weight for c, _ in found] == pytest.approx([0.3, 0.6])
    assert store.nodes_of("r1", graph="f" * 16) == {"draft": 3}
    assert store.nodes_of("r1", graph="0" * 16) == {}


def test_two_stores_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    one = RecordStore(path, clock=lambda: NOW_S)
    two = RecordStore(path, clock=lambda: NOW_S)
    one.add(call(run_id="a"))
    assert one.flush()
    two.add(call(run_id="b"))
    assert two.flush()
    assert sorted(record.run_id for record in one.records()) == ["a", "b"]


def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records.sqlite3"
    path.write_bytes(b"this is no database, it only says so" * 100)
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    with caplog.at_level(logging.WARNING):
        assert store.flush()
    assert [record.run_id for record in store.records()] == ["r1"]
    assert (tmp_path / "records.sqlite3.damaged").read_bytes().startswith(b"this is no")
    assert "set aside" in caplog.text


def test_damage_in_the_middle_of_a_file_is_met_too(
    store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(500):
        store.add(call(run_id=f"r{number}"))
    assert store.flush()
    data = bytearray(store.path.read_bytes())
    for page in range(len(data) // 8192, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    store.path.write_bytes(data)
    with suppress(StoreUnavailable):  # SQLite may see it when it opens the file, or only later
        assert store.tally().runs == 0
    assert "set aside" in caplog.text
    assert store.path.with_name("records.sqlite3.damaged").read_bytes() == data
    store.add(call(run_id="new"))
    assert [record.run_id for record in store.records()] == ["new"]


def test_damage_that_a_question_meets_is_told_and_set_aside(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(call())

    def meet(*_: object) -> None:
        fault = sqlite3.DatabaseError("database disk image is malformed")
        fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise fault

    monkeypatch.setattr("graphroute.store.records.tally", meet)
    with pytest.raises(StoreUnavailable, match="malformed"):
        store.tally()
    assert store.path.with_name("records.sqlite3.damaged").exists()
    assert store.holdings().calls == 0


def test_a_file_of_another_program_is_set_aside_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
        db.execute("INSERT INTO recipes VALUES ('soup')")
    db.close()
    before = path.read_bytes()
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    assert store.flush()
    assert (tmp_path / "records.sqlite3.damaged").read_bytes() == before
    assert store.holdings().calls == 1


def test_a_newer_file_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "records.sqlite3"
    schema.opened(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    db.close()
    before = path.read_bytes()
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    with caplog.at_level(logging.WARNING):
        assert not store.flush()
    assert "newer" in caplog.text
    assert path.read_bytes() == before
    with pytest.raises(StoreUnavailable, match="newer"):
        store.holdings()


def test_a_file_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call())
    assert store.flush()
    steps = (*schema.STEPS, "ALTER TABLE runs ADD COLUMN score REAL; CREATE TABLE extra (a);")
    db = schema.opened(path, steps=steps)
    try:
        assert db.execute("SELECT run, score FROM runs").fetchall() == [("r1", None)]
        assert db.execute("PRAGMA user_version").fetchone() == (len(steps),)
    finally:
        db.close()


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    schema.opened(path).close()
    with pytest.raises(sqlite3.OperationalError):
        schema.opened(path, steps=(*schema.STEPS, "CREATE TABLE extra (a); CREATE NONSENSE"))
    db = schema.opened(path)
    try:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master")]
        assert "extra" not in names
    finally:
        db.close()


def test_a_place_that_cannot_be_written_costs_a_warning_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = RecordStore(tmp_path / "file" / "records.sqlite3")
    with caplog.at_level(logging.WARNING):
        store.add(call())
        assert not store.flush()
        store.add(call())
        assert not store.flush()
    assert len(caplog.records) == 1
    with pytest.raises(StoreUnavailable):
        store.holdings()


def test_a_field_that_this_version_does_not_know_is_passed_over(store: RecordStore) -> None:
    store.add(FULL)
    assert store.flush()
    db = sqlite3.connect(store.path)
    db.execute("UPDATE calls SET more = json_set(more, '$.invented', 1)")
    db.commit()
    db.close()
    (found,) = store.records()
    assert found.cap_tokens == 5


def changed(store: RecordStore, *statements: str) -> None:
    """Do to the file what others may have done to it."""
    assert store.flush()
    with closing(sqlite3.connect(store.path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


@pytest.mark.parametrize("where", ["$.verdicts[0].invented", "$.attempts[0].invented"])
def test_so_is_one_of_a_verdict_or_an_attempt(store: RecordStore, where: str) -> None:
    store.add(FULL)
    changed(store, f"UPDATE calls SET more = json_set(more, '{where}', json('{{}}'))")
    assert list(store.records()) == [rows.without_text(FULL)]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("more = json_set(more, '$.verdicts', 7)", {"verdicts": ()}),
        ("more = json_set(more, '$.verdicts', json('[7, null, {}]'))", {"verdicts": ()}),
        ("more = json_set(more, '$.attempts', json('[{\"model\": 1}]'))", {"attempts": ()}),
        ("more = json_set(more, '$.cap_tokens', 'five')", {"cap_tokens": None}),
        ("more = json_set(more, '$.error', json('[1]'))", {"error": None}),
        ("more = json_set(more, '$.features', 5)", {"features": ""}),
        ("difficulty = 7.5", {"difficulty": None}),
        ("prompt_sha = 'text'", {"prompt_sha": ""}),
    ],
)
def test_a_figure_that_cannot_be_is_left_out(
    store: RecordStore, caplog: pytest.LogCaptureFixture, change: str, lost: dict[str, object]
) -> None:
    store.add(FULL)
    changed(store, f"UPDATE calls SET {change}")
    assert list(store.records()) == [replace(rows.without_text(FULL), **lost)]  # type: ignore[arg-type]
    assert caplog.messages == []


@pytest.mark.parametrize("quality", ["5.0", "-3.0", "9e999", "'good'"])
def test_a_quality_that_is_none_is_not_believed(
    store: RecordStore, caplog: pytest.LogCaptureFixture, quality: str
) -> None:
    store.add(call(quality=0.75))
    store.add(call(run_id="r2", quality=0.75))
    changed(store, f"UPDATE calls SET quality = {quality} WHERE id = 1")
    assert [r.quality for r in store.records()] == [None, 0.75]
    assert len(caplog.messages) == 1
    row = SpanReport.of(store.tally(Span(since_s=NOW_S - 60))).totals
    assert (row.calls, row.verdicts, row.quality) == (2, 1, 0.75)


@pytest.mark.parametrize(
    "change", ["more = '['", "more = '7'", "model = 999", "in_tokens = 'many'"]
)
def test_a_row_that_cannot_be_read_leaves_the_others(
    store: RecordStore, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    for number in range(5):
        store.add(call(run_id=f"r{number}", cap_tokens=5))
    changed(store, f"UPDATE calls SET {change} WHERE id IN (2, 4)")
    assert [r.run_id for r in store.records()] == ["r0", "r2", "r4"]
    assert [r.run_id for r in store.records(limit=4)] == ["r2", "r4"]
    assert [m for m in caplog.messages if "call 2 is passed over" in m] == caplog.messages[:1]
    assert len(caplog.messages) == 2, "one for each question"


@pytest.mark.parametrize("change", ["node = 999", "model = 999"])
def test_money_without_a_name_counts_all_the_same(store: RecordStore, change: str) -> None:
    store.add(call())
    changed(store, f"UPDATE calls SET {change}", f"UPDATE cells SET {change}")
    for span in (Span(), Span(since_s=NOW_S - 60)):
        totals = SpanReport.of(store.tally(span)).totals
        assert (totals.calls, totals.cost_usd) == (1, 1e-6)


def test_sums_that_cannot_be_are_told_with_what_to_do(store: RecordStore) -> None:
    store.add(call(baseline_nano=9_000))
    store.add(call(run_id="r2", node="check"))
    changed(store, "UPDATE calls SET node = 'text' WHERE id = 1")
    with pytest.raises(StoreUnavailable, match=r"cannot be summed up \(TypeError"):
        store.tally(Span(since_s=NOW_S - 60))
    assert [r.node for r in store.records()] == ["check"]


@pytest.mark.parametrize("shape", ["{", "7", "[[1], [[2]]]", "[[], [[1, 2, null]]]"])
def test_a_picture_that_cannot_be_read_is_none(store: RecordStore, shape: str) -> None:
    store.add(call())
    changed(store, f"UPDATE graphs SET shape = '{shape}'")
    assert store.tally().shapes == (Shape(name="app", fingerprint="f" * 16),)


def test_a_paid_call_is_kept_without_a_figure_that_it_may_lack(
    store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    nan = float("nan")
    store.add(call(quality=nan, difficulty=-1.0, predicted_s=nan, predicted_cost_nano=nan))
    (found,) = store.records()
    assert found == call()
    assert caplog.messages == []


@pytest.mark.parametrize(
    "changes",
    [
        {"why": None},
        {"node": ["draft"]},
        {"prompt_sha": 7},
        {"error": 7},
        {"attempts": ("none",)},
        {"run_id": object()},
        {"took_s": "1"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_record_of_no_kind_leaves_the_others(
    store: RecordStore, caplog: pytest.LogCaptureFixture, changes: dict[str, object]
) -> None:
    store.add(call(**changes))
    store.add(call(run_id="good"))
    assert store.flush()
    assert [record.run_id for record in store.records()] == ["good"]
    assert "a record cannot be stored" in caplog.text


def test_feedback_that_cannot_be_stored_leaves_the_others(store: RecordStore) -> None:
    for node in (7, "draft"):
        verdict = Verdict(score=1.0, passed=True)
        said = Feedback(run_id="r1", verdict=verdict, node=node)  # type: ignore[arg-type]
        store.judge(said, [], graph="f" * 16, graph_name="app")
    store.add(call())
    assert store.flush()
    assert (store.holdings().calls, store.holdings().verdicts) == (1, 1)


def old_store(path: Path, version: int) -> RecordStore:
    """A file of an older version with a call of 0.75 and one of 5.0, and feedback of 7.0 and 1."""
    with closing(schema.opened(path, steps=schema.STEPS[:version])) as old:
        for number, text in enumerate(["draft", "user"], start=1):
            old.execute("INSERT INTO names VALUES (?, ?)", (number, text))
        old.execute(f"INSERT INTO graphs VALUES (1, 'app', '{'f' * 16}', NULL)")
        for run, quality in ((1, 0.75), (2, 5.0)):
            old.execute("INSERT INTO runs VALUES (?, ?, 1, '')", (run, f"r{run}"))
            values = rows.row(call(), run=run, graph=1, name_id=lambda _: 1)
            kept = dict(zip(rows.COLUMNS, values, strict=True)) | {"quality": quality}
            if version < 3:
                del kept["served"]
            old.execute(
                f"INSERT INTO calls ({', '.join(kept)}) VALUES ({rows.placeholders(kept)})",
                tuple(kept.values()),
            )
        for verdict, (run, score) in enumerate([(1, 1.0), (2, 7.0)], start=1):
            values = (verdict, run, 1, NOW_S, score, 1, 2, "")
            old.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            old.execute("INSERT INTO credits VALUES (?, ?, 1, ?, 1.0)", (verdict, run, score))
    return RecordStore(path, clock=lambda: NOW_S)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_what_older_versions_took_for_verdicts_does_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    store = old_store(tmp_path / "records.sqlite3", version)
    assert [r.quality for r in store.records()] == [0.75, None]
    assert [c.score for c, _ in store.credits()] == [1.0]
    for span in (Span(), Span(since_s=NOW_S - 60)):
        row = SpanReport.of(store.tally(span)).totals
        assert (row.calls, row.verdicts, row.judged, row.quality) == (2, 2, 2.0, 0.875)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("2 verdicts in the records had a score outside")
    assert store.clear() == 2
    assert store.tally().cells == ()


def test_records_of_the_version_before_say_nobody_of_who_answered(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    old = schema.opened(path, steps=schema.STEPS[:2])
    columns = [c for c in rows.COLUMNS if c != "served"]
    values = rows.row(call(), run=1, graph=1, name_id=lambda _: 1)
    kept = [v for c, v in zip(rows.COLUMNS, values, strict=True) if c != "served"]
    old.execute("INSERT INTO names VALUES (1, 'draft')")
    old.execute("INSERT INTO graphs VALUES (1, 'app', 'f', NULL)")
    old.execute("INSERT INTO runs VALUES (1, 'r1', 1, '')")
    old.execute(
        f"INSERT INTO calls ({', '.join(columns)}) VALUES ({rows.placeholders(columns)})", kept
    )
    old.close()
    store = RecordStore(path, clock=lambda: NOW_S)
    store.add(call(run_id="r2", served="weak-2024"))
    assert [record.served for record in store.records()] == ["", "weak-2024"]
