from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from langchain_core.messages import AIMessage

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.catalog import Model, Price
from graphroute.protocols import Provider
from graphroute.providers import llamacpp, ollama
from graphroute.providers._spec import Facts, spec
from graphroute.runtime.gates import (
    LOCAL_SLOTS,
    SPARE,
    START,
    STREAM_S,
    Full,
    Gates,
    Lane,
    Outcome,
    Ticket,
)
from tests.unit.runtime.situations import spec_for

FACTS = Facts(provider="x", local=True, price=Price(in_usd=0.0, out_usd=0.0, source="local"))
CLOUD = Lane(model="openai:m", endpoint="openai", adapts=True)
TINY = Lane(model="llamacpp:tiny", most=2)


def _refusal(status: int, **headers: str) -> Outcome:
    response = httpx.Response(status, headers=headers)
    request = httpx.Request("POST", "http://x")
    error = httpx.HTTPStatusError("no", request=request, response=response)
    return Outcome.of(error, now_s=0.0)


def _fill(gates: Gates, lane: Lane, now_s: float = 0.0) -> list[Ticket]:
    """Enter until there is no room."""
    tickets = []
    while isinstance(found := gates.try_enter(lane, now_s), Ticket):
        tickets.append(found)
        assert len(tickets) < 10_000
    return tickets


def test_a_server_gets_what_it_takes_at_once() -> None:
    gates = Gates()
    assert len(_fill(gates, TINY)) == 2
    assert gates.try_enter(TINY, 0.0) == Full(until_s=None)


def test_a_local_server_does_not_get_more_by_answering() -> None:
    gates = Gates()
    for ticket in _fill(gates, TINY) * 5:
        gates.leave(ticket, Outcome(), 1.0)
    assert len(_fill(gates, TINY, 2.0)) == 2


def test_lanes_follow_what_the_spec_says() -> None:
    assert Lane.of(spec_for("ollama:x", local=True)).most == LOCAL_SLOTS + SPARE
    assert Lane.of(spec_for("ollama:x", local=True, slots=1)).most == 1 + SPARE
    assert Lane.of(spec_for("openai:gpt", slots=3)).most == 3
    named = spec_for("openai:tiny@https://gpu.example/v1")
    assert Lane.of(named).endpoint == "https://gpu.example/v1"
    assert Lane.of(spec_for("openai:gpt")).endpoint == "scripted"


def test_a_cloud_model_starts_at_a_bound_and_doubles_while_it_answers() -> None:
    gates = Gates()
    first = _fill(gates, CLOUD)
    assert len(first) == START
    for ticket in first:
        gates.leave(ticket, Outcome(), 1.0)
    assert len(_fill(gates, CLOUD, 1.0)) == 2 * START


def test_who_never_fills_the_limit_does_not_raise_it() -> None:
    gates = Gates()
    for _ in range(500):
        ticket = gates.try_enter(CLOUD, 0.0)
        assert isinstance(ticket, Ticket)
        gates.leave(ticket, Outcome(), 0.0)
    assert gates.limits()["openai:m"] == START


def test_a_cloud_model_never_gets_more_than_its_user_says() -> None:
    gates, lane = Gates(), Lane(model="openai:m", endpoint="openai", most=3, adapts=True)
    for now_s in range(5):
        tickets = _fill(gates, lane, now_s)
        assert len(tickets) == 3
        for ticket in tickets:
            gates.leave(ticket, Outcome(), now_s + 0.5)
    ticket = _fill(gates, lane, 5)[0]
    gates.leave(ticket, _refusal(429, **{"Retry-After": "1"}), 6)
    assert gates.limits()["openai:m"] == 1.5


def test_a_refused_burst_halves_once_and_later_grows_by_one_a_round() -> None:
    gates = Gates()
    tickets = _fill(gates, CLOUD)
    for ticket in tickets:
        gates.leave(ticket, _refusal(429, **{"Retry-After": "2"}), 1.0)
    assert gates.limits() == {"openai": START, "openai:m": START / 2}
    assert gates.try_enter(CLOUD, 2.9) == Full(until_s=3.0)
    round_one = _fill(gates, CLOUD, 3.0)
    assert len(round_one) == START // 2
    for ticket in round_one:
        gates.leave(ticket, Outcome(), 4.0)
    # 1/limit for each answer: just under one for the round, as the limit grows within it.
    assert 0.95 < gates.limits()["openai:m"] - START // 2 < 1
    for ticket in (round_two := _fill(gates, CLOUD, 4.0)):
        gates.leave(ticket, Outcome(), 5.0)
    assert len(round_two) == START // 2
    assert len(_fill(gates, CLOUD, 5.0)) == START // 2 + 1


def test_it_never_falls_below_one() -> None:
    gates, now_s = Gates(), 0.0
    for _ in range(40):
        ticket = gates.try_enter(CLOUD, now_s)
        assert isinstance(ticket, Ticket)
        gates.leave(ticket, _refusal(429), now_s)
        now_s += 100.0
    assert gates.limits()["openai:m"] == 1.0
    assert len(_fill(gates, CLOUD, now_s)) == 1


