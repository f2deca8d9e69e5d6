"""A pool, a fixed scorer and a short way to a plan for the tests of planning."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphroute.ir.catalog import Catalog, ModelSpec, Price
from graphroute.ir.graph import Graph, Node
from graphroute.ir.hints import Budget
from graphroute.ir.plan import Plan
from graphroute.ir.profile import StepScore
from graphroute.planner import make_plan


@dataclass
class FixedScorer:
    """Difficulties by node name, 0.5 for others."""

    by_node: dict[str, float] = field(default_factory=dict)
    name: str = "fixed"

    def step(self, node: Node, graph: Graph) -> StepScore:
        """The difficulty that was given."""
        d = self.by_node.get(node.name, 0.5)
        return StepScore(difficulty=d, low=d - 0.1, high=d + 0.1, reason="free-form text")


def spec(name: str, usd: float, ability: float, **facts: object) -> ModelSpec:
    """A model with `usd` per million tokens in both directions."""
    return ModelSpec(
        name=name,
        provider=name.partition(":")[0],
        price=Price(in_usd=usd, out_usd=usd, source="test", date="2026-01-01"),
        ability=ability,
        **{"local": False, "context_tokens": 8192, "max_output_tokens": 1024} | facts,  # type: ignore[arg-type]
    )


BIG = spec("openai:big", 20.0, 0.95)
MINI = spec("openai:mini", 1.0, 0.7)
SMALL = spec("ollama:small", 0.0, 0.4, local=True, memory_bytes=2_000_000_000, loaded=True)
POOL = Catalog(models=(SMALL, BIG, MINI))


def plan(
    graph: Graph, *, usd: float | None = None, pool: Catalog = POOL, **options: object
) -> Plan:
    """A plan with the fixed scorer (`difficulties=` by node name)."""
    difficulties = options.pop("difficulties", {})
    assert isinstance(difficulties, dict)
    return make_plan(
        graph,
        pool,
        budget=Budget(per_run_usd=usd),
        step_scorer=FixedScorer(difficulties),
        **options,  # type: ignore[arg-type]  # options by name
    )
