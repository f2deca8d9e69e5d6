"""Run a node's own check on a reply; whatever the check does, a `Verdict` comes out.

A check may itself call a model. It runs in a context without the run's config, so that such a call
is neither routed as the node's own nor streamed with the node's tokens. Where it is run `within` a
run, all that is left in the config is the run's handle for checks, by which the call is paid.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphroute.ir.verdict import Check, Verdict, verdict_of
from graphroute.runtime.lineage import KEY
from graphroute.runtime.run_handle import RunHandle

logger = logging.getLogger(__name__)

_Given = TypeVar("_Given")

_payer: Final[ContextVar[RunHandle | None]] = ContextVar("graphroute_payer", default=None)


@contextmanager
def within(payer: RunHandle) -> Iterator[None]:
    """Let checks that are run meanwhile call models on a run's account.

    payer: the run's handle for the check of a call (`RunHandle.for_check`)
    """
    token = _payer.set(payer)
    try:
        yield
    finally:
        _payer.reset(token)


def verdict(check: Check, messages: Sequence[BaseMessage], reply: BaseMessage) -> Verdict:
    """What `check` says, run here and now; an async check runs on an event loop of its own.

    >>> from langchain_core.messages import AIMessage
    >>> verdict(lambda sent, reply: "yes" in reply.text, [], AIMessage("yes")).passed
    True
    """
    context = _apart()
    messages, reply = _handed(messages, reply)
    try:
        result = context.run(check, messages, reply)
        if inspect.isawaitable(result):
            result = _awaited(context, result)
    except Exception as fault:
        result = fault  # type: ignore[assignment]  # a verdict is made of it all the same
    return verdict_of(result)


async def averdict(check: Check, messages: Sequence[BaseMessage], reply: BaseMessage) -> Verdict:
    """`verdict`, awaiting. A check with an async form (`averify`) is asked by that; one that is not
    async and not marked `is_quick` runs on a thread, as it may wait for a model.
    """
    context = _apart()
    messages, reply = _handed(messages, reply)
    ask: Any = getattr(check, "averify", check)
    is_quick = ask is not check or inspect.iscoroutinefunction(ask)
    try:
        if is_quick or getattr(check, "is_quick", False):
            result = context.run(ask, messages, reply)
        else:
            result = await asyncio.to_thread(context.run, ask, messages, reply)
        if inspect.isawaitable(result):
            result = await asyncio.create_task(_all_of(result), context=context)
    except Exception as fault:
        result = fault
    return verdict_of(result)


def _handed(
    messages: Sequence[BaseMessage], reply: BaseMessage
) -> tuple[Sequence[BaseMessage], BaseMessage]:
    """What a check is given: a reply and a list of its own, so that nothing it does to them stays.

    The messages in the list are the node's: to copy a long history would take too long.
    """
    if isinstance(messages, list):
        messages = list(messages)
    if isinstance(reply, BaseMessage):
        try:
            reply = reply.model_copy(deep=True)
        except Exception:  # it holds what has no copy, and is to be judged all the same
            logger.debug("a reply is judged without being copied", exc_info=True)
    return messages, reply


def _apart() -> contextvars.Context:
    context = contextvars.copy_context()
    payer = _payer.get()
    # No callbacks: the node's own would show the check's tokens as the node's.
    config = None if payer is None else RunnableConfig(configurable={KEY: payer})
    context.run(var_child_runnable_config.set, config)
    return context


def _awaited(context: contextvars.Context, result: Awaitable[_Given]) -> _Given:
    """The value of an awaitable, from code that cannot await."""

    def alone() -> _Given:
        return context.run(asyncio.run, _all_of(result))

    return _on_free_thread(alone)


def _on_free_thread(call: Callable[[], _Given]) -> _Given:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call()
    # This thread runs a loop already, in which no other one can be started.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


async def _all_of(result: Awaitable[_Given]) -> _Given:
    return await result
