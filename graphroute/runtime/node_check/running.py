"""Run a node whose update is checked, as often as its visit says; sync and async."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from graphroute.ir.verdict import Verdict
from graphroute.runtime import overheard, verifying
from graphroute.runtime.node_check.attempt import attempting
from graphroute.runtime.node_check.visit import Begin, NodeVisit
from graphroute.runtime.turn import is_control_flow


def checked(func: Any, *, begin: Begin) -> Any:
    """`func` of a node with its check after it."""

    @functools.wraps(func, updated=())
    def node(state: Any, *args: Any, **kwargs: Any) -> Any:
        visit = begin(state)
        try:
            return _taken(visit, functools.partial(func, state, *args, **kwargs))
        finally:
            for call in visit.unseen():
                call.tell()

    return node


def _taken(visit: NodeVisit, run: Callable[[], Any]) -> Any:
    """What the visit takes of what the node returns, run as often as it says."""
    while True:
        with overheard.holding() as held, attempting(visit.attempt()):
            try:
                update = run()
            except BaseException as error:
                if _broke(visit, held, error):
                    return visit.take()
                raise
            verdict = _verdict(visit, held, update)
        if not visit.returned(update, held.give(), verdict):
            return visit.take()


def achecked(afunc: Any, *, begin: Begin) -> Any:
    """`checked`, awaiting."""

    @functools.wraps(afunc, updated=())
    async def node(state: Any, *args: Any, **kwargs: Any) -> Any:
        visit = begin(state)
        try:
            return await _ataken(visit, functools.partial(afunc, state, *args, **kwargs))
        finally:
            for call in visit.unseen():
                await call.atell()

    return node


async def _ataken(visit: NodeVisit, run: Callable[[], Awaitable[Any]]) -> Any:
    """What the visit takes of what the node returns, run as often as it says."""
    while True:
        with overheard.holding() as held, attempting(visit.attempt()):
            try:
                update = await run()
            except BaseException as error:
                if _broke(visit, held, error):
                    return visit.take()
                raise
            verdict = await _averdict(visit, held, update)
        if not visit.returned(update, held.give(), verdict):
            return visit.take()


def _verdict(visit: NodeVisit, held: overheard.Held, update: Any) -> Verdict:
    try:
        with verifying.within(visit.payer()):
            return verifying.verdict(visit.check, visit.state, update)
    except BaseException:
        # The calls were made, whatever stops their check.
        visit.record(held.give())
        raise


async def _averdict(visit: NodeVisit, held: overheard.Held, update: Any) -> Verdict:
    try:
        with verifying.within(visit.payer()):
            return await verifying.averdict(visit.check, visit.state, update)
    except BaseException:
        visit.record(held.give())
        raise


def _broke(visit: NodeVisit, held: overheard.Held, error: BaseException) -> bool:
    """Whether what an earlier attempt returned stands in for an attempt that failed."""
    is_fault = isinstance(error, Exception) and not is_control_flow(error)
    stands = visit.has_update and is_fault
    visit.record(held.give(), fault=visit.told(error) if stands else None)
    return stands
