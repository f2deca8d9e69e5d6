"""One call's part in pausing: ask again as often as before, ask anew, keep the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from graphroute.runtime.pause import Ask, Call, Pauses, Replies, RunState, Task, fingerprint

Show = Callable[[], Mapping[str, object]]
"""What the pause shows; computed only where something is shown."""


class Turn:
    """A call of a run that may be paused; belongs to one thread."""

    def __init__(
        self, *, pauses: Pauses, state: RunState, task: Task, call: Call, ask: Ask | None
    ) -> None:
        self._pauses, self._state, self._ask = pauses, state, ask
        self._call, self.task = call, task
        self._is_redone = False
        self.is_answered = False
        """Whether this attempt was given a limit: then the best model within it is taken."""

    @property
    def can_ask(self) -> bool:
        """Whether LangGraph can pause here."""
        return self._ask is not None

    @property
    def replies(self) -> Replies | None:
        """The answer an earlier attempt got, None where the call is to be made."""
        return self._call.replies

    def answered(self, replies: Replies) -> None:
        """Keep the answer for a further attempt."""
        self._call.replies = replies

    def redo(self, show: Show) -> None:
        """Ask as often as the call did before, so that LangGraph's count of interrupts holds."""
        if self._is_redone:
            return
        self._is_redone = True
        with self.task.lock:
            for _ in range(self._call.asked):
                self._put(show)

    def put(self, show: Show) -> None:
        """Ask for a higher limit; returns when it is given. Hold `task.lock` around the decision.

        Raises what the task is paused with, here or by another of its calls.
        """
        # Beside a call that has paused the task no other asks: LangGraph keeps one interrupt.
        if self.task.pausing is not None:
            raise self.task.pausing
        owed = self.task.take_over(self._call)
        if not owed:
            self._call.asked += 1
        for _ in range(owed or 1):
            self._put(show)

    def _put(self, show: Show) -> None:
        if self.task.pausing is not None:
            raise self.task.pausing
        if self._ask is None:
            return
        try:
            limit_nano = self._ask(show())
        except BaseException as stop:
            if is_control_flow(stop):
                self.task.pausing = stop
                self._pauses.keep(self._state)
            raise
        self._state.ledger.raise_limit(limit_nano)
        self.is_answered = True


def begin_turn(
    state: RunState,
    *,
    pauses: Pauses,
    ask: Ask | None,
    metadata: Mapping[str, Any],
    base_depth: int,
    task_id: str,
    node: str,
    model: str,
    messages: Sequence[BaseMessage],
    stop: object,
    kwargs: Mapping[str, Any],
) -> Turn:
    """The turn of a call.

    ask: None where LangGraph cannot pause the run
    task_id: task of the run under which a graph on a thread of its own was started, `""` if none.
        Such a graph numbers its tasks and steps on its own thread, so they tell nothing
    """
    step: int | None = None
    place: tuple[str, ...] = (node,)
    if not task_id:
        parts = task_parts(metadata, base_depth=base_depth)
        task_id = parts[0] if parts else ""
        known = metadata.get("langgraph_step")
        if len(parts) == 1 and isinstance(known, int):
            step = known
        # Inside a subgraph the task is the outermost one's; its own step and place come along.
        place = (node, str(known), str(metadata.get("langgraph_path")))
    task = state.task(task_id, step=step)
    call = task.call((*place, fingerprint(model, messages, stop, kwargs)))
    return Turn(pauses=pauses, state=state, task=task, call=call, ask=ask)


def task_parts(metadata: Mapping[str, Any], *, base_depth: int) -> list[str]:
    """`node:task_id` along a checkpoint namespace, from the optimized graph's own level on."""
    parts = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    # A part that is a number counts a subgraph's calls within one task and names no node.
    return [part for part in parts if part and not part.isdigit()][base_depth:]


def is_control_flow(error: BaseException) -> bool:
    """LangGraph's interrupts and parent commands are exceptions that are no faults."""
    return any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__)
