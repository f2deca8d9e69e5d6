from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import InvalidValue
from graphroute.runtime.pack_loss import SIZES, Loss, PackFigures, bucket
from graphroute.runtime.pack_size import (
    FIRST,
    MIN_CHECKS,
    STEP,
    Need,
    check_share,
    pack_size,
)

KEY = ("openai:m", "judge")
ROW = {"model": "m", "node": "n", "size": 4, "checks": 1, "losses": 0, "items": 0, "invalid": 0}


def _need(**facts: Any) -> Need:
    values: dict[str, Any] = {
        "shared_tokens": 300,
        "item_tokens": 20,
        "out_tokens": 3,
        "waiting": 64,
    }
    return Need(**values | facts)


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_bounds_are_those_of_clopper_and_pearson(losses: int, more: int) -> None:
    """At each bound, what was seen or more (or less) has a probability of 5 %."""
    checks = losses + more
    found = Loss(checks=checks, losses=losses)

    def at_most(x: int, p: float) -> float:
        return sum(math.comb(checks, k) * p**k * (1 - p) ** (checks - k) for k in range(x + 1))

    assert at_most(losses, found.high) == pytest.approx(0.05, abs=1e-6)
    if losses:
        assert 1 - at_most(losses - 1, found.low) == pytest.approx(0.05, abs=1e-6)
    assert 0 <= found.low <= losses / checks <= found.high <= 1


def test_a_point_of_loss_takes_three_hundred_checks_to_rule_out() -> None:
    assert Loss(checks=298).high > 0.01 >= Loss(checks=299).high


def test_nothing_is_packed_before_its_loss_is_known() -> None:
    assert pack_size(_need(), {}).size == 1
    assert pack_size(_need(), {8: Loss(checks=100)}).size == 1
    assert pack_size(_need(), {8: Loss(checks=300)}).size == 8


def test_what_holds_for_large_packs_holds_for_small_ones() -> None:
    assert pack_size(_need(max_output_tokens=40), {16: Loss(checks=300)}).size == 4


def test_losses_of_small_packs_count_against_large_ones() -> None:
    figures = {4: Loss(checks=100, losses=20), 16: Loss(checks=300)}
    found = pack_size(_need(), figures)
    assert found.size in (1, 2)


def test_an_author_may_ask_for_what_is_not_known() -> None:
    assert pack_size(_need(), {}, is_asked=True).size == FIRST
    went_well = {FIRST: Loss(checks=STEP)}
    assert pack_size(_need(), went_well, is_asked=True).size == 2 * FIRST
    not_yet = {FIRST: Loss(checks=STEP - 1)}
    assert pack_size(_need(), not_yet, is_asked=True).size == FIRST


def test_an_author_is_refused_what_is_known_to_lose() -> None:
    found = pack_size(_need(), {2: Loss(checks=MIN_CHECKS, losses=5)}, is_asked=True)
    assert found.size == 1
    assert "5 were worse" in found.reason


def test_an_author_may_allow_more() -> None:
    figures = {4: Loss(checks=400, losses=12)}
    assert pack_size(_need(), figures, is_asked=True).size < 4
    assert pack_size(_need(), figures, is_asked=True, max_loss=0.05).size >= 4


@given(
    shared=st.integers(0, 5000),
    item=st.integers(1, 500),
    out=st.integers(1, 500),
    waiting=st.integers(0, 100),
    context=st.none() | st.integers(1, 20_000),
    longest=st.none() | st.integers(1, 4000),
    price=st.sampled_from([(0.0, 0.0), (1.0, 3.0), (0.1, 10.0)]),
)
def test_a_pack_fits_and_saves(
    shared: int,
    item: int,
    out: int,
    waiting: int,
    context: int | None,
    longest: int | None,
    price: tuple[float, float],
) -> None:
    need = Need(
        shared_tokens=shared,
        item_tokens=item,
        out_tokens=out,
        waiting=waiting,
        context_tokens=context,
        max_output_tokens=longest,
        price_in=price[0],
        price_out=price[1],
    )
    found = pack_size(need, {32: Loss(checks=400)})
    assert found.reason
    assert found.size in (1, *SIZES)
    if found.size > 1:
        assert need.fits(found.size)
        assert waiting >= 2
        assert need.cost(min(found.size, waiting)) < need.cost(1)


