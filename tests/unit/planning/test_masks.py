"""What may serve a node at all: capabilities, windows, memory, and that nothing gets round them."""

from __future__ import annotations

import pytest

from graphroute.ir.catalog import Capability, Catalog
from graphroute.ir.graph import END, START, Graph, ModelUse, Node, SchemaFact, ToolFact
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Plan
from graphroute.planning.options import Packing
from tests.unit.passes.graphs import Arrow, graph, node
from tests.unit.planning.pool import plan, spec

TOOL, SCHEMA = (ToolFact(name="web"),), SchemaFact(name="Label", fields=2)


def alone(**facts: object) -> Graph:
    return graph([node("a", **facts)], [(START, "a"), ("a", END)])  # type: ignore[arg-type]


def able(*capabilities: Capability, name: str = "x:some") -> Catalog:
    """A good model with these capabilities beside a poor one with all."""
    every = frozenset[Capability]({"tools", "structured_output", "vision"})
    return Catalog(
        models=(
            spec(name, 1.0, 0.99, capabilities=frozenset(capabilities)),
            spec("y:all", 9.0, 0.3, capabilities=every),
        )
    )


@pytest.mark.parametrize(
    ("facts", "has", "lacks"),
    [
        ({"tools": TOOL}, ("structured_output", "vision"), "tools"),
        ({"output_schema": SCHEMA}, ("vision",), "structured output"),
        ({"takes_images": True}, ("tools", "structured_output"), "vision"),
        ({"tools": TOOL, "takes_images": True}, ("tools",), "vision"),
        ({"tools": TOOL, "takes_images": True}, ("structured_output",), "tools and vision"),
    ],
)
def test_what_a_model_is_known_to_lack_masks_it(
    facts: dict[str, object], has: tuple[Capability, ...], lacks: str
) -> None:
    made = plan(alone(**facts), pool=able(*has))
    (a,) = made.assignments
    assert a.model == "y:all"
    assert f"x:some: cannot do {lacks}" in a.constraints
    assert "x:some" not in a.fallbacks


@pytest.mark.parametrize(
    ("facts", "has"),
    [
        ({"output_schema": SCHEMA}, ("tools",)),
        ({"output_schema": SCHEMA}, ("structured_output",)),
        ({"tools": TOOL, "output_schema": SCHEMA}, ("tools",)),
        ({"tools": TOOL, "takes_images": True}, ()),
    ],
)
def test_what_it_can_do_some_way_or_nobody_knows_masks_nothing(
    facts: dict[str, object], has: tuple[Capability, ...]
) -> None:
    assert plan(alone(**facts), pool=able(*has)).model_for("a") == "x:some"


def test_a_model_the_node_uses_itself_is_never_masked_for_what_a_table_says() -> None:
    own = (ModelUse(name="x:some", via="closure"),)
    assert plan(alone(tools=TOOL, models=own), pool=able("vision")).model_for("a") == "x:some"


def test_a_window_just_large_enough_will_do_and_what_the_endpoint_adds_counts() -> None:
    def made(**facts: object) -> Plan:
        tight = spec("x:tight", 1.0, 0.99, **{"context_tokens": 500} | facts)
        return plan(alone(), pool=Catalog(models=(tight, spec("y:all", 9.0, 0.3))))

    (a,) = made().assignments
    assert a.in_tokens + a.out_tokens == 500
    assert a.model == "x:tight"
    assert made(context_tokens=499).model_for("a") == "y:all"
    late = made(overhead_tokens=1)
    assert late.model_for("a") == "y:all"
    assert late.assignments[0].constraints == (
        "x:tight: context of 500 tokens, about 501 are needed",
    )


def checked(**facts: object) -> Graph:
    """An answer with a check, a loop with a check, and a fan-out."""
    nodes: list[Node | str] = [
        node("answer", hints=RouteHints(verify=print), **facts),  # type: ignore[arg-type]
        node("draft", **facts),  # type: ignore[arg-type]
        node("check", "code"),
        node("label", **facts),  # type: ignore[arg-type]
    ]
    arrows: list[Arrow] = [(START, "answer"), ("answer", "draft"), ("draft", "check")]
    arrows += [("check", "draft", "conditional"), ("check", "label", "send"), ("label", END)]
    return graph(nodes, arrows)


def named(made: Plan) -> set[str]:
    """Every model that may be asked by this plan, whatever happens."""
    return {m for a in made.assignments for m in (a.model, *a.then, *a.fallbacks)}


@pytest.mark.parametrize("usd", [None, 0.05, 0.02])
def test_no_sequence_fallback_or_pack_holds_a_masked_model(usd: float | None) -> None:
    blind = spec("b:blind", 0.1, 0.9, capabilities=frozenset({"tools"}))
    pool = Catalog(models=(blind, *able("vision", name="x:sees").models))
    pack = Packing(model="b:blind", batch=4, cost_factor=0.1, time_factor=0.1, quality_factor=1.0)
    made = plan(checked(takes_images=True), pool=pool, usd=usd, packings={"label": [pack]})
    assert made.feasible
    assert named(made) <= {"x:sees", "y:all"}
    free = plan(checked(), pool=pool, usd=usd, packings={"label": [pack]})
    assert "b:blind" in named(free)


def test_private_nodes_have_local_models_only_behind_the_first_too() -> None:
    pool = Catalog(
        models=(
            spec("l:one", 0.0, 0.4, local=True),
            spec("l:two", 0.0, 0.6, local=True),
            spec("o:big", 1.0, 0.99),
        )
    )
    nodes = [node("intake", "code", writes=("t",), hints=RouteHints(privacy="local"))]
    reads = [
        node("answer", reads=("t",), writes=("u",), hints=RouteHints(verify=print)),
        node("end", reads=("u",)),
    ]
    arrows: list[Arrow] = [(START, "intake"), ("intake", "answer"), ("answer", "end"), ("end", END)]
    made = plan(graph([*nodes, *reads], arrows), pool=pool)
    assert named(made) <= {"l:one", "l:two"}
    answer = made.assignment("answer")
    assert answer is not None
    assert answer.kind == "cascade"
    assert all(a.privacy_local for a in made.assignments)


@pytest.mark.parametrize("room", [0, 3, 5, 7])
def test_local_models_of_all_sequences_together_fit_the_memory(room: int) -> None:
    gb = 10**9
    pool = Catalog(
        models=(
            spec("l:one", 0.0, 0.4, local=True, memory_bytes=3 * gb),
            spec("l:two", 0.0, 0.6, local=True, memory_bytes=4 * gb),
            spec("o:big", 9.0, 0.7),
        )
    )
    made = plan(checked(), pool=pool, memory_limit_bytes=room * gb)
    held = {m for a in made.assignments for m in (a.model, *a.then)}
    assert sum(pool.get(m).memory_bytes or 0 for m in held) <= room * gb
