"""The facts of a GGUF file from its header, without loading the model.

The format (specified in the ggml repository, `docs/gguf.md`), all little-endian:

```
"GGUF" │ version u32 │ tensors u64 │ pairs u64 │ pairs: key, type, value │ tensors: name, shape, …
```

Every length is checked against the bytes that are left, so a truncated or foreign file is one
clear error and never a long read.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from graphroute.errors import ProviderUnavailable

_SCALARS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_VERSIONS: Final = (2, 3)
_MAX_PAIRS = 10_000
_MAX_TENSORS = 100_000
_MAX_SHAPE = 8
_MAX_NESTING = 4

_FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}  # fmt: skip

Value = int | float | bool | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFacts:
    """What a GGUF header says; None where it does not.

    parameters: sum over all tensors; file_bytes: size on disk, about the weights in memory
    kv_bytes_per_token: memory of the key-value cache for one token of context, 16-bit
    """

    architecture: str
    name: str | None
    parameters: int
    context_tokens: int | None
    quantization: str | None
    chat_template: str | None
    file_bytes: int
    kv_bytes_per_token: int


def read(path: Path) -> GgufFacts:
    """The header of a GGUF file; `ProviderUnavailable` if it is missing, foreign or cut off."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            return _facts(_Header(stream=stream, left=size), size)
    except OSError as fault:
        raise _bad(path, fault.strerror or "cannot be read", "mend the path") from None
    except (ValueError, UnicodeDecodeError, struct.error) as fault:
        raise _bad(path, str(fault), "download or convert it again") from None


def kv_bytes_per_token(
    *, layers: int, heads: int, kv_heads: int, embedding: int, key: int | None, value: int | None
) -> int:
    """Bytes of key-value cache per token of context at 16 bits per number.

    >>> kv_bytes_per_token(layers=30, heads=9, kv_heads=3, embedding=576, key=None, value=None)
    23040
    """
    head = embedding // heads if heads else 0
    return 2 * layers * kv_heads * ((key or head) + (value or head))


@dataclass(slots=True, kw_only=True)
class _Header:
    """Reads forward, and knows how many bytes of the file are left."""

    stream: BinaryIO
    left: int

    def take(self, count: int) -> bytes:
        self._claim(count)
        return self.stream.read(count)

    def skip(self, count: int) -> None:
        self._claim(count)
        self.stream.seek(count, 1)

    def number(self, code: str) -> int | float | bool:
        (value,) = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))
        assert isinstance(value, (int, float))
        return value

    def whole(self, code: str = "Q") -> int:
        return int(self.number(code))

    def text(self) -> str:
        return self.take(self.whole()).decode("utf-8")

    def value(self, kind: int, nesting: int = 0) -> Value:
        """A scalar or string; arrays (the vocabulary) are passed over and give None."""
        if code := _SCALARS.get(kind):
            return self.number(code)
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or nesting >= _MAX_NESTING:
            raise ValueError(f"holds a value of the unknown type {kind}")
        item, count = self.whole("I"), self.whole()
        if code := _SCALARS.get(item):
            self.skip(count * struct.calcsize("<" + code))
            return None
        if count > self.left:
            raise ValueError("is cut off in its header")
        for _ in range(count):
            if item == _STRING:
                self.skip(self.whole())
            else:
                self.value(item, nesting + 1)
        return None

    def _claim(self, count: int) -> None:
        if count > self.left:
            raise ValueError("is cut off in its header")
        self.left -= count


def _facts(header: _Header, size: int) -> GgufFacts:
    if header.take(min(4, header.left)) != b"GGUF":
        raise ValueError("is no GGUF file")
    if (version := header.whole("I")) not in _VERSIONS:
        raise ValueError(f"has the GGUF version {version}, known are 2 and 3")
    tensors, pairs = header.whole(), header.whole()
    if tensors > _MAX_TENSORS or pairs > _MAX_PAIRS:
        raise ValueError(f"claims {tensors} tensors and {pairs} facts, which no model has")
    said: dict[str, Value] = {}
    for _ in range(pairs):
        key = header.text()
        said[key] = header.value(header.whole("I"))
    parameters, last_offset = _tensors(header, tensors)
    if last_offset >= max(header.left, 1):
        raise ValueError("is cut off: its last tensors are missing")
    architecture = str(said.get("general.architecture") or "unknown")

    def whole(name: str) -> int | None:
        value = said.get(f"{architecture}.{name}")
        return value if isinstance(value, int) and value > 0 else None

    heads = whole("attention.head_count") or 0
    file_type = said.get("general.file_type")
    return GgufFacts(
        architecture=architecture,
        name=_text(said.get("general.name")),
        parameters=parameters,
        context_tokens=whole("context_length"),
        quantization=_FILE_TYPES.get(file_type) if isinstance(file_type, int) else None,
        chat_template=_text(said.get("tokenizer.chat_template")),
        file_bytes=size,
        kv_bytes_per_token=kv_bytes_per_token(
            layers=whole("block_count") or 0,
            heads=heads,
            kv_heads=whole("attention.head_count_kv") or heads,
            embedding=whole("embedding_length") or 0,
            key=whole("attention.key_length"),
            value=whole("attention.value_length"),
        ),
    )


def _tensors(header: _Header, count: int) -> tuple[int, int]:
    """Parameters of all tensors, and where the last one starts after the header."""
    parameters = last_offset = 0
    for _ in range(count):
        header.text()
        dimensions = header.whole("I")
        if dimensions > _MAX_SHAPE:
            raise ValueError(f"holds a tensor of {dimensions} dimensions")
        parameters += math.prod(header.whole() for _ in range(dimensions))
        header.whole("I")
        last_offset = max(last_offset, header.whole())
    return parameters, last_offset


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _bad(path: Path, what: str, next_step: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"the model file {str(path)!r} {what}", path=path, next_step=next_step
    )
