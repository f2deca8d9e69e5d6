"""What every cache owes, found by discovery."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.cache import PRIVATE
from graphroute.protocols import Cache

CASES = [
    pytest.param((name, options), id=f"{name}-{number}")
    for name in registry.names("caches")
    for number, options in enumerate(registry.load("caches", name).EXAMPLES)
]

Make = Callable[..., Cache]


@pytest.fixture(params=CASES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Build the cache again and again, where it has a folder on the same one."""
    name, options = request.param
    module = registry.load("caches", name)
    has_folder = "folder" in inspect.signature(module.build).parameters

    def made(**more: object) -> Cache:
        folder = {"folder": tmp_path / "cache"} if has_folder else {}
        built = registry.build("caches", name, **{**folder, **options, **more})
        assert isinstance(built, Cache)
        assert built.name == name
        request.addfinalizer(built.close)
        return built

    return made


def test_what_was_put_is_found_as_it_was(make: Make) -> None:
    cache = make()
    assert cache.get("k") is None
    cache.put("k", b"\x00\xff" * 10, tags={"node": "draft"}, ttl_s=1e6)
    assert cache.get("k") == b"\x00\xff" * 10
    found = cache.find("k")
    assert found is not None
    assert dict(found.tags) == {"node": "draft"}
    assert found.ttl_s == pytest.approx(1e6, abs=100)
    cache.put("k", b"", tags={})
    assert cache.get("k") == b""
    assert cache.get("K") is None


@pytest.mark.parametrize("size", [1, 40_000, 300_000])
def test_values_of_any_length_come_back(make: Make, size: int) -> None:
    cache = make()
    value = bytes(range(251)) * (size // 251 + 1)
    cache.put("long", value)
    assert cache.get("long") == value
    assert cache.delete("long")
    assert not cache.delete("long")
    assert cache.get("long") is None


@pytest.mark.parametrize("key", ["", "a,b", "ü/..\\x", "x" * 5000, "'; DROP TABLE Cache; --", "%_"])
def test_any_text_is_a_key(make: Make, key: str) -> None:
    cache = make()
    cache.put(key, b"v", tags={"node": key})
    assert cache.get(key) == b"v"
    assert [entry.key for entry in cache.entries()] == [key]


def test_an_entry_ends_with_its_time(make: Make) -> None:
    cache = make()
    cache.put("over", b"v", ttl_s=0)
    cache.put("kept", b"v", ttl_s=1e6)
    assert cache.get("over") is None
    assert cache.get("kept") == b"v"
    # A shorter life replaces what was there.
    cache.put("kept", b"w", ttl_s=0)
    assert cache.get("kept") is None


def test_entries_say_what_is_kept(make: Make) -> None:
    cache = make()
    cache.put("a", b"12345", tags={"node": "draft", "model": "m"})
    cache.put("b", b"1", tags={"node": "team/check"})
    assert cache.get("a") is not None
    assert cache.get("gone") is None
    (only,) = cache.entries("draft")
    assert (only.key, dict(only.tags), only.hits) == ("a", {"node": "draft", "model": "m"}, 1)
    assert only.size_bytes >= 5
    assert only.created_s <= only.used_s
    assert {entry.key for entry in cache.entries()} == {"a", "b"}
    stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses, stats.faults) == (2, 1, 1, 0)
    assert 0 < stats.size_bytes <= (stats.limit_bytes or 0)


def test_clear_takes_what_is_meant_and_a_dry_run_nothing(make: Make) -> None:
    cache = make()
    for key, node in (("a", "draft"), ("b", "team/check"), ("c", "team"), ("d", "teams")):
        cache.put(key, b"v", tags={"node": node})
    assert cache.clear(node="team", dry_run=True) == 2
    assert len(cache.entries()) == 4
    assert cache.clear(node="team") == 2
    assert {entry.key for entry in cache.entries()} == {"a", "d"}
    assert cache.clear(node="no such") == 0
    assert cache.clear(older_than_s=1000.0) == 0
    assert cache.clear(older_than_s=-1.0, dry_run=True) == 2
    assert cache.clear() == 2
    assert (cache.entries(), cache.get("a")) == ((), None)
    cache.put("a", b"again")
    assert cache.get("a") == b"again"


def test_room_is_bounded_and_the_least_used_goes_first(make: Make) -> None:
    limit = 400_000
    cache = make(limit_bytes=limit) if "memory_bytes" not in _options(make) else make()
    kept = 0
    for number in range(60):
        cache.put(f"k{number}", bytes(20_000), tags={"node": "n"})
        kept += cache.get("k0") is not None
    stats = cache.stats()
    if stats.limit_bytes == limit:
        assert stats.size_bytes <= limit
        assert cache.get("k1") is None
    assert cache.get("k59") is not None


def _options(make: Make) -> set[str]:
    cache = make()
    return set(inspect.signature(registry.load("caches", cache.name).build).parameters)


def test_what_is_larger_than_the_cache_is_not_kept(make: Make) -> None:
    cache = make(limit_bytes=50_000)
    cache.put("small", b"v")
    cache.put("huge", bytes(60_000))
    assert cache.get("small") == b"v"
    if cache.name != "layered":
        assert cache.get("huge") is None


@pytest.mark.parametrize("limit", [0, -1, True, 1.5])
def test_a_limit_that_is_none_is_refused(make: Make, limit: object) -> None:
    with pytest.raises(InvalidValue, match="limit_bytes"):
        make(limit_bytes=limit)


def test_a_closed_cache_opens_again(make: Make) -> None:
    cache = make()
    cache.put("k", b"v")
    cache.close()
    cache.close()
    cache.put("k2", b"v")
    assert cache.get("k2") == b"v"


def test_private_entries_are_not_readable_from_outside(make: Make, tmp_path: Path) -> None:
    cache = make()
    cache.put("secret-key", b"secret-value", tags={"node": "secret-node", PRIVATE: "yes"})
    cache.put("open", b"v" * 100_000)
    cache.close()
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert not any(word in written for word in (b"secret-key", b"secret-value", b"secret-node"))


def test_threads_share_it(make: Make) -> None:
    cache = make()
    wrong: list[object] = []
    barrier = threading.Barrier(8)

    def work(me: int) -> None:
        barrier.wait()
        for number in range(25):
            key = f"k{number % 5}"
            cache.put(key, key.encode() * 50, tags={"node": key})
            found = cache.get(key)
            if found != key.encode() * 50:
                wrong.append((me, key, found))

    threads = [threading.Thread(target=work, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.stats().faults == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "delete", "clear", "close"]),
        st.sampled_from(["a", "b", "c"]),
        st.binary(max_size=40),
    ),
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_it_behaves_as_a_dictionary(make: Make, steps: list[tuple[str, str, bytes]]) -> None:
    cache = make()
    cache.clear()
    known: dict[str, bytes] = {}
    for what, key, value in steps:
        if what == "put":
            cache.put(key, value, tags={"node": key})
            known[key] = value
        elif what == "get":
            assert cache.get(key) == known.get(key)
        elif what == "delete":
            assert cache.delete(key) == (known.pop(key, None) is not None)
        elif what == "clear":
            assert cache.clear(node=key) == (known.pop(key, None) is not None)
        elif cache.name != "memory":
            cache.close()
    assert {entry.key for entry in cache.entries()} == known.keys()
