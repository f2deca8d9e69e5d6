"""What takes part in a call besides the model, and in which calls it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from graphroute.caches import memory
from graphroute.ir.hints import RouteHints
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import parts as parts_module
from graphroute.runtime.answers import Answers
from graphroute.runtime.call import read_call
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.parts import Parts, begin_parts
from graphroute.runtime.pause import RunState
from graphroute.runtime.run_handle import RunHandle
from tests.unit.runtime.situations import assignment_for, policy_for

OWN = ScriptedChat(name="own", temperature=0)
CHECKED = RouteHints(verify=lambda _, __: True)
CASCADE = assignment_for("ask", "scripted:own", kind="cascade", then=("scripted:big",))


def parts(hints: RouteHints, *, count: int = 1, can_resume: bool = False, **facts: Any) -> Parts:
    planned = facts.pop("planned", (CASCADE,))
    cached: dict[str, Any] = {"answers": Answers(cache=memory.build())}
    policy = policy_for(
        *planned, chats={"scripted:own": OWN}, hints={"ask": hints}, **cached | facts
    )
    ledger = Ledger(limit_nano=None)
    state = RunState(key=("thread", ""), ledger=ledger) if can_resume else None
    handle = RunHandle(policy=policy, ledger=ledger, course=Course(policy.plan), state=state)
    messages = [HumanMessage("hello")]
    metadata = {"langgraph_node": "ask"}
    call = read_call(handle, OWN, messages, stop=None, kwargs={}, metadata=metadata, prompts=count)
    return begin_parts(handle, call)


def test_a_check_takes_part_with_the_models_that_the_plan_would_ask() -> None:
    trial = parts(CHECKED).trial
    assert trial is not None
    assert trial.stages == ("scripted:own", "scripted:big")
    assert parts(RouteHints()).trial is None


def test_the_cache_takes_part_unless_it_is_off() -> None:
    assert parts(RouteHints()).recall is not None
    assert parts(RouteHints(cache=False)).recall is None
    assert parts(RouteHints(), answers=None).recall is None


def test_a_list_of_prompts_that_is_one_call_is_not_kept() -> None:
    found = parts(RouteHints(), count=2)
    assert (found.trial, found.recall, found.fault) == (None, None, None)


def test_earlier_attempts_take_part_where_the_run_can_be_gone_on_with() -> None:
    assert parts(RouteHints()).turn is None
    turn = parts(RouteHints(), can_resume=True).turn
    assert turn is not None
    assert not turn.can_ask, "nobody is there to be asked"


def test_nothing_takes_part_in_a_call_that_could_not_be_read() -> None:
    class Broken:
        def difficulty(self, prompts: Sequence[str]) -> Sequence[float]:
            raise OSError(prompts)

    found = parts(CHECKED, planned=(), prompts=Broken(), can_resume=True)
    assert (found.trial, found.recall, found.turn) == (None, None, None)


def test_what_fails_to_begin_is_a_fault_and_leaves_what_had_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(parts_module, "Recall", fails)
    found = parts(CHECKED, can_resume=True)
    assert found.fault == "OSError: no room"
    assert found.trial is not None
    assert (found.recall, found.turn) == (None, None)
