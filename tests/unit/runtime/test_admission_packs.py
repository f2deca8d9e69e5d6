"""Packs through admission: one call for several, each with an end of its own."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata

from graphroute.batching import pack
from graphroute.errors import BudgetExceeded
from graphroute.ir.catalog import ModelSpec
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import tokens
from graphroute.runtime.admission import Admission
from graphroute.runtime.gates import Gates, Lane, Outcome
from graphroute.runtime.pack_loss import PackFigures
from graphroute.runtime.packer import Packable, Packer
from graphroute.runtime.place import Answered, Arrival, Errand, Go, Packed, Place, Wait
from graphroute.runtime.request import Request
from tests.unit.runtime.situations import Clock, proven, spec_for

LANE = Lane(model="scripted:m", most=4)
KEY = ("scripted:m", "judge")
TASK = "Is the mood of this review good or bad? Answer with one word and nothing else." + (
    " A review is good where its writer would come again, whatever else is found fault with." * 12
)


def _proven(size: int = 8, checks: int = 400, losses: int = 0) -> PackFigures:
    return proven(KEY, size, checks=checks, losses=losses)


def _spec() -> ModelSpec:
    return spec_for("scripted:m", local=True, context_tokens=4096)


def _arrival(item: str, **facts: Any) -> Arrival:
    packable = Packable(
        spec=_spec(),
        node="judge",
        request=facts.pop("request", Request()),
        in_bound=facts.pop("in_bound", 400),
        out_cap=facts.pop("out_cap", 8),
        out_tokens=3,
        is_asked=facts.pop("is_asked", False),
        is_worse=facts.pop("is_worse", None),
    )
    messages = [SystemMessage(TASK), HumanMessage(f"Text: {item}")]
    return Arrival(
        lane=LANE, group="g", messages=facts.pop("messages", messages), packable=packable, **facts
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _admission(clock: Clock, figures: PackFigures | None = None, **options: Any) -> Admission:
    packer = Packer(figures=_proven() if figures is None else figures, **options)
    return Admission(pack.build(), Gates(), packer=packer, clock=clock)


def _mood(item: str) -> str:
    return "good" if "good" in item else "bad"


def _reply(messages: Sequence[BaseMessage], mood: Callable[[str], Any] = _mood) -> AIMessage:
    """What a model that makes no mistake answers to a pack."""
    listed = re.findall(r'^(\d+): (".*")$', str(messages[-1].content), re.MULTILINE)
    answer = {number: mood(json.loads(item)) for number, item in listed}
    usage = UsageMetadata(input_tokens=100, output_tokens=21, total_tokens=121)
    return AIMessage(json.dumps(answer), usage_metadata=usage)


def _enter(admission: Admission, clock: Clock, items: Sequence[str], **facts: Any) -> list[Place]:
    places = [admission.enter(_arrival(item, **facts)) for item in items]
    clock.now_s += 0.01
    return places


def _errand(place: Place) -> Errand:
    found = place.poll()
    assert isinstance(found, Packed)
    found.errand.begin()
    return found.errand


ITEMS = ["good one", "bad two", "good three", "bad four", "good five", "bad six"]


def test_one_call_answers_all_each_with_its_share(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    errand = _errand(places[0])
    assert [type(place.poll()) for place in places[1:]] == [Wait] * 5
    woken: list[int] = []
    for number, place in enumerate(places[1:]):
        found = place.poll()
        assert isinstance(found, Wait)
        found.when(lambda number=number: woken.append(number))  # type: ignore[misc]
    errand.answered(_reply(errand.messages))
    assert sorted(woken) == list(range(5))
    answers = _answers(places)
    assert [a.text for a in answers] == [_mood(item) for item in ITEMS]
    usages = [a.usage_metadata for a in answers]
    assert sum(u["input_tokens"] for u in usages if u) == 100
    assert sum(u["output_tokens"] for u in usages if u) == 21


def _answers(places: Sequence[Place]) -> list[AIMessage]:
    found = [place.poll() for place in places]
    assert all(isinstance(each, Answered) for each in found), found
    return [each.message for each in found if isinstance(each, Answered)]


def test_the_task_is_in_the_prompt_once_and_the_order_is_drawn(clock: Clock) -> None:
    orders = set()
    for seed in range(5):
        admission = _admission(clock, seed=seed)
        errand = _errand(_enter(admission, clock, ITEMS)[0])
        text = str(errand.messages[-1].content)
        assert errand.messages[0].content == TASK
        assert text.count("Text:") == 1
        orders.add(errand.pack.order)
    assert len(orders) > 1


def test_an_item_without_a_valid_answer_is_asked_alone(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    errand = _errand(places[0])
    whole = json.loads(_reply(errand.messages).text)
    number_of = {index: str(at + 1) for at, index in enumerate(errand.pack.order)}
    del whole[number_of[1]]  # missing
    whole[number_of[2]] = ["good"]  # wrong type
    whole[number_of[3]] = "I'm sorry, but I cannot help with that."  # refusal
    whole["99"] = "good"  # nobody asked
    text = json.dumps(whole)[:-1] + f', "{number_of[4]}": "bad"}}'  # twice
    errand.answered(AIMessage(text))
    assert isinstance(places[0].poll(), Answered)
    assert isinstance(places[5].poll(), Answered)
    alone = places[1:5]
    assert [place.poll() for place in alone] == [Go()] * 4
    for place in alone:
        place.leave(Outcome())


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", '{"1": "go', "null", "{" * 5000])
def test_an_answer_that_is_no_pack_sends_all_alone(text: str, clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS[:3])
    _errand(places[0]).answered(AIMessage(text))
    assert [place.poll() for place in places] == [Go()] * 3


def test_an_answer_that_breaks_off_keeps_what_came(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    errand = _errand(places[0])
    errand.answered(AIMessage(_reply(errand.messages).text[:40]))
    answered = [place for place in places if isinstance(place.poll(), Answered)]
    assert 1 <= len(answered) < 6
    for place, item in zip(places, ITEMS, strict=True):
        if place in answered:
            assert place.answer is not None
            assert place.answer.message.text == _mood(item)


def test_an_error_of_the_pack_is_nobodys(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS[:3])
    errand = _errand(places[0])
    errand.failed(ValueError("context length exceeded"))
    errand.answered(_reply(errand.messages))  # too late
    assert [place.poll() for place in places] == [Go()] * 3
    places[0].leave(Outcome.of(ValueError("mine")))
    assert places[1].poll() == Go()


def test_packs_that_always_fail_are_soon_given_up(clock: Clock) -> None:
    admission = _admission(clock, PackFigures())
    failed = 0
    for _ in range(30):
        places = _enter(admission, clock, ITEMS[:4], is_asked=True)
        if isinstance(found := places[0].poll(), Packed):
            failed += 1
            found.errand.begin()
            found.errand.failed(ValueError("no answer"))
        for place in places:
            assert place.poll() == Go()
            place.leave(Outcome())
    assert 2 <= failed <= 12


def test_an_overloaded_server_says_nothing_about_packing(clock: Clock) -> None:
    admission = _admission(clock, PackFigures())
    assert admission.packer is not None
    errand = _errand(_enter(admission, clock, ITEMS[:4], is_asked=True)[0])
    response = httpx.Response(429, headers={"Retry-After": "0"})
    request = httpx.Request("POST", "http://x")
    errand.failed(httpx.HTTPStatusError("no", request=request, response=response))
    assert admission.packer.figures.of(KEY) == {}


def test_an_answer_that_reached_its_limit_keeps_what_came(clock: Clock) -> None:
    """As OpenAI's client tells it: by an error that holds the completion."""
    places = _enter(_admission(clock), clock, ITEMS)
    errand = _errand(places[0])
    error = ValueError("length limit was reached")
    message = SimpleNamespace(content=_reply(errand.messages).text[:40])
    error.completion = SimpleNamespace(  # type: ignore[attr-defined]
        choices=[SimpleNamespace(message=message)],
        usage=SimpleNamespace(prompt_tokens=90, completion_tokens=20),
    )
    errand.failed(error)
    ends = [place.poll() for place in places]
    assert any(isinstance(end, Answered) for end in ends)
    assert any(end == Go() for end in ends)


