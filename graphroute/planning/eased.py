"""Minimums that learnt figures alone have put out of reach: planned with the best model, and said.

A node's `min_quality` is a demand on what is known of its models. Known before anything has run,
a demand that no model meets is a mistake of the caller's, and there is no plan. Where the models
met it until their answers were judged, the graph has been running: a refusal would stop an
application over a figure, and one such node would keep all others at plans that are out of date.
So there the minimum becomes the quality of the best model allowed, with a warning in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

import numpy as np

from graphroute.ir.facts import Facts
from graphroute.ir.problem import Problem

_ROUNDING: Final = 1e-9


def eased(
    facts: Facts,
    *,
    learnt: Collection[str],
    problem_of: Callable[[Facts], Problem],
    before: Callable[[Facts], Problem],
) -> tuple[Problem, tuple[str, ...]]:
    """The problem with such minimums lowered, and a warning for each of their nodes.

    learnt: nodes whose models' answers were judged; problem_of: the problem by all that is known;
    before: the same by what was known without those answers
    """
    problem = problem_of(facts)
    stuck = {name for name in _without_model(problem) if name in learnt}
    stuck = {n for n in stuck if facts.graph.node(n).hints.min_quality is not None}
    if not stuck:
        return problem, ()
    stuck -= set(_without_model(before(facts)))
    free = problem_of(_with_least(facts, dict.fromkeys(stuck, 0.0)))
    least: dict[str, float] = {}
    said: list[str] = []
    for i, name in enumerate(problem.nodes):
        here = [m for m in range(len(free.models)) if free.feasible[i, m]]
        if name not in stuck or not here:
            continue
        quality = np.exp(free.log_quality[i])
        best = max(here, key=lambda m: float(quality[m]))
        least[name] = max(0.0, float(quality[best]) - _ROUNDING)
        figures = ", ".join(f"{free.models[m]} {quality[m]:.2f}" for m in here)
        wanted = facts.graph.node(name).hints.min_quality
        said.append(
            f"node {name!r}: by its judged answers no model reaches min_quality={wanted:g} "
            f"({figures}): planned for the best, {free.models[best]}; add a better model, lower "
            "min_quality, or look at what verify= refuses"
        )
    return (problem_of(_with_least(facts, least)) if least else problem), tuple(said)


def _without_model(problem: Problem) -> list[str]:
    return [n for i, n in enumerate(problem.nodes) if not problem.feasible[i].any()]


def _with_least(facts: Facts, least: dict[str, float]) -> Facts:
    nodes = tuple(
        replace(node, hints=replace(node.hints, min_quality=least[node.name]))
        if node.name in least
        else node
        for node in facts.graph.nodes
    )
    return replace(facts, graph=replace(facts.graph, nodes=nodes))
