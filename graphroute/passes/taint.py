"""Which nodes must stay on this machine because private data reaches them along state keys.

A node with `privacy="local"` handles private data, so what it writes is private too, and so is
what any node computes from that. `privacy="any"` states that a node's output is clean: it is the
redactor (or the author's word that nothing leaks), and taint ends there.

```
 intake (local) ──ticket──► classify ──label──► redact (any) ──clean──► draft
    pinned                   pinned                                     free
```
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from graphroute.ir.facts import Facts, Taint
from graphroute.ir.graph import Graph, Node


def taint(facts: Facts) -> Facts:
    """Fill `taints` in graph order; each with one shortest path of its private data."""
    graph = facts.graph
    after = _followers(graph)
    pinned: dict[str, tuple[str, ...]] = {
        n.name: (n.name,) for n in graph.nodes if n.hints.privacy == "local"
    }
    sources = [n for n in graph.nodes if n.name in pinned]
    todo: deque[tuple[str, str]] = deque()  # (node that wrote it, private state key)
    origin: dict[tuple[str, str], tuple[str, ...]] = {}

    def spread(node: Node) -> None:
        for key in node.writes:
            if (node.name, key) not in origin:
                origin[node.name, key] = pinned[node.name]
                todo.append((node.name, key))

    for node in sources:
        spread(node)
    by_name = {n.name: n for n in graph.nodes}
    while todo:
        writer, key = todo.popleft()
        for name in after[writer]:
            reader = by_name[name]
            if key not in reader.reads or reader.hints.privacy == "any" or name in pinned:
                continue
            pinned[name] = (*origin[writer, key], key, name)
            spread(reader)
    return replace(
        facts,
        taints=tuple(
            Taint(node=n.name, path=pinned[n.name]) for n in graph.nodes if n.name in pinned
        ),
    )


def _followers(graph: Graph) -> dict[str, set[str]]:
    """Nodes that can run after each node; a subgraph's inside runs where its node does."""
    direct: dict[str, set[str]] = {n.name: set() for n in graph.nodes}
    for edge in graph.edges:
        if edge.source in direct and edge.target in direct:
            direct[edge.source].add(edge.target)
    children: dict[str, set[str]] = {}
    for node in graph.nodes:
        if node.scope in direct:
            children.setdefault(node.scope, set()).add(node.name)
    reach: dict[str, set[str]] = {}
    for start in direct:
        seen: set[str] = set()
        todo = [start]
        while todo:
            here = todo.pop()
            # Leaving a subgraph's node means going on after the subgraph.
            scope = here.rpartition("/")[0]
            following = direct.get(here, set()) | (
                direct.get(scope, set()) if scope in direct else set()
            )
            for target in following:
                for name in {target} | children.get(target, set()):
                    if name not in seen:
                        seen.add(name)
                        todo.append(name)
        reach[start] = seen
    return reach
