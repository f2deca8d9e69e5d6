"""The one process-wide hook: every chat-model call asks here whether a run wants it routed.

`BaseChatModel`'s entry points are wrapped once, by plain functions that keep name, signature and
kind. Without a handle in the call's config (or in the config LangChain keeps for the running task)
the original runs at once. With one, a `Dispatch` decides and the chosen model is called through the
same entry point, so callbacks, token streams, tracing and usage are those of the model that ran.

`Pregel.stream` and `astream` are wrapped too, for one case: a graph that is run inside a node on a
thread of its own inherits no configurable, so the handle is handed to it here (see `lineage`).
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from graphroute.runtime import drive, events_v3, lineage
from graphroute.runtime.apart import apart, is_checked, together
from graphroute.runtime.call import read_call
from graphroute.runtime.dialect import Written
from graphroute.runtime.dispatch import Dispatch
from graphroute.runtime.lineage import find_handle
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.unseen import Unseen, handlers_of, shows_messages

_lock = threading.Lock()
_originals: dict[tuple[type, str], Any] = {}
_wrapped: dict[tuple[type, str], Any] = {}


def _handle_for(config: Any) -> RunHandle | None:
    return None if drive.routing.get() else find_handle(config)


def _as_asked(config: Any, own: BaseChatModel, chat: BaseChatModel) -> Any:
    """`config` for `chat`, with the tags, metadata and callbacks the author put on `own`.

    Only those of the model that runs reach LangChain's callbacks; a tag like `nostream` or a
    callback that counts tokens is part of the graph and must not go with the model.
    """
    if chat is own or not _is_marked(own):
        return config
    own_part = RunnableConfig(tags=own.tags or [], metadata=_stated_metadata(own))
    if own.callbacks:
        own_part["callbacks"] = own.callbacks
    merged = merge_configs(asked := ensure_config(config), own_part)
    # In the order in which LangChain would have them, which is the order of the stream's metadata.
    merged["tags"] = list(dict.fromkeys([*(asked.get("tags") or ()), *(own.tags or ())]))
    return merged


def _begin(
    handle: RunHandle,
    own: BaseChatModel,
    value: Any,
    config: Any,
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
) -> Dispatch:
    messages = own._convert_input(value).to_messages()
    full = ensure_config(config)
    call = read_call(
        handle,
        own,
        messages,
        stop=stop,
        kwargs=kwargs,
        metadata=full.get("metadata") or {},
        shows_tokens=_shows_tokens(full),
    )
    return Dispatch(handle, call)


def _shows_tokens(config: RunnableConfig) -> bool:
    """Whether LangGraph shows the tokens of the call as they come (`stream_mode="messages"`)."""
    return any(map(shows_messages, handlers_of(config.get("callbacks"))))


def _is_marked(own: BaseChatModel) -> bool:
    """Whether the author put tags, metadata or callbacks on the model object."""
    return bool(own.tags or own.callbacks or _stated_metadata(own))


def _stated_metadata(own: BaseChatModel) -> dict[str, Any]:
    # LangChain adds the versions of the model's own package, which say nothing of another's.
    return {key: value for key, value in (own.metadata or {}).items() if key != "lc_versions"}


def _calling(
    method: Any, own: BaseChatModel, value: Any, config: Any, unseen: Unseen | None
) -> drive.Call:
    """Calls `method` of a chosen model as `own` was called."""

    def call(chat: BaseChatModel, written: Written) -> Any:
        asked = _as_asked(config, own, chat)
        if unseen is not None:
            asked = ensure_config(asked)
            if unseen.has_begun:
                asked.pop("run_id", None)  # which is one call's
            asked["callbacks"] = unseen.before(asked.get("callbacks"))
        said = value
        if written.after:
            said = [*own._convert_input(value).to_messages(), *written.after]
        return method(chat, said, asked, stop=written.stop, **written.kwargs)

    return call


def _invoke_whole(chat: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
    return chat.invoke(*args, **kwargs)


def _ainvoke_whole(chat: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
    return chat.ainvoke(*args, **kwargs)


def _invoke(original: Any) -> Any:
    @functools.wraps(original)
    def invoke(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        dispatch = _begin(handle, self, input, config, stop, kwargs)
        call = _calling(original, self, input, config, dispatch.unseen)
        return drive.drive(dispatch, call)

    return invoke


def _ainvoke(original: Any) -> Any:
    @functools.wraps(original)
    async def ainvoke(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return await original(self, input, config, stop=stop, **kwargs)
        dispatch = _begin(handle, self, input, config, stop, kwargs)
        call = _calling(original, self, input, config, dispatch.unseen)
        return await drive.adrive(dispatch, call)

    return ainvoke


def _stream(original: Any) -> Any:
    # A generator function like the original: what wraps `model.stream` asks for its kind.
    @functools.wraps(original)
    def stream(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        if (handle := _handle_for(config)) is None:
            yield from original(self, input, config, stop=stop, **kwargs)
            return
        dispatch = _begin(handle, self, input, config, stop, kwargs)
        yield from drive.drive_stream(
            dispatch,
            _calling(original, self, input, config, dispatch.unseen),
            _calling(_invoke_whole, self, input, config, dispatch.unseen),
        )

    return stream


def _astream(original: Any) -> Any:
    @functools.wraps(original)
    async def astream(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        if (handle := _handle_for(config)) is None:
            pieces = original(self, input, config, stop=stop, **kwargs)
        else:
            dispatch = _begin(handle, self, input, config, stop, kwargs)
            pieces = drive.adrive_stream(
                dispatch,
                _calling(original, self, input, config, dispatch.unseen),
                _calling(_ainvoke_whole, self, input, config, dispatch.unseen),
            )
        # Closing this generator early must close the model's own, as if it had been called.
        async with aclosing(pieces) as steps:
            async for piece in steps:
                yield piece

    return astream


def _events(original: Any) -> Any:
    @functools.wraps(original)
    def events(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        dispatch = _begin(handle, self, input, config, stop, kwargs)
        return events_v3.drive_events(
            dispatch,
            _calling(original, self, input, config, dispatch.unseen),
            _calling(_invoke_whole, self, input, config, dispatch.unseen),
        )

    return events


def _aevents(original: Any) -> Any:
    @functools.wraps(original)
    async def aevents(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return await original(self, input, config, stop=stop, **kwargs)
        dispatch = _begin(handle, self, input, config, stop, kwargs)
        return events_v3.adrive_events(
            dispatch,
            _calling(original, self, input, config, dispatch.unseen),
            _calling(_ainvoke_whole, self, input, config, dispatch.unseen),
        )

    return aevents


_TRACING = ("tags", "metadata", "run_name", "run_id")


def _list_arguments(
    own: BaseChatModel, chat: BaseChatModel, callbacks: Any, tracing: dict[str, Any]
) -> dict[str, Any]:
    """`callbacks` and tracing arguments of `generate`, with what the author put on `own`."""
    if chat is own or not _is_marked(own):
        return {"callbacks": callbacks, **tracing}
    asked = RunnableConfig(
        tags=list(tracing.get("tags") or ()), metadata=dict(tracing.get("metadata") or {})
    )
    if callbacks is not None:
        asked["callbacks"] = callbacks
    merged = _as_asked(asked, own, chat)
    return {
        **tracing,
        "callbacks": merged["callbacks"],
        "tags": merged["tags"],
        "metadata": merged["metadata"],
    }


def _calling_list(
    method: Any,
    own: BaseChatModel,
    prompts: Any,
    callbacks: Any,
    tracing: dict[str, Any],
    unseen: Unseen | None,
) -> drive.Call:
    """`_calling` for a list of prompts."""

    def call(chat: BaseChatModel, written: Written) -> Any:
        asked = _list_arguments(own, chat, callbacks, tracing)
        if unseen is not None:
            if unseen.has_begun:
                asked.pop("run_id", None)
            asked["callbacks"] = unseen.before(asked["callbacks"])
        said = prompts
        if written.after:
            said = [[*prompt, *written.after] for prompt in prompts]
        return method(chat, said, written.stop, **asked, **written.kwargs)

    return call


def _list_metadata(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a list of prompts: that of the running task, and what the call adds."""
    inherited = ensure_config(None).get("metadata") or {}
    return {**inherited, **(kwargs.get("metadata") or {})}