def test_refusals_that_say_nothing_wait_twice_as_long_each_time() -> None:
    gates, now_s, pauses = Gates(), 0.0, []
    for _ in range(9):
        ticket = gates.try_enter(CLOUD, now_s)
        assert isinstance(ticket, Ticket)
        gates.leave(ticket, _refusal(429), now_s)
        full = gates.try_enter(CLOUD, now_s)
        assert isinstance(full, Full)
        assert full.until_s is not None
        pauses.append(full.until_s - now_s)
        now_s = full.until_s
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("status", [503, 529])
def test_an_overloaded_endpoint_holds_all_its_models(status: int) -> None:
    gates, other = Gates(), Lane(model="openai:n", endpoint="openai", adapts=True)
    ticket = gates.try_enter(CLOUD, 0.0)
    assert isinstance(ticket, Ticket)
    gates.leave(ticket, _refusal(status, **{"Retry-After": "5"}), 1.0)
    assert gates.try_enter(other, 1.0) == Full(until_s=6.0)
    assert gates.limits()["openai:m"] == START


def test_a_refused_model_holds_no_other() -> None:
    gates, other = Gates(), Lane(model="openai:n", endpoint="openai", adapts=True)
    ticket = gates.try_enter(CLOUD, 0.0)
    assert isinstance(ticket, Ticket)
    gates.leave(ticket, _refusal(429, **{"Retry-After": "5"}), 1.0)
    assert isinstance(gates.try_enter(other, 1.0), Ticket)


def test_a_busy_local_server_is_left_alone_for_a_moment() -> None:
    gates = Gates()
    ticket = gates.try_enter(TINY, 0.0)
    assert isinstance(ticket, Ticket)
    gates.leave(ticket, _refusal(503), 1.0)
    assert gates.try_enter(TINY, 1.0) == Full(until_s=1.5)
    assert len(_fill(gates, TINY, 1.5)) == 2


def test_another_error_says_nothing_about_limits() -> None:
    gates = Gates()
    ticket = gates.try_enter(CLOUD, 0.0)
    assert isinstance(ticket, Ticket)
    gates.leave(ticket, _refusal(500), 1.0)
    assert isinstance(gates.try_enter(CLOUD, 1.0), Ticket)


def test_an_answer_that_used_the_last_request_closes_until_the_reset() -> None:
    gates = Gates()
    ticket = gates.try_enter(CLOUD, 0.0)
    assert isinstance(ticket, Ticket)
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}
    answer = AIMessage("ok", response_metadata={"headers": headers})
    gates.leave(ticket, Outcome.answered(answer), 1.0)
    assert gates.try_enter(CLOUD, 2.0) == Full(until_s=2.5)


def test_a_stream_that_is_not_read_on_does_not_block_for_ever() -> None:
    gates, lane = Gates(), Lane(model="llamacpp:one", most=1)
    assert isinstance(gates.try_enter(lane, 0.0, is_open_ended=True), Ticket)
    assert gates.try_enter(lane, 1.0) == Full(until_s=STREAM_S)
    assert isinstance(gates.try_enter(lane, STREAM_S), Ticket)


def test_a_call_that_must_enters_and_is_counted() -> None:
    gates = Gates()
    tickets = _fill(gates, TINY)
    forced = gates.try_enter(TINY, 0.0, must=True)
    assert isinstance(forced, Ticket)
    gates.leave(tickets[0], Outcome(), 0.0)
    assert gates.try_enter(TINY, 0.0) == Full(until_s=None)


def test_a_ticket_ends_once() -> None:
    gates = Gates()
    first, *_ = _fill(gates, TINY)
    for _ in range(3):
        gates.leave(first, Outcome(), 0.0)
    assert isinstance(gates.try_enter(TINY, 0.0), Ticket)
    assert gates.try_enter(TINY, 0.0) == Full(until_s=None)


def test_all_who_wait_hear_of_room_and_the_dead_are_forgotten() -> None:
    class Ear:
        def __init__(self) -> None:
            self.heard = 0

        def hear(self) -> None:
            self.heard += 1

    gates, kept, lost = Gates(), Ear(), Ear()
    gates.on_room(kept.hear)
    gates.on_room(lost.hear)
    del lost
    gc.collect()
    ticket = gates.try_enter(TINY, 0.0)
    assert isinstance(ticket, Ticket)
    gates.leave(ticket, Outcome(), 0.0)
    assert kept.heard == 1


@pytest.mark.parametrize(
    ("stated", "wanted"), [("3", 3), ("", None), ("0", None), ("many", None), ("-1", None)]
)
def test_ollamas_own_setting_is_read_where_it_is_seen(stated: str, wanted: int | None) -> None:
    assert ollama.build(environ={"OLLAMA_NUM_PARALLEL": stated}).slots == wanted


def test_what_the_user_says_of_slots_wins() -> None:
    provider = registry.build("providers", "scripted")
    assert isinstance(provider, Provider)
    assert provider.offer(Model("scripted:x", slots=7)).spec.slots == 7
    assert provider.offer(Model("scripted:x")).spec.slots is None
    with pytest.raises(InvalidValue, match="slots=0"):
        Model("scripted:x", slots=0)


def test_an_embedded_model_says_how_many_slots_it_has(tmp_path: Path) -> None:
    gguf = llamacpp.Gguf(path=tmp_path / "x.gguf", slots=5)
    facts = replace(FACTS, slots=gguf.slots)
    assert Lane.of(spec(Model("llamacpp:x", local=True), facts)).most == 5 + SPARE
