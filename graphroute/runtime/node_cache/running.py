"""Run a cacheable node: give what is known, or run its function and keep what it returns.

Sync and async differ in how they wait.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from graphroute.runtime.node_cache.cache import NodeCache
from graphroute.runtime.node_cache.visit import MAX_WAIT_S, Found, Visit, Wait
from graphroute.runtime.node_twin import twin
from graphroute.runtime.overheard import overhear

logger = logging.getLogger(__name__)


def cached(bound: Any, cache: NodeCache, visit: Callable[[Any], Visit | None]) -> Any:
    """A copy of a node's runnable whose functions ask the cache.

    visit: begins a visit for a state; None where the function is to run as if there were no cache
    """
    return twin(
        bound,
        sync=functools.partial(_sync, cache=cache, begin=visit),
        awaiting=functools.partial(_async, cache=cache, begin=visit),
    )


def _sync(func: Any, cache: NodeCache, begin: Callable[[Any], Visit | None]) -> Any:
    @functools.wraps(func, updated=())
    def node(state: Any, *args: Any, **kwargs: Any) -> Any:
        if (visit := begin(state)) is None:
            return func(state, *args, **kwargs)
        try:
            found = _known(visit)
            if found is not None:
                return found.value
            given, reads = visit.begin()
        except Exception as fault:
            _passed_over(visit, fault)
            return func(state, *args, **kwargs)
        except BaseException as stop:
            visit.leave(error=stop)
            raise
        started = time.perf_counter()
        try:
            with overhear() as calls, visit.leading():
                value = func(given, *args, **kwargs)
        except BaseException as error:
            visit.leave(error=error)
            cache.ended(visit)
            raise
        took_s = time.perf_counter() - started
        return cache.keep(visit, value, reads, calls, took_s=took_s)

    return node


def _async(afunc: Any, cache: NodeCache, begin: Callable[[Any], Visit | None]) -> Any:
    @functools.wraps(afunc, updated=())
    async def node(state: Any, *args: Any, **kwargs: Any) -> Any:
        if (visit := begin(state)) is None:
            return await afunc(state, *args, **kwargs)
        try:
            found = await _aknown(visit)
            if found is not None:
                return found.value
            given, reads = visit.begin()
        except Exception as fault:
            _passed_over(visit, fault)
            return await afunc(state, *args, **kwargs)
        except BaseException as stop:
            visit.leave(error=stop)
            raise
        started = time.perf_counter()
        try:
            with overhear() as calls, visit.leading():
                value = await afunc(given, *args, **kwargs)
        except BaseException as error:
            visit.leave(error=error)
            cache.ended(visit)
            raise
        took_s = time.perf_counter() - started
        return cache.keep(visit, value, reads, calls, took_s=took_s)

    return node


def _passed_over(visit: Visit, fault: Exception) -> None:
    """A fault of the cache itself: the node worked without one, and goes on to."""
    visit.leave()
    logger.warning("node %r runs without its cache: %s", visit.place, fault, exc_info=True)


def _known(visit: Visit) -> Found | None:
    """The result, looked up or computed by an equal visit; None: this one is to run the node."""
    give_up_s = time.monotonic() + MAX_WAIT_S
    while isinstance(said := visit.look(), Wait):
        over = threading.Event()
        said.when(over.set)
        # A thread that runs an event loop would keep the task it waits for from going on.
        if _in_loop() or time.monotonic() > give_up_s:
            return None
        over.wait(said.patience_s)
    return said


async def _aknown(visit: Visit) -> Found | None:
    """`_known`, awaiting."""
    give_up_s = time.monotonic() + MAX_WAIT_S
    while isinstance(said := visit.look(), Wait):
        over = asyncio.Event()
        said.when(functools.partial(_wake, asyncio.get_running_loop(), over))
        if time.monotonic() > give_up_s:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), said.patience_s)
    return said


def _wake(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    with suppress(RuntimeError):  # its loop has ended meanwhile, and the waiting visit with it
        loop.call_soon_threadsafe(over.set)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