def _begin_list(
    handle: RunHandle, own: BaseChatModel, prompts: Any, stop: Any, kwargs: dict[str, Any]
) -> tuple[Dispatch, dict[str, Any]]:
    """One decision for a list of prompts, and the tracing arguments, which are no wishes."""
    metadata = _list_metadata(kwargs)
    tracing = {k: kwargs.pop(k) for k in _TRACING if k in kwargs}
    joined: list[BaseMessage] = [message for prompt in prompts for message in prompt]
    call = read_call(
        handle,
        own,
        joined,
        stop=stop,
        kwargs=kwargs,
        metadata=metadata,
        prompts=max(1, len(prompts)),
    )
    return Dispatch(handle, call), tracing


def _generate(original: Any) -> Any:
    @functools.wraps(original)
    def generate(
        self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(None)) is None:
            return original(self, messages, stop, callbacks, **kwargs)
        if len(messages) > 1 and is_checked(handle, _list_metadata(kwargs)):
            parts = apart(messages, kwargs)
            return together([generate(self, [one], stop, callbacks, **own) for one, own in parts])
        dispatch, tracing = _begin_list(handle, self, messages, stop, kwargs)
        call = _calling_list(original, self, messages, callbacks, tracing, dispatch.unseen)
        return drive.drive(dispatch, call)

    return generate


