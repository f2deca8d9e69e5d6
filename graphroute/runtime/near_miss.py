"""Why a key was not found, in words: the parts in which it differs from the nearest entry.

Each entry carries short digests of its facets (`cache_key.facets`, or any other names and digests)
in one of its tags, so that this can be told without the prompts themselves, and long after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from graphroute.ir.cache import CacheEntry

FACETS: Final = "facets"
"""The tag that holds them."""

_DIGITS: Final = 12
_MOST: Final = 64
_NUMBERED: Final = re.compile(r"(.*)\[(\d+)\]")


def facet_tag(facets: Mapping[str, str]) -> dict[str, str]:
    """What to add to an entry's tags: short digests of its facets, of long calls the last ones.

    >>> facet_tag({"model": "ab" * 32, "stop": "cd" * 32})
    {'facets': '{"model":"abababababab","stop":"cdcdcdcdcdcd"}'}
    """
    kept = list(facets.items())
    if len(kept) > _MOST:
        kept = kept[:8] + kept[8 - _MOST :]
    short = {name: digest[:_DIGITS] for name, digest in kept}
    return {FACETS: json.dumps(short, separators=(",", ":"))}


def facets_of(entry: CacheEntry) -> Mapping[str, str]:
    """The facets an entry was kept with; none where it has no such tag."""
    try:
        found = json.loads(entry.tags.get(FACETS, "{}"))
    except ValueError:
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if found else {}


def nearest(
    facets: Mapping[str, str], entries: Iterable[CacheEntry], *, besides: str = ""
) -> CacheEntry | None:
    """The entry with the most equal facets, the newest of several; None where none has any.

    besides: the key of an entry that does not count, the asker's own
    """
    best, rank = None, (0.0, 0.0)
    for entry in entries:
        if entry.key == besides or not (own := facets_of(entry)):
            continue
        equal = sum(digest[:_DIGITS] == own.get(name) for name, digest in facets.items())
        # Of two with as much in common, the one with less besides is nearer.
        found = (equal - len(own) / 1000, entry.created_s)
        if best is None or found > rank:
            best, rank = entry, found
    return best


def differences(
    facets: Mapping[str, str], entry: CacheEntry, *, tags: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """In which parts a call differs from an entry, one sentence each; empty if in none.

    tags: the call's own, so that a name can be told where it is known

    >>> entry = CacheEntry(
    ...     key="k", size_bytes=1, created_s=0.0, used_s=0.0,
    ...     tags={"model": "a", "facets": '{"model":"11","messages[0]":"22"}'},
    ... )
    >>> differences({"model": "33", "messages[0]": "22"}, entry, tags={"model": "b"})
    ("model: 'b' instead of 'a'",)
    >>> differences({"model": "11", "messages[0]": "22", "messages[1]": "44"}, entry)
    ('messages: 2 instead of 1',)
    """
    own = facets_of(entry)
    now = {name: digest[:_DIGITS] for name, digest in facets.items()}
    told = []
    counts = {name: (_count(now, name), _count(own, name)) for name in _lists(now) | _lists(own)}
    for name, (count, before) in sorted(counts.items()):
        if count != before:
            told.append(f"{name}: {count} instead of {before}")
    for name in dict.fromkeys((*now, *own)):
        if now.get(name) == own.get(name):
            continue
        match = _NUMBERED.fullmatch(name)
        is_extra = (name in now) != (name in own)
        # Told already by how many there are; or left out of a long call's tag.
        if not (match and is_extra):
            told.append(_told(name, now, own, tags or {}, entry.tags))
    return tuple(told)


def _told(
    name: str,
    now: Mapping[str, str],
    own: Mapping[str, str],
    tags: Mapping[str, str],
    before: Mapping[str, str],
) -> str:
    if name not in own:
        return f"{name}: given now, not in the entry"
    if name not in now:
        return f"{name}: in the entry, not given now"
    if tags.get(name) and before.get(name) and tags[name] != before[name]:
        return f"{name}: {tags[name]!r} instead of {before[name]!r}"
    return f"{name}: another"


def _lists(facets: Mapping[str, str]) -> set[str]:
    return {match[1] for name in facets if (match := _NUMBERED.fullmatch(name))}


def _count(facets: Mapping[str, str], name: str) -> int:
    """How many there are of a numbered facet, counting those left out of the tag."""
    found = (_NUMBERED.fullmatch(each) for each in facets)
    return max((int(m[2]) + 1 for m in found if m and m[1] == name), default=0)
