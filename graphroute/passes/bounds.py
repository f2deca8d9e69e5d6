"""The most often a node can run, from the shape of the graph and the recursion limit.

A node outside every loop that no fork stands before runs at most once. Behind a fork it can be
reached in as many supersteps as there are path lengths; in a loop of k nodes every k-th superstep
at most. What a `Send` starts is bounded by nothing but the data: infinite.
"""

from __future__ import annotations

import math

import networkx as nx

from graphroute.ir.facts import Facts
from graphroute.ir.graph import Graph, Node


def most_visits(facts: Facts) -> dict[str, float]:
    """For every node the bound on its visits in one run of the whole graph."""
    graph = facts.graph
    most: dict[str, float] = {}
    by_scope: dict[str, list[Node]] = {}
    for node in graph.nodes:
        by_scope.setdefault(node.scope, []).append(node)
    for path in sorted(by_scope, key=lambda p: (p.count("/") + bool(p), p)):
        outer = most.get(path, 1.0) if path else 1.0
        for name, bound in _scope(graph, by_scope[path], path, facts.recursion_limit).items():
            most[name] = outer * bound
    return most


def _scope(graph: Graph, nodes: list[Node], path: str, limit: int) -> dict[str, float]:
    inside = {n.name for n in nodes} | {f"{path}/__start__" if path else "__start__"}
    flow: nx.DiGraph[str] = nx.DiGraph()
    flow.add_nodes_from(inside)
    always: dict[str, int] = {}
    sent: set[str] = set()
    for edge in graph.edges:
        if edge.source in inside and edge.target in inside:
            flow.add_edge(edge.source, edge.target)
            if edge.kind == "send":
                sent.add(edge.target)
        if edge.source in inside and edge.kind in ("static", "join"):
            always[edge.source] = always.get(edge.source, 0) + 1
    branching = {
        e.source for e in graph.edges if e.source in inside and e.kind not in ("static", "join")
    }
    # Tasks of one Send run in one superstep, but Sends to two nodes are two ways at once.
    sends = {e.source: set[str]() for e in graph.edges if e.kind == "send"}
    for edge in graph.edges:
        if edge.kind == "send":
            sends[edge.source].add(edge.target)
    forks = {
        n for n in inside if always.get(n, 0) + (n in branching) > 1 or len(sends.get(n, ())) > 1
    }
    round_trip = _round_trips(flow)
    found: dict[str, float] = {}
    for node in nodes:
        before = nx.ancestors(flow, node.name)
        loops = [round_trip[n] for n in before | {node.name} if n in round_trip]
        if sent & (before | {node.name}) and (node.name in sent or node.name in round_trip):
            found[node.name] = math.inf
        elif node.name in round_trip:
            found[node.name] = max(1.0, math.ceil(limit / round_trip[node.name]))
        elif not forks & before:
            found[node.name] = 1.0
        elif loops:
            found[node.name] = float(math.ceil(limit / min(loops)))
        else:
            found[node.name] = float(_path_lengths(flow, node.name, before))
    return found


def _round_trips(flow: nx.DiGraph[str]) -> dict[str, int]:
    """Shortest way from each node of a loop back to itself, in edges."""
    found = {}
    for part in nx.strongly_connected_components(flow):
        inner = flow.subgraph(part)
        for node in part:
            if inner.has_edge(node, node):
                found[node] = 1
            elif len(part) > 1:
                away = nx.single_source_shortest_path_length(inner, node)
                found[node] = 1 + min(away[p] for p in inner.predecessors(node))
    return found


def _path_lengths(flow: nx.DiGraph[str], node: str, before: set[str]) -> int:
    """How many different path lengths lead to a node of an acyclic graph."""
    part = flow.subgraph(before | {node})
    lengths: dict[str, set[int]] = {}
    for name in nx.topological_sort(part):
        arriving = {k + 1 for p in part.predecessors(name) for k in lengths[p]}
        lengths[name] = arriving or {0}
    return max(1, len(lengths[node]))
