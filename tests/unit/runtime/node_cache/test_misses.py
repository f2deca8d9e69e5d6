"""Why a key missed, in words."""

from __future__ import annotations

from dataclasses import replace

from graphroute.ir.cache import CacheEntry
from graphroute.runtime.near_miss import differences, facet_tag, facets_of, nearest
from graphroute.runtime.node_cache.misses import MAX_INPUTS, Past, Trace, facets, why_missed

BEFORE = Trace(
    code={"code of 'draft'": "1", "code of 'clean'": "2", "package 'numpy'": "numpy 1"},
    model="a",
    context="",
    reads=(("key", "text", "3"), ("names", "", "4")),
)


def _why(now: Trace, *before: Trace) -> str:
    return why_missed(now, Past(traces=before))


def test_each_difference_is_named() -> None:
    assert _why(BEFORE) == "it has not run before"
    assert _why(BEFORE, BEFORE) == "its earlier result was not kept or is gone"
    changed = {**BEFORE.code, "code of 'clean'": "9"}
    assert _why(replace(BEFORE, code=changed), BEFORE) == "code of 'clean' changed"
    assert _why(replace(BEFORE, model="b"), BEFORE) == "model changed from 'a' to 'b'"
    assert (
        _why(replace(BEFORE, context="c"), BEFORE) == "the run's context or configuration changed"
    )
    newer = {**BEFORE.code, "package 'numpy'": "numpy 2"}
    assert _why(replace(BEFORE, code=newer), BEFORE) == (
        "package 'numpy' changed from 'numpy 1' to 'numpy 2'"
    )
    other = (("key", "text", "9"), ("names", "", "9"))
    assert _why(replace(BEFORE, reads=other), BEFORE) == (
        "state key 'text' changed; the set of the state's keys changed"
    )


def test_the_nearest_visit_counts() -> None:
    far = replace(BEFORE, model="b", reads=(("key", "text", "7"),))
    now = replace(BEFORE, model="c")
    assert _why(now, far, BEFORE) == "model changed from 'a' to 'c'"


def test_parts_that_only_the_earlier_visit_read_are_looked_at() -> None:
    now = replace(BEFORE, reads=())
    digests = {"text": "9", "": "4"}
    assert why_missed(now, Past(traces=(BEFORE,)), lambda kind, name: digests[name]) == (
        "state key 'text' changed"
    )


def test_a_helper_that_is_new_is_named() -> None:
    code = {k: v for k, v in BEFORE.code.items() if k != "code of 'clean'"} | {
        "code of 'tidy'": "5"
    }
    assert _why(replace(BEFORE, code=code), BEFORE) == (
        "code of 'tidy' is new; code of 'clean' is gone"
    )


def test_the_past_goes_to_json_and_back_and_is_bounded() -> None:
    past = Past()
    for version in range(4):
        for number in range(MAX_INPUTS + 3):
            trace = replace(
                BEFORE, model=str(version), reads=(("key", "text", f"{version} {number}"),)
            )
            past = past.with_trace(trace, frozenset({"global 'n'"}), limit=3)
    assert [t.model for t in past.traces] == ["3"] * MAX_INPUTS + ["2"] * MAX_INPUTS + (
        ["1"] * MAX_INPUTS
    )
    assert Past.of(past.as_json()) == past
    assert past.volatile == {"global 'n'"}


def test_anything_else_is_no_past() -> None:
    unread: list[object] = [None, 7, {}, {"versions": [{}], "volatile": []}, {"versions": 3}]
    for kept in unread:
        assert Past.of(kept) == Past()


def test_entries_tell_the_command_line_what_they_hang_on() -> None:
    trace = replace(BEFORE, reads=(("key", "text", "9"), ("names", "", "4")))
    tags = [{"node": "draft", **facet_tag(facets(each))} for each in (BEFORE, trace)]
    entries = [
        CacheEntry(key=key, tags=tag, size_bytes=1, created_s=0.0, used_s=0.0)
        for key, tag in zip("ab", tags, strict=True)
    ]
    near = nearest(facets_of(entries[1]), entries, besides="b")
    assert near is entries[0]
    assert differences(facets_of(entries[1]), near) == ("state key 'text': another",)
