"""Drive calls made through LangChain's event protocol v3, whose streams are objects.

The stream handed out is graphroute's own, fed by a generator: until a model has said its first
event another can take over, an answer that must be put in another form is presented as events, and
a stream that is dropped closes the generator, which settles what was put aside. Nothing is chosen
and nothing put aside before the stream is read, as LangChain starts no model before that either.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from functools import cache, partial
from typing import Any

from langchain_core.messages import AIMessageChunk

from graphroute.runtime.dispatch import Dispatch
from graphroute.runtime.drive import (
    DROPPED,
    Call,
    aconcluded,
    adrive,
    aopen_chat,
    await_choice,
    concluded,
    drive,
    inside,
    next_choice,
    open_chat,
)
from graphroute.runtime.pieces import Event, as_events


def drive_events(dispatch: Dispatch, call: Call, whole: Call) -> Any:
    """A `ChatModelStream` of the model that answers; `whole` asks for an answer in one piece."""
    lent: list[object] = []
    stream = _stream_type()(lent)
    events = _events(dispatch, call, whole, lent)
    # The stream keeps its pump: a strong way back would leave a dropped one to the collector.
    get = weakref.ref(stream)

    def pump() -> bool:
        if (reader := get()) is None:  # pragma: no cover - whoever can pull keeps the stream
            return False
        try:
            event = next(events, None)
            if event is not None:
                reader.dispatch(event)
        except BaseException as error:
            reader.fail(error)
            event = None
        if reader.done:
            lent.clear()
        return event is not None

    stream.bind_pump(pump)
    return stream


@cache
def _stream_type() -> Any:
    # An older langchain-core has no such module, and then nobody asks for such a stream.
    from langchain_core.language_models.chat_model_stream import ChatModelStream

    class Stream(ChatModelStream):
        """Stays as long as one of its projections may be read: `lent` holds it until it ends."""

        def __init__(self, lent: list[object]) -> None:
            super().__init__()
            self._lent = lent

        def _lend(self) -> None:
            if not self.done and not self._lent:
                self._lent.append(self)

        @property
        def text(self) -> Any:
            self._lend()
            return super().text

        @property
        def reasoning(self) -> Any:
            self._lend()
            return super().reasoning

        @property
        def tool_calls(self) -> Any:
            self._lend()
            return super().tool_calls

    Stream.__name__ = Stream.__qualname__ = ChatModelStream.__name__
    return Stream


def _events(dispatch: Dispatch, call: Call, whole: Call, lent: list[object]) -> Generator[Event]:
    if dispatch.is_silent:
        yield from as_events(drive(dispatch, whole))
        return
    dispatch.is_stream = True
    while True:
        choice = next_choice(dispatch)
        said: list[str] = []
        has_begun = is_settled = False
        try:
            chat = open_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            if written.restore is not None:
                with inside():
                    answer = written.restore(whole(chat, written))
                break
            with inside():
                stream = call(chat, written)
            steps = iter(stream)
            while True:
                with inside():
                    event = next(steps, None)
                if event is None:
                    return
                if event["event"] == "error":
                    continue  # the stream raises it next, and another model may mend it
                if event["event"] == "message-finish":
                    # The reader stops here: nothing after this would run.
                    is_settled = True
                    concluded(dispatch, choice, stream.output)
                said.append(_text(event))
                has_begun = True
                yield event
        except GeneratorExit as stop:
            if is_settled:
                raise
            end = partial(dispatch.failed, choice, stop, partial=_partial(said, has_begun))
            # A stream whose projection was handed out is dropped by the collector, which may run
            # in the middle of the ledger's own work: then the next call sees to it.
            (DROPPED.put if lent else _run)(end)
            raise
        except BaseException as error:
            if not is_settled and dispatch.failed(choice, error, partial=_partial(said, has_begun)):
                continue
            raise
    concluded(dispatch, choice, answer)
    yield from as_events(answer)


def adrive_events(dispatch: Dispatch, call: Call, whole: Call) -> Any:
    """`drive_events` as an `AsyncChatModelStream`, which reads ahead in a task of its own."""
    from langchain_core.language_models.chat_model_stream import AsyncChatModelStream

    stream = AsyncChatModelStream()

    async def produce() -> None:
        try:
            async with aclosing(_aevents(dispatch, call, whole)) as events:
                async for event in events:
                    stream.dispatch(event)
        except asyncio.CancelledError as stop:
            stream.fail(stop)
            raise
        except BaseException as error:
            stream.fail(error)

    async def start() -> None:
        if stream._producer_task is None:
            stream._producer_task = asyncio.get_running_loop().create_task(produce())

    stream.set_start(start)
    return stream


async def _aevents(dispatch: Dispatch, call: Call, whole: Call) -> AsyncGenerator[Event]:
    if dispatch.is_silent:
        for each in as_events(await adrive(dispatch, whole)):
            yield each
        return
    dispatch.is_stream = True
    while True:
        choice = await await_choice(dispatch)
        said: list[str] = []
        has_begun = is_settled = False
        try:
            chat = await aopen_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            if written.restore is not None:
                with inside():
                    answer = written.restore(await whole(chat, written))
                break
            with inside():
                stream = await call(chat, written)
            async with stream:
                steps = aiter(stream)
                while True:
                    with inside():
                        event = await anext(steps, None)
                    if event is None:
                        await stream  # what the model's task still tells its callbacks
                        return
                    if event["event"] == "error":
                        continue
                    if event["event"] == "message-finish":
                        is_settled = True
                        await aconcluded(dispatch, choice, stream.output_message)
                    said.append(_text(event))
                    has_begun = True
                    yield event
        except BaseException as error:
            if not is_settled and dispatch.failed(choice, error, partial=_partial(said, has_begun)):
                continue
            raise
    await aconcluded(dispatch, choice, answer)
    for event in as_events(answer):
        yield event


def _run(end: Callable[[], object]) -> None:
    end()


def _text(event: Event) -> str:
    delta = event.get("delta") or {}
    return str(delta.get("text") or delta.get("reasoning") or "")


def _partial(said: list[str], has_begun: bool) -> AIMessageChunk | None:
    return AIMessageChunk(content="".join(said)) if has_begun else None
