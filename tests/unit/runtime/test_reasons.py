"""Why a model serves a call that was not planned for it, and why none does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graphroute.errors import PrivacyViolation, UnknownModel
from graphroute.ir.record import AFTER_REFUSAL, Attempt
from graphroute.ir.verdict import Verdict
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import reasons
from graphroute.runtime.call import Call, read_call
from graphroute.runtime.course import Ahead, Course
from graphroute.runtime.leaning import Lean
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.till import UNPRICED
from graphroute.runtime.trail import Trail
from graphroute.runtime.trial import Trial
from tests.unit.runtime.situations import assignment_for, policy_for, spec_for

NO_TILL: Any = None
"""Only errors of money ask the till."""


@pytest.fixture
def call() -> Call:
    own = ScriptedChat(name="own")
    policy = policy_for(assignment_for("draft", "big", "small"), chats={"scripted:own": own})
    handle = RunHandle(policy=policy, ledger=Ledger(limit_nano=None), course=Course(policy.plan))
    metadata = {"langgraph_node": "draft"}
    messages = [HumanMessage("hello")]
    return read_call(handle, own, messages, stop=None, kwargs={}, metadata=metadata)


def test_the_planned_model_serves_by_the_plan(call: Call) -> None:
    assert reasons.why("big", call, Trail(), None, None) == "plan"
    assert reasons.why("big", replace(call, assignment=None), Trail(), None, None) == (
        "no step of the plan"
    )


def test_another_serves_for_the_first_of_the_reasons_there_are(call: Call) -> None:
    tried = Trail(tried="small")
    assert reasons.why("small", call, tried, None, None) == "tried, to learn how good it is"
    down = Trail(attempts=[Attempt(model="big", reason="did not answer lately")])
    ahead = Ahead(models=("small",), why="re-planned: $0.1 more spent")
    harder = replace(
        call, lean=Lean(qualities={}, weight=1.0, out_tokens=9.0, departure=0.2, share=1.0)
    )
    assert reasons.why("small", harder, down, ahead, None) == "did not answer lately"
    assert reasons.why("small", harder, Trail(), ahead, None) == ahead.why
    said = reasons.why("small", harder, Trail(), None, None)
    assert said == "a prompt harder than this node's usual ones"
    assert reasons.why("small", call, Trail(), None, None) == "the graph's own model is kept"


def test_after_a_refusal_it_is_that(call: Call) -> None:
    trial = Trial(lambda _, __: False, call.messages, stages=("small", "big"))
    trial.refuses("small", "no", AIMessage("no"), Verdict(passed=False, score=0.0))
    assert reasons.why("big", call, Trail(tried="big"), None, trial) == AFTER_REFUSAL + "small"


def test_what_the_models_said_ends_a_call_that_all_failed(call: Call) -> None:
    trail = Trail()
    trail.failed("big", TimeoutError("slow"), is_own=False)
    trail.failed("scripted:own", own := KeyError("own"), is_own=True)
    trail.failed("small", TimeoutError("slow"), is_own=False)
    assert reasons.none_left(call, trail, [], NO_TILL) is own
    assert trail.retries == 3


def test_an_unpriced_own_model_that_cannot_take_over_is_noted_on_the_error(call: Call) -> None:
    trail = Trail()
    trail.failed("big", failed := TimeoutError("slow"), is_own=False)
    trail.attempts.append(Attempt(model="scripted:own", reason=UNPRICED))
    assert reasons.none_left(call, trail, [call.own], NO_TILL) is failed
    assert "'scripted:own' could not take over" in failed.__notes__[0]


def test_a_private_call_that_nothing_local_can_serve_is_refused(call: Call) -> None:
    private = Attempt(model="big", reason="private: this step may not leave the machine")
    error = reasons.none_left(call, Trail(attempts=[private]), [], NO_TILL)
    assert isinstance(error, PrivacyViolation)
    assert error.node == "draft"


def test_a_pool_that_has_nothing_for_a_call_is_ours_to_solve(call: Call) -> None:
    small = Attempt(model="small", reason="lacks tools")
    with pytest.raises(LookupError, match="small: lacks tools"):
        reasons.none_left(call, Trail(attempts=[small]), [], NO_TILL)


def test_models_that_the_author_names_may_be_missing_or_not_local(call: Call) -> None:
    known = {"big": spec_for("big")}
    missing = reasons.none_allowed(call, [], named=("huge",), known=known)
    assert isinstance(missing, UnknownModel)
    assert "huge" in str(missing)
    leaves = reasons.none_allowed(call, [known["big"]], named=("big",), known=known)
    assert isinstance(leaves, PrivacyViolation)
    assert leaves.model == "big"
