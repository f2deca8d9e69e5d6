"""Whether the parts of a plan fit together, which no check of single fields can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from graphroute.errors import PlanMismatch
from graphroute.ir.graph import END, START
from graphroute.ir.plan import Assignment, Plan


def check_plan(plan: Plan) -> None:
    """Raise `PlanMismatch` with the first place where the plan contradicts itself."""
    for place, fault in _faults(plan):
        raise PlanMismatch(
            f"the plan is damaged at {place}: {fault}", place=place, next_step="plan again"
        )


def _faults(plan: Plan) -> Iterator[tuple[str, str]]:
    nodes = {node.name for node in plan.graph.nodes}
    models = {model.name for model in plan.models}
    yield from _twice("graph.nodes", (node.name for node in plan.graph.nodes))
    yield from _twice("models", (model.name for model in plan.models))
    yield from _twice("assignments", (each.node for each in plan.assignments))
    for i, edge in enumerate(plan.graph.edges):
        for name in (edge.source, edge.target):
            if name not in nodes and name.rpartition("/")[2] not in (START, END):
                yield f"graph.edges.{i}", f"the graph has no node {name!r}"
    for i, loop in enumerate(plan.graph.loops):
        for name in loop.nodes:
            if name not in nodes:
                yield f"graph.loops.{i}", f"the graph has no node {name!r}"
    for i, each in enumerate(plan.assignments):
        if each.node not in nodes:
            yield f"assignments.{i}.node", f"the graph has no node {each.node!r}"
        for name in _models_of(each):
            if name not in models:
                yield f"assignments.{i}", f"the plan lists no model {name!r}"
        if bool(each.then) != (each.kind in ("iterations", "cascade")):
            yield f"assignments.{i}.then", f"kind {each.kind!r} with {len(each.then)} later models"
        if len(each.reach) not in (0, len(each.then)):
            yield f"assignments.{i}.reach", f"{len(each.reach)} for {len(each.then)} later models"
        if len(each.so_far) != (len(each.reach) and len(each.reach) + 1):
            yield f"assignments.{i}.so_far", f"{len(each.so_far)} beside {len(each.reach)} in reach"
        if not each.complexity_low <= each.complexity <= each.complexity_high:
            yield f"assignments.{i}.complexity", "it is outside its own bounds"
    if plan.feasible and plan.infeasible is not None:
        yield "infeasible", "a feasible plan says why there is none"
    if not plan.feasible and plan.infeasible is None:
        yield "infeasible", "a plan that is not feasible does not say why"
    if not plan.feasible and plan.assignments:
        yield "assignments", "a plan that is not feasible assigns models"


def _twice(place: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name, count in Counter(names).items():
        if count > 1:
            yield place, f"{name!r} is listed {count} times"


def _models_of(each: Assignment) -> Iterator[str]:
    yield each.model
    yield from each.then
    yield from each.fallbacks
    if each.runner_up is not None:
        yield each.runner_up.model
        yield from each.runner_up.then
