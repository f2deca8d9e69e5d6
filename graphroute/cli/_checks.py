"""What `graphroute doctor` looks at; every finding says what to do.

| level | meaning |
|---|---|
| ok | nothing to do |
| note | works, but a hint or a server would make it better |
| problem | something will fail, or cannot be routed |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graphroute.cli.models import reach
from graphroute.errors import GraphrouteError
from graphroute.ir.graph import Node
from graphroute.ir.plan import Plan

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding."""

    what: str
    level: Level
    detail: str
    next_step: str = ""


def provider_checks() -> Iterator[Check]:
    """One check per provider; a problem only where not one of them can serve."""
    found = reach()
    is_none = not any(item.health.is_ok for item in found)
    for item in found:
        level: Level = "ok" if item.health.is_ok else "problem" if is_none else "note"
        count = f" ({len(item.models)} models)" if item.models else ""
        yield Check(
            what=item.provider,
            level=level,
            detail=item.health.detail.removesuffix(f"; {item.health.next_step}") + count,
            next_step=item.health.next_step,
        )


def graph_checks(
    graph: Any, models: Literal["auto"] | Sequence[Any] | None, budget: float | None
) -> Iterator[Check]:
    """What the walk and a trial plan say of a graph."""
    from graphroute import plan
    from graphroute.frontend.langgraph import walk

    walked = walk(graph)
    for node in walked.graph.nodes:
        yield from _sight(node)
    try:
        made = plan(graph, models=models, budget=budget)
    except GraphrouteError as fault:
        step = fault.next_step
        text = str(fault).removesuffix(f"; {step}") if step else str(fault)
        yield Check(what="plan", level="problem", detail=text, next_step=step)
        return
    told = set(walked.graph.warnings)
    for warning in made.graph.warnings:
        level: Level = "problem" if "cannot be seen" in warning else "note"
        step = "see the reason" if warning in told else "mend it or leave the model out"
        yield Check(what="graph", level=level, detail=warning, next_step=step)
    yield from _loops(made)
    yield from _plan(made)
    if models is None:
        yield Check(
            what="pool",
            level="note",
            detail="the plan may use only the models the graph already uses",
            next_step="name others: --models auto, or --models ollama:llama3.2,openai:gpt-5-mini",
        )


def _sight(node: Node) -> Iterator[Check]:
    what = f"node {node.name!r}"
    if not node.may_call_model:
        return
    if node.sight != "full":
        yield Check(
            what=what,
            level="note",
            detail=f"seen only in part: {node.sight_reason or 'its code could not be read'}",
            next_step="say what it does by @route(complexity=…, max_output_tokens=…)",
        )
    if node.hints.max_output_tokens is None and all(
        use.max_output_tokens is None for use in node.models
    ):
        yield Check(
            what=what,
            level="note",
            detail="no limit on its answers, so a budget must put aside the model's longest one",
            next_step="give @route(max_output_tokens=…) or the model's max_tokens",
        )


def _loops(made: Plan) -> Iterator[Check]:
    for loop in made.graph.loops:
        yield Check(
            what=f"loop {' → '.join(map(repr, loop.nodes))}",
            level="note",
            detail=f"expected to run {loop.expected_iterations:.3g} times; nothing but the "
            "recursion limit is known to bound it",
            next_step="compile with a recursion_limit: graph.with_config(recursion_limit=…)",
        )


def _plan(made: Plan) -> Iterator[Check]:
    if made.infeasible is not None:
        yield Check(
            what="plan",
            level="problem",
            detail=made.infeasible.message,
            next_step="move the limit it names",
        )
        return
    if not made.assignments:
        yield Check(
            what="plan",
            level="problem",
            detail="no step was seen to call a chat model, so there is nothing to route",
            next_step="call LangChain chat models in the nodes, or check that TARGET is the graph",
        )
        return
    unknown = [model.name for model in made.models if model.price_source == "unknown"]
    for name in unknown:
        yield Check(
            what=f"model {name!r}",
            level="note",
            detail="its price is not known, so its cost and the saving cannot be told",
            next_step=f"pass Model({name!r}, price_in_usd=…, price_out_usd=…)",
        )
    yield Check(
        what="plan",
        level="ok",
        detail=f"{len(made.assignments)} steps on {len(made.models)} models, "
        f"${made.totals.cost_expected_usd:.6g} expected a run",
    )
