"""The nodes of one optimized graph whose updates are checked."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphroute.ir.node_check import CheckedNode
from graphroute.runtime.node_check.running import achecked, checked
from graphroute.runtime.node_check.visit import NodeVisit
from graphroute.runtime.node_twin import twin

if TYPE_CHECKING:
    from graphroute.runtime.run_handle import RunHandle


class NodeChecks:
    """Shared by all runs; a node is found by the runnable LangGraph runs, and its place."""

    def __init__(self, nodes: Sequence[CheckedNode]) -> None:
        self._nodes: dict[int, dict[str, CheckedNode]] = {}
        for node in nodes:
            if node.bound is not None:
                self._nodes.setdefault(id(node.bound), {})[node.node] = node

    def holds(self, bound: Any) -> bool:
        """Whether this runnable is that of a node whose update is checked."""
        return id(bound) in self._nodes

    def around(
        self, bound: Any, place: str, handle: RunHandle, config: Mapping[str, Any]
    ) -> Any | None:
        """A copy of a node's runnable that is checked; None where the node at `place` is not."""
        node = self._nodes.get(id(bound), {}).get(place)
        check = handle.policy.hints_for(place).verify_output
        if node is None or check is None:
            return None
        begin = functools.partial(_begin, node, check, place, handle, config)
        return twin(
            bound,
            sync=functools.partial(checked, begin=begin),
            awaiting=functools.partial(achecked, begin=begin),
        )


def _begin(
    node: CheckedNode,
    check: Any,
    place: str,
    handle: RunHandle,
    config: Mapping[str, Any],
    state: Any,
) -> NodeVisit:
    return NodeVisit(node, check, place=place, handle=handle, config=config, state=state)
