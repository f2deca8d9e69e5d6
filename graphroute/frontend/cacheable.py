"""Which nodes' outputs may be kept, and why: the decision for each node that asks for it.

```
cache=True   the author's word: kept unless something forbids it (interrupt, writer, store …)
cache="auto" kept only where the code is proven pure
otherwise    the model-call cache is all there is
```
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from langgraph._internal._runnable import RunnableCallable
from langgraph.graph import StateGraph

from graphroute.frontend.attributes import held, is_a
from graphroute.frontend.callsites import look
from graphroute.frontend.code_walk import Digest
from graphroute.frontend.fingerprint import NodeCode
from graphroute.frontend.obstacles import INJECTED, OF_RUNTIME
from graphroute.frontend.purity import prove
from graphroute.frontend.recognize import kind_of
from graphroute.frontend.tracing import tracing_of
from graphroute.ir.graph import Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.node_cache import CacheableNode, Caching, Tracing, Unclear

logger = logging.getLogger(__name__)

_MAX_NESTING: Final = 16
_ELSEWHERE: Final = "it is no node of a StateGraph; its model calls are cached all the same"


def cacheable(
    graph: Any, data: Graph, *, digest: Digest
) -> tuple[tuple[CacheableNode, ...], tuple[Caching, ...]]:
    """The nodes whose outputs are kept, and the decision for every node that asks for it.

    data: the graph as it was walked, with the hints of each node
    digest: a canonical digest of plain values, `TypeError` for what has none
    """
    hints = {node.name: node.hints for node in data.nodes}
    if not any(_asks(h) for h in hints.values()):
        return (), ()
    kept: list[CacheableNode] = []
    decisions: list[Caching] = []
    for path, spec, has_graph in nodes_of(graph):
        if path not in hints or not _asks(hints[path]):
            continue
        try:
            found = decide(path, spec, hints[path], has_graph, digest)
        except Exception as fault:  # what cannot be read is not cached, and runs as ever
            logger.warning("node %r is not cached", path, exc_info=True)
            why = f"its code could not be read ({type(fault).__name__}: {fault})"
            found = Caching(node=path, is_on=False, why=why, asked=_wish(hints[path]))
        decisions.append(found if isinstance(found, Caching) else found.caching)
        if isinstance(found, CacheableNode):
            kept.append(found)
    decided = {one.node for one in decisions}
    decisions += [
        Caching(node=name, is_on=False, why=_ELSEWHERE, asked=_wish(stated))
        for name, stated in hints.items()
        if _asks(stated) and name not in decided
    ]
    return tuple(kept), tuple(decisions)


def noted(data: Graph, decisions: Iterable[Caching]) -> Graph:
    """The graph with the decision for each node, for the plan to show."""
    words = {one.node: f"{'kept' if one.is_on else 'not kept'}: {one.why}" for one in decisions}
    if not words:
        return data
    nodes = tuple(replace(n, caching=words.get(n.name, n.caching)) for n in data.nodes)
    return replace(data, nodes=nodes)


def _asks(hints: RouteHints) -> bool:
    return hints.cache is True or hints.cache == "auto"


def _wish(hints: RouteHints) -> bool | Literal["auto"]:
    return "auto" if hints.cache == "auto" else True


def nodes_of(
    graph: Any, path: str = "", around: tuple[Any, ...] = ()
) -> Iterator[tuple[str, Any, bool]]:
    """Each node of a built graph and of the graphs inside, by its path; whether it runs a graph."""
    builder: Any = held(graph).get("builder")
    if not is_a(builder, StateGraph) or len(around) >= _MAX_NESTING:
        return
    around = (*around, graph)
    for name, spec in builder.nodes.items():
        full = f"{path}/{name}" if path else name
        branches = builder.branches.get(name, {}).values()
        own = look(spec.runnable).subgraphs
        inside = [*own, *(g for branch in branches for g in look(branch.path).subgraphs)]
        yield full, spec, bool(own)
        for each in inside:
            if not any(each is known for known in around):
                yield from nodes_of(each, full, around)


def decide(
    path: str,
    spec: Any,
    hints: RouteHints,
    has_graph: bool,
    digest: Digest,
    *,
    is_fixed: bool = True,
) -> CacheableNode | Caching:
    """Whether what a node returns may be kept, or it may be run twice unnoticed.

    is_fixed: what it returns has to be the same each time, see `prove`
    """
    asked = _wish(hints)
    bound = spec.runnable

    def refused(why: str) -> Caching:
        return Caching(node=path, is_on=False, why=why, asked=asked)

    if has_graph:
        return refused("it runs a graph of its own, whose nodes are cached one by one")
    if kind_of(bound) == "toolnode":
        return refused("it runs tools, which may act on the world")
    if type(bound) is not RunnableCallable:
        return refused(f"it is a {type(bound).__name__}, no function; its model calls are cached")
    inner = held(bound)
    accepts: Mapping[str, Any] = inner.get("func_accepts") or {}
    for name, why in INJECTED.items():
        if name in accepts:
            return refused(why)
    if spec.is_error_handler:
        return refused(INJECTED["error"])
    functions = functions_of(bound)
    tracing = _common([tracing_of(function) for function in functions])
    reads_config = bool(accepts)
    code = NodeCode([*functions, *_extra(inner)], digest=digest, is_fixed=is_fixed)
    try:
        seen = code.seen()
    except Unclear as fault:
        return refused(str(fault))
    if seen.obstacles:
        return refused(seen.obstacles[0])
    if "runtime" in accepts:
        for name, why in OF_RUNTIME.items():
            if name in seen.names:
                return refused(why)
    why = "its author says so (cache=True)"
    if asked == "auto":
        if reads_config:
            return refused(f"not proven safe, since it is given the run's {'/'.join(accepts)}")
        proof = prove(functions, is_fixed=is_fixed)
        if not proof.is_pure:
            return refused(proof.text)
        why = proof.text
    caching = Caching(node=path, is_on=True, why=why, asked=asked, tracing=tracing)
    return CacheableNode(caching=caching, bound=bound, code=code, reads_config=reads_config)


def functions_of(bound: Any) -> list[Any]:
    """The functions a node was made from: one where the async one only runs the other."""
    inner = held(bound)
    func, afunc = inner.get("func"), inner.get("afunc")
    if func is not None and kind_of(afunc) == "partial":
        afunc = None
    return [function for function in (func, afunc) if function is not None]


def _extra(inner: Mapping[str, Any]) -> list[Any]:
    kwargs = inner.get("kwargs")
    return [kwargs] if kwargs else []


def _common(found: list[Tracing]) -> Tracing:
    return found[0] if found and all(one == found[0] for one in found) else "all"
