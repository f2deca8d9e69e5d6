"""How a run's handle travels from graph to graph.

It lies in `config["configurable"]`, which LangGraph hands to tasks, branches, tools and subgraphs.
One case loses it: a config that names a thread, namespace or checkpoint starts a lineage of its
own and inherits no configurable. A graph run so inside a node still belongs to the outer run (its
calls are paid by it), so the handle is handed on, and remembers under which node the new lineage
hangs:

```
outer run ─ node "research" ─ inner.invoke(x, {"configurable": {"thread_id": "7"}})
                                  └─ node "draft"   →   node path "research/draft"
```
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from graphroute.runtime.node_path import node_path, segments
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.turn import task_parts

KEY = "__pregel_graphroute"
"""LangGraph drops keys with this prefix from streams, checkpoints and tracing metadata."""

COORDINATES = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
"""A config that gives one of these starts a lineage of its own and inherits no configurable."""


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


def handed_on(graph: Any, config: Any) -> Any:
    """`config` for a run of `graph`, with the outer run's handle where it would be dropped.

    The same object in every other case: a graph that nobody optimized must not notice.
    """
    inherited = var_child_runnable_config.get()
    if inherited is None:
        return config
    handle: RunHandle | None = (inherited.get("configurable") or {}).get(KEY)
    if handle is None:
        return config
    given = (config or {}).get("configurable") or {}
    own = (graph.config or {}).get("configurable") or {}
    if KEY in given or not is_apart(given, own):
        return config
    nested = under_node(handle, inherited, {**own, **given})
    return {**(config or {}), "configurable": {**given, KEY: nested}}


def is_apart(*configurables: Any) -> bool:
    """Whether a run with these configurables starts a lineage of its own."""
    return any(c.get(key) for c in configurables for key in COORDINATES)


def node_of(handle: RunHandle, config: Any, around: Any) -> str:
    """Path of the node in which a graph is run with `config` inside the config `around`."""
    given = (config or {}).get("configurable") or {}
    if not is_apart(given):
        given = (around or {}).get("configurable") or {}
    names = segments(str(given.get("checkpoint_ns") or ""))[handle.base_depth :]
    return handle.path("/".join(names))


def under_node(handle: RunHandle, inherited: Any, configurable: Any) -> RunHandle:
    """`handle` for a lineage that starts inside the node that `inherited` names."""
    metadata = inherited.get("metadata") or {}
    tasks = task_parts(metadata, base_depth=handle.base_depth)
    return replace(
        handle,
        above=handle.path(node_path(metadata, base_depth=handle.base_depth)),
        base_depth=len(segments(str(configurable.get("checkpoint_ns") or ""))),
        task=handle.task or next(iter(tasks), ""),
    )
