"""What of a call's end equal calls get to know, now and later."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage

from graphroute.runtime.choice import Choice
from graphroute.runtime.pause import Replies
from graphroute.runtime.recall import Recall
from graphroute.runtime.turn import is_control_flow


def share_answer(
    recall: Recall,
    choice: Choice,
    answer: AIMessage | None,
    *,
    replies: Replies | None,
    pieces: Sequence[int],
) -> None:
    """Keep the answer for equal calls, unless it is only what this run's money reached for."""
    messages = replies[0] if replies else (answer,) if answer is not None else ()
    if messages and not (choice.cap_tokens and is_cut_off(messages[-1])):
        recall.answered(choice.spec, messages, pieces=pieces)
    else:
        # Nobody else has asked for an answer that this run's money cut short.
        recall.cancelled()


def share_failure(recall: Recall, error: BaseException) -> None:
    """Tell equal calls that wait for this one how it ended.

    That its caller was stopped, or LangGraph paused it, is no answer to theirs: one asks itself.
    """
    if isinstance(error, Exception) and not is_control_flow(error):
        recall.failed(error)
    else:
        recall.cancelled()


def is_cut_off(message: AIMessage) -> bool:
    """Whether the answer ended at a limit on its length, in any provider's words.

    >>> is_cut_off(AIMessage("On the one hand", response_metadata={"finish_reason": "length"}))
    True
    """
    said = message.response_metadata
    reason = said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason")
    return reason in ("length", "max_tokens", "MAX_TOKENS")