def test_answers_that_come_back_invalid_make_packing_dearer() -> None:
    fine = pack_size(_need(), {8: Loss(checks=300, items=300)})
    often = pack_size(_need(), {8: Loss(checks=300, items=300, invalid=290)})
    assert (fine.size, often.size < 8) == (8, True)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"shared_tokens": 5}, "too short"),
        ({"context_tokens": 50}, "do not fit into 50 tokens"),
        ({"waiting": 1}, "nothing else waits"),
    ],
)
def test_it_says_why_not(facts: dict[str, Any], words: str) -> None:
    found = pack_size(_need(**facts), {32: Loss(checks=400)})
    assert found.size == 1
    assert words in found.reason


def test_after_a_refusal_no_smaller_size_is_tried() -> None:
    figures = {4: Loss(checks=MIN_CHECKS, losses=5)}
    found = pack_size(_need(), figures, is_asked=True)
    assert found.size == 1
    assert "5 were worse" in found.reason
    assert pack_size(_need(), {**figures, 2: Loss(checks=300)}, is_asked=True).size == 2


def test_where_much_was_lost_all_are_asked_alone() -> None:
    """Also at a size that itself was never tried."""
    assert check_share({4: Loss(checks=40, losses=2)}, 4) == 1.0
    assert check_share({4: Loss(checks=40, losses=20)}, 2) == 1.0
    assert check_share({4: Loss(checks=200, losses=2)}, 4) == 0.1


def test_checks_become_rarer_as_more_is_known() -> None:
    shares = [check_share({8: Loss(checks=n)}, 8) for n in (0, STEP - 1, STEP, 298, 299)]
    assert shares == [1.0, 1.0, 0.1, 0.1, 0.02]


@pytest.mark.parametrize(("size", "wanted"), [(2, 2), (3, 2), (7, 4), (8, 8), (100, 32)])
def test_a_pack_is_counted_with_the_next_smaller_size(size: int, wanted: int) -> None:
    assert bucket(size) == wanted


def test_figures_are_kept_by_model_and_node() -> None:
    figures = PackFigures()
    figures.checked(KEY, 4, is_worse=True)
    figures.unpacked(KEY, 5, invalid=2)
    assert figures.of(KEY) == {4: Loss(checks=1, losses=1, items=5, invalid=2)}
    assert figures.of(("other", "judge")) == {}
    again = PackFigures.from_json(figures.to_json())
    assert again.to_json() == figures.to_json()


@pytest.mark.parametrize(
    "rows",
    [
        [{}],
        [3],
        [{**ROW, "losses": 2}],
        [{**ROW, "checks": -1}],
        [{**ROW, "size": "x"}],
    ],
)
def test_damaged_figures_are_refused(rows: list[Any]) -> None:
    with pytest.raises(InvalidValue, match="measure again"):
        PackFigures.from_json(rows)


def test_figures_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "packs.json"
    figures = PackFigures(path)
    assert not path.parent.exists()
    figures.checked(KEY, 4, is_worse=False)
    again = PackFigures(path)
    again.checked(KEY, 4, is_worse=True)
    assert PackFigures(path).of(KEY)[4] == Loss(checks=2, losses=1)


@pytest.mark.parametrize("text", ["", "{", "[3]", '"x"', json.dumps([{**ROW, "size": 3}])])
def test_a_damaged_file_is_measured_anew(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "packs.json"
    path.write_text(text)
    figures = PackFigures(path)
    assert figures.of(KEY) == {}
    assert "measured anew" in caplog.text
    figures.checked(KEY, 4, is_worse=False)
    assert PackFigures(path).of(KEY)[4].checks == 1


def test_a_folder_that_cannot_be_written_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    figures = PackFigures(blocked / "packs.json")
    for _ in range(3):
        figures.checked(KEY, 4, is_worse=False)
    assert figures.of(KEY)[4].checks == 3
    assert caplog.text.count("not kept") == 1
