"""The demo's inputs and how they are judged."""

from __future__ import annotations

import pytest

from graphroute.demo import tickets
from graphroute.demo.tickets import Expected, Score

TICKET = Expected(ticket="…", tone="negative", name="Ann Lee", order="12")


def test_the_twenty_tickets_hold_their_answers() -> None:
    found = tickets.read(tickets.folder() / "data" / "tickets.jsonl")
    assert len(found) == 20
    assert len({one.ticket for one in found}) == 20
    for one in found:
        assert one.name in one.ticket
        assert one.order in one.ticket
        assert one.tone in ("positive", "negative")
    assert 5 <= sum(one.tone == "positive" for one in found) <= 15


def test_the_long_ticket_holds_its_answers_and_is_long() -> None:
    (long,) = tickets.read(tickets.folder() / "data" / "long_ticket.jsonl")
    ordinary = tickets.read(tickets.folder() / "data" / "tickets.jsonl")
    assert long.name in long.ticket
    assert long.order in long.ticket
    assert len(long.ticket) > 3 * max(len(one.ticket) for one in ordinary)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            {"tone": "negative", "name": "Ann Lee", "order": "12", "reply": "Dear Ann Lee, 12."},
            Score(tone=True, fields=True, reply=True),
        ),
        (
            {"tone": "positive", "name": "Ann", "order": "12", "reply": "Dear Ann, 12."},
            Score(tone=False, fields=False, reply=False),
        ),
        ({}, Score(tone=False, fields=False, reply=False)),
    ],
)
def test_score(state: dict[str, str], expected: Score) -> None:
    assert tickets.score(state, TICKET) == expected


def test_quality_is_the_share_of_what_is_right() -> None:
    assert Score(tone=True, fields=False, reply=True).quality == pytest.approx(2 / 3)


def test_interval_is_seeded_and_holds_the_mean() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 1.0, 0.0, 1.0, 0.5]
    low, high = tickets.interval(values)
    assert (low, high) == tickets.interval(values)
    assert low < sum(values) / len(values) < high
