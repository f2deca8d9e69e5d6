"""Questions that sound alike and are not; questions that are the same however they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.runtime.likeness import conflict

OTHER = [
    ("numbers", "Name 3 rivers", "Name 5 rivers"),
    ("numbers", "Name three rivers", "Name five rivers"),
    ("numbers", "from 3 to 5", "from 5 to 3"),
    ("numbers", "the third man", "the fourth man"),
    ("numbers", "Is 1.5 enough?", "Is 15 enough?"),
    ("numbers", "costs 10 now", "costs now"),
    ("turning", "Is it safe?", "Is it not safe?"),
    ("turning", "Does it float?", "Doesn't it float?"),
    ("turning", "Which is the largest?", "Which is the smallest?"),
    ("turning", "prices increased", "prices decreased"),
    ("turning", "eat before sleep", "eat after sleep"),
    ("turning", "tea with milk", "tea without milk"),
    ("turning", "Who won?", "When won?"),
    ("turning", "Who is king?", "Who was king?"),
    ("turning", "cats and dogs", "cats or dogs"),
    ("names", "Is it Paris, really?", "Is it London, really?"),
    ("words", "Paris is large", "London is large"),
    ("names", "Is Paris large?", "Is London large?"),
    ("names", "Does Ann owe Bob?", "Does Bob owe Ann?"),
    ("names", "use the API", "use the GPU"),
    ("names", "install py3 here", "install py2 here"),
    ("code", "what does `x` print", "what does `y` print"),
    ("code", "say 'good day' twice", "say 'good bye' twice"),
    ("code", 'translate "dog"', 'translate "cat"'),
    ("code", "fetch http://a/x", "fetch http://a/y"),
    ("code", "read /etc/a.txt", "read /etc/b.txt"),
    ("code", "a < b", "a > b"),
    ("code", "5 - 3", "5 + 3"),
    ("code", "```\nx = 1\n```", "```\nx = 2\n```"),
    ("words", "boiling point of water", "boiling point of ethanol"),
    ("words", "where is my order", "where is your order"),
    ("words", "man bites dog", "dog bites man"),
    ("words", "sort: b a c", "sort: a b c"),
    ("words", "hello", "thanks"),
    ("words", "", "?"),
]

SAME = [
    ("What is the capital of France?", "what's the capital of france"),
    ("Can you please tell me who wrote Hamlet?", "Who wrote Hamlet?"),
    ("I'd like to know how rain forms.", "How rain forms"),
    ("Don't the dogs bark?", "do not the dog bark"),
    ("Explain recursion,  please!", "explain recursion"),
    ("Costs 1,000 dollars", "cost 1000 dollar"),
    ("name three rivers", "Name 3 rivers."),
    ("run `ls  -l`", "Run `ls -l`!"),
    ("the the same", "the same"),
]


@pytest.mark.parametrize(("kind", "one", "other"), OTHER)
def test_another_question_is_told_by_what_differs(kind: str, one: str, other: str) -> None:
    for told in (conflict(one, other), conflict(other, one)):
        assert told is not None
        assert told.startswith(kind)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_typed_again_is_the_same(one: str, other: str) -> None:
    assert conflict(one, other) is None
    assert conflict(other, one) is None


WORDS = st.lists(
    st.sampled_from(
        ("is", "not", "the", "Paris", "3", "seven", "boils", "`x`", "more", "a", "dog")
    ),
    max_size=8,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(one=WORDS, other=WORDS)
def test_it_is_symmetric_and_bears_marks_and_spaces(one: str, other: str) -> None:
    assert (conflict(one, other) is None) == (conflict(other, one) is None)
    if conflict(one, one) is None:
        assert conflict(one, f"  {one.replace(' ', '   ')} ?") is None


@settings(max_examples=300, deadline=None)
@given(one=st.text(max_size=60), other=st.text(max_size=60))
def test_any_text_is_read(one: str, other: str) -> None:
    told = conflict(one, other)
    assert told is None or len(told) <= 200


def test_a_long_text_takes_no_long_time() -> None:
    # What would be quadratic or worse here is caught by the time limit of tests.
    assert conflict("a " * 2000 + "'" * 2000, "``" * 2000) is not None
    assert conflict("please " * 600, "can you " * 600) is not None