def test_a_cancelled_caller_is_replaced(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    first = _errand(places[0])
    first.failed(asyncio.CancelledError())
    places[0].cancel()
    second = _errand(places[1])
    assert len(second.pack.items) == 5
    second.answered(_reply(second.messages))
    assert [a.text for a in _answers(places[1:])] == [_mood(item) for item in ITEMS[1:]]


def test_every_member_is_begun_when_the_call_goes_out(clock: Clock) -> None:
    begun: list[int] = []
    admission = _admission(clock)
    places = [
        admission.enter(_arrival(item, begin=lambda n=n: begun.append(n)))
        for n, item in enumerate(ITEMS)
    ]
    clock.now_s += 0.01
    places[3].cancel()
    _errand(places[0])
    assert begun == [0, 1, 2, 4, 5]
    assert [place.is_begun for place in places] == [True, True, True, False, True, True]


def test_who_was_in_a_call_that_was_broken_off_pays_its_share_and_is_asked_again(
    clock: Clock,
) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    _errand(places[0]).failed(KeyboardInterrupt())
    assert [place.share is not None for place in places[1:]] == [True] * 5
    places = _enter(_admission(clock), clock, ITEMS)
    said = places[0].poll()
    assert isinstance(said, Packed)
    said.errand.failed(KeyboardInterrupt())  # before it went out
    assert [place.share for place in places[1:]] == [None] * 5


def test_a_member_whose_money_is_gone_keeps_the_call_from_going_out(clock: Clock) -> None:
    def refuse() -> None:
        raise BudgetExceeded("given up", limit="day", spent_usd=1, limit_usd=1, next_step="wait")

    admission = _admission(clock)
    places = [
        admission.enter(_arrival(item, begin=refuse if n == 2 else lambda: None))
        for n, item in enumerate(ITEMS)
    ]
    clock.now_s += 0.01
    said = places[0].poll()
    assert isinstance(said, Packed)
    with pytest.raises(BudgetExceeded) as refused:
        said.errand.begin()
    said.errand.failed(refused.value)
    assert admission.packer is not None
    assert admission.packer.figures.of(KEY)[8].invalid == 0, "it says nothing about packing"
    assert not any(place.is_over or place.is_begun for place in places)


def test_a_caller_that_goes_before_it_polls_is_replaced(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    places[1].poll()  # the window is over: the first one has the slot
    places[0].cancel()
    assert len(_errand(places[1]).pack.items) == 5


def test_a_member_that_goes_takes_nobody_along(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS)
    errand = _errand(places[0])
    places[3].cancel()
    errand.answered(_reply(errand.messages))
    left = [place for number, place in enumerate(places) if number != 3]
    assert len(_answers(left)) == 5


def test_a_member_that_cannot_wait_goes_alone(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS[:4])
    errand = _errand(places[0])
    places[2].insist()
    assert places[2].poll() == Go()
    errand.answered(_reply(errand.messages))
    assert len(_answers([places[0], places[1], places[3]])) == 3
    places[2].leave(Outcome())


def test_one_slot_serves_a_whole_pack(clock: Clock) -> None:
    gates = Gates()
    admission = Admission(pack.build(), gates, packer=Packer(figures=_proven()), clock=clock)
    one = Lane(model="scripted:m", most=1)
    arrivals = [_arrival(item) for item in ITEMS]
    places = [
        admission.enter(Arrival(lane=one, group="g", messages=a.messages, packable=a.packable))
        for a in arrivals
    ]
    clock.now_s += 0.01
    errand = _errand(places[0])
    errand.answered(_reply(errand.messages))
    assert len(_answers(places)) == 6
    assert isinstance(gates.room(one, clock.now_s), type(None))


def test_those_that_wait_for_a_slot_anyway_are_packed_when_it_is_free(clock: Clock) -> None:
    """They come too far apart for the window, as from threads on a busy machine."""
    admission = _admission(clock)
    one = Lane(model="scripted:m", most=1)
    made = [_arrival(item) for item in ITEMS]
    places = []
    for arrival in made:
        places.append(
            admission.enter(
                Arrival(lane=one, group="g", messages=arrival.messages, packable=arrival.packable)
            )
        )
        clock.now_s += 0.5
        for place in places:
            place.poll()
    assert places[0].poll() == Go()
    places[0].leave(Outcome.answered(AIMessage("good")))
    errand = _errand(places[1])
    errand.answered(_reply(errand.messages))
    assert [a.text for a in _answers(places[1:])] == [_mood(item) for item in ITEMS[1:]]


def test_nothing_is_packed_whose_loss_is_not_known(clock: Clock) -> None:
    places = _enter(_admission(clock, PackFigures()), clock, ITEMS[:4])
    assert [place.poll() for place in places] == [Go()] * 4


def test_nothing_is_packed_that_loses(clock: Clock) -> None:
    places = _enter(_admission(clock, _proven(size=2, losses=40)), clock, ITEMS[:4], is_asked=True)
    assert [place.poll() for place in places] == [Go()] * 4


def _run_packs(
    admission: Admission, clock: Clock, packs: int, mood: Callable[[str], Any]
) -> tuple[int, list[str]]:
    """Packs of four until `packs` were tried: how many were packed, and all answers given."""
    packed, given = 0, []
    for _ in range(packs):
        places = _enter(admission, clock, ITEMS[:4], is_asked=True)
        found = places[0].poll()
        if isinstance(found, Packed):
            assert len(found.errand.pack.items) <= 4
            packed += 1
            found.errand.answered(_reply(found.errand.messages, mood))
        for place, item in zip(places, ITEMS, strict=False):
            match place.poll():
                case Answered(message=message):
                    given.append(str(message.text))
                case Go():
                    given.append(_mood(item))
                    place.leave(Outcome.answered(AIMessage(_mood(item).upper())))
                case other:
                    raise AssertionError(other)
    return packed, given


def test_an_authors_word_starts_small_and_compares(clock: Clock) -> None:
    admission = _admission(clock, PackFigures())
    assert admission.packer is not None
    packed, given = _run_packs(admission, clock, 30, _mood)
    assert packed == 30
    assert given == [_mood(item) for item in ITEMS[:4]] * 30
    known = admission.packer.figures.of(KEY)[4]
    assert (known.items, known.losses, known.invalid) == (120, 0, 0)
    # The first twenty items are all compared, later ones one in ten.
    assert 20 <= known.checks < 45


def test_finding_out_that_packing_loses_costs_no_quality(clock: Clock) -> None:
    admission = _admission(clock, PackFigures())
    packed, given = _run_packs(admission, clock, 40, lambda _: "good")
    assert 3 <= packed <= 8
    assert given == [_mood(item) for item in ITEMS[:4]] * 40


def test_packs_in_line_are_broken_up_when_packing_is_found_to_lose(clock: Clock) -> None:
    figures = PackFigures()
    admission = _admission(clock, figures)
    places = _enter(admission, clock, ITEMS[:4], is_asked=True)
    places[1].poll()
    for _ in range(20):
        figures.checked(KEY, 2, is_worse=True)
    assert [place.poll() for place in places] == [Go()] * 4


def test_the_nodes_own_check_says_what_is_worse(clock: Clock) -> None:
    admission = _admission(clock, PackFigures())
    assert admission.packer is not None
    for _ in range(10):
        places = _enter(admission, clock, ITEMS[:4], is_asked=True, is_worse=lambda a, b: False)
        errand = _errand(places[0])
        errand.answered(_reply(errand.messages))
        for place in places:
            if isinstance(place.poll(), Go):
                place.leave(Outcome.answered(AIMessage("put in other words")))
    known = admission.packer.figures.of(KEY)[4]
    assert known.checks > 0
    assert known.losses == 0


def test_money_put_aside_is_never_passed(clock: Clock) -> None:
    """The pack's prompt must be within the sum of what its members put aside for theirs."""
    places = _enter(_admission(clock), clock, ITEMS[:4], in_bound=10)
    assert [place.poll() for place in places] == [Go()] * 4
    for bound in (150, 250, 350, 3000):
        places = _enter(_admission(clock), clock, ITEMS[:4], in_bound=bound, out_cap=9)
        if not isinstance(found := places[0].poll(), Packed):
            continue
        packed = found.errand.pack
        assert packed.max_tokens is not None
        texts = [str(m.content) for m in packed.messages] + [json.dumps(packed.schema)]
        at_most = sum(tokens.upper_bound(text) for text in texts) + packed.max_tokens
        assert at_most <= 4 * (bound + 9)  # a token costs the same in and out here
    assert packed.max_tokens == 4 * 9 + 5 * 12


def test_different_wishes_are_not_packed(clock: Clock) -> None:
    admission = _admission(clock)
    person = {"type": "object", "properties": {"name": {"type": "string"}}}
    places = [
        admission.enter(_arrival(item, request=Request(schema=schema)))
        for item, schema in zip(ITEMS[:2], (None, person), strict=True)
    ]
    clock.now_s += 0.01
    assert [place.poll() for place in places] == [Go()] * 2


def test_answers_by_schema_are_held_to_it(clock: Clock) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
    }
    request = Request(schema=schema, schema_name="Mood")
    places = _enter(_admission(clock), clock, ITEMS[:3], request=request)
    errand = _errand(places[0])
    written = errand.written(request, target=ScriptedChat(name="m"))
    asked = written.kwargs["response_format"]["json_schema"]["schema"]
    assert asked["properties"]["1"] == schema
    assert written.kwargs["max_tokens"] > 24

    def mood(item: str) -> Any:
        return {"mood": "great"} if item == ITEMS[1] else {"mood": _mood(item)}

    errand.answered(_reply(errand.messages, mood))
    assert [a.text for a in _answers([places[0], places[2]])] == ['{"mood": "good"}'] * 2
    assert places[1].poll() == Go()


def test_a_stream_is_never_packed(clock: Clock) -> None:
    places = _enter(_admission(clock), clock, ITEMS[:3], may_gather=False)
    assert [place.poll() for place in places] == [Go()] * 3


def test_a_prompt_of_another_template_goes_alone(clock: Clock) -> None:
    admission = _admission(clock)
    other = [SystemMessage("Another task."), HumanMessage("Text: good")]
    places = [admission.enter(_arrival(item)) for item in ITEMS[:3]]
    lone = admission.enter(_arrival("", messages=other))
    clock.now_s += 0.01
    assert lone.poll() == Go()
    assert len(_errand(places[0]).pack.items) == 3


def test_threads_get_their_own_answers() -> None:
    """64 threads, packs of up to 8, one of them dies in the middle: nobody gets another's."""
    policy = pack.build(quiet_s=0.05, max_wait_s=0.2)
    admission = Admission(policy, Gates(), packer=Packer(figures=_proven(checks=400)))
    together = threading.Barrier(64)
    answers: dict[int, str] = {}
    calls: list[str] = []
    died: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        item = f"{'good' if number % 3 else 'bad'} {number}"
        together.wait(timeout=30)
        place = admission.enter(_arrival(item))
        try:
            while True:
                found = place.poll()
                if isinstance(found, Wait):
                    woken = threading.Event()
                    found.when(woken.set)
                    woken.wait(found.patience_s)
                elif isinstance(found, Packed):
                    with lock:
                        calls.append("pack")
                        if not died:
                            died.append(number)
                            found.errand.failed(KeyboardInterrupt())
                            return
                    time.sleep(0)
                    found.errand.answered(_reply(found.errand.messages))
                elif isinstance(found, Answered):
                    answers[number] = found.message.text
                    return
                else:
                    with lock:
                        calls.append("alone")
                    answers[number] = _mood(item)
                    place.leave(Outcome.answered(AIMessage(_mood(item))))
                    return
        finally:
            place.cancel()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(answers) == 63
    assert all(text == ("good" if n % 3 else "bad") for n, text in answers.items())
    assert len(calls) < 64
