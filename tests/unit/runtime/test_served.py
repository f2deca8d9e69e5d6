"""Who a provider says has answered."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphroute.runtime.served import LONGEST, served_by


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, ""),
        (
            {"model_name": "gpt-4o-2024-08-06", "system_fingerprint": "fp_9"},
            "gpt-4o-2024-08-06 fp_9",
        ),
        ({"model_name": "m", "system_fingerprint": None}, "m"),
        ({"system_fingerprint": "fp_9"}, "fp_9"),
        ({"model": "llama3.2:3b"}, "llama3.2:3b"),
        ({"model": "meta-llama/Llama-3"}, "meta-llama/Llama-3"),
        ({"model": "/home/ann/models/tiny.gguf"}, "tiny.gguf"),
        ({"model": "C:\\Users\\ann\\tiny.gguf"}, "tiny.gguf"),
        ({"model_name": "x" * 500}, "x" * LONGEST),
    ],
)
def test_name_and_fingerprint(metadata: dict[str, Any], expected: str) -> None:
    assert served_by(AIMessage("hi", response_metadata=metadata)) == expected