def _agenerate(original: Any) -> Any:
    @functools.wraps(original)
    async def agenerate(
        self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(None)) is None:
            return await original(self, messages, stop, callbacks, **kwargs)
        if len(messages) > 1 and is_checked(handle, _list_metadata(kwargs)):
            parts = apart(messages, kwargs)
            calls = [agenerate(self, [one], stop, callbacks, **own) for one, own in parts]
            return together(await asyncio.gather(*calls, return_exceptions=True))
        dispatch, tracing = _begin_list(handle, self, messages, stop, kwargs)
        call = _calling_list(original, self, messages, callbacks, tracing, dispatch.unseen)
        return await drive.adrive(dispatch, call)

    return agenerate


def graph_stream(original: Any) -> Any:
    """`stream` or `astream` of a graph class, handing a run's handle on to graphs within it."""

    # LangGraph's own generator is returned, so that closing and cancelling stay its own.
    @functools.wraps(original)
    def stream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return original(self, input, lineage.handed_on(self, config), **kwargs)

    return stream


_WRAPPERS: dict[tuple[type, str], Callable[[Any], Any]] = {
    (BaseChatModel, "invoke"): _invoke,
    (BaseChatModel, "ainvoke"): _ainvoke,
    (BaseChatModel, "stream"): _stream,
    (BaseChatModel, "astream"): _astream,
    (BaseChatModel, "generate"): _generate,
    (BaseChatModel, "agenerate"): _agenerate,
    (BaseChatModel, "_chat_model_stream_v3"): _events,
    (BaseChatModel, "_achat_model_stream_v3"): _aevents,
}


def also(kind: type, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Have `install` wrap another method (for the module that knows LangGraph's classes)."""
    _WRAPPERS[kind, name] = wrapper


def install() -> None:
    """Wrap the entry points; does nothing where they are wrapped already."""
    with _lock:
        for (kind, name), wrapper in _WRAPPERS.items():
            original = kind.__dict__.get(name)
            if original is None or (kind, name) in _originals:
                continue  # wrapped already, or an older langchain-core without the v3 protocol
            _originals[kind, name], _wrapped[kind, name] = original, wrapper(original)
            setattr(kind, name, _wrapped[kind, name])


def remove() -> bool:
    """Put the originals back; False, changing nothing, where another library wrapped them since."""
    with _lock:
        if any(kind.__dict__.get(name) is not ours for (kind, name), ours in _wrapped.items()):
            return False
        for (kind, name), original in _originals.items():
            setattr(kind, name, original)
        _originals.clear()
        _wrapped.clear()
        return True


def is_installed() -> bool:
    """Whether the hook is in place."""
    return bool(_originals)
