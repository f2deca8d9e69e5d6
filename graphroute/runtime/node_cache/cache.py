"""The node-output cache of one optimized graph: which nodes, on which backend.

A node is found by the runnable LangGraph runs, the same object in the graph and in all its copies,
whether the graph runs by itself, as a part of another, or is called from a node's code.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from graphroute.ir.node_cache import CacheableNode, CodeKey, NodeRecord, Unclear
from graphroute.ir.record import CallRecord
from graphroute.protocols import Cache
from graphroute.runtime.flight import Flights
from graphroute.runtime.lease import Leases
from graphroute.runtime.node_cache import asked
from graphroute.runtime.node_cache.reads import Reads, untraced
from graphroute.runtime.node_cache.shelf import Shelf
from graphroute.runtime.node_cache.visit import Visit
from graphroute.runtime.unkeyable import Unkeyable

if TYPE_CHECKING:
    from graphroute.runtime.run_handle import RunHandle

logger = logging.getLogger(__name__)

_MAX_TOLD: Final = 1000


class NodeCache:
    """Shared by all runs of an optimized graph; safe to use from threads and tasks.

    graph: name of the graph, by which the past of its nodes is kept
    leases: where processes share the backend
    """

    def __init__(
        self,
        nodes: Sequence[CacheableNode],
        *,
        cache: Cache,
        graph: str = "",
        leases: Leases | None = None,
    ) -> None:
        self._graph, self._leases = graph, leases
        self._unkept: set[str] = set()
        self._shelf, self._flights = Shelf(cache), Flights[bytes]()
        self._lock = threading.Lock()
        self._volatile: dict[str, frozenset[str]] = {}
        self._proven: dict[str, tuple[str, str | None]] = {}
        self._nodes: dict[int, dict[str, CacheableNode]] = {}
        self._told: set[tuple[str, str]] = set()
        for node in nodes:
            self._nodes.setdefault(id(node.bound), {})[node.caching.node] = node

    def find(self, bound: Any, place: str) -> CacheableNode | None:
        """The node at a place, if its output is kept."""
        return self._nodes.get(id(bound), {}).get(place)

    def holds(self, bound: Any) -> bool:
        """Whether this runnable is that of a node whose output is kept."""
        return id(bound) in self._nodes

    def visit(
        self,
        node: CacheableNode,
        *,
        place: str,
        handle: RunHandle,
        config: Mapping[str, Any],
        state: Any,
    ) -> Visit | None:
        """Begin a visit; None, recorded with its reason, where there is to be no cache."""
        try:
            volatile = self._changed_by(place)
            code = node.code.now(volatile)
            why = asked.why_no_model(handle.course.assignment(place)) or self._why_not(node, code)
            if why is None:
                fresh = asked.why_run_anyway(config)
                visit = Visit(
                    node,
                    code=code,
                    place=place,
                    graph=self._graph,
                    handle=handle,
                    config=config,
                    state=state,
                    shelf=self._shelf,
                    flights=self._flights,
                    turns=self._turns(place, handle),
                    volatile=volatile,
                    is_fresh=fresh is not None,
                )
                visit.why = fresh or ""
                return visit
        except (Unclear, Unkeyable) as fault:
            why = str(fault)
        except Exception as fault:  # the node worked without a cache, and goes on to
            logger.warning("node %r is not cached: %s", place, fault, exc_info=True)
            why = f"{type(fault).__name__}: {fault}"
        self._bypass(handle, place, config, why)
        return None

    def _why_not(self, node: CacheableNode, code: CodeKey) -> str | None:
        if code.obstacles:
            return code.obstacles[0]
        if node.caching.asked != "auto":
            return None
        place = node.caching.node
        known = self._proven.get(place)
        if known is None or known[0] != code.digest:
            # Something its code names is another thing now: the proof has to be made again.
            known = self._proven[place] = (code.digest, node.code.why_not_pure())
        return known[1]

    def _turns(self, place: str, handle: RunHandle) -> Leases | None:
        """Who computes, where other processes would find the result: not a private one's.

        Nor that of a node whose last result was not kept: all would wait for each other in vain.
        """
        is_private = handle.policy.is_private(place) or handle.is_private_inside(place)
        return None if is_private or place in self._unkept else self._leases

    def ended(self, visit: Visit) -> None:
        """Remember whether others had something of a visit."""
        (self._unkept.discard if visit.is_kept else self._unkept.add)(visit.place)

    def _changed_by(self, place: str) -> frozenset[str]:
        with self._lock:
            known = self._volatile.get(place)
        if known is None:
            known = self._shelf.past(f"{self._graph}\n{place}").volatile
            with self._lock:
                known = self._volatile.setdefault(place, known)
        return known

    def keep(
        self,
        visit: Visit,
        value: Any,
        reads: Reads,
        calls: Sequence[CallRecord],
        *,
        took_s: float,
    ) -> Any:
        """Keep a result if it may be; what the node is to return."""
        plain = untraced(value)
        try:
            changed = visit.keep(plain, reads.found(), calls, took_s=took_s)
        except Exception as fault:  # the node has run: nothing of ours may lose its result
            visit.leave()
            logger.warning("output of node %r is not kept: %s", visit.place, fault, exc_info=True)
            return plain
        finally:
            self.ended(visit)
        if changed and visit.node.caching.asked != "auto":
            with self._lock:
                before = self._volatile.get(visit.place, frozenset())
                self._volatile[visit.place] = before | changed
            if not changed <= before:
                names = ", ".join(sorted(changed - before))
                logger.info("node %r changes %s itself: not part of its key", visit.place, names)
        return plain

    def _bypass(self, handle: RunHandle, place: str, config: Mapping[str, Any], why: str) -> None:
        step = (config.get("metadata") or {}).get("langgraph_step")
        handle.policy.record_node(
            NodeRecord(
                run_id=handle.run_id,
                node=place,
                step=step if isinstance(step, int) else None,
                outcome="bypassed",
                why=why,
            )
        )
        if (place, why) not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add((place, why))
            logger.info("node %r runs without its cache: %s", place, why)
