"""Which environment variables a function asks for by `os.getenv`, which reads them out of sight."""

from __future__ import annotations

import os
from collections.abc import Iterator

from graphroute.frontend.recognize import is_goal
from graphroute.frontend.scope import Scope, resolve
from graphroute.frontend.stack import CodeFacts
from graphroute.frontend.symbols import Const, Ref


def variables(scope: Scope, facts: CodeFacts) -> Iterator[str | None]:
    """Their names; None where only a run tells which.

    >>> from graphroute.frontend.bytecode import read_code
    >>> from graphroute.frontend.scope import scope_of
    >>> def node(state): return os.getenv("REGION", "eu"), os.getenv(state["name"])
    >>> list(variables(scope_of(node), read_code(node.__code__)))
    ['REGION', None]
    """
    for call in facts.calls:
        if not isinstance(call.func, Ref) or call.func.keys:
            continue
        if resolve(scope, call.func, is_goal).value is os.getenv:
            name = call.args[0] if call.args else call.kwargs.get("key")
            is_known = isinstance(name, Const) and isinstance(name.value, str)
            yield name.value if is_known else None  # type: ignore[union-attr]  # is_known says so
