"""All that `optimize()` was asked for, and what can be said of it before anything runs.

```
graph ─ walk ─► Graph ──┐
models ─ pool ─► Catalog ┼─ Inventory ─► make_plan ─► Plan
nodes to be cached ──────┘      ▲ what earlier runs showed
```
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from graphroute import keeping, learning, memory, registry, serving
from graphroute.checks.judge import Judge, judges_in
from graphroute.errors import GraphrouteError, InvalidValue
from graphroute.frontend.cacheable import cacheable, noted
from graphroute.frontend.checkable import checkable, marked
from graphroute.frontend.langgraph import Walked, walk
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.evidence import Evidence
from graphroute.ir.facts import Observed
from graphroute.ir.graph import Graph, Node
from graphroute.ir.hints import Budget, Objective, RouteHints
from graphroute.ir.learning import Learn
from graphroute.ir.node_cache import CacheableNode, Caching
from graphroute.ir.node_check import CheckedNode
from graphroute.ir.plan import Plan
from graphroute.ir.storage import Store
from graphroute.learning import Past
from graphroute.memory import MemoryLimit
from graphroute.planner import CheckUsd, make_plan
from graphroute.planning.retries import CheckRates
from graphroute.pool import Models, Pool, build_pool
from graphroute.promoted import scorer_in_use, told
from graphroute.protocols import BatchPolicy, Cache, PromptScorer, StepScorer
from graphroute.runtime.canonical import digest
from graphroute.runtime.periods import PeriodLedger
from graphroute.runtime.routed_graph import unwrap
from graphroute.store.records import RecordStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is to plan with, at one look at the graph and the machine.

    batching: when calls go out; None: each at once
    checked: nodes whose updates are checked
    outputs: nodes whose outputs are kept; caching: the reason for each node that asks for it
    """

    walked: Walked
    pool: Pool
    batching: BatchPolicy | None
    checked: tuple[CheckedNode, ...] = ()
    outputs: tuple[CacheableNode, ...] = ()
    caching: tuple[Caching, ...] = ()

    def warned(self, remark: str) -> Inventory:
        """The same with one more thing for the plan to say."""
        graph = self.walked.graph
        graph = replace(graph, warnings=(*graph.warnings, remark))
        return replace(self, walked=replace(self.walked, graph=graph))

    @property
    def hints(self) -> dict[str, RouteHints]:
        """What was said of nodes, by name."""
        nodes = self.walked.graph.nodes
        return {node.name: node.hints for node in nodes if node.hints != RouteHints()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Everything `optimize()` was asked for, so that it can be planned again."""

    graph: Any
    models: Models
    budget: Budget
    objective: Objective
    deadline_s: float | None
    nodes: Mapping[str, RouteHints]
    scorer: str | PromptScorer
    store: Path
    seed: int
    cache: bool | str | Cache | None = None
    batch: str | BatchPolicy | None = None
    memory_limit_bytes: MemoryLimit = "auto"
    kept: Store = field(default_factory=Store)
    learn: bool | Learn | None = None

    def inventory(self, *, is_budgeted: bool = False) -> Inventory:
        """Look at the graph, with the hints of `@route` and `nodes=`, and at the models.

        is_budgeted: money is limited, whatever the budget says, so that prices must be known
        """
        walked = walk(self.graph, hints=self.nodes)
        checked = checkable(self.graph, walked.graph, digest=digest)
        walked = replace(walked, graph=marked(walked.graph, checked))
        limited = is_budgeted or self.budget.is_limited
        pool = build_pool(self.models, walked.chats, budgeted=limited)
        batching = serving.batch_policy(
            self.batch,
            [node.hints for node in walked.graph.nodes],
            keeps_own=self.models is None,
        )
        found = Inventory(walked=walked, pool=pool, batching=batching, checked=checked)
        if self.cache is False:
            return found
        outputs, caching = cacheable(self.graph, walked.graph, digest=digest)
        return replace(found, outputs=outputs, caching=caching)

    def planned(self, inventory: Inventory) -> Graph:
        """The graph that is planned: without `models=`, each node keeps to its own."""
        graph = inventory.walked.graph
        if self.models is None:
            return _with_own_models_only(graph, inventory.pool.catalog.names)
        return graph

    def past(self, inventory: Inventory, records: RecordStore | None) -> Past:
        """What earlier runs of this graph left behind, in this process or any other."""
        if self.learn is False:
            return Past()
        fingerprint = self.planned(inventory).fingerprint
        return learning.past_of(fingerprint, records, self.store, learning.stated(self.learn))

    def plan(
        self,
        inventory: Inventory,
        *,
        observed: Observed | None = None,
        judged: Mapping[tuple[str, str], Evidence] | None = None,
        prompts: PromptScorer | None = None,
        checks: Mapping[str, CheckRates] | None = None,
    ) -> Plan:
        """Plan over the pool; a pool of the graph's own models leaves every node its own.

        observed, judged: what earlier runs showed, and how their answers were found
        prompts: the scorer that is in use; checks: how far those of nodes can be trusted
        """
        graph, pool = self.planned(inventory), inventory.pool
        step_scorer = registry.build("scorers", "structural")
        if not isinstance(step_scorer, StepScorer):  # pragma: no cover - contract-tested
            raise TypeError("scorer 'structural' scores no steps")
        limit = memory.limit_bytes(self.memory_limit_bytes, pool.catalog)
        make = partial(
            make_plan,
            catalog=pool.catalog,
            budget=self.budget,
            objective=self.objective,
            deadline_s=self.deadline_s,
            seed=self.seed,
            step_scorer=step_scorer,
            observed=observed,
            check_usd=_check_usd(graph, pool),
            qualities=learning.levelled(judged or {}, graph, pool.catalog, step_scorer),
            prompt_scorer=told(prompts),
            checks=checks,
        )

        def plan_graph(graph: Graph, *, memory_limit_bytes: int | None) -> Plan:
            made = make(graph, memory_limit_bytes=memory_limit_bytes)
            packs = serving.packings(
                inventory.batching, graph, pool.catalog, made, store=self.store
            )
            if not packs:
                return made
            return make(graph, memory_limit_bytes=memory_limit_bytes, packings=packs)

        graph = noted(graph, inventory.caching)
        refused = (str(each) for each in inventory.caching if not each.is_on)
        remarks = (*graph.warnings, *pool.warnings, *_remarks(graph, self.batch), *refused)
        if limit is None or self.memory_limit_bytes != "auto":
            return plan_graph(replace(graph, warnings=remarks), memory_limit_bytes=limit)
        room = f"{limit / 1e9:.1f} GB of memory for local models"
        said = f"{room}: not all of the pool's fit in it at once"
        found = plan_graph(replace(graph, warnings=(*remarks, said)), memory_limit_bytes=limit)
        if _lacks_memory(found):
            # What is free now is no promise, and a graph that ran before must run.
            said = f"{room} are free, too little for any plan: planned without that limit"
            found = plan_graph(replace(graph, warnings=(*remarks, said)), memory_limit_bytes=None)
        return found

    def periods(self) -> PeriodLedger | None:
        """The ledger of day and month budgets; a file is touched only where one is set."""
        day, month = self.budget.per_day_nano, self.budget.per_month_nano
        if day is None and month is None:
            return None
        return PeriodLedger(self.store / "ledger.sqlite3", day_nano=day, month_nano=month)

    def in_use(self, base: PromptScorer | None) -> PromptScorer | None:
        """The scorer that looks at each prompt: as learning has it, if earlier runs count."""
        return base if self.learn is False else scorer_in_use(self.store, base)

    def prompts(self) -> PromptScorer | None:
        """The scorer as it ships or was given; None, logged, where the default one is broken."""
        if not isinstance(self.scorer, str):
            return self.scorer
        try:
            scorer = registry.build("scorers", "lexical" if self.scorer == "auto" else self.scorer)
        except GraphrouteError as fault:
            if self.scorer != "auto":
                raise
            logger.warning("prompts are not scored: %s", fault)
            return None
        if not isinstance(scorer, PromptScorer):
            raise InvalidValue(
                f"scorer {self.scorer!r} does not score prompts",
                value=self.scorer,
                next_step="use 'lexical', or pass an object with difficulty(prompts)",
            )
        return scorer


def compilation(
    graph: Any,
    *,
    models: Models = None,
    budget: float | Budget | None = None,
    objective: Objective = "quality",
    deadline_s: float | None = None,
    nodes: Mapping[str, RouteHints] | None = None,
    scorer: str | PromptScorer = "auto",
    cache: bool | str | Cache | None = None,
    batch: str | BatchPolicy | None = None,
    store: str | Path | Store | bool | None = None,
    memory_limit_bytes: MemoryLimit = "auto",
    learn: bool | Learn | None = None,
    seed: int = 0,
) -> Compilation:
    """Check the arguments of `optimize()` and keep them."""
    limits = budget if isinstance(budget, Budget) else Budget(per_run_usd=budget)
    kept = keeping.stated(store)
    memory.check(memory_limit_bytes)
    learning.stated(learn)
    for name, hints in (nodes or {}).items():
        if not isinstance(hints, RouteHints):
            raise InvalidValue(
                f"nodes[{name!r}] is {type(hints).__name__}",
                node=name,
                next_step="use RouteHints(…)",
            )
    return Compilation(
        graph=unwrap(graph) if hasattr(graph, "__dict__") else graph,
        models=models,
        budget=limits,
        objective=objective,
        deadline_s=deadline_s,
        nodes=dict(nodes or {}),
        scorer=scorer,
        store=keeping.folder(kept),
        kept=kept,
        seed=seed,
        cache=cache,
        batch=batch,
        memory_limit_bytes=memory_limit_bytes,
        learn=learn,
    )


def _lacks_memory(made: Plan) -> bool:
    return made.infeasible is not None and "memory" in (
        made.infeasible.limit,
        *(each.limit for each in made.infeasible.conflict),
    )


def _with_own_models_only(graph: Graph, known: Sequence[str]) -> Graph:
    """Every node allowed nothing but the models it already holds.

    A node whose models are made inside it, so that no object is known, has nothing to plan.
    """
    nodes: list[Node] = []
    hidden: list[str] = []
    for node in graph.nodes:
        held = tuple(dict.fromkeys(use.name for use in node.models))
        usable = tuple(name for name in held if name in known)
        if not held or node.hints.models or node.hints.pin:
            nodes.append(_asked_once(node))
        elif usable:
            nodes.append(_asked_once(replace(node, hints=replace(node.hints, models=usable))))
        else:
            nodes.append(replace(node, kind="code", models=()))
            hidden.append(f"node {node.name!r} makes its model ({', '.join(held)}) when it runs")
    remarks = tuple(f"{words}: it keeps it, and the plan does not count it" for words in hidden)
    return replace(graph, nodes=tuple(nodes), warnings=(*graph.warnings, *remarks))


def _asked_once(node: Node) -> Node:
    """The node with nothing planned for its check, where there is no other model than the one: it
    would be asked again, and what a graph asks by itself is not to change.
    """
    is_alone = len(node.hints.models or ()) == 1
    return replace(node, hints=replace(node.hints, verify=None)) if is_alone else node


def _remarks(graph: Graph, batch: object) -> Iterator[str]:
    """Warnings of a graph without models, and of hints that the arguments leave without effect."""
    if not any(node.may_call_model for node in graph.nodes):
        yield f"no node of graph {graph.name!r} was seen to call a chat model: nothing to assign"
    if batch != "deferred":
        for node in graph.nodes:
            if node.hints.deferrable:
                yield f"node {node.name!r}: deferrable= has an effect with batch='deferred' only"


def _check_usd(graph: Graph, pool: Pool) -> dict[str, CheckUsd]:
    """What the judges of nodes are expected to cost, where they are models of the pool."""
    found: dict[str, CheckUsd] = {}
    for node in graph.nodes:
        judges = [(each, pool.member(each.model)) for each in judges_in(node.hints.verify)]
        known = tuple((each, spec) for each, spec in judges if spec is not None)
        if known:
            found[node.name] = partial(_judged_usd, known)
    return found


def _judged_usd(
    judges: Sequence[tuple[Judge, ModelSpec]], in_tokens: float, out_tokens: float
) -> float:
    return sum(spec.cost_usd(*judge.tokens(in_tokens, out_tokens)) for judge, spec in judges)
