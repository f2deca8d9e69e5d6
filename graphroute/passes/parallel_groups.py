"""Which nodes that may call a model can run in one superstep: those share devices and budget."""

from __future__ import annotations

from dataclasses import replace

from graphroute.ir.facts import Facts


def parallel_groups(facts: Facts) -> Facts:
    """Fill `parallel_groups`: each maximal group once, in graph order."""
    order = {n.name: i for i, n in enumerate(facts.graph.nodes) if n.may_call_model}
    groups = {
        frozenset(n for n in step.nodes if n in order)
        for step in facts.supersteps
        if sum(n in order for n in step.nodes) > 1
    }
    largest = [g for g in groups if not any(g < other for other in groups)]
    named = [tuple(sorted(g, key=order.__getitem__)) for g in largest]
    return replace(facts, parallel_groups=tuple(sorted(named, key=lambda g: [order[n] for n in g])))
