"""A verdict that comes into records, plans and reports is one, whatever a check has given."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.ir.verdict import MAX_REASON, Verdict, verdict_of


class Silent:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Mute(Exception):
    """A fault that cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer(Verdict):
    """A user's own kind of verdict, with a field that no record has."""

    colour: str = "red"


def said(**changes: Any) -> Verdict:
    values: dict[str, Any] = {"score": 0.5, "passed": True}
    return Verdict(**(values | changes))


@pytest.mark.parametrize(
    "score",
    [5.0, -3.0, math.nan, math.inf, -math.inf, "0.5", b"1", [], {}, 1j, Decimal("NaN"), Silent()],
    ids=lambda score: type(score).__name__ if isinstance(score, Silent) else repr(score),
)
def test_a_verdict_with_no_score_in_range_says_nothing_and_why(score: Any) -> None:
    found = verdict_of(said(score=score, source="judge"))
    assert (found.score, found.passed, found.quality) == (None, None, None)
    assert found.reason.startswith("the check gave")


@pytest.mark.parametrize("passed", ["yes", 0.7, [], Silent()], ids=["text", "number", "list", "x"])
def test_a_verdict_that_passes_in_no_sense_says_nothing(passed: Any) -> None:
    assert not verdict_of(said(passed=passed)).is_known


def test_a_verdict_comes_out_in_plain_values() -> None:
    numpy = pytest.importorskip("numpy")
    given = Longer(
        score=numpy.float32(0.25),
        passed=numpy.bool_(False),
        reason=["a", "list"],  # type: ignore[arg-type]  # what users do all the same
        source="me",
    )
    found = verdict_of(given)
    assert type(found) is Verdict
    assert [type(value) for value in asdict(found).values()] == [float, bool, str, str]
    assert verdict_of(found) == found


@pytest.mark.parametrize(
    ("score", "kept"),
    [
        (True, 1.0),
        (1, 1.0),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
        (1.0000001, 1.0),
        (-1e-9, 0.0),
    ],
)
def test_any_number_in_range_is_a_score(score: Any, kept: float) -> None:
    assert verdict_of(said(score=score)).score == kept
    assert verdict_of(score).score == kept


def test_a_verdict_without_a_score_has_that_of_its_bool() -> None:
    assert verdict_of(Verdict(score=None, passed=False, reason="no")).score == 0.0
    assert verdict_of(Verdict(score=None, passed=True)).score == 1.0
    assert verdict_of(Verdict(score=0.2, passed=None)).passed is None


def test_being_sure_is_not_being_right() -> None:
    assert verdict_of(said(source="confidence")).quality is None
    assert verdict_of(said(source="agreement")).quality is None
    assert verdict_of(said()).quality == 0.5


@pytest.mark.parametrize("source", ["", None, 3])
def test_a_source_that_is_no_name_is_the_callers(source: Any) -> None:
    assert verdict_of(said(source=source), source="user").source == "user"


@pytest.mark.parametrize("result", [Silent(), Mute()], ids=["value", "fault"])
def test_what_cannot_be_looked_at_says_nothing(result: object) -> None:
    found = verdict_of(result)
    assert not found.is_known
    assert type(result).__name__ in found.reason


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
)


@given(score=VALUES, passed=VALUES, reason=VALUES, source=VALUES)
def test_whatever_is_given_a_record_can_take_it(
    score: Any, passed: Any, reason: Any, source: Any
) -> None:
    given = Verdict(score=score, passed=passed, reason=reason, source=source)
    found = verdict_of(given)
    assert found.score is None or 0 <= found.score <= 1
    assert found.passed in (None, True, False)
    assert isinstance(found.source, str)
    assert len(found.reason) <= MAX_REASON
    assert json.loads(json.dumps(asdict(found), allow_nan=False)) == asdict(found)
