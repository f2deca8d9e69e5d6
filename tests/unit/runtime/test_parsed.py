from __future__ import annotations

from graphroute.runtime.parsed import Parsed


def test_equal_bytes_of_another_object_are_known_and_others_are_not() -> None:
    parsed = Parsed[str]()
    parsed.put("k", b"raw", "read")
    assert parsed.get("k", bytes(bytearray(b"raw"))) == "read"
    assert parsed.get("k", b"row") is None
    assert parsed.get("other", b"raw") is None


def test_the_least_recently_used_go_when_the_bytes_are_too_many() -> None:
    parsed = Parsed[int](limit_bytes=10)
    for number, key in enumerate("abc"):
        parsed.put(key, b"1234", number)
        parsed.get("a", b"1234")
    assert [parsed.get(key, b"1234") for key in "abc"] == [0, None, 2]
    parsed.put("c", b"12", 3)
    parsed.put("d", b"1234", 4)
    assert [parsed.get(*pair) for pair in (("a", b"1234"), ("c", b"12"), ("d", b"1234"))] == [
        0,
        3,
        4,
    ]


def test_one_that_is_larger_than_all_the_room_is_not_kept() -> None:
    parsed = Parsed[int](limit_bytes=3)
    parsed.put("k", b"1234", 1)
    assert parsed.get("k", b"1234") is None
