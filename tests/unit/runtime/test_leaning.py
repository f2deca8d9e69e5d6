from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from graphroute.ir.plan import Assignment
from graphroute.runtime.leaning import Lean, Usual, lean_of, may_lean
from tests.unit.runtime.situations import assignment_for


def planned(**facts: object) -> Assignment:
    return assignment_for(
        "draft",
        "weak",
        "strong",
        **{"qualities": (0.6, 0.9), "weight": 1.0, "judged": 20.0, **facts},
    )


def test_the_first_prompt_of_a_node_departs_from_nothing_and_later_ones_count_more() -> None:
    usual = Usual()
    assert usual.departure("a", 0.9) == 0
    assert usual.departure("a", 0.5) == pytest.approx(-0.2)
    assert usual.departure("a", 0.7) == pytest.approx(0.0)
    assert usual.departure("b", 0.1) == 0
    for _ in range(997):
        usual.departure("a", 0.7)
    assert usual.departure("a", 0.8) == pytest.approx(0.1, abs=1e-3)


def test_no_prompt_is_lost_between_threads() -> None:
    usual = Usual()

    def work() -> None:
        for _ in range(500):
            usual.departure("a", 0.25)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert usual.departure("a", 0.75) == pytest.approx(0.5 * 4000 / 4001)


@pytest.mark.parametrize(
    ("facts", "share", "price"),
    [
        ({}, 0.0, 1.0),
        ({}, 0.8, 0.0),
        ({"kind": "iterations", "then": ("strong",)}, 0.8, 1.0),
        ({"qualities": ()}, 0.8, 1.0),
        ({"judged": 0.0}, 0.8, 1.0),
    ],
)
def test_nothing_leans_where_nothing_can_come_of_it(
    facts: dict[str, object], share: float, price: float
) -> None:
    assert may_lean(planned(), share=0.8, shadow_price=1.0)
    assert not may_lean(planned(**facts), share=share, shadow_price=price)
    assert not may_lean(None, share=0.8, shadow_price=1.0)


def test_a_harder_prompt_is_worth_more_on_the_better_model_and_an_easier_one_less() -> None:
    def edge(departure: float) -> float:
        lean = lean_of(planned(), departure=departure, share=0.8)
        return lean.gain("strong") - lean.gain("weak")

    assert edge(0.0) == pytest.approx(0.0)
    assert edge(0.2) > 0 > edge(-0.2)


def test_several_calls_share_the_weight_of_a_visit() -> None:
    one = lean_of(planned(), departure=0.2, share=0.8)
    three = lean_of(
        replace(planned(), expected_visits=2.0, expected_calls=6.0), departure=0.2, share=0.8
    )
    assert three.gain("weak") == pytest.approx(one.gain("weak") / 3)


def test_qualities_at_the_ends_stay_finite() -> None:
    lean = Lean(qualities={"a": 0.0, "b": 1.0}, weight=1.0, out_tokens=1.0, departure=1.0, share=1)
    assert lean.gain("a") < 0
    assert lean.gain("b") < 0
