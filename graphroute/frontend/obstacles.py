"""What a node may not do if its result is to be kept, whoever asks for it."""

from __future__ import annotations

from types import FunctionType
from typing import Final

from graphroute.frontend.attributes import module_of

_OBSTACLES: Final = {
    ("langgraph.types", "interrupt"): "it may pause for a person's answer (interrupt)",
    ("langgraph.config", "get_stream_writer"): "it writes to the run's stream (get_stream_writer)",
    ("langgraph.config", "get_store"): "it uses the run's store (get_store)",
    ("langgraph.runtime", "get_runtime"): "it uses the run's runtime (get_runtime)",
    ("langchain_core.callbacks.manager", "dispatch_custom_event"): "it sends custom events",
    ("langchain_core.callbacks.manager", "adispatch_custom_event"): "it sends custom events",
}
_CONFIG: Final = frozenset(
    {("langgraph.config", "get_config"), ("langchain_core.runnables.config", "ensure_config")}
)

INJECTED: Final = {
    "writer": "it writes to the run's stream (writer)",
    "store": "it uses the run's store (store)",
    "previous": "it uses the previous result (previous)",
    "error": "it handles errors",
}
"""Arguments that LangGraph gives a node and that are no values a result could be kept for."""

OF_RUNTIME: Final = {
    "stream_writer": INJECTED["writer"],
    "store": INJECTED["store"],
    "previous": INJECTED["previous"],
}
"""The same as attributes of the runtime."""


def obstacle_of(function: FunctionType) -> str | None:
    """Why code that names this function is not cached; None where nothing stands against it."""
    return _OBSTACLES.get((module_of(function), function.__qualname__))


def reads_run_config(function: FunctionType) -> bool:
    """Whether this function gives the config of the run it is called in."""
    return (module_of(function), function.__qualname__) in _CONFIG
