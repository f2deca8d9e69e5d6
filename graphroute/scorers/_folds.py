"""Which fold a prompt belongs to: the same question never stands on both sides of a split."""

from __future__ import annotations

import hashlib
import re

_OPTION = re.compile(r"^A[.)] ", re.MULTILINE)
_REST = re.compile(r"[^a-z0-9]+")


def stem(prompt: str) -> str:
    """The question alone: no answer options, no case, no punctuation.

    >>> stem("What is 2 + 2?\\nA. 3\\nB. 4")
    'what is 2 2'
    """
    found = _OPTION.search(prompt)
    return _REST.sub(" ", (prompt[: found.start()] if found else prompt).lower()).strip()


def fold_of(prompt: str, folds: int, seed: int = 0) -> int:
    """The fold in [0, folds) of a prompt; equal for equal questions, in any file and order."""
    key = f"graphroute-fold|{seed}|{stem(prompt)}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % folds
