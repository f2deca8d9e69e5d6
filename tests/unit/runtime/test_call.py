"""What is read of a call when it is made, and what is sure of one that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import HumanMessage

from graphroute.ir.hints import RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.call import Call, read_call
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.policy import Policy
from graphroute.runtime.run_handle import RunHandle
from tests.unit.runtime.situations import assignment_for, policy_for, spec_for

OWN = ScriptedChat(name="own")
METADATA = {"langgraph_node": "draft", "langgraph_step": 3, "thread_id": 7}


class Scorer:
    """Scores every prompt 0.7, or fails."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
        if self.fault is not None:
            raise self.fault
        return [0.7] * len(prompts)


def handle_for(policy: Policy, **facts: Any) -> RunHandle:
    return RunHandle(
        policy=policy, ledger=Ledger(limit_nano=None), course=Course(policy.plan), **facts
    )


def read(policy: Policy, **facts: Any) -> Call:
    values: dict[str, Any] = {"stop": None, "kwargs": {}, "metadata": METADATA}
    return read_call(handle_for(policy), OWN, [HumanMessage("hello")], **values | facts)


def test_a_call_says_where_it_comes_from_and_what_it_asks() -> None:
    hints = {"draft": RouteHints(max_output_tokens=40)}
    planned = assignment_for("draft", "scripted:own")
    policy = policy_for(planned, chats={"scripted:own": OWN}, hints=hints, clock=lambda: 5.0)
    call = read(policy, kwargs={"max_tokens": 90}, prompts=2)
    assert (call.node, call.step, call.thread, call.started_s) == ("draft", 3, "7", 5.0)
    assert (call.chat, call.own.name, call.assignment) == (OWN, "scripted:own", planned)
    assert call.request is not None
    assert call.request.max_tokens == 90
    assert (call.facts.out_cap, call.facts.sent_cap, call.facts.answers) == (40, 90, 2)
    assert call.is_read
    assert call.fault is None


def test_only_where_no_plan_knows_the_node_is_the_prompt_scored() -> None:
    chats = {"scripted:own": OWN}
    planned = policy_for(assignment_for("draft", "scripted:own"), chats=chats, prompts=Scorer())
    assert read(planned).facts.difficulty is None
    assert read(policy_for(chats=chats, prompts=Scorer())).facts.difficulty == 0.7


def test_what_cannot_be_read_is_a_fault_and_what_must_hold_holds() -> None:
    policy = policy_for(
        chats={"scripted:own": OWN},
        specs=(spec_for("scripted:own", context_tokens=900),),
        hints={"draft": RouteHints(privacy="local")},
        prompts=Scorer(OSError("no weights")),
    )
    call = read(policy)
    assert not call.is_read
    assert call.fault == "OSError: no weights"
    assert call.must_stay
    assert (call.facts.in_tokens, call.facts.in_bound, call.facts.difficulty) == (1, 900, None)


def test_a_model_that_no_plan_knew_has_no_known_price_and_is_not_local() -> None:
    own = read(policy_for(chats={"scripted:other": ScriptedChat(name="other")})).own
    assert (own.name, own.local, own.price.is_known) == ("scripted:own", False, False)


def test_the_author_the_plan_and_a_graph_inside_each_keep_a_call_on_this_machine() -> None:
    chats = {"scripted:own": OWN}
    kept = RouteHints(privacy="local")
    assert not read(policy_for(chats=chats)).must_stay
    assert read(policy_for(chats=chats, hints={"draft": kept})).must_stay
    planned = assignment_for("draft", "scripted:own", privacy_local=True)
    assert read(policy_for(planned, chats=chats)).must_stay
    inner = policy_for(chats=chats, hints={"ask": kept})
    handle = handle_for(policy_for(chats=chats)).guarded(inner, "draft")
    metadata = {"langgraph_checkpoint_ns": "draft:1|ask:2"}
    messages = [HumanMessage("hello")]
    inside = read_call(handle, OWN, messages, stop=None, kwargs={}, metadata=metadata)
    assert (inside.node, inside.must_stay) == ("draft/ask", True)
