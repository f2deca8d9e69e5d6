"""One digest of what a code object does: its bytecode, constants and names, not its place.

Equal functions in other files or on other lines have equal digests; a changed constant, text or
docstring makes another one.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from types import CodeType
from typing import Final

VERSION: Final = f"graphroute.code/1 {sys.implementation.cache_tag}"


@functools.lru_cache(maxsize=4096)
def code_digest(code: CodeType) -> str:
    """64 hex digits, the same in every process of one version of Python.

    >>> one, same, other = (eval(f"lambda s: s + {n}").__code__ for n in ("1", "1", "1.0"))
    >>> code_digest(one) == code_digest(same), code_digest(one) == code_digest(other)
    (True, False)
    """
    parts = (
        VERSION,
        code.co_name,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        code.co_code,
        code.co_exceptiontable,
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        code.co_consts,
    )
    return hashlib.sha256(_told(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _told(value: object) -> str:
    """A text for a constant, typed: `repr` alone would tell a code object by its address."""
    if isinstance(value, CodeType):
        return f"code {code_digest(value)}"
    if isinstance(value, tuple):
        return f"({','.join(map(_told, value))})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(map(_told, value)))}}}"
    return f"{type(value).__name__} {value!r}"


def names_in(code: CodeType) -> frozenset[str]:
    """All names of globals and attributes that the code and the functions made in it use."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= names_in(constant)
    return frozenset(names)
