"""Semantic reuse: the nearest known question of the same bucket, if nothing that counts differs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graphroute.ir.cache import CacheEntry
from graphroute.runtime.cache_key import facets
from graphroute.runtime.semantic import LONGEST, THRESHOLDS, Embed, Question, Semantic, question
from graphroute.scorers._alike import words


def index(**changes: Any) -> Semantic:
    return Semantic(**{"embed": words, "threshold": THRESHOLDS["words"], **changes})


def asked(text: str, bucket: str = "b") -> Question:
    return Question(bucket=bucket, text=text)


def test_the_nearest_question_is_found_and_another_is_not() -> None:
    semantic = index()
    semantic.add(asked("What is the capital of France?"), "france")
    semantic.add(asked("What is the capital of Spain?"), "spain")
    found = semantic.find(asked("what's the capital of spain"))
    assert found is not None
    assert (found.key, found.text) == ("spain", "What is the capital of Spain?")
    assert 0.8 <= found.similarity <= 1.0
    assert semantic.find(asked("What is the capital of Italy?")) is None
    assert semantic.find(asked("What is the capital of Spain?", bucket="other model")) is None


def test_a_neighbour_that_conflicts_does_not_hide_the_next_one() -> None:
    semantic = index()
    semantic.add(asked("How tall is the tower in Paris, without its 3 masts?"), "3")
    semantic.add(asked("How tall is the tower in Paris, without its 4 masts?"), "4")
    found = semantic.find(asked("how tall is the tower in Paris without its 4 masts"))
    assert found is not None
    assert found.key == "4"


def test_below_the_threshold_nothing_is_found() -> None:
    first, again = asked("Explain the plan of the run"), asked("Explain plan of run")
    for threshold, is_found in ((0.2, True), (0.99, False)):
        semantic = index(threshold=threshold)
        semantic.add(first, "k")
        assert (semantic.find(again) is not None) == is_found


def test_without_an_embedding_the_guards_decide() -> None:
    semantic = index(embed=None)
    semantic.add(asked("Name 3 rivers"), "3")
    semantic.add(asked("Name 4 rivers"), "4")
    found = semantic.find(asked("name four rivers"))
    assert found is not None
    assert found.key == "4"


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_every_one_of_many_is_found(count: int) -> None:
    semantic = index()
    for number in range(count):
        semantic.add(asked(f"What is the weight of item number {number}?"), str(number))
        if number % 40 == 0:
            semantic.find(asked("What is the weight of item number 0?"))
    for number in range(count):
        found = semantic.find(asked(f"what is the weight of item number {number}"))
        assert found is not None
        assert found.key == str(number)


def test_what_is_forgotten_or_old_is_not_found() -> None:
    semantic = index(most=8, buckets=2)
    for number in range(12):
        semantic.add(asked(f"Item {number}?"), str(number))
    assert semantic.find(asked("item 0")) is None
    assert semantic.find(asked("item 11")) is not None
    semantic.forget(asked("item 11"), "11")
    assert semantic.find(asked("item 11")) is None
    for bucket in ("c", "d"):
        semantic.add(asked("Item?", bucket=bucket), bucket)
    assert semantic.find(asked("item 10")) is None, "its bucket has gone"
    assert semantic.find(asked("item", bucket="c")) is not None


def test_kept_entries_are_found_again_by_their_tags() -> None:
    said = asked("What is a mixed integer solver good for?")
    kept = CacheEntry(key="k", tags=said.tags, size_bytes=1, created_s=0.0, used_s=0.0)
    bare = CacheEntry(key="other", tags={}, size_bytes=1, created_s=0.0, used_s=0.0)
    semantic = index()
    semantic.load([bare, kept])
    found = semantic.find(asked("what's a mixed integer solver good for"))
    assert found is not None
    assert found.key == "k"


def test_threads_share_it() -> None:
    def embed(texts: Any) -> Any:
        return words(texts)

    shared: Embed = embed
    semantic = index(embed=shared)
    wrong = []

    def work(me: int) -> None:
        for number in range(40):
            text = f"Count item {me * 100 + number} of thread {me}"
            semantic.add(asked(text), text)
            found = semantic.find(asked(text.lower()))
            if found is None or found.key != text:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def of(messages: list[BaseMessage], model: str = "m", **fields: Any) -> Question | None:
    return question(facets(model, fields, messages), messages)


def test_a_bucket_is_everything_but_the_last_message() -> None:
    base = of([SystemMessage("Be short."), HumanMessage("Why?")])
    same = of([SystemMessage("Be short."), HumanMessage("How?")])
    assert base is not None
    assert same is not None
    assert base.bucket == same.bucket
    for other in (
        of([SystemMessage("Be long."), HumanMessage("Why?")]),
        of([HumanMessage("Why?")]),
        of([SystemMessage("Be short."), HumanMessage("Why?")], model="n"),
        of([SystemMessage("Be short."), HumanMessage("Why?")], temperature=0.5),
        of([SystemMessage("Be short."), AIMessage("Yes?"), HumanMessage("Why?")]),
    ):
        assert other is not None
        assert other.bucket != base.bucket


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [SystemMessage("a")],
        [HumanMessage("a"), AIMessage("b")],
        [HumanMessage([{"type": "text", "text": "a"}])],
        [HumanMessage("  ")],
        [HumanMessage("x" * (LONGEST + 1))],
    ],
)
def test_what_is_no_short_text_of_a_person_is_not_compared(messages: list[BaseMessage]) -> None:
    assert of(messages) is None
