"""The plan: which model serves which step, why, and what the run will cost.

A `Plan` is a frozen value that goes to JSON and back without loss (`graphroute.plan/1`). The same
graph, pool and seed give the same bytes: the solver's milliseconds are kept on the value and left
out of the JSON unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

from pydantic import Field

from graphroute.errors import PlanError
from graphroute.ir.catalog import Capability
from graphroute.ir.graph import EdgeKind, NodeKind, Sight
from graphroute.ir.hints import Objective, OnExceed
from graphroute.ir.problem import OptionKind, Status
from graphroute.ir.rest import Happened, Rest

if TYPE_CHECKING:
    from graphroute.ir.compare import Difference

SCHEMA: Final = "graphroute.plan/1"

Share = Annotated[float, Field(ge=0, le=1)]
"""A probability or a quality; outside [0, 1] a plan's JSON is refused."""

Amount = Annotated[float, Field(ge=0)]
"""What there is at least none of: USD, seconds, tokens, visits."""

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNode:
    """A node as the plan shows it.

    caching: whether what it returns is kept, with the proof or what stands against it; `""` where
        its author did not ask for it
    """

    name: str
    kind: NodeKind
    sight: Sight
    sight_reason: str
    models: tuple[str, ...]
    caching: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEdge:
    """A transition with the probability the plan counted with, in [0, 1]."""

    source: str
    target: str
    kind: EdgeKind
    label: str
    probability: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLoop:
    """Nodes that can run again, and how often the plan expects them to."""

    nodes: tuple[str, ...]
    expected_iterations: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanGraph:
    """The shape of the graph the plan was made for."""

    name: str
    fingerprint: str
    nodes: tuple[PlanNode, ...]
    edges: tuple[PlanEdge, ...]
    loops: tuple[PlanLoop, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanModel:
    """A member of the pool with its price and limits at the time of planning."""

    name: str
    provider: str
    local: bool
    price_in_usd: Amount
    price_out_usd: Amount
    price_source: str
    price_date: str | None
    context_tokens: Count | None
    max_output_tokens: Count | None
    capabilities: tuple[Capability, ...]
    memory_bytes: Count | None
    ability: float
    ability_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBudget:
    """The limits of the run in USD."""

    per_run_usd: Amount | None
    per_day_usd: Amount | None
    per_month_usd: Amount | None
    on_exceed: OnExceed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The next best option for a step: what taking it instead would change.

    model, then: as of an assignment; cost and quality per run, latency per visit
    """

    model: str
    quality_change: float
    cost_change_usd: float
    latency_change_s: float
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One step's model. Cost, visits and weight are per run, tokens per call, latency per visit.

    kind: `single`: `model` serves every call; `iterations`: `model` serves the first round of the
        node's loop, `then` the later ones, its last all that follow; `cascade`: `model` is asked
        first, `then` in this order while the node's check refuses the answer; `packed`: `model`
        gets up to `batch` tasks in one prompt
    complexity: difficulty in [0, 1], in complexity_low … complexity_high with 90 % confidence
    quality: probability of a good result of the node, in (0, 1): after the rounds of a loop that a
        check ends, after the checks of a cascade
    constraints: what bound the choice, in words
    taint: nodes and state keys along which private data comes here, empty where none does
    fallbacks: the models that take over, in this order, where the chosen one cannot serve a call
    qualities: probability of a good answer of `model` alone and of each fallback, in that order
    judged: answers of the node that were judged in earlier runs, on which qualities rest
    reach: of a cascade, the chance that a visit asks each of `then`, where money is no matter
    so_far: of a cascade, probability of a good result where nobody is asked after `model`, after
        the first of `then`, …; `quality` counts what runs can pay
    """

    node: str
    model: str
    local: bool
    complexity: Share
    complexity_low: Share
    complexity_high: Share
    complexity_reason: str
    expected_visits: Amount
    expected_calls: Amount
    in_tokens: Amount
    out_tokens: Amount
    max_output_tokens: Count | None
    weight: Amount
    quality: Share
    cost_usd: Amount
    latency_s: Amount
    privacy_local: bool
    fallbacks: tuple[str, ...]
    runner_up: RunnerUp | None
    constraints: tuple[str, ...]
    reason: str
    taint: tuple[str, ...] = ()
    kind: OptionKind = "single"
    then: tuple[str, ...] = ()
    batch: Annotated[int, Field(ge=1)] = 1
    qualities: tuple[Share, ...] = ()
    judged: Amount = 0.0
    reach: tuple[Share, ...] = ()
    so_far: tuple[Share, ...] = ()

    def model_for(self, iteration: int = 1) -> str:
        """The model of a round of the node's loop, the first being 1; other kinds have one."""
        if self.kind != "iterations" or iteration <= 1 or not self.then:
            return self.model
        return self.then[min(iteration - 2, len(self.then) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The whole run: USD, seconds, and the weighted geometric mean of the steps' quality.

    on_time: chance that a run ends by the deadline, None without one
    """

    cost_expected_usd: Amount
    cost_p95_usd: Amount
    cost_worst_usd: Amount | None
    latency_s: Amount
    quality: Share
    on_time: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverReport:
    """Which solver, how well: gap = (bound − value) / |bound|; `ms` None in reproducible JSON."""

    name: str
    status: Status
    bound: float
    gap: float
    ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A limit of a conflict, and the smallest value with which there is a plan while all other
    limits stay; None where there is no such value.
    """

    limit: str
    value: float
    needed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """Why there is no plan: the limit that fails, its value, and the smallest one that works.

    conflict: the smallest set of limits that cannot be kept together; each entry says how far it
        would have to move if all others stay
    together: where moving one is not enough, all that must move, with values that do together
    """

    limit: str
    value: float | None
    needed: float | None
    message: str
    conflict: tuple[Conflict, ...] = ()
    together: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One plan of a frontier: expected USD, quality, seconds, and the model of each assignment;
    then: the models behind it of those that are sequences.
    """

    cost_usd: Amount
    quality: Share
    latency_s: Amount
    models: tuple[str, ...]
    then: tuple[tuple[str, ...], ...] = ()


class PlansAgain(Protocol):
    """What `make_plan` leaves on a plan so that it can be planned again under other limits."""

    def what_if(
        self,
        *,
        budget: float | None,
        deadline_s: float | None,
        without_model: str | None,
        memory_limit_bytes: int | None,
    ) -> Plan:
        """The plan under other limits."""
        ...

    def frontier(self) -> tuple[Point, ...]:
        """Undominated plans, cheapest first."""
        ...

    def rest(self, happened: Happened) -> Rest:
        """The assignment of what is still to come."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which model serves each step, with reasons; see the module docstring.

    `assignments` covers the nodes that may call a model. `feasible` False: `infeasible` says why
    and the assignments are empty. `planned_s` is the expected time that the plan was held to, so
    that enough runs end by `deadline_s`. `prompt_scorer` looks at each prompt while the graph runs,
    `""`: nobody does.
    """

    schema: Literal["graphroute.plan/1"] = SCHEMA
    graph: PlanGraph
    models: tuple[PlanModel, ...]
    budget: PlanBudget
    objective: Objective
    seed: int
    assignments: tuple[Assignment, ...]
    totals: Totals
    shadow_price: Amount
    solver: SolverReport
    feasible: bool
    infeasible: Infeasible | None
    deadline_s: Amount | None = None
    planned_s: Amount | None = None
    time_price: Amount = 0.0
    critical_path: tuple[str, ...] = ()
    parallel_groups: tuple[tuple[str, ...], ...] = ()
    prompt_scorer: str = ""

    def assignment(self, node: str) -> Assignment | None:
        """The assignment of a node, None where it calls no model."""
        return next((a for a in self.assignments if a.node == node), None)

    def model_for(self, node: str, iteration: int = 1) -> str | None:
        """The model of a node in a round of its loop (from 1); None where it calls no model."""
        found = self.assignment(node)
        return None if found is None else found.model_for(iteration)

    def to_json(self, *, timing: bool = False, indent: int | None = 2) -> str:
        """JSON text, the same bytes for the same input; `timing=True` adds the milliseconds."""
        from graphroute.ir import codec

        plan = self if timing else replace(self, solver=replace(self.solver, ms=None))
        return codec.dump_plan(plan, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """The plan in `text`; `PlanMismatch` if it is damaged or of another version."""
        from graphroute.ir import codec

        return codec.load_plan(text)

    def explain(self, node: str | None = None) -> str:
        """The plan, or one node of it, in sentences; KeyError for a node that is not in it."""
        from graphroute.ir import explain

        return explain.explain(self, node)

    def diff(self, other: Plan) -> Difference:
        """What changes from this plan to `other`; `str()` of it is for people."""
        from graphroute.ir import compare

        return compare.compare(self, other)

    def to_mermaid(self) -> str:
        """A Mermaid flowchart, one colour per model, with a legend."""
        from graphroute.ir import mermaid

        return mermaid.to_mermaid(self)

    def frontier(self) -> tuple[Point, ...]:
        """Plans that none beats in cost, quality and latency; only on a plan just made."""
        return self._again_or_error("frontier").frontier()

    def what_if(
        self,
        *,
        budget: float | None = None,
        deadline_s: float | None = None,
        without_model: str | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Plan:
        """The plan under another budget (USD per run), deadline (s), memory, or without a model."""
        return self._again_or_error("what_if").what_if(
            budget=budget,
            deadline_s=deadline_s,
            without_model=without_model,
            memory_limit_bytes=memory_limit_bytes,
        )

    @property
    def can_replan(self) -> bool:
        """Whether the plan still knows its problem; one read from JSON does not."""
        return getattr(self, "_again", None) is not None

    def rest(self, happened: Happened) -> Rest:
        """Models for the steps still to come, given what happened; ≤ 2 ms, only on a new plan."""
        return self._again_or_error("rest").rest(happened)

    def _again_or_error(self, name: str) -> PlansAgain:
        again: PlansAgain | None = getattr(self, "_again", None)
        if again is None:
            raise PlanError(
                f"{name}() needs the graph and the pool, and a plan read from JSON has neither",
                next_step="plan again with graphroute.plan(graph, …)",
            )
        return again

    def _repr_html_(self) -> str:
        from graphroute.ir import html

        return html.to_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """For notebooks: the table, the drawing as Mermaid text, and plain sentences."""
        return {
            "text/html": self._repr_html_(),
            "text/vnd.mermaid": self.to_mermaid(),
            "text/plain": self.explain(),
        }
