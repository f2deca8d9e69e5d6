"""Who gets the credit of a verdict, and which run a verdict is about."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphroute.errors import InvalidValue, UnknownNode
from graphroute.ir.feedback import Feedback
from graphroute.ir.verdict import Verdict
from graphroute.runtime.feedback import (
    check_run,
    new_run_id,
    run_id_in,
    shares,
    verdict_given,
)


def said(score: float | None, node: str | None = None) -> Feedback:
    passed = None if score is None else score >= 0.5
    verdict = Verdict(score=score, passed=passed, source="user")
    return Feedback(run_id="r", node=node, verdict=verdict)


@given(
    weights=st.dictionaries(
        st.sampled_from("abcdef"), st.floats(0.0, 1e6, allow_nan=False), min_size=1
    ),
    score=st.floats(0.0, 1.0),
)
def test_one_verdict_is_one_observation_in_all(weights: dict[str, float], score: float) -> None:
    found = shares(said(score), list(weights), weights)
    if sum(weights.values()) == 0:
        assert found == ()
        return
    assert sum(credit.weight for credit in found) == pytest.approx(1.0)
    assert {credit.score for credit in found} == {score}
    total = sum(weights.values())
    for credit in found:
        assert credit.weight == pytest.approx(weights[credit.node] / total)
        assert credit.weight > 0


def test_nodes_without_a_weight_count_one_and_those_that_did_not_run_nothing() -> None:
    found = shares(said(1.0), ["a", "b"], {"b": 3.0, "c": 9.0})
    assert [(c.node, c.weight) for c in found] == [("a", 0.25), ("b", 0.75)]


def test_a_verdict_on_one_node_is_its_own_in_full() -> None:
    (credit,) = shares(said(0.3, node="b"), ["a", "b"], {"a": 9.0})
    assert (credit.node, credit.score, credit.weight, credit.source) == ("b", 0.3, 1.0, "user")
    assert shares(said(None), ["a"], {}) == ()


@pytest.mark.parametrize("score", [None, "good", 1.5, -0.1, float("nan"), [], ValueError("x")])
def test_what_is_no_score_is_refused(score: object) -> None:
    with pytest.raises(InvalidValue, match="feedback score"):
        verdict_given(score)


def test_scores_become_verdicts_with_their_source() -> None:
    assert verdict_given(True).source == "user"
    assert verdict_given(0.2, reason="too short").reason == "too short"
    judged = Verdict(score=0.7, passed=False, reason="meh", source="langsmith")
    assert verdict_given(judged) == judged


def test_unknown_runs_and_nodes_are_refused() -> None:
    with pytest.raises(InvalidValue, match="no call of a run 'r'"):
        check_run("r", None, ())
    with pytest.raises(InvalidValue, match="feedback on no run"):
        check_run("", None, ())
    with pytest.raises(UnknownNode, match="made no call"):
        check_run("r", "c", ("a", "b"))
    check_run("r", "b", ("a", "b"))


def test_a_run_is_named_by_its_config() -> None:
    number = UUID(int=7)
    assert run_id_in({"run_id": number}) == str(number)
    assert run_id_in({"run_id": number, "metadata": {"graphroute_run_id": "mine"}}) == "mine"
    assert run_id_in({"metadata": {"graphroute_run_id": 17}}) == "17"
    assert run_id_in({"metadata": None}) is None
    assert run_id_in({"metadata": {"graphroute_run_id": "x" * 1000}}) == "x" * 200
    assert run_id_in({"metadata": {"graphroute_run_id": 0}, "run_id": number}) == "0"
    assert run_id_in({"metadata": {"graphroute_run_id": ""}, "run_id": number}) == str(number)
    assert run_id_in({"metadata": {"graphroute_run_id": ""}}) is None
    assert new_run_id() != new_run_id()
