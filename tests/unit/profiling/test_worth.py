"""The value of information: against simulation, and in which order it asks."""

from __future__ import annotations

import random
from dataclasses import replace
from math import log

import pytest

from graphroute.profiling.worth import (
    Cell,
    Limits,
    best,
    gain,
    pending,
    rate,
    switching_prices,
)

FREE = Limits(budget_usd=None, seconds=None)


def _cell(model: str, good: float, bad: float, **more: object) -> Cell:
    known: dict[str, object] = {
        "node": "n",
        "weight": 1.0,
        "visits": 1.0,
        "cost_usd": 0.01,
        "took_s": 1.0,
        "left": 16,
    }
    return Cell(model=model, good=good, bad=bad, **{**known, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("good", "bad", "rival"), [(6.0, 4.0, 0.6), (12.0, 8.0, 0.7), (9, 3, 0.6)])
@pytest.mark.parametrize("answers", [4, 16])
def test_gain_is_that_of_a_simulation(good: float, bad: float, rival: float, answers: int) -> None:
    """Beta-binomial draws of the next answers, the value linear in the quality as in the formula.

    The normal form may be off by a third.
    """
    draw, cell = random.Random(0), _cell("a", good, bad)
    now, gained = max(cell.value(0.0), log(rival)), 0.0
    for _ in range(20_000):
        p = draw.betavariate(good, bad)
        right = sum(draw.random() < p for _ in range(answers))
        mean = (good + right) / (good + bad + answers)
        gained += max(cell.value(0.0) + mean / cell.quality - 1, log(rival)) - now
    simulated = gained / 20_000
    assert gain(cell, log(rival), 0.0, answers) == pytest.approx(simulated, rel=0.35, abs=0.004)


def test_weight_and_doubt_make_an_answer_worth_more() -> None:
    even = log(0.5)
    assert gain(_cell("a", 5, 5, weight=2.0), 2 * even, 0.0, 4) == pytest.approx(
        2 * gain(_cell("a", 5, 5), even, 0.0, 4)
    )
    assert gain(_cell("a", 2, 2), even, 0.0, 4) > gain(_cell("a", 50, 50), even, 0.0, 4)
    assert gain(_cell("a", 5, 5), None, 0.0, 4) == 0.0


def test_one_answer_that_changes_nothing_counts_with_those_that_would() -> None:
    """One more answer hardly helps; eight would: the rate is that of the better number."""
    cell = _cell("a", 20, 20)
    alone = gain(cell, log(0.62), 0.0, 1)
    assert rate(cell, [log(0.62)], [0.0], 1.0) > 2 * alone


def test_the_close_race_is_asked_first_and_the_cheaper_of_two_alike() -> None:
    leader, rival, hopeless = _cell("a", 8, 2), _cell("b", 7, 3), _cell("c", 1, 40)
    chosen = best([leader, rival, hopeless], [0.0], FREE)
    assert chosen is not None
    assert chosen.model in ("a", "b")
    pair = [_cell("a", 5, 5, cost_usd=0.1), _cell("b", 5, 5, cost_usd=0.001)]
    chosen = best(pair, [0.0], Limits(budget_usd=1.0, seconds=None))
    assert chosen is not None
    assert chosen.model == "b"


def test_a_price_can_make_the_better_model_the_rival() -> None:
    """At this price of quality the dear model is not worth it however good it is."""
    dear, cheap = _cell("a", 9, 1, cost_usd=1.0), _cell("b", 8, 2, cost_usd=0.0)
    assert gain(dear, cheap.value(50.0), 50.0, 4) < 1e-6 < gain(dear, cheap.value(0.0), 0.0, 4)


def test_what_cannot_be_afforded_or_has_nothing_left_is_not_asked() -> None:
    dear, slow = _cell("a", 5, 5, cost_usd=2.0), _cell("b", 5, 5, took_s=9.0)
    assert best([dear], [0.0], Limits(budget_usd=1.0, seconds=None)) is None
    assert best([slow], [0.0], Limits(budget_usd=None, seconds=5.0)) is None
    assert best([_cell("a", 5, 5, left=0)], [0.0], FREE) is None
    assert best([_cell("a", 5, 5, cost_usd=0.0)], [0.0], Limits(budget_usd=0.0, seconds=None))


def test_where_nothing_is_judged_the_least_known_comes_first() -> None:
    cells = [_cell("a", 9, 9, is_judged=False), _cell("b", 2, 2, is_judged=False)]
    chosen = best(cells, [0.0], FREE)
    assert chosen is not None
    assert chosen.model == "b"


def test_answers_that_are_awaited_count_as_expected() -> None:
    [after, same] = pending([_cell("a", 3, 1), _cell("b", 3, 1)], {("n", "a"): 4})
    assert (after.good, after.bad, after.left) == (6.0, 2.0, 12)
    assert after.quality == _cell("a", 3, 1).quality
    assert same == _cell("b", 3, 1)


def test_prices_are_where_choices_change() -> None:
    cells = [_cell("a", 9, 1, cost_usd=0.03), _cell("b", 6, 4, cost_usd=0.01)]
    zero, price = switching_prices(cells)
    assert zero == 0.0
    assert cells[0].value(price) == pytest.approx(cells[1].value(price))
    assert switching_prices([replace(cell, cost_usd=0.0) for cell in cells]) == (0.0,)
