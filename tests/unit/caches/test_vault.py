"""Encryption at rest: nothing readable, nothing forged, a wrong key is a miss and a warning."""

from __future__ import annotations

import logging
import sqlite3
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.fernet import Fernet

from graphroute.caches import _vault, disk
from graphroute.errors import InvalidValue, ProviderUnavailable

KEY, OTHER = (Fernet.generate_key().decode() for _ in range(2))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_wrong_key_misses_and_warns_and_the_right_one_finds_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for size in (10, 200_000):
        cache = disk.build(tmp_path, key=KEY)
        cache.put("k", b"v" * size, tags={"node": "draft"})
        cache.close()
        caplog.clear()
        wrong = disk.build(tmp_path, key=OTHER)
        assert wrong.get("k") is None
        assert wrong.entries("draft") == ()
        wrong.close()
        assert any("another key" in text for text in warnings(caplog))
        right = disk.build(tmp_path, key=KEY)
        assert right.get("k") == b"v" * size
        right.close()


def test_without_the_key_sealed_entries_are_not_used_and_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = disk.build(tmp_path, key=KEY)
    sealed.put("k", b"v")
    sealed.close()
    bare = disk.build(tmp_path)
    assert bare.get("k") is None
    bare.put("k", b"in the open")
    assert bare.get("k") == b"in the open"
    assert any(_vault.VARIABLE in text for text in warnings(caplog))
    bare.close()


@pytest.mark.parametrize("column", ["value", "tag"])
def test_what_was_changed_is_a_miss(
    tmp_path: Path, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = disk.build(tmp_path, key=KEY)
    cache.put("k", b"v", tags={"node": "draft"})
    with sqlite3.connect(tmp_path / "cache.db") as db:
        if column == "value":
            db.execute("UPDATE Cache SET value = CAST('forged' AS BLOB)")
        else:
            db.execute("UPDATE Cache SET tag = 'forged'")
    db.close()
    if column == "value":
        assert cache.get("k") is None
        assert warnings(caplog)
    else:
        assert cache.get("k") == b"v"
        assert cache.entries("draft") == ()
    cache.close()


def test_the_key_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_vault.VARIABLE, KEY)
    assert disk.build(tmp_path).is_sealed
    monkeypatch.delenv(_vault.VARIABLE)
    assert not disk.build(tmp_path).is_sealed


@pytest.mark.parametrize(
    "found", [KEY, None, RuntimeError("locked")], ids=["key", "none", "locked"]
)
def test_else_from_the_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | Exception | None
) -> None:
    asked = []

    def get_password(service: str, name: str) -> str | None:
        asked.append((service, name))
        if isinstance(found, Exception):
            raise found
        return found

    ring = ModuleType("keyring")
    ring.get_password = get_password  # type: ignore[attr-defined]  # a stand-in for the package
    ring.__spec__ = ModuleSpec("keyring", None)
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert disk.build(tmp_path).is_sealed == (found == KEY)
    assert asked == [("graphroute", "cache")]


def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="generate_key") as caught:
        disk.build(tmp_path, key="my secret password")
    assert "password" not in str(caught.value)


def test_without_the_package_nothing_is_written_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_vault, "find_spec", lambda _: None)
    with pytest.raises(ProviderUnavailable, match=r"graphroute\[encrypt\]"):
        disk.build(tmp_path, key=KEY)
