"""Reports over a span: intervals, JSON, CSV, one page of HTML, the terminal."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from graphroute.ir.tally import Cell, Gains, Shape, Span, Tally
from graphroute.report.pareto import Dot, dots, front, plot
from graphroute.report.picture import _layers, picture
from graphroute.report.span import SpanReport

EVIL = '<script>alert("x")</script>'


def cell(**changes: Any) -> Cell:
    values: dict[str, Any] = {
        "node": "draft",
        "model": "weak",
        "day": 20_000,
        "calls": 10,
        "in_tokens": 1_000,
        "out_tokens": 100,
        "cached_tokens": 50,
        "cost_nano": 10_000,
        "took_s": 5.0,
        "compared": 10,
        "compared_nano": 10_000,
        "baseline_nano": 110_000,
        "estimated": 0,
        "moved": 0,
        "failed": 0,
        "faults": 0,
        "capped": 0,
        "cached": 0,
        "retries": 0,
        "predicted_quality_sum": 8.0,
        "predicted": 10,
        "judged": 10.0,
        "quality_sum": 8.0,
        "square_sum": 8.0,
        "verdicts": 10,
    }
    return Cell(**(values | changes))


def tally(*cells: Cell, **changes: Any) -> Tally:
    pairs = {(c.node, c.model) for c in cells}
    values: dict[str, Any] = {
        "span": Span(),
        "first_s": 20_000 * 86_400.0,
        "last_s": 20_001 * 86_400.0,
        "runs": 10,
        "cells": cells,
        "run_gains": (10_000,) * 10,
        "gains": {p: Gains(runs=10, total_usd=1e-4, squares_usd=1.1e-9) for p in pairs},
        "buckets": {(*p, 100): 10 for p in pairs},
        "reasons": {},
    }
    return Tally(**(values | changes))


def test_rows_have_their_intervals() -> None:
    report = SpanReport.of(tally(cell()))
    (row,) = report.rows
    assert row.saved_usd == pytest.approx(1e-4)
    assert row.saved_usd is not None
    assert row.saved_high_usd is not None
    # 1.96 · sqrt(10 · s²) with s² = (1.1e-9 − 1e-9) / 9
    assert row.saved_high_usd - row.saved_usd == pytest.approx(1.96 * (10 * 1e-10 / 9) ** 0.5)
    assert (row.quality, row.predicted_quality) == (0.8, 0.8)
    assert row.quality_low == pytest.approx(0.490, abs=1e-3)
    assert row.quality_high == pytest.approx(0.943, abs=1e-3)


def test_few_runs_have_no_interval_and_a_model_of_many_nodes_neither() -> None:
    few = {("draft", "weak"): Gains(runs=4, total_usd=1e-5, squares_usd=1e-10)}
    assert SpanReport.of(tally(cell(), gains=few)).rows[0].saved_low_usd is None
    report = SpanReport.of(tally(cell(), cell(node="check")))
    assert report.models[0].saved_usd == pytest.approx(2e-4)
    assert report.models[0].saved_low_usd is None
    assert report.nodes[0].saved_low_usd is not None


def test_what_is_not_known_is_none_and_not_zero() -> None:
    blank = cell(
        compared=0, compared_nano=0, baseline_nano=0, judged=0.0, quality_sum=0.0, square_sum=0.0,
        verdicts=0, predicted=0, predicted_quality_sum=0.0,
    )  # fmt: skip
    row = SpanReport.of(tally(blank, run_gains=(), gains={}, buckets={})).rows[0]
    assert (row.saved_usd, row.quality, row.predicted_quality, row.p50_s) == (None,) * 4


def test_days_are_in_order_with_their_own_sums() -> None:
    report = SpanReport.of(tally(cell(day=20_001, calls=3), cell(), cell(node="check")))
    assert [(day.day, day.calls) for day in report.days] == [("2024-10-04", 20), ("2024-10-05", 3)]
    assert report.days[0].quality == pytest.approx(0.8)


def test_json_has_every_row_and_no_nan() -> None:
    data = json.loads(SpanReport.of(tally(cell(node=EVIL))).to_json())
    assert data["schema"] == "graphroute.span/1"
    assert data["rows"][0]["node"] == EVIL
    assert data["totals"]["calls"] == 10


def test_csv_reads_back_and_no_name_becomes_a_formula() -> None:
    text = SpanReport.of(tally(cell(node="=1+1"), cell(node='a,"b"\nc'))).to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted(row["node"] for row in rows) == ["'=1+1", 'a,"b"\nc']
    assert {row["calls"] for row in rows} == {"10"}


class Page(HTMLParser):
    """Tags that are open, and everything that a browser would fetch or run."""

    VOID = ("meta", "br", "line", "link", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.outside.append(tag)
        self.outside += [f"{k}={v}" for k, v in attrs if k in ("src", "href", "xlink:href")]
        self.outside += [k for k, _ in attrs if k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_escapes_names() -> None:
    shape = Shape(
        name=EVIL, fingerprint="f" * 16, nodes=("draft", EVIL), edges=(("draft", EVIL, 0.5),)
    )
    report = SpanReport.of(
        tally(cell(), cell(node=EVIL, model=EVIL), shapes=(shape,), reasons={(EVIL, EVIL): 3})
    )
    text = report.to_html()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.outside == []
    assert EVIL not in text
    assert "http" not in re.sub(r"xmlns=\S+", "", text)
    assert text.count("<svg") == 3, "graph, Pareto plot and days"


def test_an_empty_report_is_a_page_too() -> None:
    report = SpanReport.of(tally(run_gains=(), gains={}, runs=0))
    assert "no model call is recorded" in report.to_html()
    assert "no model call is recorded" in str(report)
    assert report.to_csv().count("\n") == 1
    assert json.loads(report.to_json())["saving"] is None


def test_the_terminal_shows_names_as_they_are() -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(SpanReport.of(tally(cell(node="[red]x[/]"), cell(day=20_001))))
    told = console.export_text()
    assert "[red]x[/]" in told
    assert "2024-10-05" in told
    assert "0.80 (0." in told


@pytest.mark.parametrize("width", [60, 80, 100, 129, 130, 200])
def test_no_width_hides_who_a_row_is_of(width: int) -> None:
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    rows = (cell(model="llamacpp:gemma-3-270m", retries=2), cell(node="extract", model="weak"))
    console.print(SpanReport.of(tally(*rows)))
    told = console.export_text()
    assert max(map(len, told.splitlines())) <= width
    for said in ("draft", "llamacpp:gemma-3", "extract", "weak", "0.80", "$0.00001", "tried again"):
        assert said in told, said


def test_a_page_a_terminal_and_the_lines_tell_of_trends() -> None:
    from rich.console import Console

    later = {"day": 20_001, "quality_sum": 2.0, "cost_nano": 30_000, "took_s": 10.0}
    report = SpanReport.of(tally(cell(), cell(**later), cell(node="once")))
    said = ["0.80 → 0.20", "-0.60", "2024-10-05", "$0.000001 → $0.000003", "0.5 s → 1 s"]
    (trend,) = report.trends
    assert (trend.node, trend.since) == ("draft", "2024-10-05")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report)
    told = " ".join(console.export_text().split())
    for text in (str(report), report.to_html(), told):
        assert [each for each in said if each not in text] == []
    assert json.loads(report.to_json())["trends"][0]["after"]["quality"] == pytest.approx(0.2)


def test_lines_name_every_row_and_reason() -> None:
    report = SpanReport.of(tally(cell(failed=2, cached=3), reasons={("draft", "budget"): 4}))
    told = str(report)
    assert "draft on weak: calls 10" in told
    assert "3 from a cache" in told
    assert "2 failed" in told
    assert "draft: budget, 4 calls moved" in told


# -- the drawings


def test_layers_follow_the_longest_way_and_leave_loops_out() -> None:
    shape = Shape(
        name="g",
        fingerprint="",
        nodes=("a", "b", "c"),
        edges=(("__start__", "a", 1), ("a", "b", 1), ("a", "c", 0.5), ("b", "c", 1), ("c", "a", 1)),
    )
    assert _layers(shape) == {"__start__": 0, "a": 1, "b": 2, "c": 3}


def test_a_long_chain_and_a_ring_can_be_drawn() -> None:
    names = tuple(f"n{i}" for i in range(3_000))
    chain = tuple((a, b, 1.0) for a, b in pairwise(names))
    assert len(_layers(Shape(name="g", fingerprint="", nodes=names, edges=chain))) == 3_000
    ring = Shape(name="g", fingerprint="", nodes=("a", "b"), edges=(("a", "b", 1), ("b", "a", 1)))
    ElementTree.fromstring(picture(ring, {"a": ("m", "1 call")}))
    ElementTree.fromstring(picture(Shape(name="g", fingerprint=""), {}))
    loop = Shape(name="g", fingerprint="", nodes=("a",), edges=(("a", "a", 0.5),))
    ElementTree.fromstring(picture(loop, {}))


def dot(model: str, cost: float, quality: float, **changes: Any) -> Dot:
    values: dict[str, Any] = {"node": "n", "is_measured": True} | changes
    return Dot(model=model, cost_usd=cost, quality=quality, **values)


def test_the_front_has_no_beaten_point_and_all_others() -> None:
    points = [dot(f"m{i}", cost=(7 * i) % 11, quality=((5 * i) % 13) / 13) for i in range(40)]
    best = front(points)
    for point in points:
        beaten = any(
            other.cost_usd <= point.cost_usd
            and other.quality >= point.quality
            and (other.cost_usd, other.quality) != (point.cost_usd, point.quality)
            for other in points
        )
        twins = [b for b in best if (b.cost_usd, b.quality) == (point.cost_usd, point.quality)]
        assert bool(twins) is not beaten


def test_quality_that_was_only_foretold_is_drawn_hollow() -> None:
    unjudged = cell(model="new", judged=0.0, quality_sum=0.0, verdicts=0)
    points = dots(SpanReport.of(tally(cell(), unjudged)).rows)
    assert {p.model: p.is_measured for p in points} == {"weak": True, "new": False}
    drawing = plot(points)
    assert drawing.count('fill="none" stroke="#1f77b4" stroke-width') == 1
    ElementTree.fromstring(drawing.partition("<ul")[0])
    assert plot(()) == ""


def test_perfect_and_free_models_can_be_plotted() -> None:
    ElementTree.fromstring(plot([dot("a", 0.0, 1.0), dot("b", 0.0, 1.0)]).partition("<ul")[0])
