"""Reports: sums, the saving and its interval, JSON and back, and what people read."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.learning import Alarm
from graphroute.ir.record import AFTER_REFUSAL, CHECK
from graphroute.report import Report
from graphroute.report.text import usd
from tests.unit.calls import call


def test_calls_are_summed_per_node_and_per_model() -> None:
    report = Report.of(
        [
            call(),
            call(node="check", model="strong", why="context", cost_nano=7_000),
            call(run_id="r2", error="TimeoutError: slow", cap_tokens=5, fault="scorer: gone"),
        ]
    )
    assert report.runs == 2
    draft, check = report.nodes
    assert (draft.name, draft.calls, draft.in_tokens, draft.out_tokens) == ("draft", 2, 200, 20)
    assert (draft.failed_calls, draft.capped_calls, draft.faults) == (1, 1, 1)
    assert (check.moved_calls, check.reasons) == (1, (("context", 1),))
    assert report.totals.cost_usd == pytest.approx(9e-6)
    assert report.totals.time_s == pytest.approx(1.5)
    assert [usage.name for usage in report.models] == ["strong", "weak"]
    assert report.models[0].calls_by == (("check", 1),)


def test_what_checks_asked_has_lines_of_its_own_and_counts_in_the_totals() -> None:
    asked = call(model="judge", planned=None, why=CHECK, cost_nano=400, baseline_nano=0)
    report = Report.of([asked, asked, call()])
    assert [(usage.name, usage.calls) for usage in report.nodes] == [("draft", 1)]
    assert [(usage.name, usage.calls, usage.calls_by) for usage in report.checks] == [
        ("draft", 2, (("judge", 2),))
    ]
    assert (report.totals.calls, report.totals.moved_calls) == (3, 0)
    assert report.totals.cost_usd == pytest.approx(1.8e-6)
    assert report.saving is not None
    # The graph itself would have asked no judge.
    assert report.saving.saved_usd == pytest.approx((10_000 - 1_800) / 1e9)
    assert "checks of draft: 2 calls (judge 2), 200 tokens in" in str(report)
    assert "<td>checks of draft</td>" in report._repr_html_()
    assert Report.from_dict(report.to_dict()) == report
    older = {key: value for key, value in report.to_dict().items() if key != "checks"}
    assert Report.from_dict(older) == replace(report, checks=())


def test_saving_compares_only_what_can_be_compared() -> None:
    saved = Report.of([call(), call(baseline_nano=None, cost_nano=99)]).saving
    assert saved is not None
    assert (saved.compared_calls, saved.left_out_calls) == (1, 1)
    assert saved.saved_usd == pytest.approx(9e-6)
    assert saved.share == pytest.approx(0.9)
    assert saved.low_usd is None, "one run has no interval"
    assert Report.of([call(baseline_nano=None)]).saving is None


def test_routing_that_cost_more_is_told_as_such() -> None:
    report = Report.of([call(cost_nano=30_000)])
    assert report.saving is not None
    assert report.saving.saved_usd == pytest.approx(-2e-5)
    assert "cost about $0.00002 (200.0%) more" in str(report).replace(" %", "%")


def test_an_answer_that_was_asked_for_again_is_paid_twice_and_spared_once() -> None:
    refused = call(cost_nano=1_000, baseline_nano=20_000)
    again = call(
        model="strong",
        why=f"{AFTER_REFUSAL}weak",
        cost_nano=20_000,
        baseline_nano=20_000,
    )
    saved = Report.of([refused, again]).saving
    assert saved is not None
    assert (saved.compared_calls, saved.left_out_calls) == (2, 0)
    assert saved.saved_usd == pytest.approx(-1e-6), "the first answer was in vain"
    unknown = Report.of([replace(refused, baseline_nano=None), replace(again, baseline_nano=None)])
    assert unknown.saving is None


def test_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    records = [call(run_id=f"r{n}", cost_nano=n * 500) for n in range(12)]
    first, second = Report.of(records).saving, Report.of(records).saving
    assert first == second
    assert first is not None
    assert first.low_usd is not None
    assert first.high_usd is not None
    assert first.low_usd < first.per_run_usd < first.high_usd


def test_free_baseline_has_no_share() -> None:
    saved = Report.of([call(baseline_nano=0, cost_nano=0)]).saving
    assert saved is not None
    assert saved.share is None


def test_json_and_back_is_exact() -> None:
    report = Report.of([call(), call(node="x", model="strong", why="down", is_estimated=True)])
    data = json.loads(report.to_json())
    assert data["schema"] == "graphroute.report/1"
    assert data["nodes"][0]["calls_by"] == {"weak": 1}
    assert Report.from_dict(data) == report


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"schema": "graphroute.report/2"},
        {"schema": "graphroute.report/1"},
        {"schema": "graphroute.report/1", "totals": 3, "nodes": [], "models": []},
        {"schema": "graphroute.report/1", "nodes": [{}], "models": []},
    ],
)
def test_a_damaged_report_is_one_clear_error(data: object) -> None:
    with pytest.raises(InvalidValue, match="report"):
        Report.from_dict(data)


def test_html_escapes_names_and_closes_its_tags() -> None:
    text = Report.of([call(node="<script>alert(1)</script>")])._repr_html_()
    assert "<script>" not in text
    opened: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Tags().feed(text)
    assert not opened


def test_notebook_bundle_and_empty_report() -> None:
    empty = Report.of([])
    assert str(empty) == "no model call was made yet"
    assert set(empty._repr_mimebundle_()) == {"text/html", "text/plain", "application/json"}
    assert "no model call" in empty._repr_html_()


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_names_figures_notes_and_alarms(width: int) -> None:
    from rich.console import Console

    alarm = Alarm(node="extract", model="weak", figure="quality", before=0.9, after=0.4, since=19)
    records = [call(node="extract", model="llamacpp:gemma-3", cap_tokens=4, why="context")]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(Report.of(records, alarms=[alarm]))
    told = console.export_text()
    assert "…" not in told
    for said in ("extract", "llamacpp:gem", "$0.000001", "0.5 s", "1 not as planned", str(alarm)):
        assert said in " ".join(told.split()), said


def test_table_survives_markup_in_names() -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(Report.of([call(node="[red]x[/]")]))
    assert "[red]x[/]" in console.export_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "$0"), (1e-9, "$0.000000001"), (0.1234567, "$0.123"), (1234.5, "$1,234.50")],
)
def test_money_is_never_rounded_to_nothing(value: float, text: str) -> None:
    assert usd(value) == text
