"""A file is replaced in one step, by whoever may write it, or stays as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from graphroute.ir.whole_file import write_whole


def test_what_was_there_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    for content in (b"old", b"new and longer", b""):
        write_whole(path, content, is_synced=True)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["kept"]


def test_a_write_that_breaks_off_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new", is_synced=True)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "kept", b"")


@pytest.mark.parametrize(("is_private", "mode"), [(True, 0o600), (False, 0o640)])
def test_a_private_file_is_the_users_alone(tmp_path: Path, is_private: bool, mode: int) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "kept", b"", is_private=is_private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == mode
