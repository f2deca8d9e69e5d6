"""Who a provider says has answered: the model's dated name and the fingerprint of what runs it.

A name such as `gpt-4o` is an alias; what it stands for is changed without notice. The reply tells
the version that answered, where a provider tells it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from langchain_core.messages import AIMessage

LONGEST: Final = 120
"""Characters of it that are kept."""


def served_by(answer: AIMessage) -> str:
    """Name and fingerprint that a reply states, `""` where it states none.

    >>> served_by(AIMessage("hi", response_metadata={"model_name": "gpt-4o-2024-08-06",
    ...     "system_fingerprint": "fp_1"}))
    'gpt-4o-2024-08-06 fp_1'
    >>> served_by(AIMessage("hi", response_metadata={"model": "/home/me/models/tiny.gguf"}))
    'tiny.gguf'
    """
    said: Mapping[str, object] = answer.response_metadata or {}
    name = said.get("model_name") or said.get("model") or ""
    words = [str(each) for each in (name, said.get("system_fingerprint")) if each]
    if (words and words[0][:1] in "/\\~") or (words and words[0][1:3] == ":\\"):
        # A file of this machine: where it lies is nobody's business.
        words[0] = words[0].replace("\\", "/").rpartition("/")[2]
    return " ".join(words)[:LONGEST]
