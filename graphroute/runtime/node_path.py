"""Which node a call comes from, read from what LangGraph puts into a config's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def segments(checkpoint_ns: str) -> tuple[str, ...]:
    """Node names along a checkpoint namespace `"parent:id|child:id"`, ids and indexes dropped.

    >>> segments("research:1f2e|search:77aa")
    ('research', 'search')
    >>> segments("odd:name:1f2e")
    ('odd:name',)
    >>> segments("1:1f2e|2|7:77aa")
    ('1', '7')
    """
    # A bare number counts a subgraph's calls within one task; a node may be called "1" too.
    return tuple(
        part.rpartition(":")[0] or part
        for part in checkpoint_ns.split("|")
        if part and not part.isdigit()
    )


def node_path(metadata: Mapping[str, Any], *, base_depth: int = 0) -> str:
    """`"parent/child"` of the node a call runs in; `""` where the config names none.

    base_depth: segments that belong to graphs around the optimized one

    >>> node_path({"langgraph_checkpoint_ns": "outer:9|draft:7", "langgraph_node": "draft"},
    ...           base_depth=1)
    'draft'
    """
    names = segments(str(metadata.get("langgraph_checkpoint_ns") or ""))[base_depth:]
    return "/".join(names) if names else str(metadata.get("langgraph_node") or "")
