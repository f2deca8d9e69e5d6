"""The arguments a chosen model is called with."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI

from graphroute.ir.verdict import Verdict
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.call import Call, read_call
from graphroute.runtime.choice import Choice
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger, Reservation
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.trial import Trial
from graphroute.runtime.writing import write
from tests.unit.runtime.situations import policy_for, spec_for

OWN = ScriptedChat(name="own")
OTHER = ScriptedChat(name="other")


def call_with(**kwargs: Any) -> Call:
    policy = policy_for(chats={"scripted:own": OWN, "scripted:other": OTHER})
    handle = RunHandle(policy=policy, ledger=Ledger(limit_nano=None), course=Course(policy.plan))
    messages = [HumanMessage("hello")]
    return read_call(handle, OWN, messages, stop=["END"], kwargs=kwargs, metadata={})


def choice_of(name: str, *, cap_tokens: int | None = None, **facts: Any) -> Choice:
    return Choice(
        spec=spec_for(name, **facts),
        chat=None,
        why="plan",
        reservation=Reservation(0),
        cap_tokens=cap_tokens,
    )


def test_the_own_model_gets_the_call_as_it_was_made() -> None:
    call = call_with(max_tokens=90, anything="else")
    written = write(call, choice_of("scripted:own"), OWN, None)
    assert (written.kwargs, written.stop) == ({"max_tokens": 90, "anything": "else"}, ["END"])
    assert written.kwargs is not call.kwargs, "a model may change what it is given"


def test_another_model_gets_it_in_its_own_words_within_its_limit() -> None:
    target = ChatOpenAI(model="gpt-4o-mini", api_key=lambda: "none")
    choice = choice_of("openai:gpt-4o-mini", max_output_tokens=50)
    written = write(call_with(max_tokens=90, num_predict=70), choice, target, None)
    assert "num_predict" not in written.kwargs
    assert 50 in written.kwargs.values()


def test_money_caps_the_answer_of_any_model() -> None:
    for name, chat in (("scripted:own", OWN), ("scripted:other", OTHER)):
        written = write(call_with(max_tokens=90), choice_of(name, cap_tokens=64), chat, None)
        assert written.kwargs["max_tokens"] == 64


def test_after_a_refusal_the_next_model_is_told_why_and_the_same_is_drawn_anew() -> None:
    call = call_with(seed=1)
    trial = Trial(lambda _, __: False, call.messages, stages=("scripted:own", "scripted:own"))
    before = write(call, choice_of("scripted:own"), OWN, trial)
    assert before.after == ()
    refused = Verdict(score=0.0, passed=False, reason="too short")
    trial.refuses("scripted:own", "no", AIMessage("no"), refused)
    again = write(call, choice_of("scripted:own"), OWN, trial)
    assert "too short" in again.after[-1].text
    assert again.kwargs != before.kwargs
