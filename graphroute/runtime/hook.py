"""The one process-wide hook: every chat-model call asks here whether a run wants it routed.

`BaseChatModel`'s entry points are wrapped once, by plain functions that keep name, signature and
kind. Without a handle in the call's config (or in the config LangChain keeps for the running task)
the original runs at once. With one, a `Dispatch` decides and the chosen model is called through the
same entry point, so callbacks, token streams, tracing and usage are those of the model that ran.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables.config import ensure_config, var_child_runnable_config

from graphroute.runtime import drive
from graphroute.runtime.dispatch import Dispatch, RunHandle

KEY = "__pregel_graphroute"
"""LangGraph drops keys with this prefix from streams, checkpoints and tracing metadata."""

_lock = threading.Lock()
_originals: dict[str, Any] = {}
_wrapped: dict[str, Any] = {}


def find_handle(config: Any) -> RunHandle | None:
    """The run handle a call belongs to: from its own config, else from the running task's."""
    if config is not None and (configurable := config.get("configurable")):
        handle: RunHandle | None = configurable.get(KEY)
        if handle is not None:
            return handle
    inherited = var_child_runnable_config.get()
    if inherited is None or not (configurable := inherited.get("configurable")):
        return None
    return configurable.get(KEY)


def _handle_for(config: Any) -> RunHandle | None:
    return None if drive.routing.get() else find_handle(config)


def _begin(
    handle: RunHandle,
    own: BaseChatModel,
    value: Any,
    config: Any,
    stop: list[str] | None,
    kwargs: Mapping[str, Any],
) -> Dispatch:
    messages = own._convert_input(value).to_messages()
    metadata = ensure_config(config).get("metadata") or {}
    return Dispatch(handle, own, messages, stop=stop, kwargs=kwargs, metadata=metadata)


def _invoke(original: Any) -> Any:
    @functools.wraps(original)
    def invoke(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        return drive.drive(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
        )

    return invoke


def _ainvoke(original: Any) -> Any:
    @functools.wraps(original)
    async def ainvoke(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return await original(self, input, config, stop=stop, **kwargs)
        return await drive.adrive(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
        )

    return ainvoke


def _stream(original: Any) -> Any:
    @functools.wraps(original)
    def stream(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        return drive.drive_stream(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
            lambda chat, w: chat.invoke(input, config, stop=w.stop, **w.kwargs),
        )

    return stream


def _astream(original: Any) -> Any:
    @functools.wraps(original)
    def astream(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        return drive.adrive_stream(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
            lambda chat, w: chat.ainvoke(input, config, stop=w.stop, **w.kwargs),
        )

    return astream


def _events(original: Any) -> Any:
    @functools.wraps(original)
    def events(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return original(self, input, config, stop=stop, **kwargs)
        return drive.drive_events(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
        )

    return events


def _aevents(original: Any) -> Any:
    @functools.wraps(original)
    async def aevents(
        self: BaseChatModel, input: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(config)) is None:
            return await original(self, input, config, stop=stop, **kwargs)
        return await drive.adrive_events(
            _begin(handle, self, input, config, stop, kwargs),
            lambda chat, w: original(chat, input, config, stop=w.stop, **w.kwargs),
        )

    return aevents


_TRACING = ("tags", "metadata", "run_name", "run_id")


def _begin_list(
    handle: RunHandle, own: BaseChatModel, prompts: Any, stop: Any, kwargs: dict[str, Any]
) -> tuple[Dispatch, dict[str, Any]]:
    """One decision for a list of prompts, and the tracing arguments, which are no wishes."""
    tracing = {k: kwargs.pop(k) for k in _TRACING if k in kwargs}
    joined: list[BaseMessage] = [message for prompt in prompts for message in prompt]
    inherited = ensure_config(None).get("metadata") or {}
    metadata = {**inherited, **(tracing.get("metadata") or {})}
    return Dispatch(handle, own, joined, stop=stop, kwargs=kwargs, metadata=metadata), tracing


def _generate(original: Any) -> Any:
    @functools.wraps(original)
    def generate(
        self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(None)) is None:
            return original(self, messages, stop, callbacks, **kwargs)
        dispatch, tracing = _begin_list(handle, self, messages, stop, kwargs)
        return drive.drive(
            dispatch,
            lambda chat, w: original(chat, messages, w.stop, callbacks, **tracing, **w.kwargs),
        )

    return generate


def _agenerate(original: Any) -> Any:
    @functools.wraps(original)
    async def agenerate(
        self: BaseChatModel, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any
    ) -> Any:
        if (handle := _handle_for(None)) is None:
            return await original(self, messages, stop, callbacks, **kwargs)
        dispatch, tracing = _begin_list(handle, self, messages, stop, kwargs)
        return await drive.adrive(
            dispatch,
            lambda chat, w: original(chat, messages, w.stop, callbacks, **tracing, **w.kwargs),
        )

    return agenerate


_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
    "generate": _generate,
    "agenerate": _agenerate,
    "_chat_model_stream_v3": _events,
    "_achat_model_stream_v3": _aevents,
}


def install() -> None:
    """Wrap the entry points; does nothing where they are wrapped already."""
    with _lock:
        if _originals:
            return
        for name, wrapper in _WRAPPERS.items():
            original = BaseChatModel.__dict__.get(name)
            if original is None:
                continue  # an older langchain-core without the v3 protocol
            _originals[name], _wrapped[name] = original, wrapper(original)
            setattr(BaseChatModel, name, _wrapped[name])


def remove() -> bool:
    """Put the originals back; False, changing nothing, where another library wrapped them since."""
    with _lock:
        if any(BaseChatModel.__dict__.get(name) is not ours for name, ours in _wrapped.items()):
            return False
        for name, original in _originals.items():
            setattr(BaseChatModel, name, original)
        _originals.clear()
        _wrapped.clear()
        return True


def is_installed() -> bool:
    """Whether the hook is in place."""
    return bool(_originals)
