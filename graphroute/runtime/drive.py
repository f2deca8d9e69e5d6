"""Carry out what a `Dispatch` decides: four short loops, for answers and streams, sync and async.

`routing` marks the inside of a routed call, so that a model's own inner calls are left alone. It is
never held while a stream is suspended: each step of a stream sets and resets it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager, suppress
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Any, Final, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig

from graphroute.ir.verdict import Verdict
from graphroute.runtime import verifying
from graphroute.runtime.choice import Choice, Chore
from graphroute.runtime.dialect import Restore, Written
from graphroute.runtime.dispatch import Dispatch
from graphroute.runtime.later import Later
from graphroute.runtime.pause import Replies
from graphroute.runtime.pieces import as_chunk
from graphroute.runtime.trial import Enough

routing: ContextVar[bool] = ContextVar("graphroute_routing", default=False)

DROPPED: SimpleQueue[Callable[[], object]] = SimpleQueue()
"""How calls end whose streams the garbage collector dropped; run before the next choice."""

_ALONE: Final = RunnableConfig(callbacks=[])
"""Config of a call for several: each of them tells its own callbacks of its own part."""

Call = Callable[[BaseChatModel, Written], Any]
"""Calls a model with the arguments written for it; gives its answer, its stream or an awaitable."""


@contextmanager
def inside() -> Iterator[None]:
    """Mark what runs here as part of a routed call."""
    token = routing.set(True)
    try:
        yield
    finally:
        routing.reset(token)


def open_chat(dispatch: Dispatch, choice: Choice) -> BaseChatModel:
    """The model of a choice, opened if need be."""
    if choice.chat is not None:
        return choice.chat
    return dispatch.handle.policy.open(choice.spec.name)


async def aopen_chat(dispatch: Dispatch, choice: Choice) -> BaseChatModel:
    """`open_chat`, awaiting."""
    # Opening may load a model; the event loop must not wait for that.
    if choice.chat is not None:
        return choice.chat
    return await asyncio.to_thread(dispatch.handle.policy.open, choice.spec.name)


def next_choice(dispatch: Dispatch) -> Choice:
    """The next model to call, once all that it waits for is there."""
    _settle_dropped()
    while True:
        try:
            chosen = dispatch.choose()
            if isinstance(chosen, Choice):
                return chosen
            _do(dispatch, chosen)
        except Later as later:
            if not _waited(dispatch, later) and later.gives_up is not None:
                later.gives_up()


async def await_choice(dispatch: Dispatch) -> Choice:
    """`next_choice`, awaiting."""
    loop = asyncio.get_running_loop()
    _settle_dropped()
    while True:
        try:
            chosen = dispatch.choose()
            if isinstance(chosen, Choice):
                return chosen
            await _ado(dispatch, chosen)
        except Later as later:
            woken = asyncio.Event()
            if later.when is not None:
                later.when(functools.partial(_wake, loop, woken))
            try:
                await asyncio.wait_for(woken.wait(), max(0.0, later.patience_s))
            except TimeoutError:
                if later.gives_up is not None and not later.is_poll:
                    later.gives_up()
            except BaseException:
                dispatch.cancelled()
                raise


def _do(dispatch: Dispatch, chore: Chore) -> None:
    """Make the call for several, whose parts are handed out afterwards; or a step of a batch."""
    try:
        if chore.work is not None:
            chore.work()
        if (errand := chore.errand) is not None:
            chat = open_chat(dispatch, chore.chosen)
            written = dispatch.packed(errand, chore.chosen, chat)
            with inside():
                answer = chat.invoke(
                    list(errand.messages), _ALONE, stop=written.stop, **written.kwargs
                )
            errand.answered(written.restore(answer) if written.restore else answer)
    except BaseException as error:
        _undone(dispatch, chore, error)


async def _ado(dispatch: Dispatch, chore: Chore) -> None:
    """`_do`, awaiting."""
    try:
        if chore.work is not None:
            await asyncio.to_thread(chore.work)
        if (errand := chore.errand) is not None:
            chat = await aopen_chat(dispatch, chore.chosen)
            written = dispatch.packed(errand, chore.chosen, chat)
            with inside():
                answer = await chat.ainvoke(
                    list(errand.messages), _ALONE, stop=written.stop, **written.kwargs
                )
            errand.answered(written.restore(answer) if written.restore else answer)
    except BaseException as error:
        _undone(dispatch, chore, error)


def _undone(dispatch: Dispatch, chore: Chore, error: BaseException) -> None:
    """Each of several is asked alone; if this caller was stopped, another calls for the rest."""
    if chore.errand is not None:
        chore.errand.failed(error)
    if not isinstance(error, Exception):
        dispatch.cancelled()
        raise error


def _waited(dispatch: Dispatch, later: Later) -> bool:
    """Wait as told; False where that is not possible, or did not help."""
    # Blocking a running event loop could keep the very calls from ending it waits for.
    if later.gives_up is not None and _in_loop():
        return False
    woken = threading.Event()
    if later.when is not None:
        later.when(woken.set)
    try:
        return woken.wait(max(0.0, later.patience_s)) or later.is_poll
    except BaseException:
        dispatch.cancelled()
        raise


def _settle_dropped() -> None:
    with suppress(Empty):  # another thread may take the last one
        while not DROPPED.empty():
            DROPPED.get_nowait()()


def _wake(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with suppress(RuntimeError):  # its loop has ended meanwhile, and the waiting call with it
        loop.call_soon_threadsafe(ended.set)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def drive(dispatch: Dispatch, call: Call) -> Any:
    """Ask models until one answers; the answer is a message or an `LLMResult`."""
    if (unseen := dispatch.unseen) is None:
        return _drive(dispatch, call)
    try:
        answer = _drive(dispatch, call)
        dispatch.stands(answer, _replies_of(answer))
    finally:
        unseen.tell()
    return answer


def _drive(dispatch: Dispatch, call: Call) -> Any:
    while True:
        try:
            choice = next_choice(dispatch)
        except Enough as enough:
            return enough.answer
        try:
            chat = open_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            with inside():
                answer = call(chat, written)
            answer = _restored(answer, written.restore)
        except BaseException as error:
            if dispatch.failed(choice, error):
                continue
            raise
        message = dispatch.heard(_message_of(answer))
        answer = dispatch.shown(choice, answer)
        verdict = concluded(dispatch, choice, message, replies=_replies_of(answer))
        if dispatch.accepts(choice, answer, message, verdict):
            return dispatch.best(answer)


async def adrive(
    dispatch: Dispatch, call: Callable[[BaseChatModel, Written], Awaitable[Any]]
) -> Any:
    """`drive`, awaiting the call."""
    if (unseen := dispatch.unseen) is None:
        return await _adrive(dispatch, call)
    try:
        answer = await _adrive(dispatch, call)
        dispatch.stands(answer, _replies_of(answer))
    finally:
        await unseen.atell()
    return answer


async def _adrive(
    dispatch: Dispatch, call: Callable[[BaseChatModel, Written], Awaitable[Any]]
) -> Any:
    while True:
        try:
            choice = await await_choice(dispatch)
        except Enough as enough:
            return enough.answer
        try:
            chat = await aopen_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            with inside():
                answer = await call(chat, written)
            answer = _restored(answer, written.restore)
        except BaseException as error:
            if dispatch.failed(choice, error):
                continue
            raise
        message = dispatch.heard(_message_of(answer))
        answer = dispatch.shown(choice, answer)
        verdict = await aconcluded(dispatch, choice, message, replies=_replies_of(answer))
        if dispatch.accepts(choice, answer, message, verdict):
            return dispatch.best(answer)


def concluded(
    dispatch: Dispatch,
    choice: Choice,
    message: AIMessage | None,
    *,
    replies: Replies | None = None,
    pieces: Sequence[int] = (),
) -> Verdict | None:
    """Settle an answered call, have the node's check look at the answer, and record both.

    Returns what the check says; None where there is none. See `Dispatch.paid`.
    """
    paid, verdict = dispatch.paid(choice, message, replies=replies, pieces=pieces), None
    try:
        # What an earlier attempt was answered was checked then.
        if paid is not None and dispatch.trial is not None and message is not None:
            with verifying.within(dispatch.payer(choice)):
                verdict = dispatch.trial.judge(choice.spec.name, message)
    finally:
        # The call was made, whatever stops its check.
        dispatch.recorded(paid, verdict)
    return verdict


async def aconcluded(
    dispatch: Dispatch,
    choice: Choice,
    message: AIMessage | None,
    *,
    replies: Replies | None = None,
    pieces: Sequence[int] = (),
) -> Verdict | None:
    """`concluded`, awaiting."""
    paid, verdict = dispatch.paid(choice, message, replies=replies, pieces=pieces), None
    try:
        if paid is not None and dispatch.trial is not None and message is not None:
            with verifying.within(dispatch.payer(choice)):
                verdict = await dispatch.trial.ajudge(choice.spec.name, message)
    finally:
        dispatch.recorded(paid, verdict)
    return verdict


def drive_stream(dispatch: Dispatch, call: Call, whole: Call) -> Iterator[AIMessageChunk]:
    """Stream from the first model that starts to; `whole` asks for an answer in one piece.

    After the first chunk no other model can take over: what was said stays said. So an answer that
    may be refused by a check comes in one piece.
    """
    if dispatch.is_silent:
        yield as_chunk(drive(dispatch, whole))
        return
    dispatch.is_stream = True
    while True:
        choice = next_choice(dispatch)
        said: list[AIMessageChunk] = []
        try:
            chat = open_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            if written.restore is not None:
                with inside():
                    answer = whole(chat, written)
                said.append(as_chunk(written.restore(answer)))
                yield said[0]
            else:
                with closing(call(chat, written)) as steps:
                    while True:
                        with inside():
                            chunk = next(steps, None)
                        if chunk is None:
                            break
                        said.append(chunk)
                        yield chunk
        except BaseException as error:
            if dispatch.failed(choice, error, partial=_joined(said)):
                continue
            raise
        joined = _joined(said)
        lengths = [len(chunk.text) for chunk in said]
        concluded(dispatch, choice, joined, pieces=lengths)
        return


async def adrive_stream(
    dispatch: Dispatch, call: Call, whole: Callable[[BaseChatModel, Written], Awaitable[Any]]
) -> AsyncIterator[AIMessageChunk]:
    """`drive_stream`, awaiting each step."""
    if dispatch.is_silent:
        yield as_chunk(await adrive(dispatch, whole))
        return
    dispatch.is_stream = True
    while True:
        choice = await await_choice(dispatch)
        said: list[AIMessageChunk] = []
        try:
            chat = await aopen_chat(dispatch, choice)
            written = dispatch.arguments(choice, chat)
            if written.restore is not None:
                with inside():
                    answer = await whole(chat, written)
                said.append(as_chunk(written.restore(answer)))
                yield said[0]
            else:
                async with aclosing(call(chat, written)) as steps:
                    while True:
                        with inside():
                            chunk = await anext(steps, None)
                        if chunk is None:
                            break
                        said.append(chunk)
                        yield chunk
        except BaseException as error:
            if dispatch.failed(choice, error, partial=_joined(said)):
                continue
            raise
        joined = _joined(said)
        lengths = [len(chunk.text) for chunk in said]
        await aconcluded(dispatch, choice, joined, pieces=lengths)
        return


def _restored(answer: Any, restore: Restore | None) -> Any:
    if restore is None:
        return answer
    if not isinstance(answer, LLMResult):
        return restore(answer)
    for generations in answer.generations:
        for generation in _chats(generations):
            generation.message = restore(cast(AIMessage, generation.message))
    return answer


def _message_of(answer: Any) -> AIMessage | None:
    """The answer as one message; those of a list of prompts are added up for their usage."""
    if (replies := _replies_of(answer)) is None:
        return answer  # type: ignore[no-any-return]
    if len(replies) == 1 and len(replies[0]) == 1:
        return replies[0][0]
    parts = (
        AIMessageChunk(content=message.text, usage_metadata=message.usage_metadata)
        for messages in replies
        for message in messages
    )
    return _joined(list(parts))


def _replies_of(answer: Any) -> Replies | None:
    """The answers to each of a list of prompts; None for a single answer."""
    if not isinstance(answer, LLMResult):
        return None
    return tuple(
        tuple(cast(AIMessage, generation.message) for generation in _chats(generations))
        for generations in answer.generations
    )


def _chats(generations: Sequence[Any]) -> Iterator[ChatGeneration]:
    """Those of a prompt's generations that hold a model's message."""
    for generation in generations:
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
            yield generation


def _joined(said: list[AIMessageChunk]) -> AIMessageChunk | None:
    """All pieces as one; added up once, at the end, as adding at each piece is quadratic.

    A model that cannot stream gives one piece that is a whole message, not a chunk.
    """
    return add_ai_message_chunks(said[0], *said[1:]) if len(said) > 1 else next(iter(said), None)
