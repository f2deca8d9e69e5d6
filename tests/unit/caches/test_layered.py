"""Memory before disk."""

from __future__ import annotations

from pathlib import Path

from graphroute.caches import layered
from graphroute.ir.cache import PRIVATE


def test_what_is_on_disk_comes_into_memory_with_its_tags_and_time(tmp_path: Path) -> None:
    first = layered.build(tmp_path)
    first.put("k", b"v", tags={"node": "draft"}, ttl_s=1e6)
    first.close()
    second = layered.build(tmp_path)
    assert second.front.get("k") is None
    assert second.get("k") == b"v"
    found = second.front.find("k")
    assert found is not None
    assert dict(found.tags) == {"node": "draft"}
    assert found.ttl_s is not None
    assert 9e5 < found.ttl_s <= 1e6
    second.close()


def test_a_hit_in_memory_counts_as_a_use_on_disk(tmp_path: Path) -> None:
    cache = layered.build(tmp_path)
    cache.put("k", b"v")
    for _ in range(3):
        assert cache.get("k") == b"v"
    assert cache.back.entries()[0].hits == 3
    assert cache.stats().hits == 3
    cache.close()


def test_private_entries_stay_in_memory(tmp_path: Path) -> None:
    cache = layered.build(tmp_path)
    cache.put("k", b"v", tags={"node": "n", PRIVATE: "1"})
    assert cache.get("k") == b"v"
    assert cache.back.entries() == ()
    assert [entry.key for entry in cache.entries()] == ["k"]
    assert cache.clear(node="n", dry_run=True) == 1
    assert cache.clear(node="n") == 1
    cache.close()
