"""Which nodes must stay on this machine because private data reaches them along state keys.

A node with `privacy="local"` handles private data, so what it writes is private too, and so is
what any node computes from that. `privacy="any"` states that a node's output is clean: it is the
redactor (or the author's word that nothing leaks), and taint ends there.

```
 intake (local) ──ticket──► classify ──label──► redact (any) ──clean──► draft
    pinned                   pinned                                     free
```

A key that the state's schema marks `private` is private from the start, whoever writes it.

What cannot be seen counts as private. A `Send` carries what its source put together, under keys of
its own, so where private data may be in the state at its source, its target is pinned, with all
that is inside of it, unless source or target say `privacy="any"`, or every way from the private
step to the source leads through a node that does. A step with
`privacy="local"` of which no write was seen is taken to write every key.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from graphroute.ir.facts import Facts, Taint
from graphroute.ir.graph import START, Graph, Node


def taint(facts: Facts) -> Facts:
    """Fill `taints` in graph order; each with one shortest path of its private data."""
    graph = facts.graph
    after = _followers(graph, frozenset())
    exposed = _followers(graph, frozenset(n.name for n in graph.nodes if n.hints.privacy == "any"))
    pinned: dict[str, tuple[str, ...]] = {
        n.name: (n.name,) for n in graph.nodes if n.hints.privacy == "local"
    }
    sources = [n for n in graph.nodes if n.name in pinned]
    todo: deque[tuple[str, str]] = deque()  # (node that wrote it, private state key)
    origin: dict[tuple[str, str], tuple[str, ...]] = {}
    sent = _sent(graph)
    by_name = {n.name: n for n in graph.nodes}
    keys = {key for n in graph.nodes for key in n.reads}

    def spread(node: Node) -> None:
        is_unseen = not node.writes and node in sources and node.kind != "subgraph"
        for key in sorted(keys) if is_unseen else node.writes:
            if (node.name, key) not in origin:
                origin[node.name, key] = pinned[node.name]
                todo.append((node.name, key))
        send(node, pinned[node.name])

    def send(source: Node, way: tuple[str, ...]) -> None:
        """Pin what `source` sends to."""
        for name in sent.get(source.name, ()) if source.hints.privacy != "any" else ():
            pin(by_name[name], (*way, "Send", name))

    def pin(node: Node, way: tuple[str, ...]) -> None:
        if node.name not in pinned and node.hints.privacy != "any":
            pinned[node.name] = way
            spread(node)

    for node in sources:
        spread(node)
    for key in graph.private_keys:
        origin[START, key] = (START,)
        todo.append((START, key))
    while todo:
        writer, key = todo.popleft()
        way = origin[writer, key]
        for name in sorted(after[writer]):
            reader = by_name[name]
            if key in reader.reads:
                pin(reader, (*way, key, name))
            if name in exposed[writer]:
                send(reader, (*way, key, name))
    return replace(
        facts,
        taints=tuple(
            Taint(node=n.name, path=pinned[n.name]) for n in graph.nodes if n.name in pinned
        ),
    )


def _sent(graph: Graph) -> dict[str, list[str]]:
    """The targets of each node's `Send`s, each with all nodes inside of it."""
    found: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.kind == "send":
            inside = [
                n.name
                for n in graph.nodes
                if n.name == edge.target or n.name.startswith(f"{edge.target}/")
            ]
            found.setdefault(edge.source, []).extend(inside)
    return found


def _followers(graph: Graph, stops: frozenset[str]) -> dict[str, set[str]]:
    """Nodes that can run after each node, not through `stops`; a subgraph's inside runs where its
    node does.
    """
    direct: dict[str, set[str]] = {START: set(), **{n.name: set() for n in graph.nodes}}
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
                    if name not in seen and target not in stops:
                        seen.add(name)
                        todo.append(name)
        reach[start] = seen
    return reach
