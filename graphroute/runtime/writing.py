"""The arguments a chosen model is called with: as they were made, or in another model's words."""

from __future__ import annotations

from dataclasses import replace

from langchain_core.language_models import BaseChatModel

from graphroute.runtime import dialect
from graphroute.runtime.call import Call
from graphroute.runtime.choice import Choice
from graphroute.runtime.trial import Trial


def write(
    call: Call,
    choice: Choice,
    chat: BaseChatModel,
    trial: Trial | None,
    *,
    asks_probabilities: bool = False,
) -> dialect.Written:
    """What to call `chat`, the model of `choice`, with.

    The graph's own model gets the call as it was made, apart from what holds for every model: the
    limit that the money sets, and what a check said of an earlier answer.
    """
    if chat is call.chat or call.request is None:
        written = dialect.Written(kwargs=dict(call.kwargs), stop=call.stop)
    else:
        limit = choice.spec.max_output_tokens
        written = dialect.write(call.request, own=call.chat, target=chat, limit=limit)
    if trial is not None:
        written = replace(written, after=trial.hint_for(choice.spec))
    is_repeat = trial is not None and trial.times(choice.spec.name) > 0
    if is_repeat or (call.attempt is not None and call.attempt.is_repeat):
        written = replace(written, kwargs=dialect.drawn_anew(written.kwargs, chat))
    if asks_probabilities:
        written = replace(written, kwargs=dialect.with_logprobs(written.kwargs, chat))
    if choice.cap_tokens is None:
        return written
    return replace(written, kwargs=dialect.capped(written.kwargs, chat, choice.cap_tokens))
