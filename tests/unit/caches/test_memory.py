"""The memory cache: bounded by bytes, the least recently used go first, time by a given clock."""

from __future__ import annotations

import tracemalloc

from graphroute.caches.memory import ENTRY_BYTES, MemoryCache


def test_time_is_the_clocks() -> None:
    now = [100.0]
    cache = MemoryCache(clock=lambda: now[0])
    cache.put("k", b"v", ttl_s=10.0)
    cache.put("kept", b"v")
    now[0] = 104.0
    found = cache.find("k")
    assert found is not None
    assert found.ttl_s == 6.0
    assert cache.entries()[-1].used_s == 104.0
    now[0] = 110.0
    assert cache.get("k") is None
    assert [entry.key for entry in cache.entries()] == ["kept"]
    assert cache.clear(older_than_s=9.0) == 1


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(limit_bytes=3 * (ENTRY_BYTES + 1001))
    for key in "abc":
        cache.put(key, bytes(1000))
    assert cache.get("a") is not None
    cache.put("d", bytes(1000))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    cache.put("a", bytes(10))
    assert cache.stats().size_bytes == 3 * ENTRY_BYTES + 2013


def test_the_bound_holds_for_what_python_really_takes() -> None:
    limit = 2_000_000
    tracemalloc.start()
    try:
        cache = MemoryCache(limit_bytes=limit)
        for number in range(20_000):
            cache.put(f"{number:064d}", b"x" * (number % 200), tags={"node": f"node {number}"})
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cache.stats().size_bytes <= limit
    assert 0.5 * limit < used < 1.1 * limit


def test_later_changes_of_what_was_given_change_nothing() -> None:
    cache = MemoryCache()
    value, tags = bytearray(b"before"), {"node": "a"}
    cache.put("k", value, tags=tags)  # type: ignore[arg-type]  # bytes-like is taken as well
    value[:] = b"after!"
    tags["node"] = "b"
    found = cache.find("k")
    assert found is not None
    assert (found.value, dict(found.tags)) == (b"before", {"node": "a"})
