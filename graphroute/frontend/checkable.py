"""Nodes with `verify_output=`: which of them may be run again where the check refuses their update.

A node may, where its code is proven to act on nothing but the state (as for `cache="auto"`), or
where its author says so by `cache=True`. Of every other the verdict is only recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langgraph._internal._runnable import RunnableCallable

from graphroute.frontend.cacheable import decide, nodes_of
from graphroute.frontend.code_walk import Digest
from graphroute.ir.graph import Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.node_cache import CacheableNode
from graphroute.ir.node_check import CheckedNode

logger = logging.getLogger(__name__)


def checkable(graph: Any, data: Graph, *, digest: Digest) -> tuple[CheckedNode, ...]:
    """Every node that asks for a check of its update.

    data, digest: as of `cacheable`
    """
    asking = {n.name: n.hints for n in data.nodes if n.hints.verify_output is not None}
    if not asking:
        return ()
    found = {
        path: _checked(path, spec, asking[path], has_graph, digest)
        for path, spec, has_graph in nodes_of(graph)
        if path in asking
    }
    elsewhere = "it is no node of a StateGraph"
    return tuple(
        found.get(name) or CheckedNode(node=name, bound=None, against=elsewhere) for name in asking
    )


def _checked(
    path: str, spec: Any, hints: RouteHints, has_graph: bool, digest: Digest
) -> CheckedNode:
    bound = spec.runnable
    if has_graph or type(bound) is not RunnableCallable:
        kind = "a graph" if has_graph else f"a {type(bound).__name__}"
        return CheckedNode(node=path, bound=None, against=f"it is {kind}, no function")
    asked = replace(hints, cache=True if hints.cache is True else "auto")
    try:
        found = decide(path, spec, asked, has_graph, digest, is_fixed=False)
    except Exception as fault:  # what cannot be read is not run again, and runs as ever
        logger.warning("node %r is not run again", path, exc_info=True)
        why = f"its code could not be read ({type(fault).__name__}: {fault})"
        return CheckedNode(node=path, bound=bound, against=why)
    if not isinstance(found, CacheableNode):
        return CheckedNode(node=path, bound=bound, against=found.why)
    is_said = found.caching.asked is True
    return CheckedNode(node=path, bound=bound, code=None if is_said else found.code)


def marked(data: Graph, checked: Sequence[CheckedNode]) -> Graph:
    """The graph with what the plan has to know of them, and a warning of those not run again."""
    if not checked:
        return data
    again = {each.node for each in checked if not each.against}
    nodes = tuple(replace(n, may_rerun=True) if n.name in again else n for n in data.nodes)
    remarks = tuple(str(each) for each in checked if each.against)
    return replace(data, nodes=nodes, warnings=(*data.warnings, *remarks))
