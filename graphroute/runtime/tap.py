"""An answered call with all that is needed to make it again: for whoever replays calls elsewhere.

A record says what a call cost and how it went, and no more; making it again takes the messages and
arguments as they were, and the model object they were written for. Only profiling listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from graphroute.ir.record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One call of one prompt, and its answer.

    own: the model the graph made the call on; stop, kwargs: in the words of that model
    record: what the call was, on the model that served it
    is_private: it may not leave this machine, and neither may its texts be kept
    """

    own: BaseChatModel = field(repr=False)
    messages: Sequence[BaseMessage] = field(repr=False)
    stop: Sequence[str] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    answer: AIMessage = field(repr=False)
    record: CallRecord = field(repr=False)
    is_private: bool = False


Tap: TypeAlias = Callable[[Heard], None]
"""Told each answered call at once, on the call's own thread."""
