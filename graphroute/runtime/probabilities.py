"""Token probabilities of an answer, for a check that wants them: asked for, and not shown.

Most servers give the log-probability of each token if asked. The graph's author did not ask, so
they are taken out of the answer again before anything of the graph sees it; where he did, nothing
is touched. What is kept for equal calls has them, so that the same answer gets the same verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from graphroute.runtime import fallback
from graphroute.runtime.call import Call

NAME: Final = "logprobs"
"""The argument that asks for them, and where LangChain's models put them in `response_metadata`."""

_REFUSED: Final = (400, 422, 501)
"""HTTP statuses by which a server says that it does not know an argument."""


def are_asked_by_author(call: Call) -> bool:
    """Whether the call's own answer is to have them."""
    return bool(call.kwargs.get(NAME) or getattr(call.chat, NAME, None))


def is_refusal(error: BaseException) -> bool:
    """Whether a server may have said with this error that it gives none."""
    return fallback.status_of(error) in _REFUSED and not fallback.is_overflow(error)


def few(message: AIMessage) -> AIMessage:
    """The message with no more of them than a check reads: tokens and their own probabilities.

    Some servers add the twenty most likely other tokens to each, unasked.
    """
    told = message.response_metadata.get(NAME)
    tokens = told.get("content") if isinstance(told, Mapping) else told
    if not isinstance(tokens, list):
        return message
    # Dicts, or values of the ollama package, which no cache could keep.
    kept = [
        {"token": each.get("token"), "logprob": each.get("logprob")}
        for each in tokens
        if callable(getattr(each, "get", None))
    ]
    return _with(message, {**message.response_metadata, NAME: {"content": kept}})


def without(answer: Any) -> Any:
    """A message, or an `LLMResult`, as it is without them.

    >>> without(AIMessage("yes", response_metadata={"logprobs": {}, "id": 1})).response_metadata
    {'id': 1}
    """
    if isinstance(answer, AIMessage):
        return _plain(answer)
    if not isinstance(answer, LLMResult):
        return answer
    for generation in (each for several in answer.generations for each in several):
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
            generation.message = _plain(generation.message)
            info = generation.generation_info
            if info is not None and NAME in info:
                generation.generation_info = {k: v for k, v in info.items() if k != NAME}
    return answer


def _plain(message: AIMessage) -> AIMessage:
    said = message.response_metadata
    if said.get(NAME) is None:
        return message
    rest = {name: value for name, value in said.items() if name != NAME}
    if said.get("model_provider") == "openai":
        rest[NAME] = None  # what LangChain has there for a call that did not ask
    return _with(message, rest)


def _with(message: AIMessage, metadata: Mapping[str, Any]) -> AIMessage:
    return message.model_copy(update={"response_metadata": dict(metadata)})
