"""Which attempt at its node a model call belongs to, and so which model is to answer it.

A context variable says so, as calls may come from threads and tasks that the node starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from graphroute.runtime.unseen import Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAttempt:
    """One attempt at a node whose update is checked.

    model: to answer its calls, `""` for the plan's; why: what led to it, `""` for the first
    is_hidden: what its models say must not be shown as it comes, as it may yet be refused
    is_repeat: the model has answered these calls before, so it must not be given its own answer
    unseen: its calls so far, of which readers of the stream hear when the attempt stands
    """

    node: str
    model: str = ""
    why: str = ""
    is_hidden: bool = False
    is_repeat: bool = False
    unseen: list[Unseen] = field(default_factory=list, compare=False)


_current: ContextVar[NodeAttempt | None] = ContextVar("graphroute_attempt", default=None)


@contextmanager
def attempting(attempt: NodeAttempt) -> Iterator[None]:
    """Calls that are made meanwhile belong to this attempt."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


def attempt_at(node: str) -> NodeAttempt | None:
    """The attempt at `node` that is under way here; None where its update is not checked."""
    found = _current.get()
    return found if found is not None and found.node == node else None
