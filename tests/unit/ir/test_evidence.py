from __future__ import annotations

import pytest

from graphroute.errors import InvalidValue
from graphroute.ir.evidence import Evidence, evidence_of
from graphroute.ir.record import CallRecord
from tests.unit.calls import call as made


def record(node: str, model: str, quality: float | None) -> CallRecord:
    return made(node=node, model=model, quality=quality)


def test_verdicts_are_counted_by_node_and_model_and_the_rest_is_left_out() -> None:
    found = evidence_of(
        [
            record("a", "m", 1.0),
            record("a", "m", 0.25),
            record("a", "m", None),
            record("a", "other", 0.0),
            record("b", "m", None),
        ]
    )
    assert found == {
        ("a", "m"): Evidence(good=1.25, bad=0.75),
        ("a", "other"): Evidence(good=0.0, bad=1.0),
    }


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "3", True])
def test_counts_are_finite_numbers(bad: object) -> None:
    with pytest.raises(InvalidValue, match="good="):
        Evidence(good=bad, bad=0)  # type: ignore[arg-type]  # what a user may pass
