"""A copy of a node's runnable with other functions inside.

Only the function in the copy is another, so that arguments, callbacks and context come as ever, and
the nodes of the user's graph stay the objects they are.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from langchain_core.runnables.config import run_in_executor


def twin(bound: Any, *, sync: Callable[[Any], Any], awaiting: Callable[[Any], Any]) -> Any:
    """A copy of `bound` whose functions are what `sync` and `awaiting` make of its own."""
    made = copy.copy(bound)
    func, afunc = bound.func, bound.afunc
    if func is not None:
        made.func = sync(func)
    if isinstance(afunc, functools.partial) and afunc.func is run_in_executor:
        made.afunc = functools.partial(run_in_executor, None, made.func)
    elif afunc is not None:
        made.afunc = awaiting(afunc)
    return made
