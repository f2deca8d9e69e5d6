"""Stand-ins for handlers that show messages: what they keep, and what is told in the end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from graphroute.runtime.unseen import Unseen, handlers_of

ONE, TWO = UUID(int=1), UUID(int=2)


class Counting(BaseCallbackHandler):
    """A callback that shows nothing, and notes what it hears."""

    run_inline = True

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(("start", kwargs["run_id"]))

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.heard.append(("token", token))

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.heard.append(("end", response.generations[0][0].text))


class Events(Counting):
    """Shows tokens, as LangChain's own for `astream_events`."""

    def tap_output_iter(self, run_id: UUID, output: Any) -> Any:
        return output

    def tap_output_aiter(self, run_id: UUID, output: Any) -> Any:
        return output


class StreamMessagesHandler(Events):
    """Has the name of LangGraph's own."""


def _asked(callbacks: Any, text: str, run_id: UUID) -> AIMessage:
    """A model's call with these callbacks: its start, a token, and its end."""
    manager = CallbackManager.configure(callbacks)
    (run,) = manager.on_chat_model_start({}, [[HumanMessage("?")]], run_id=run_id)
    answer = AIMessage(text)
    run.on_llm_new_token(text[0])
    run.on_llm_end(LLMResult(generations=[[ChatGeneration(message=answer)]]))
    return answer


def test_only_the_answer_that_stands_is_told_and_others_hear_all_at_once() -> None:
    reader, counting = StreamMessagesHandler(), Counting()
    unseen = Unseen()
    answers = []
    for text, run_id in (("no", ONE), ("yes", TWO)):
        answers.append(_asked(unseen.before([reader, counting]), text, run_id))
        unseen.answered(answers[-1])
    assert reader.heard == []
    assert [what for what, _ in counting.heard] == ["start", "token", "end"] * 2
    unseen.stands(answers[1])
    unseen.tell()
    assert reader.heard == [("start", TWO), ("token", "yes"), ("end", "yes")]


async def test_an_earlier_answer_may_stand() -> None:
    reader, events, unseen = StreamMessagesHandler(), Events(), Unseen()
    answers = []
    for text, run_id in (("no", ONE), ("yes", TWO)):
        answers.append(_asked(unseen.before([reader, events]), text, run_id))
        unseen.answered(answers[-1])
    unseen.stands(answers[0])
    await unseen.atell()
    assert reader.heard == [("start", ONE), ("token", "no"), ("end", "no")]
    begun = [("start", ONE), ("start", TWO)]
    assert events.heard == [*begun, ("token", "no"), ("end", "no"), ("end", "yes")]


def test_events_tell_of_a_refused_call_without_its_tokens_and_only_once() -> None:
    events, unseen = Events(), Unseen()
    unseen.answered(_asked(unseen.before([events]), "no", ONE))
    assert events.heard == [("start", ONE)]
    unseen.tell()
    unseen.tell()
    assert events.heard == [("start", ONE), ("end", "no")]


def test_without_an_answer_that_stands_nothing_is_told() -> None:
    reader, unseen = StreamMessagesHandler(), Unseen()
    answer = _asked(unseen.before([reader]), "no", ONE)
    unseen.answered(answer)
    unseen.stands(answer)
    unseen.falls()
    unseen.tell()
    assert reader.heard == []


def test_of_a_call_within_the_call_nothing_is_told() -> None:
    reader, unseen = StreamMessagesHandler(), Unseen()
    manager = CallbackManager.configure(unseen.before([reader]))
    (run,) = manager.on_chat_model_start({}, [[HumanMessage("?")]], run_id=ONE)
    _asked(manager, "inner", TWO)
    answer = AIMessage("outer")
    run.on_llm_end(LLMResult(generations=[[ChatGeneration(message=answer)]]))
    unseen.answered(answer)
    unseen.stands(answer)
    unseen.tell()
    assert reader.heard == [("start", ONE), ("token", "outer"), ("end", "outer")]


def test_what_the_node_does_to_the_message_later_is_not_shown() -> None:
    held: list[Unseen] = []
    reader, unseen = StreamMessagesHandler(), Unseen(until=held)
    answer = _asked(unseen.before([reader]), "yes", ONE)
    unseen.answered(answer)
    unseen.stands(answer)
    unseen.tell()
    assert (held, reader.heard) == ([unseen], [])
    answer.content = "changed"
    held[0].tell()
    assert ("token", "yes") in reader.heard


@pytest.mark.parametrize("kind", [CallbackManager, AsyncCallbackManager])
def test_a_manager_is_copied_and_keeps_what_is_handed_on(kind: Any) -> None:
    reader, counting = StreamMessagesHandler(), Counting()
    manager = kind(handlers=[reader, counting], inheritable_handlers=[reader], tags=["mine"])
    made: Any = Unseen().before(manager)
    assert manager.handlers == [reader, counting]
    assert made.handlers[1] is counting
    assert made.handlers[0] is made.inheritable_handlers[0] is not reader
    assert made.tags == ["mine"]


def test_callbacks_without_readers_are_left_as_they_are() -> None:
    several: list[Any] = [None, [], [Counting()], CallbackManager(handlers=[Counting()])]
    for callbacks in several:
        assert Unseen().before(callbacks) is callbacks


def test_a_stand_in_does_not_have_the_model_stream() -> None:
    reader = StreamMessagesHandler()
    (stand_in,) = handlers_of(Unseen().before([reader]))
    assert not hasattr(stand_in, "tap_output_iter")
    assert stand_in.run_inline


def test_a_result_without_an_answer_shows_nothing() -> None:
    reader, events, unseen = StreamMessagesHandler(), Events(), Unseen()
    _asked(unseen.before([reader, events]), "no", ONE)
    empty = LLMResult(generations=[[]])
    unseen.answered(empty)
    unseen.stands(empty)
    unseen.tell()
    assert reader.heard == []
    assert events.heard == [("start", ONE), ("end", "no")]
