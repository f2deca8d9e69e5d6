"""Feedback from LangSmith by run id, through a client that only looks like one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from langsmith.schemas import Feedback as LangSmithFeedback

from graphroute.feedback import from_langsmith

FIRST, SECOND = (str(UUID(int=number)) for number in (1, 2))
WHEN = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Client:
    """What `langsmith.Client.list_feedback` takes and gives."""

    entries: list[LangSmithFeedback]
    asked: list[dict[str, Any]]

    def list_feedback(
        self, *, run_ids: Sequence[str] | None = None, feedback_key: Sequence[str] | None = None
    ) -> Iterator[LangSmithFeedback]:
        self.asked.append({"run_ids": run_ids, "feedback_key": feedback_key})
        for entry in self.entries:
            if feedback_key is None or entry.key in feedback_key:
                yield entry


def entry(run: str, score: Any, key: str = "user_score") -> LangSmithFeedback:
    return LangSmithFeedback(
        id=UUID(int=99),
        created_at=WHEN,
        modified_at=WHEN,
        run_id=UUID(run),
        key=key,
        score=score,
        trace_id=UUID(run),
    )


def test_scores_come_with_our_run_ids() -> None:
    client = Client([entry(FIRST, 1), entry(SECOND, 0.25)], [])
    found = from_langsmith(client, [FIRST, SECOND])
    assert [(f.run_id, f.verdict.score, f.verdict.source) for f in found] == [
        (FIRST, 1.0, "langsmith"),
        (SECOND, 0.25, "langsmith"),
    ]
    assert {f.at_s for f in found} == {WHEN.timestamp()}
    assert client.asked == [{"run_ids": [FIRST, SECOND], "feedback_key": None}]


def test_ids_that_differ_are_mapped_and_strangers_left_out() -> None:
    client = Client([entry(FIRST, True), entry(SECOND, True)], [])
    assert [f.run_id for f in from_langsmith(client, {FIRST: "ticket-17"})] == ["ticket-17"]


def test_ids_may_be_what_langsmith_has_them_as() -> None:
    client = Client([entry(FIRST, True)], [])
    assert [f.run_id for f in from_langsmith(client, [UUID(FIRST)])] == [FIRST]
    assert [f.run_id for f in from_langsmith(client, {UUID(FIRST): "mine"})] == ["mine"]


def test_what_was_changed_last_comes_last() -> None:
    later = {"modified_at": WHEN + timedelta(days=1)}
    old, new = entry(FIRST, 0.0), entry(FIRST, 1.0).model_copy(update=later)
    found = from_langsmith(Client([new, old], []), [FIRST])
    assert [said.verdict.score for said in found] == [0.0, 1.0]
    assert {said.at_s for said in found} == {WHEN.timestamp()}


def test_other_keys_and_other_scales_are_left_out() -> None:
    client = Client([entry(FIRST, 5), entry(FIRST, None), entry(FIRST, 1, key="other")], [])
    assert from_langsmith(client, [FIRST], key="user_score") == ()
    assert len(from_langsmith(client, [FIRST], key="other")) == 1


def test_without_runs_nothing_is_asked() -> None:
    client = Client([], [])
    assert from_langsmith(client, []) == ()
    assert client.asked == []
