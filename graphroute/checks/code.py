"""Is it Python that compiles? It is parsed, never run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from graphroute.checks.reading import fenced, text_of
from graphroute.checks.text import failed, passed
from graphroute.ir.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Compiles:
    """Every fenced Python block of the reply parses, or the whole reply where it has none.

    >>> Compiles()([], "x = 1").passed, Compiles()([], "x = = 1").reason
    (True, 'line 1: invalid syntax')
    """

    is_quick: ClassVar[bool] = True

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        text = text_of(reply)
        blocks = fenced(text, "python", "py", "python3") or ([text] if "```" not in text else [])
        if not any(block.strip() for block in blocks):
            return failed("it has no Python code")
        for block in blocks:
            try:
                with warnings.catch_warnings():
                    # An odd escape in a string is a warning, which must not become an error here.
                    warnings.simplefilter("ignore")
                    ast.parse(block)
            except SyntaxError as fault:
                return failed(f"line {fault.lineno}: {fault.msg}")
            except (ValueError, RecursionError, MemoryError) as fault:
                return failed(f"it cannot be parsed ({type(fault).__name__})")
        return passed()
