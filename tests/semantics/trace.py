"""A callback handler that writes down the whole tree of runs: who started whom, with what."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

_EVENTS = (
    "on_chain_start",
    "on_chain_end",
    "on_chain_error",
    "on_chat_model_start",
    "on_llm_new_token",
    "on_llm_end",
    "on_llm_error",
    "on_tool_start",
    "on_tool_end",
    "on_tool_error",
    "on_custom_event",
    "on_retry",
)
_DROPPED = ("langsmith_inheritable_metadata", "langsmith_inheritable_tags")


class Tree(BaseCallbackHandler):
    """Each event with its name, ids, tags, metadata, serialized parts, input and output."""

    run_inline = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.events: list[Any] = []

    def note(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Write one event down."""
        kept = {key: value for key, value in kwargs.items() if key not in _DROPPED}
        ids = {key: kept.pop(key, None) for key in ("run_id", "parent_run_id")}
        if event == "on_chat_model_start":
            # How the model that ran writes itself, which is not the graph's own: `tagged`.
            args = ({k: v for k, v in args[0].items() if k != "repr"}, *args[1:])
        with self._lock:
            self.events.append((event, ids, list(args), dict(sorted(kept.items()))))


def _method(event: str) -> Any:
    def on_event(self: Tree, *args: Any, **kwargs: Any) -> None:
        self.note(event, args, kwargs)

    on_event.__name__ = event
    return on_event


for _event in _EVENTS:
    setattr(Tree, _event, _method(_event))


def names(tree: Tree) -> list[tuple[str, str, UUID | None]]:
    """(event, name of what runs, parent) of each start."""
    return [
        (event, str(kept.get("name")), ids["parent_run_id"])
        for event, ids, _, kept in tree.events
        if event.endswith("_start")
    ]
