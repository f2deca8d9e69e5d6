"""Why a key missed, in words."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from graphroute.ir.cache import CacheEntry
from graphroute.runtime.cache_key import facets
from graphroute.runtime.near_miss import differences, facet_tag, facets_of, nearest

ASKED = [SystemMessage("Be short."), HumanMessage("Why?")]


def entry(key: str, found: dict[str, str], *, created_s: float = 0.0, **tags: str) -> CacheEntry:
    return CacheEntry(
        key=key, tags={**facet_tag(found), **tags}, size_bytes=1, created_s=created_s, used_s=0.0
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ()),
        ({"model": "b"}, ("model: 'b' instead of 'a'",)),
        ({"fields": {"temperature": 1}}, ("parameters: another",)),
        ({"fields": {}}, ("parameters: in the entry, not given now",)),
        ({"fields": {"temperature": 0, "stop": ["\n"]}}, ("stop: given now, not in the entry",)),
        ({"messages": [ASKED[0], HumanMessage("How?")]}, ("messages[1]: another",)),
        ({"messages": [*ASKED, HumanMessage("And?")]}, ("messages: 3 instead of 2",)),
        ({"messages": ASKED[:1]}, ("messages: 1 instead of 2",)),
    ],
)
def test_each_part_that_differs_is_named(change: dict[str, Any], told: tuple[str, ...]) -> None:
    call: dict[str, Any] = {"model": "a", "fields": {"temperature": 0}, "messages": ASKED}
    kept = entry("k", facets(*call.values()), model="a")
    asked = {**call, **change}
    assert differences(facets(*asked.values()), kept, tags={"model": asked["model"]}) == told


def test_the_nearest_entry_has_most_in_common_and_is_the_newest() -> None:
    base = {"model": "1" * 64, "messages[0]": "2" * 64, "messages[1]": "3" * 64}
    far = entry("far", {**base, "messages[0]": "9" * 64, "messages[1]": "8" * 64})
    near = entry("near", {**base, "messages[1]": "9" * 64})
    newer = entry("newer", {**base, "messages[1]": "7" * 64}, created_s=5.0)
    bare = CacheEntry(key="bare", tags={}, size_bytes=1, created_s=9.0, used_s=9.0)
    assert nearest(base, [far, near, newer, bare]) == newer
    assert nearest(base, [far, near, newer], besides="newer") == near
    assert nearest(base, [bare]) is None


def test_a_long_call_keeps_its_first_and_last_messages() -> None:
    many = {"model": "1" * 64} | {f"messages[{n}]": f"{n:064d}" for n in range(500)}
    kept = entry("k", many)
    assert len(facets_of(kept)) == 64
    longer = many | {"messages[500]": "5" * 64}
    assert differences(longer, kept) == ("messages: 501 instead of 500",)
    assert differences(many | {"messages[499]": "5" * 64}, kept) == ("messages[499]: another",)


@pytest.mark.parametrize("tag", ["", "no json", "[]", "null"])
def test_a_tag_that_is_none_has_no_facets(tag: str) -> None:
    odd = CacheEntry(key="k", tags={"facets": tag}, size_bytes=1, created_s=0.0, used_s=0.0)
    assert facets_of(odd) == {}
