from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphroute.errors import ProviderUnavailable
from graphroute.providers._gguf import GgufFacts, read


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _pair(key: str, kind: int, data: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + data


def _file(*, version: int = 3, pairs: tuple[bytes, ...] | None = None) -> bytes:
    number = "<I"
    known = (
        _pair("general.architecture", 8, _text("tiny")),
        _pair("general.name", 8, _text("Tiny é")),
        _pair("general.file_type", 4, struct.pack(number, 15)),
        _pair("tiny.context_length", 10, struct.pack("<Q", 2048)),
        _pair("tiny.block_count", 4, struct.pack(number, 2)),
        _pair("tiny.embedding_length", 4, struct.pack(number, 16)),
        _pair("tiny.attention.head_count", 4, struct.pack(number, 4)),
        _pair("tiny.attention.head_count_kv", 4, struct.pack(number, 2)),
        _pair("words", 9, struct.pack("<IQ", 8, 2) + _text("a") + _text("b")),
        _pair("scores", 9, struct.pack("<IQ", 6, 2) + struct.pack("<2f", 0.5, 1)),
        _pair("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQB", 0, 1, 7)),
        _pair("tokenizer.chat_template", 8, _text("{{ messages }}")),
    )
    chosen = known if pairs is None else pairs
    tensors = (
        _text("w") + struct.pack("<IQQIQ", 2, 3, 4, 0, 0),
        _text("b") + struct.pack("<IQIQ", 1, 5, 0, 48),
    )
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(chosen))
    return head + b"".join(chosen) + b"".join(tensors) + bytes(68)


def _write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_all_facts(version: int, tmp_path: Path) -> None:
    data = _file(version=version)
    assert read(_write(tmp_path, data)) == GgufFacts(
        architecture="tiny",
        name="Tiny é",
        parameters=17,
        context_tokens=2048,
        quantization="Q4_K_M",
        chat_template="{{ messages }}",
        file_bytes=len(data),
        # 2 (key and value) × 2 layers × 2 heads × 16/4 numbers × 2 bytes
        kv_bytes_per_token=2 * 2 * 2 * 4 * 2,
    )


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    facts = read(_write(tmp_path, _file(pairs=())))
    assert (facts.architecture, facts.context_tokens, facts.kv_bytes_per_token) == (
        "unknown",
        None,
        0,
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is no GGUF file"),
        (b"PK\3\4 a zip", "is no GGUF file"),
        (b"GGUF", "is cut off in its header"),
        (_file(version=1), "has the GGUF version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "claims 1152921504606846976 tensors"),
        (_file(pairs=(_pair("x", 99, b""),)), "unknown type 99"),
        (_file(pairs=(_pair("x", 8, struct.pack("<Q", 1 << 62)),)), "is cut off in its header"),
        (_file(pairs=(_pair("x", 9, struct.pack("<IQ", 8, 1 << 62)),)), "cut off in its header"),
        (_file()[:-50], "its last tensors are missing"),
    ],
)
def test_foreign_and_damaged_files_are_one_clear_error(
    data: bytes, what: str, tmp_path: Path
) -> None:
    with pytest.raises(ProviderUnavailable, match=what) as caught:
        read(_write(tmp_path, data))
    assert "m.gguf" in str(caught.value)
    assert caught.value.next_step


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ProviderUnavailable, match="mend the path"):
            read(path)


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(_file())), noise=st.binary(max_size=40), at=st.integers(4, 400))
def test_any_damage_is_told_or_harmless(
    cut: int, noise: bytes, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(_file())
    data[at : at + len(noise)] = noise
    path = _write(tmp_path_factory.mktemp("gguf"), bytes(data[:cut]))
    try:
        facts = read(path)
    except ProviderUnavailable:
        return
    assert facts.parameters >= 0
