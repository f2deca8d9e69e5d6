"""Where LangGraph runs a node's runnable: without a run's handle the original runs at once.

`RunnableCallable.invoke` and `ainvoke` are wrapped once per process, as the entry points of chat
models are (`hook`), so the nodes of the user's graph stay the objects they are.
"""

from __future__ import annotations

import functools
from typing import Any

from langgraph._internal._runnable import RunnableCallable

from graphroute.runtime import hook
from graphroute.runtime.lineage import find_handle
from graphroute.runtime.node_cache.running import cached
from graphroute.runtime.node_path import node_path


def around_invoke(original: Any) -> Any:
    """`invoke` of a runnable that may be a node's."""

    @functools.wraps(original)
    def invoke(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: Any = None,
        **kwargs: Any,
    ) -> Any:
        return original(_around(self, config), input, config, **kwargs)

    return invoke


def around_ainvoke(original: Any) -> Any:
    """`ainvoke` of a runnable that may be a node's."""

    @functools.wraps(original)
    async def ainvoke(
        self: Any,
        input: Any,  # noqa: A002 - as above
        config: Any = None,
        **kwargs: Any,
    ) -> Any:
        return await original(_around(self, config), input, config, **kwargs)

    return ainvoke


def _around(bound: Any, config: Any) -> Any:
    """The runnable itself, or its twin that is checked, that asks the cache, or both."""
    if not config or (handle := find_handle(config)) is None:
        return bound
    cache, checks = handle.policy.outputs, handle.policy.node_checks
    is_cached = cache is not None and cache.holds(bound)
    is_checked = checks is not None and checks.holds(bound)
    if not (is_cached or is_checked):
        return bound
    metadata = config.get("metadata") or {}
    place = handle.path(node_path(metadata, base_depth=handle.base_depth))
    made = bound
    if checks is not None and is_checked:
        made = checks.around(bound, place, handle, config) or bound
    # What is kept has been checked: the cache is around the check.
    if cache is not None and (node := cache.find(bound, place)) is not None:
        made = cached(made, cache, functools.partial(_begin, cache, node, place, handle, config))
    return made


def _begin(cache: Any, node: Any, place: str, handle: Any, config: Any, state: Any) -> Any:
    return cache.visit(node, place=place, handle=handle, config=config, state=state)


def register() -> None:
    """Have `hook.install` put both in place."""
    hook.also(RunnableCallable, "invoke", around_invoke)
    hook.also(RunnableCallable, "ainvoke", around_ainvoke)
