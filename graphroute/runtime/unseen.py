"""Keep a checked call's answers from the readers of the run's stream until one of them stands.

Tokens are shown by handlers among the callbacks of a call. In a call whose answer may be refused a
stand-in takes the place of each: it notes what LangChain tells of each model, and the handler hears
of it when it is known which answer stands.

| | a call that is refused | the one that stands |
|---|---|---|
| `stream_mode="messages"` | nothing | start, the answer in one piece, end |
| `astream_events`, `astream_log` | start; end | start; the answer in one piece, end |
| any other callback | everything, when it is | everything, when it is |

What stands after the semicolon is told when it is known. So the answer comes as if its model had
been asked alone: once, with the metadata of its own call, and under the id by which LangGraph knows
it again in what the node returns. Events tell of the refused calls too, for their usage is told by
their ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager, Callbacks
from langchain_core.callbacks.manager import ahandle_event, handle_event
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult

from graphroute.runtime.pieces import as_chunk, as_events


@dataclass(frozen=True, slots=True)
class _Told:
    """An event of a call, as LangChain tells it to a handler."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def shows_messages(handler: object) -> bool:
    """Whether a handler is LangGraph's own for `stream_mode="messages"`."""
    return type(handler).__name__.startswith("StreamMessages")


def handlers_of(callbacks: Callbacks) -> Sequence[BaseCallbackHandler]:
    """The handlers of a config's `callbacks`."""
    return callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or ()


class _StandIn:
    """In the place of one handler that shows tokens, for one call of a model.

    Everything that is not said here is the handler's own. A model may itself call models: the call
    is the one that starts first and ends last, and of those within no token is shown.
    """

    def __init__(self, reader: BaseCallbackHandler) -> None:
        self.reader = reader
        self._ends: list[_Told] = []

    def __getattr__(self, name: str) -> Any:
        # By these LangChain knows a reader of tokens, for whom it has the model send them.
        if name.startswith(("tap_output", "__")):
            raise AttributeError(name)
        return getattr(self.reader, name)

    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        """Untold: it cannot be unsaid."""

    def on_stream_event(self, *_args: Any, **_kwargs: Any) -> None:
        """Untold, as the token."""

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self._ends.append(_Told("on_llm_end", args, kwargs))

    def told(self, message: AIMessage | None) -> Iterator[_Told]:
        """What the handler has yet to hear; `message` where it is the answer that stands."""
        yield from self._ends[:-1]
        if message is not None and self._ends:
            yield from _pieces(self.reader, message, self._ends[-1].kwargs)
        yield from self._ends[-1:]


class _MessagesStandIn(_StandIn):
    """In the place of a handler that shows whole messages too: it hears of no other call."""

    def __init__(self, reader: BaseCallbackHandler) -> None:
        super().__init__(reader)
        self._start: _Told | None = None

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self._start = self._start or _Told("on_chat_model_start", args, kwargs)

    def on_llm_error(self, *_args: Any, **_kwargs: Any) -> None:
        """Untold, as the start."""

    def told(self, message: AIMessage | None) -> Iterator[_Told]:
        if message is None or self._start is None or not self._ends:
            return
        yield self._start
        kwargs = self._ends[-1].kwargs
        yield from _pieces(self.reader, message, kwargs)
        result = LLMResult(generations=[[ChatGeneration(message=message)]])
        yield _Told("on_llm_end", (result,), kwargs)


def _stand_in(handler: BaseCallbackHandler) -> _StandIn | None:
    """For a handler that shows tokens; None for any other."""
    if shows_messages(handler):
        return _MessagesStandIn(handler)
    return _StandIn(handler) if hasattr(handler, "tap_output_aiter") else None


def _pieces(
    reader: BaseCallbackHandler, message: AIMessage, kwargs: dict[str, Any]
) -> Iterator[_Told]:
    """The answer in one piece, in the protocol that the handler reads."""
    if any(kind.__name__ == "_V2StreamingCallbackHandler" for kind in type(reader).__mro__):
        for event in as_events(message):
            yield _Told("on_stream_event", (event,), kwargs)
        return
    chunk = ChatGenerationChunk(message=as_chunk(message))
    yield _Told("on_llm_new_token", (chunk.text,), {**kwargs, "chunk": chunk})


@dataclass(slots=True, eq=False)
class _Attempt:
    """One call of a model: those who stand in for its readers, and its answer once it is there."""

    stand_ins: list[_StandIn]
    answer: Any = None
    message: AIMessage | None = None


_Now: TypeAlias = tuple[BaseCallbackHandler, _Told]


@dataclass(slots=True, eq=False)
class Unseen:
    """The attempts of one call, in the order they were made; not shared between threads.

    until: where a call waits whose node may yet be refused as a whole: the first `tell` is put
        there, and the second is told
    """

    until: list[Unseen] | None = None
    _attempts: list[_Attempt] = field(default_factory=list)
    _standing: _Attempt | None = None

    @property
    def has_begun(self) -> bool:
        """Whether an attempt has been made."""
        return bool(self._attempts)

    def before(self, callbacks: Callbacks) -> Callbacks:
        """`callbacks` for the next attempt, with a stand-in for each that shows tokens."""
        known = {
            id(each): stand_in
            for each in handlers_of(callbacks)
            if (stand_in := _stand_in(each)) is not None
        }
        self._attempts.append(_Attempt(list(known.values())))
        if not known:
            return callbacks

        def put(handlers: Sequence[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
            said = [known.get(id(each), each) for each in handlers]
            return cast(list[BaseCallbackHandler], said)

        if not isinstance(callbacks, BaseCallbackManager):
            return put(handlers_of(callbacks))
        manager = callbacks.copy()
        manager.handlers = put(callbacks.handlers)
        manager.inheritable_handlers = put(callbacks.inheritable_handlers)
        return manager

    def answered(self, answer: Any) -> None:
        """The last attempt has answered; whether that stands is not known yet."""
        if self._attempts:
            self._attempts[-1].answer = answer

    def stands(self, answer: Any) -> None:
        """One of the answers that were given is the caller's."""
        self._standing = next((a for a in self._attempts if a.answer is answer), None)
        if self._standing is not None and (message := _message_of(answer)) is not None:
            # As it is now, whatever the node makes of it until it is shown.
            self._standing.message = message.model_copy()

    def falls(self) -> None:
        """None of the answers is shown."""
        self._standing = None

    def tell(self) -> None:
        """Tell what was kept: of the answer that stands, if one does."""
        for reader, told in self._now():
            handle_event([reader], told.name, _ignored_by(told), *told.args, **told.kwargs)

    async def atell(self) -> None:
        """`tell`, awaiting handlers that are to be awaited."""
        for reader, told in self._now():
            await ahandle_event([reader], told.name, _ignored_by(told), *told.args, **told.kwargs)

    def _now(self) -> Iterator[_Now]:
        if self.until is not None:
            self.until.append(self)
            self.until = None
            return
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            message = attempt.message if attempt is self._standing else None
            for stand_in in attempt.stand_ins:
                for told in stand_in.told(message):
                    yield stand_in.reader, told


def _ignored_by(told: _Told) -> str:
    """The attribute by which a handler tells that it does not want the event."""
    return "ignore_chat_model" if told.name == "on_chat_model_start" else "ignore_llm"


def _message_of(answer: Any) -> AIMessage | None:
    """The message of an answer; a checked call has one prompt, and so one result if any."""
    if isinstance(answer, LLMResult):
        first = next((each for several in answer.generations for each in several), None)
        answer = getattr(first, "message", None)
    return answer if isinstance(answer, AIMessage) else None
