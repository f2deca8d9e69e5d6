from __future__ import annotations

from typing import Any

from graphroute.ir.graph import Node
from graphroute.ir.hints import RouteHints
from graphroute.runtime.pack_factors import Factors, factors_of
from graphroute.runtime.pack_loss import PackFigures
from tests.unit.runtime.situations import spec_for

TASK = "Say whether the writer of this text was pleased. " * 30 + "Text: {text}"


def _known(model: str, checks: int, losses: int = 0, size: int = 16) -> PackFigures:
    figures = PackFigures()
    for number in range(checks):
        figures.checked((model, "n"), size, is_worse=number < losses)
    return figures


def _factors(figures: PackFigures, *, waiting: float = 40.0, **facts: Any) -> tuple[Factors, ...]:
    hints = facts.pop("hints", RouteHints())
    node = Node(name="n", kind="llm", prompts=facts.pop("prompts", (TASK,)), hints=hints)
    specs = [spec_for("cloud"), spec_for("home", local=True, price=0.0)]
    return factors_of([node], specs, figures, waiting={"n": waiting}).get("n", ())


def test_a_model_that_is_proven_to_pack_is_offered() -> None:
    (found,) = _factors(_known("cloud", 400))
    assert (found.model, found.size) == ("cloud", 16)
    assert found.cost < 0.4
    assert found.quality > 0.99
    # The calls would have run side by side.
    assert found.time > 1


def test_on_one_machine_packs_take_less_time() -> None:
    (found,) = _factors(_known("home", 400))
    assert found.time < 1


def test_what_is_not_measured_is_never_counted_on() -> None:
    assert _factors(PackFigures()) == ()
    asked = _factors(PackFigures(), hints=RouteHints(batch="pack"))
    assert {found.model for found in asked} == {"cloud", "home"}
    assert all(found.quality == 0.5 for found in asked)


def test_what_loses_is_not_offered() -> None:
    lossy = _known("cloud", 100, losses=30, size=2)
    assert [f.model for f in _factors(lossy, hints=RouteHints(batch="pack"))] == ["home"]


def test_where_nothing_can_be_packed_nothing_is_offered() -> None:
    proven = _known("cloud", 400)
    assert _factors(proven, waiting=1.0) == ()
    assert _factors(proven, prompts=()) == ()
    assert _factors(proven, prompts=("Hi {x}",)) == ()
    assert _factors(proven, hints=RouteHints(batch=False)) == ()
