"""What a profile may do with a graph: who may answer at which node, what may be run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel

from graphroute.compilation import Compilation, Inventory
from graphroute.errors import InfeasibleBudget, InvalidValue, UnknownNode
from graphroute.frontend.cacheable import cacheable
from graphroute.frontend.langgraph import Walked
from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import Graph
from graphroute.ir.hints import Budget
from graphroute.ir.plan import Plan
from graphroute.ir.reservation import MIN_OUT_TOKENS
from graphroute.pool import Pool
from graphroute.profiling.calls import RecordedCall
from graphroute.profiling.examples import Example
from graphroute.profiling.journal import FindModel
from graphroute.runtime.canonical import digest


def candidates_of(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    """The models that may serve each node by capabilities, privacy and hints, in order of name."""
    return {
        planned.node: tuple(sorted({planned.model, *planned.fallbacks, *planned.then}))
        for planned in plan.assignments
    }


def base_of(plan: Plan, graph: Graph, pool: Pool) -> Mapping[str, str]:
    """The model of each node in the runs: what the graph itself uses, if it may, else the plan's.

    What a node's successors get is then what they got so far.
    """
    found = {}
    for node, models in candidates_of(plan).items():
        planned = plan.assignment(node)
        assert planned is not None
        uses = graph.node(node).models if node in graph.names else ()
        # The pool may list a model of the graph under another name.
        own = [pool.own[use.name].name for use in uses if use.name in pool.own]
        found[node] = next((name for name in own if name in models), planned.model)
    return found


def run_usd_of(plan: Plan, base: Mapping[str, str], catalog: Catalog) -> float:
    """US dollars that a run's calls put aside on these models, by the plan's estimate.

    Each of an answer that is twice the expected one: a call is begun with no less.
    """
    found = 0.0
    for planned in plan.assignments:
        price = catalog.get(base[planned.node]).price
        out_tokens = max(MIN_OUT_TOKENS, 2 * planned.out_tokens)
        call_usd = (planned.in_tokens * price.in_usd + out_tokens * price.out_usd) / 1e6
        found += planned.expected_calls * call_usd
    return found


def skipped_of(graph: Graph, declared: Iterable[str]) -> Mapping[str, str]:
    """Why the calls of some nodes are never replayed: tools, and what the author names.

    `UnknownNode` for a name that the graph lacks.
    """
    declared = tuple(declared)
    if unknown := [name for name in declared if name not in graph.names]:
        raise _unknown(f"graph {graph.name!r} has no node", unknown, graph)
    found = dict.fromkeys(declared, "its author says so")
    found |= {
        n.name: "it runs tools, which may act on the world" for n in graph.nodes if n.kind == "tool"
    }
    return found


def check_references(examples: Iterable[Example], graph: Graph) -> None:
    """`UnknownNode` where the inputs have right answers of a node that the graph cannot have.

    What is inside a node that the walk saw nothing inside may have any name.
    """
    inside = {name.rpartition("/")[0] for name in graph.names}
    unknown = []
    for name in dict.fromkeys(name for example in examples for name in example.reference):
        above = [known for known in graph.names if f"{name}/".startswith(f"{known}/")]
        nearest = max(above, key=len, default="")
        if name not in graph.names and (not nearest or nearest in inside):
            unknown.append(name)
    if unknown:
        raise _unknown("a 'reference' of the inputs is of no node:", unknown, graph)


def _unknown(what: str, names: Sequence[str], graph: Graph) -> UnknownNode:
    return UnknownNode(
        f"{what} {', '.join(map(repr, names))}",
        node=names[0],
        known=graph.names,
        next_step=f"graph {graph.name!r} has {', '.join(graph.names)}",
    )


def acting_calls(calls: Iterable[RecordedCall]) -> Mapping[str, str]:
    """Nodes with a call that is more than a question: tools which the provider's server runs."""
    return {
        call.node: f"its provider carries out {', '.join(call.request.bound)}"
        for call in calls
        if call.request.bound
    }


def against_reruns(graph: Any, data: Graph) -> str | None:
    """Why running the graph's code again might do harm; None where it is proven not to."""
    asked = replace(
        data,
        nodes=tuple(replace(n, hints=replace(n.hints, cache="auto")) for n in data.nodes),
    )
    for node in data.nodes:
        if node.kind == "tool":
            return f"node {node.name!r} runs tools"
    graphs = {node.name for node in data.nodes if node.kind == "subgraph"}
    for decision in cacheable(graph, asked, digest=digest)[1]:
        if not decision.is_on and decision.node not in graphs:
            return f"node {decision.node!r}: {decision.why}"
    return None


def prices_under(per_run_usd: float, job: Compilation, inventory: Inventory) -> tuple[float, ...]:
    """Prices of quality under the limit that later runs will have, and around it.

    `InfeasibleBudget` where no plan keeps the limit.
    """
    made = replace(job, budget=Budget(per_run_usd=per_run_usd)).plan(inventory)
    if made.infeasible is not None:
        raise InfeasibleBudget(
            made.infeasible.message,
            limit=made.infeasible.limit,
            value=made.infeasible.value,
            needed=made.infeasible.needed,
        )
    price = made.shadow_price
    # The price is that of a plan from priors, so half and twice as much count as well.
    return (price / 2, price, price * 2) if price > 0 else (0.0,)


def finder(walked: Walked, pool: Pool) -> FindModel:
    """The graph's own models by name."""

    def find(name: str) -> BaseChatModel | None:
        if (own := walked.chats.get(name)) is not None:
            return own
        return pool.open(name) if name in pool.catalog.names else None

    return find


def checked(value: Any, name: str, *, low: float, whole: bool = False) -> None:
    """`InvalidValue` unless `value` is None or a finite number (a whole one) of at least `low`."""
    if value is None:
        return
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not low <= value < 1e15:
        raise InvalidValue(
            f"{name}={value!r}",
            value=value,
            next_step=f"use a {'whole ' if whole else ''}number ≥ {low:g}",
        )
